"""Does this choice actually help my recurrent model, and by how much?

This is the door for plugin authors: mark functions with `hookimpl` and yield parts from them.

    import harness

    @harness.hookimpl
    def provide_models():
        yield harness.Model("my_cell", "my_package.cell:build", summary="...")

And it is the door for Python and notebooks: `run` a suite, `resume` a run, `open` an earlier one. These are imported
when they are first asked for, so that a plugin's import costs nothing.

    result = harness.run("suites/smoke.yaml", quick=True)
    result.to_pandas()
"""

from typing import TYPE_CHECKING, Any

import pluggy

from harness.errors import UserError
from harness.plugins.parts import (
    Batch,
    Command,
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

if TYPE_CHECKING:
    from harness.api.python import open as open
    from harness.api.python import resume as resume
    from harness.api.python import run as run
    from harness.api.result import Result as Result

hookimpl = pluggy.HookimplMarker("harness")

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Command",
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

#: What is imported when it is first asked for, and from where. Not in __all__: a star must not hide Python's own open.
_LAZY = {
    "Samples": "harness.analysis.samples",
    "run": "harness.api.python",
    "resume": "harness.api.python",
    "open": "harness.api.python",
    "Result": "harness.api.result",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
