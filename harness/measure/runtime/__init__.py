"""Shared by all kinds of measurement: building trials, clocks, the watchdog, facts of the machine. Imports torch."""
