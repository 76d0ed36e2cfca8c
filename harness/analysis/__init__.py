"""Records to findings: pure functions without files or torch, and without text except reasons.

In: a `Plan` and its records. Out: `Findings`. `report`, `measure`, `api`, `cli` and `tools` may import this package.
"""
