"""The folder of a run: append a replicate's records in one write, read them back, resume."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import UserError, did_you_mean
from harness.records.plan import Plan
from harness.records.record import SCHEMA, Record
from harness.records.run_lock import RunLock

RECORDS = "records.jsonl"
#: The files that are the run itself: all others can be made of them again.
OWN = ("suite.yaml", "plan.json", "machine.json", RECORDS)
#: The name of a run's folder: the local time at which it began.
STAMP = "%Y-%m-%dT%H%M%S"


class Store:
    """`results/<suite>/<run>/`: the suite as run, the plan, the machine, the records."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: RunLock | None = None

    @classmethod
    def create(cls, results: Path, plan: Plan, suite_text: str) -> Store:
        """A new run's folder. Raises UserError where it cannot be written."""
        store = cls(cls.new_folder(results / plan.suite))
        try:
            store.write("suite.yaml", suite_text)
            store.keep(plan, began=datetime.now(UTC).isoformat())
            store.write(RECORDS, "")
        except UserError:
            shutil.rmtree(store.folder, ignore_errors=True)
            raise
        return store

    @staticmethod
    def new_folder(parent: Path) -> Path:
        """A folder named by the time, below `parent`. Raises UserError where it cannot be made."""
        stamp = datetime.now().strftime(STAMP)
        try:
            for attempt in range(100):
                folder = parent / (stamp if attempt == 0 else f"{stamp}-{attempt}")
                try:
                    folder.mkdir(parents=True)
                    break
                except FileExistsError:
                    if not folder.parent.is_dir():
                        raise
        except OSError as error:
            raise _cannot_write(parent, error) from error
        return folder

    @classmethod
    def open(cls, folder: Path) -> Store:
        """The folder of an earlier run. Raises UserError where it is none."""
        if not is_run(folder):
            raise UserError("is not the folder of a run.", where=str(folder), fix="A run's folder holds plan.json.")
        return cls(folder)

    @classmethod
    def latest(cls, results: Path) -> Store:
        """The newest run under the results folder."""
        plans = plans_in(results)
        if not plans:
            raise UserError("there is no run in it yet.", where=str(results), fix="Try: harness run suites/smoke.yaml")
        return cls.open(plans[-1].parent)

    def discard_if_empty(self) -> None:
        """Remove a run that could not begin: nothing was measured, so nothing is lost. A run into which another process
        measures stays."""
        with suppress(UserError, OSError):
            lock = RunLock(self.folder / RECORDS)
            if not self.has_records:
                shutil.rmtree(self.folder, ignore_errors=True)
            lock.release()

    @property
    def has_records(self) -> bool:
        """Whether anything was measured."""
        with suppress(OSError):
            return (self.folder / RECORDS).stat().st_size > 0
        return False

    def system_error(self, error: OSError, path: Path | None = None) -> UserError:
        """An error of the system, such as a full disk, in words. It says what is stored."""
        fix = "Nothing was measured before."
        if self.has_records:
            fix = f"Everything measured before is stored. Continue with: harness run --resume {self.folder}"
        where = str(path or error.filename or self.folder)
        return UserError(f"the system reports: {error.strerror or error}.", where=where, fix=fix)

    def keep(self, plan: Plan, began: str = "") -> None:
        """Write the plan and the time at which the run began, also in place of an earlier plan of the same run."""
        began = began or self._stored_time()
        time = {"began": began} if began else {}
        self.write("plan.json", json.dumps({**time, **plan.to_json()}, indent=1, ensure_ascii=False))

    def _stored_time(self) -> str:
        with suppress(UserError, AttributeError):
            return str(self._json("plan.json").get("began", ""))
        return ""

    @property
    def began(self) -> datetime:
        """When the run began. Times of files do not matter, since copies and checkouts change them. Runs of earlier
        versions did not store the time: their first record has one, or else the folder is named by it."""
        with suppress(ValueError):
            return _in_utc(datetime.fromisoformat(self._stored_time()))
        with suppress(OSError, KeyError, TypeError, ValueError), (self.folder / RECORDS).open(encoding="utf-8") as file:
            return _in_utc(datetime.fromisoformat(json.loads(file.readline())["at"]))
        with suppress(ValueError):
            return datetime.strptime(self.folder.name[:17], STAMP).astimezone(UTC)
        return datetime.min.replace(tzinfo=UTC)

    def write(self, name: str, text: str) -> Path:
        """Write a whole file of the run at once (through a temporary name, so that no half of it is ever seen)."""
        return self.write_bytes(name, text.encode("utf-8"))

    def write_bytes(self, name: str, content: bytes) -> Path:
        """The same of bytes."""
        path = self.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content, sync=True)
        except OSError as error:
            raise _cannot_write(path, error) from error
        return path

    def lock(self) -> None:
        """Hold the run for this process; raises UserError while another one measures into it."""
        self._lock = RunLock(self.folder / RECORDS)
        self._drop_torn_tail()

    def unlock(self) -> None:
        """Let others measure into the run."""
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    def _drop_torn_tail(self) -> None:
        """Cut off what a killed run left unfinished at the end: half a line, or a replicate with records missing."""
        path = self.folder / RECORDS
        whole = path.read_bytes()
        lines = whole[: whole.rfind(b"\n") + 1].splitlines(keepends=True)
        tail = 0
        if lines:
            last = json.loads(lines[-1])
            key = [last[name] for name in ("block", "measure", "replicate")]
            for line in reversed(lines):
                data = json.loads(line)
                if [data[name] for name in ("block", "measure", "replicate")] != key:
                    break
                tail += 1
            if tail == last["of"]:
                tail = 0
        os.truncate(path, sum(map(len, lines[: len(lines) - tail])))

    def append(self, records: Sequence[Record]) -> None:
        """Append the records of one replicate in one write, and see them onto the disk. Raises UserError if that fails;
        earlier records stay."""
        lines = "".join(json.dumps(record.to_json(), ensure_ascii=False) + "\n" for record in records)
        path = self.folder / RECORDS
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise self.system_error(error, path) from error
        size = os.fstat(descriptor).st_size
        try:
            view = memoryview(lines.encode())
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise self.system_error(error, path) from error
        finally:
            os.close(descriptor)

    def records(self) -> list[Record]:
        """All records of complete replicates, in order. Half a line at the end, and a replicate of which only
        some records arrived, are what a killed run leaves; they are left out."""
        found = []
        text = (self.folder / RECORDS).read_text(encoding="utf-8", errors="replace")
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                data = json.loads(line)
            except ValueError as error:
                if number == len(lines):
                    continue
                where = f"{self.folder / RECORDS}:{number}"
                raise UserError(
                    "this line is damaged.", where=where, fix="Restore the file, or remove the line."
                ) from error
            if data.get("schema") != SCHEMA:
                raise UserError(
                    f"written by another version (schema {data.get('schema')}, this one reads {SCHEMA}).",
                    where=f"{self.folder / RECORDS}:{number}",
                )
            found.append(Record.from_json(data))
        sizes: dict[tuple[str, str, int], int] = {}
        for record in found:
            key = (record.block, record.measure, record.replicate)
            sizes[key] = sizes.get(key, 0) + 1
        return [r for r in found if sizes[r.block, r.measure, r.replicate] == r.of]

    def plan(self) -> Plan:
        """The plan of the run."""
        return Plan.from_json(self._json("plan.json"))

    def overrides(self) -> Mapping[str, Any]:
        """What the command line changed in the plan."""
        overrides: Mapping[str, Any] = self._json("plan.json")["overrides"]
        return overrides

    def machine(self) -> Mapping[str, Any]:
        """Facts about the machine, or nothing where the run was stopped before they were known."""
        return self._json("machine.json") if (self.folder / "machine.json").exists() else {}

    def _json(self, name: str) -> Any:
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"cannot be read: {error}.", where=str(self.folder / name)) from error


