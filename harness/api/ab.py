"""`harness.ab`: compare functions from Python, a notebook or a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.api.ab_functions import FunctionComparison
from harness.api.lookup import PluginChoice
from harness.api.notebook_code import references_to
from harness.api.python import StrPath, choice, executed, run
from harness.api.result import Result
from harness.api.series import Series
from harness.api.session import ExecutionOptions, Session, SuiteOverrides
from harness.suite.values import SuiteValues

#: A function, or a reference to one: "file.py:name" or "package.module:name".
Code = Callable[..., Any] | str


def ab(
    old: Code,
    *new: Code,
    inputs: Code | None = None,
    git: str = "",
    grad: bool = False,
    fresh: bool = False,
    different: bool = False,
    tolerance: float = 0.0,
    expect: str = "",
    why: bool = False,
    budget: str = "",
    margin: str = "",
    device: str = "cpu",
    series: str = "",
    results: StrPath = "results",
    plugins: Iterable[StrPath] = (),
    progress: bool = False,
) -> Result:
    """Compare functions with `old`: which is faster, and by how much? The parameters are the options of ``harness ab``.

    A function is measured in fresh processes, which import it, so it must be at the top level of a module. The source
    of functions of a notebook is written to a module below `results`, and a line on standard error says so. `inputs` is
    a function that yields tuples of arguments. Raises UserError for a mistake, such as a lambda.

        result = harness.ab(old, new, inputs=make)
        result.verdict, result.ratio, result.interval

    With `series`, it is a try of the series of that name, and `result.decision` says whether to keep `new`.
    """
    texts = references_to([old, *new, *([inputs] if inputs is not None else [])], Path(results))
    comparison = FunctionComparison(
        functions=texts[: 1 + len(new)],
        inputs=texts[-1] if inputs is not None else "",
        commit=git,
        gradients=grad,
        different=different,
        tolerance=tolerance,
        fresh=fresh,
        expect=expect,
        why=why,
        budget=budget,
        margin=margin,
        device=device,
    )
    suite = comparison.suite()
    if series:
        return one_try(series, suite, choice(plugins), Path(results), progress=progress)
    return run(suite.values, name=suite.name, results=results, plugins=plugins, confirm=bool(expect), progress=progress)


def one_try(name: str, suite: SuiteValues, plugins: PluginChoice, results: Path, *, progress: bool) -> Result:
    """Measure a suite as a try of a series. The result has the decision."""
    series = Series.named(name, results)
    options = ExecutionOptions()
    attempt, session = series.begin(Session.begin(suite, SuiteOverrides(gate=True), plugins, results, options))
    result = executed(session, options, progress)
    return replace(result, decision=series.finish(attempt, result))
