"""A lock on the folder of a run, so that only one process measures into it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from pathlib import Path

from harness.errors import UserError

#: What a file system answers that has no locks of its own.
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
BUSY = "another process is measuring into this run, or writing its report."


class RunLock:
    """A lock on one of the run's files. If the file system has no locks, a file beside it names the host and the
    process that hold the lock. Raises UserError while another process holds it, and OSError if the file cannot be
    opened."""

    def __init__(self, file: Path, *, shared: bool = False) -> None:
        self.holder = file.with_name("lock.json")
        self.made_file = False
        self._descriptor = os.open(file, os.O_RDONLY if shared else os.O_RDWR)
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise UserError(BUSY, where=str(file.parent)) from error
            if error.errno not in WITHOUT_LOCKS:
                raise
            self._descriptor = self._make_file()
            self.made_file = True

    def release(self) -> None:
        """Let other processes measure into the run."""
        if self.made_file:
            self.holder.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _make_file(self) -> int:
        try:
            return self._created()
        except FileExistsError:
            self._remove_if_stale()
        try:
            return self._created()
        except FileExistsError:
            raise UserError(BUSY, where=str(self.holder.parent)) from None

    def _created(self) -> int:
        descriptor = os.open(self.holder, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "began": process_began(os.getpid())}
        os.write(descriptor, json.dumps(owner).encode())
        os.fsync(descriptor)
        return descriptor

    def _remove_if_stale(self) -> None:
        """Remove the file of a process that has ended. Raises UserError if it runs, or if that cannot be known."""
        where = str(self.holder.parent)
        try:
            content = self.holder.read_bytes()
            owner = json.loads(content)
            host, pid, began = owner["host"], int(owner["pid"]), owner["began"]
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError) as error:
            fix = f"If no process is measuring, delete {self.holder}."
            raise UserError(f"{BUSY} {self.holder.name} does not say which.", where=where, fix=fix) from error
        if host != socket.gethostname():
            fix = f"If process {pid} no longer runs on {host}, delete {self.holder}."
            raise UserError(f"process {pid} on host {host} is measuring into this run.", where=where, fix=fix)
        if began == process_began(pid):
            raise UserError(f"{BUSY} It is process {pid}.", where=where)
        # Only one process can move the file away. If it moves the file of a process that was faster, it moves it back.
        stale = self.holder.with_name(f"lock.{os.getpid()}.json")
        try:
            self.holder.rename(stale)
        except FileNotFoundError:
            return
        if stale.read_bytes() != content:
            stale.rename(self.holder)
            raise UserError(BUSY, where=where)
        stale.unlink()


def process_began(pid: int) -> str:
    """When a process began, in ticks since the machine started: another process with its number began at another time.
    Empty if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]
