"""Machines.

A run may meet full disks, file systems without locks, and terminals that lack characters.
"""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import socket
import sys

import pytest
from toy_suite import SUITE, TOY, read, toy_catalog

from harness.cli.app import main
from harness.errors import UserError
from harness.plan.planner import make_plan
from harness.records.record import Record
from harness.records.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    """A run that has begun."""
    suite = read(SUITE)
    return Store.create(tmp_path / "results", make_plan(suite, toy_catalog()), suite.text)


def records(number: int) -> list[Record]:
    """The records of one process."""
    return [Record("block", "plain", "trial", "speed.train", "variant", number, 1, "ok", data={"wall": [1] * 100})]


def test_a_full_disk_loses_nothing(store, monkeypatch):
    """A disk that becomes full during a run ends it with exit code 2, and everything measured before is stored.

    The message names the file and the command that continues the run. A claim is not called false for it."""
    store.append(records(0))
    monkeypatch.setattr(os, "fsync", lambda descriptor: failing(errno.ENOSPC))
    with pytest.raises(UserError, match="No space left on device") as caught:
        store.append(records(1))
    assert caught.value.where == str(store.folder / "records.jsonl")
    assert f"harness run --resume {store.folder}" in caught.value.fix
    assert store.records() == records(0)


def test_a_file_system_without_locks_is_usable(store, monkeypatch):
    """A run can be stored on a file system without locks, such as some network drives.

    A file then names the host and the process that measure. It is taken over when the process has ended; for a process
    of another host the message says which file to delete."""
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, operation: failing(errno.ENOLCK))
    store.lock()
    with pytest.raises(UserError, match=f"another process is measuring.* It is process {os.getpid()}"):
        Store(store.folder).lock()
    store.unlock()
    for host, pid in ((socket.gethostname(), 2**22 + 1), ("elsewhere", 7)):
        (store.folder / "lock.json").write_text(json.dumps({"host": host, "pid": pid, "began": "1"}))
        if host != "elsewhere":
            store.lock()
            store.unlock()
    with pytest.raises(UserError, match="If process 7 no longer runs on elsewhere, delete "):
        store.lock()


def test_a_wrong_number_of_threads_is_refused(tmp_path, monkeypatch, capsys):
    """A value of HARNESS_THREADS that is no number from 1 to 1024 is refused before anything starts."""
    (tmp_path / "toy.yaml").write_text(SUITE)
    for value in ("0", "-1", "abc", "1.5", "100000"):
        monkeypatch.setenv("HARNESS_THREADS", value)
        assert code_of(monkeypatch, "run", str(tmp_path / "toy.yaml")) == 2
        assert f"expected a number of threads from 1 to 1024, found {value!r}" in capsys.readouterr().err


def test_a_terminal_may_lack_characters(tmp_path, monkeypatch):
    """Characters that the encoding of a terminal lacks are shown as escapes.

    Files are always written in UTF-8. JSON on such a terminal stays valid."""
    names = {"\U0001f422": {}, "שלום": {"use": ["reverse"]}}
    text = SUITE.replace("    plain: {}\n    backwards: {use: [reverse]}\n", f"    {json.dumps(names)}\n")
    path = tmp_path / "\U0001f422.yaml"
    path.write_text(text.replace("baseline: plain", "baseline: \U0001f422"), encoding="utf-8")
    printed = []
    for arguments in (["check", str(path)], ["plan", str(path), "--json"]):
        output = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
        monkeypatch.setattr(sys, "stdout", output)
        assert code_of(monkeypatch, *arguments) == 0
        printed.append(output.buffer.getvalue().decode("latin-1"))  # type: ignore[attr-defined]
    assert "\\U0001f422.yaml is valid" in printed[0]
    assert [trial["level"] for trial in json.loads(printed[1])["blocks"][0]["trials"]] == list(names)


def failing(number: int) -> None:
    raise OSError(number, os.strerror(number))


def code_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """The exit code of a command with the parts of the toy."""
    monkeypatch.setattr(sys, "argv", ["harness", "-p", str(TOY), *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code
