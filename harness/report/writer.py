"""Every reporter writes the report. None of them can stop the others or change what was measured."""

from __future__ import annotations

import copy
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import NO_SPACE, UserError
from harness.plugins.catalog import Catalog, Entry
from harness.plugins.isolation import caught, isolated, one_line
from harness.plugins.manager import CORE
from harness.plugins.parts import Reporter
from harness.records.run_lock import RunLock
from harness.records.store import OWN, RECORDS, Store
from harness.report.report import Report, make_report

#: What the system answers when it has no space or no descriptors left.
FULL = (*NO_SPACE, errno.EMFILE, errno.ENFILE)


def report_run(store: Store, catalog: Catalog) -> Report:
    """Make the report of a run and let every reporter write it. Errors of reporters are among the report's problems."""
    report = make_report(store, catalog)
    problems: list[str] = []
    with snapshot(store) as files:
        for entry in catalog.entries(Reporter).values():
            try:
                with caught(entry.owner, problems):  # the folder may be read-only, too
                    try:
                        write(report, entry, catalog, store.folder)
                    except OSError as error:  # a full disk is not the fault of a reporter
                        if error.errno not in FULL:
                            raise
                        where = error.filename or store.folder
                        problems.append(f"{where} cannot be written, the system reports: {error.strerror}")
            finally:
                problems += [f"{entry.owner}: {what}" for what in files.restore()]
    return replace(report, problems=(*report.problems, *problems))


def write(report: Report, entry: Entry, catalog: Catalog, folder: Path) -> None:
    """Let one reporter write. A plugin's reporter gets a copy, which it may change. Raises whatever the
    reporter raises, and ValueError where it names files outside the folder."""
    with isolated(f"{entry.owner} was writing"):
        code = catalog.code(entry)
        written = code(report if entry.plugin == CORE else copy.deepcopy(report), folder)
    outside = next(files_outside(written, folder), None)
    if outside is not None:
        raise ValueError(f"it names {one_line(str(outside))}, which lies outside the run's folder")


def files_outside(written: Any, folder: Path) -> Iterator[Path]:
    """The files named by a reporter that are not in the folder."""
    for file in written if isinstance(written, list | tuple) else ():
        if isinstance(file, str | os.PathLike) and not Path(file).resolve().is_relative_to(folder.resolve()):
            yield Path(file)


class FileSnapshot:
    """The contents of the run's own files. `alone` says that no process measures into the run at the same time."""

    def __init__(self, store: Store, *, alone: bool) -> None:
        self.store, self.alone = store, alone
        self.files = {name: content for name in OWN if (content := self.read(name)) is not None}

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is no such file."""
        with suppress(OSError):
            return (self.store.folder / name).read_bytes()
        return None

    def restore(self) -> Iterator[str]:
        """Restore files that were changed or removed; says which."""
        for name, before in self.files.items():
            now = self.read(name)
            if now == before:
                continue
            if not self.alone and now is not None and (name != RECORDS or now.startswith(before)):
                self.files[name] = now  # by the process that measures
                continue
            did = "removes" if now is None else "changes"
            try:
                self.store.write_bytes(name, before)
            except UserError as error:
                yield f"it {did} {name}, which cannot be restored: {error.what}"
            else:
                yield f"it {did} {name}, which is not its own; restored"


@contextmanager
def snapshot(store: Store) -> Iterator[FileSnapshot]:
    """A snapshot of the run's own files. Meanwhile no process can start to measure into the run."""
    lock = None
    with suppress(OSError, UserError):
        lock = RunLock(store.folder / RECORDS, shared=True)
    try:
        yield FileSnapshot(store, alone=lock is not None)
    finally:
        if lock is not None:
            lock.release()
