"""The lock of a run, also on file systems without locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.records.run_lock import RunLock, process_began


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "records.jsonl"
    path.write_text("")
    return path


@pytest.fixture(params=[errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def without_locks(request, monkeypatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", flock)


def test_a_lock_excludes_others_until_it_is_released(file):
    first = RunLock(file)
    for shared in (False, True):
        with pytest.raises(UserError, match="another process is measuring"):
            RunLock(file, shared=shared)
    first.release()
    readers = [RunLock(file, shared=True), RunLock(file, shared=True)]
    with pytest.raises(UserError, match="another process is measuring"):
        RunLock(file)
    for reader in readers:
        reader.release()
    RunLock(file).release()
    assert list(file.parent.iterdir()) == [file]


def test_a_lock_file_replaces_the_locks_of_the_file_system(file, without_locks):
    lock = RunLock(file)
    owner = json.loads((file.parent / "lock.json").read_text())
    assert (owner["host"], owner["pid"]) == (socket.gethostname(), os.getpid())
    with pytest.raises(UserError, match=f"It is process {os.getpid()}"):
        RunLock(file)
    lock.release()
    assert list(file.parent.iterdir()) == [file]


def test_the_lock_file_of_a_process_that_has_ended_is_taken_over(file, without_locks):
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    for pid, began in ((int(done.stdout), "1"), (os.getpid(), "1")):  # the second: another process got its number
        (file.parent / "lock.json").write_text(json.dumps({"host": socket.gethostname(), "pid": pid, "began": began}))
        RunLock(file).release()
    assert list(file.parent.iterdir()) == [file]


def test_a_lock_file_of_another_host_says_what_to_do(file, without_locks):
    holder = file.parent / "lock.json"
    holder.write_text(json.dumps({"host": "elsewhere", "pid": 7, "began": "1"}))
    with pytest.raises(UserError, match="process 7 on host elsewhere is measuring") as caught:
        RunLock(file)
    assert caught.value.fix == f"If process 7 no longer runs on elsewhere, delete {holder}."
    assert holder.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1}'])
def test_a_damaged_lock_file_says_what_to_do(file, without_locks, content):
    (file.parent / "lock.json").write_text(content)
    with pytest.raises(UserError, match="does not say which") as caught:
        RunLock(file)
    assert "delete" in caught.value.fix


def test_other_errors_keep_their_names(file, monkeypatch):
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        RunLock(file)


def test_the_beginning_of_a_process_is_known_while_it_runs():
    assert process_began(os.getpid()).isdecimal()
    assert process_began(2**22 + 1) == ""
