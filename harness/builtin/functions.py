"""The parts `function` and `inputs`: functions of the user as levels, and what they are called with."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from harness.plugins.code_files import function_of, origin_of
from harness.plugins.file_paths import CodePath
from harness.plugins.parts import Data

Code = Annotated[CodePath, Field(description="the function: file.py:name, or package.module:name")]
Commit = Annotated[str, Field(description="the commit of the repository that has the function; empty: the files here")]
Gradients = Annotated[bool, Field(description="whether a call also computes the gradients of the arguments")]
Different = Annotated[bool, Field(description="whether it may return something else than the baseline")]
Tolerance = Annotated[
    float,
    Field(ge=0, le=1, description="the largest error, as a share of the largest value; 0: what rounding explains"),
]


def function(
    facts: Any,
    *,
    code: Code,
    commit: Commit = "",
    gradients: Gradients = False,
    different: Different = False,
    tolerance: Tolerance = 0.0,
) -> Any:
    """A function as it is. It is called with the arguments that the dataset `inputs` yields.

    What it returns must be what the baseline returns, as far as rounding allows, unless it is `different`.
    """
    from harness.measure.runtime.functions import FunctionModel

    return FunctionModel(
        function_of(code, commit=commit), gradients=gradients, different=different, tolerance=tolerance
    )


def load(*, code: str, commit: str = "", **_: Any) -> None:
    """Import the module of the function."""
    function_of(code, commit=commit)


def origin(*, code: str, commit: str = "", **_: Any) -> tuple[str, str]:
    """The file of the function, and its version."""
    return origin_of(code, commit=commit)


InputsCode = Annotated[
    CodePath, Field(description="a function that yields arguments; empty: functions without arguments")
]


def inputs(*, code: InputsCode = "") -> Data:
    """What functions are called with. The function `code` yields one tuple of arguments after another: each is timed.

    A dictionary gives keyword arguments, and anything else is the only argument.
    """
    from harness.measure.runtime.functions import collate, yielded

    made = yielded(function_of(code), code) if code else [()]
    return Data(train=made, test=[], collate=collate, batches=len(made))


def inputs_fingerprint(*, code: str = "") -> str:
    """A hash of the file that makes the arguments."""
    return origin_of(code)[1] if code else "no arguments"
