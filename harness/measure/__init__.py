"""`Plan` to records: the runner, the coordinator of a block, the fork server, and the processes that measure.

In: a `Plan`. Out: records in a `Store`. Only `kinds` and `runtime` import torch. `api`, `tools`
and `testing` may import this package.
"""
