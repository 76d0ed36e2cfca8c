"""Does this choice actually help my recurrent model, and by how much?

Plugin authors mark functions with `hookimpl` and yield parts from them:

    import harness

    @harness.hookimpl
    def provide_models():
        yield harness.Model("my_cell", "my_package.cell:build", summary="...")

Scripts and notebooks `run` a suite, `resume` a run, or `open` an earlier one. These functions are imported at first
use, so that the import of a plugin stays fast.

    result = harness.run("suites/smoke.yaml", quick=True)
    result.to_pandas()
"""

from typing import TYPE_CHECKING, Any

import pluggy

from harness.errors import UserError
from harness.plugins.file_paths import FilePath
from harness.plugins.kinds import MeasureKind, Quantity, Stage
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
    Reporter,
    Score,
    Skip,
)
from harness.plugins.recipe import Recipe
from harness.plugins.whole_score import WholeScore

if TYPE_CHECKING:
    from harness.api.ab import ab as ab
    from harness.api.python import open as open
    from harness.api.python import resume as resume
    from harness.api.python import run as run
    from harness.api.result import Result as Result
    from harness.api.vary import vary as vary
    from harness.measure.runtime.experiments.lightning import from_lightning as from_lightning
    from harness.measure.runtime.experiments.trainer import from_trainer as from_trainer
    from harness.plugins.experiment import Experiment as Experiment
    from harness.records.settings import Settings as Settings

hookimpl = pluggy.HookimplMarker("harness")

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Command",
    "Data",
    "Dataset",
    "Executor",
    "FilePath",
    "MeasureKind",
    "Metric",
    "Model",
    "Optimization",
    "Promise",
    "Quantity",
    "Recipe",
    "Reporter",
    "Score",
    "Skip",
    "Stage",
    "UserError",
    "WholeScore",
    "__version__",
    "hookimpl",
]

#: Names that are imported at first use, and their modules. They are not in __all__: a star import must not hide the
#: built-in open.
_LAZY = {
    "Experiment": "harness.plugins.experiment",
    "Settings": "harness.records.settings",
    "Samples": "harness.analysis.samples",
    "ab": "harness.api.ab",
    "run": "harness.api.python",
    "resume": "harness.api.python",
    "vary": "harness.api.vary",
    "from_lightning": "harness.measure.runtime.experiments.lightning",
    "from_trainer": "harness.measure.runtime.experiments.trainer",
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
