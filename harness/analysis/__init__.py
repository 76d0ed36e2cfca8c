"""Records to findings: pure functions without text, files or torch.

In: a `Plan` and its records. Out: `Findings`. `report`, `measure`, `api`, `cli` and `tools` may import this package.
"""
