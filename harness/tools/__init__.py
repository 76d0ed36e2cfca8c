"""Commands that a run does not need, a package each: `across`, `export`, `scaffold`, `selftest`."""
