"""Promises of reporters: files in the run's folder, of whatever was found, and nothing else touched."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from harness.report.report import make_report
from harness.testing.made_run import write_run
from harness.testing.subject import Broken, Subject


def stays_inside(subject: Subject) -> str:
    """It writes the files it names into the folder it is given, the same ones again, and leaves all others alone."""
    with tempfile.TemporaryDirectory() as home:
        store = write_run(Path(home) / "results")
        report = make_report(store, subject.catalog)
        outside, before = files(Path(home)), repr(report)
        written = [Path(path) for path in subject.code(report, store.folder) or ()]
        for path in written:
            if not path.resolve().is_relative_to(store.folder.resolve()):
                raise Broken(f"it names {path}, which lies outside the run's folder")
            if not path.is_file():
                raise Broken(f"it names {path.name}, and there is no such file")
        after = files(Path(home))
        harmed = sorted(path for path, content in outside.items() if after.get(path) != content)
        if harmed:
            raise Broken(f"it changes {Path(harmed[0]).name}, which is not its own")
        unnamed = sorted(set(after) - set(outside) - {str(path.resolve()) for path in written})
        if unnamed:
            raise Broken(f"it writes {Path(unnamed[0]).relative_to(Path(home).resolve())} and does not name it")
        if repr(report) != before:
            raise Broken("it changes the report, which others read after it")
        again = [Path(path) for path in subject.code(report, store.folder) or ()]
        if again != written or set(files(Path(home))) != set(after):
            raise Broken("written once more, the same report makes other files")
        return ", ".join(path.name for path in written[:3]) or "no file here"


def files(folder: Path) -> dict[str, str]:
    """Every file under a folder, with a hash of what is in it."""
    found = [path for path in folder.resolve().rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
