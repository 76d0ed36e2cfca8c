"""Concludes from records: pure functions, without files, without torch, and without text except reasons.

In: a `Plan` and its records. Out: `Findings`. `report`, `plan`, `measure` and every package above them may import this
one.
"""
