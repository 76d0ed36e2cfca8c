"""Plans a suite: every trial is resolved and checked, and the trials are grouped into blocks.

In: a `Suite` and a `Catalog`. Out: a `Plan`. `api`, `testing` and every package above them may
import this one.
"""

from harness.plan.planner import make_plan

__all__ = ["make_plan"]
