"""`harness.ab`: compare functions from Python, a notebook or a test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.api.ab_functions import FunctionComparison
from harness.api.notebook_code import reference_to
from harness.api.python import StrPath, run
from harness.api.result import Result

#: A function, or a reference to one: "file.py:name" or "package.module:name".
Code = Callable[..., Any] | str
#: Where the source of functions of a notebook is written to, below the folder of all runs.
NOTEBOOK = "notebook"


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
    """
    folder = Path(results) / NOTEBOOK
    references = [reference_to(code, folder) for code in (old, *new, *([inputs] if inputs is not None else []))]
    for note in dict.fromkeys(reference.note for reference in references if reference.note):
        print(note, file=sys.stderr)
    texts = [reference.text for reference in references]
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
    return run(suite.values, name=suite.name, results=results, plugins=plugins, confirm=bool(expect), progress=progress)
