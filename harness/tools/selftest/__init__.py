"""``harness selftest`` and ``harness doctor``: the error rate of verdicts, and the state of this machine."""
