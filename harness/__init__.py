"""Does this choice actually help my recurrent model, and by how much?

This is the door for plugin authors: mark functions with `hookimpl` and yield parts from them.

    import harness

    @harness.hookimpl
    def provide_models():
        yield harness.Model("my_cell", "my_package.cell:build", summary="...")
"""

import pluggy

from harness.errors import UserError
from harness.parts import (
    Batch,
    Data,
    Dataset,
    Executor,
    Metric,
    Model,
    Optimization,
    Promise,
    Recipe,
    Reporter,
    Score,
    Skip,
)

hookimpl = pluggy.HookimplMarker("harness")

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Data",
    "Dataset",
    "Executor",
    "Metric",
    "Model",
    "Optimization",
    "Promise",
    "Recipe",
    "Reporter",
    "Score",
    "Skip",
    "UserError",
    "__version__",
    "hookimpl",
]
