"""Reads a suite: the schema of its fields, its values with their positions, presets and settings.

In: the text of a YAML file. Out: a checked `Suite`. `plan` and every package above it may
import this one.
"""

from harness.suite.loader import Suite, load_suite, parse_suite

__all__ = ["Suite", "load_suite", "parse_suite"]
