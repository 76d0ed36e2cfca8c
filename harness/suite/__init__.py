"""YAML to `Suite`: the schema of a suite, its values with their places, presets and settings.

In: the text of a YAML file. Out: a checked `Suite`. `plan`, `api`, `cli` and `tools` may import this package.
"""

from harness.suite.loader import Suite, load_suite, parse_suite

__all__ = ["Suite", "load_suite", "parse_suite"]
