"""`Suite` and `Catalog` to `Plan`: every trial resolved and checked, grouped into blocks.

In: a `Suite`. Out: a `Plan`. `api`, `cli`, `tools` and `testing` may import this package.
"""

from harness.plan.planner import make_plan

__all__ = ["make_plan"]
