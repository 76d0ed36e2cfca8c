"""The core's parts for programs that are run as they are. The coordinator runs them, and nothing is built."""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

from pydantic import Field

from harness.plugins.file_paths import FilePath

Run = Annotated[str, Field(description="the command line; {seed} in it is the seed of a run")]
Scores = Annotated[
    dict[str, dict[str, str]],
    Field(
        description="scores by name, each with `read` (a pattern with one group, json:KEY or file:PATH:...), "
        "`better` (higher or lower) and `compared` (number, share or ratio)"
    ),
]
Folder = Annotated[FilePath, Field(description="the folder in which the commands run; by default the working folder")]


def command(facts: Any, *, run: Run) -> NoReturn:
    """A program as it is, in any language, in place of a model. It runs as a whole, in fresh processes."""
    raise TypeError("a command is not a torch module")


def program(*, scores: Scores = {}, folder: Folder = ".") -> NoReturn:  # noqa: B006  # never changed
    """In place of a dataset: the folder in which commands run, and the scores that they print or write."""
    raise TypeError("a command has no dataset")
