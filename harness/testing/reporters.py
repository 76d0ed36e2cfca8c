"""Promises of reporters."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from harness.report.report import make_report
from harness.testing.part_under_test import Broken, PartUnderTest
from harness.testing.synthetic_run import write_run


def writes_inside_folder(part: PartUnderTest) -> str:
    """The reporter writes the files that it names into the run's folder, writes the same files in a second call, and
    changes no other file."""
    with tempfile.TemporaryDirectory() as parent:
        store = write_run(Path(parent) / "results")
        report = make_report(store, part.catalog)
        others, before = hashes(Path(parent)), repr(report)
        written = [Path(path) for path in part.code(report, store.folder) or ()]
        for path in written:
            if not path.resolve().is_relative_to(store.folder.resolve()):
                raise Broken(f"it names {path}, which lies outside the run's folder")
            if not path.is_file():
                raise Broken(f"it names {path.name}, but there is no such file")
        after = hashes(Path(parent))
        changed = sorted(path for path, content in others.items() if after.get(path) != content)
        if changed:
            raise Broken(f"it changes {Path(changed[0]).name}, a file of the run")
        unnamed = sorted(set(after) - set(others) - {str(path.resolve()) for path in written})
        if unnamed:
            raise Broken(f"it writes {Path(unnamed[0]).relative_to(Path(parent).resolve())} and does not name it")
        if repr(report) != before:
            raise Broken("it changes the report, which other reporters read after it")
        again = [Path(path) for path in part.code(report, store.folder) or ()]
        if again != written or set(hashes(Path(parent))) != set(after):
            raise Broken("a second call with the same report writes other files")
        return ", ".join(path.name for path in written[:3]) or "no file here"


def hashes(folder: Path) -> dict[str, str]:
    """The hash of every file under a folder."""
    files = [path for path in folder.resolve().rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
