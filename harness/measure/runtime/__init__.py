"""What the kinds of measurement share: building trials, clocks, watchdog, machine facts. Imports torch."""
