"""Measures a `Plan` into records: the runner, the coordinator of a block, and the processes that measure.

The input is a `Plan`; the output is records in a `Store`. The runner and the coordinator do not import torch; `worker`,
`kinds` and `runtime` run in the processes that measure.
"""
