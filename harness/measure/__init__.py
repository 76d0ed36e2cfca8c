"""Measures a plan: the runner, the coordinator of a block, and the processes that measure.

In: a `Plan`. Out: records in a `Store`. `api`, `testing` and every package above them may import this one.

The runner and the coordinator do not import torch. `worker`, `kinds` and `runtime` run in the processes that measure.
"""
