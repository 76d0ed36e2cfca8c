"""Parameters that are paths: relative to the suite in a suite, and to the working folder everywhere else.

A part declares such a parameter with the annotation `harness.FilePath`, or `CodePath` for a reference to code. Plans
store the path relative to the working folder where it lies below it, and absolute elsewhere. Parts get what is stored.
"""

from __future__ import annotations

import os
import typing
from pathlib import Path
from typing import Annotated, Any

from harness.plugins.code_files import is_reference, parse_reference

#: What marks the annotation of a path.
PATH = "path of a file or a folder"
#: The annotation of a parameter that is the path of a file or a folder.
FilePath = Annotated[str, PATH]
#: The annotation of a parameter that names a function: "file.py:name", whose file is a path, or "package.module:name".
CodePath = Annotated[str, PATH, "reference to code"]


def holds_paths(annotation: Any) -> bool:
    """Whether the texts of an annotation are paths, as those of ``FilePath``, ``FilePath | None`` and
    ``list[FilePath]`` are."""
    if PATH in getattr(annotation, "__metadata__", ()):
        return True
    return any(map(holds_paths, typing.get_args(annotation)))


def stored_path(path: str | Path, folder: Path) -> str:
    """A path that is relative to a `folder`, as plans store it: relative to the working folder where it lies below it,
    and absolute elsewhere."""
    if not path or names_module(str(path)):
        return str(path)
    whole = Path(os.path.abspath(folder / path))  # noqa: PTH100  # links are kept as the user wrote them
    here = Path.cwd()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def names_module(text: str) -> bool:
    """Whether a text names a function of a module, as in "package.module:name", and no file."""
    return is_reference(text) and not parse_reference(text).is_file


def paths_in(value: Any) -> list[str]:
    """The paths in a value of a parameter that holds paths."""
    if isinstance(value, str):
        return [value.partition(".py:")[0] + ".py" if ".py:" in value else value]
    return [path for one in value for path in paths_in(one)] if isinstance(value, list | tuple) else []


def with_stored_paths(value: Any, folder: Path) -> Any:
    """The value of a parameter that holds paths, with each path as plans store it."""
    if isinstance(value, str):
        return stored_path(value, folder)
    return [with_stored_paths(one, folder) for one in value] if isinstance(value, list | tuple) else value
