"""Files of suites: those in a folder, and the name of a suite, which is the name of its file."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UserError
from harness.suite.names import composed, why_no_name
from harness.suite.yaml_source import is_yaml

#: Names with another meaning: the latest run of all suites, committed runs, and pages of several suites.
RESERVED = ("latest", "reference", "pages")


def suites_in(folder: Path) -> list[Path]:
    """The suites of a folder by name. Raises UserError if two of them have the same name."""
    found = sorted(path for path in folder.glob("*") if is_yaml(path) and path.is_file())
    first: dict[str, Path] = {}
    for path in found:
        if (other := first.setdefault(suite_name(path), path)) is not path:
            what = f"it has the same name as {other.name}, so their runs could not be told apart."
            raise UserError(what, where=str(path), fix="Rename one of them.")
    return found


def suite_name(path: Path) -> str:
    """The name of the suite in a file, which names the folder of its runs. Raises UserError for a file that cannot be
    called so."""
    name, fix = composed(path.stem), "Rename the file."
    if why := why_no_name(name):
        raise UserError(f"the name of this file cannot be the name of a suite: {why}.", where=str(path), fix=fix)
    if name in RESERVED or set(name) == {"."}:
        raise UserError(f"a suite cannot be named {name!r}, which has another meaning.", where=str(path), fix=fix)
    if "~" in name:
        what = "the name of a suite cannot contain ~, since NAME~1 means the run before the latest one."
        raise UserError(what, where=str(path), fix=fix)
    return name
