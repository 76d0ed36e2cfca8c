"""``harness compare`` and ``harness history``: two stored runs compared, and all runs of a suite over time."""