def plans_in(results: Path) -> list[Path]:
    """The plans of all runs under a results folder, the newest last. The reference runs are not among them."""
    plans = [plan for plan in results.glob("*/*/plan.json") if plan.parent.parent.name != "reference"]
    return sorted(plans, key=lambda plan: (Store(plan.parent).began, plan.parent.name, plan))


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def replace_file(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write a whole file through a temporary name, with `sync` onto the disk. If that fails, an earlier file of this
    name stays. Raises OSError, which names the file."""
    temporary = path.with_name(f"{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error


def _cannot_write(folder: Path, error: OSError) -> UserError:
    return UserError(f"cannot write results there: {error.strerror}.", where=str(folder), fix="Choose --results DIR.")


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run."""
    return (folder / "plan.json").is_file() and (folder / RECORDS).is_file()


def suites_with_runs(results: Path) -> set[str]:
    """The names of the suites that have runs under a results folder."""
    return {plan.parent.parent.name for plan in plans_in(results)}


def runs_of(results: Path, suite: str) -> list[Path]:
    """The folders of a suite's runs, the newest last. Raises UserError where there are none."""
    plans = plans_in(results)
    found = [plan.parent for plan in plans if plan.parent.parent.name == suite]
    if not found:
        known = sorted(suites_with_runs(results))
        fix = did_you_mean(suite, known) if known else "Try: harness run suites/smoke.yaml"
        raise UserError(f"there is no run of {suite!r} in it.", where=str(results), fix=fix)
    return found
