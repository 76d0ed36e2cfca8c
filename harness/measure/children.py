"""Child processes: how they start and answer, and why one died. Does not import torch."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any


def read_until_end(pipe: IO[bytes], child: int, parent: IO[str] | None = None) -> bytes:
    """What a child writes until it ends. Blocks. If the file `parent` becomes readable meanwhile, it has ended, since
    no message is due. The child is then killed, and this process ends."""
    chunks: list[bytes] = []
    # Readable when the child has ended. Some builds of Python lack it, such as those against old kernel headers.
    ended = [os.pidfd_open(child)] if hasattr(os, "pidfd_open") else []
    watched: list[Any] = [pipe, *([parent] if parent else []), *ended]
    while True:
        ready = select.select(watched, [], [])[0]
        if parent in ready:
            os.kill(child, signal.SIGKILL)
            os._exit(1)
        # If only the end of the child is ready, a process that it started still holds the pipe open.
        chunk = pipe.read(1 << 16) if pipe in ready else b""
        if not chunk:
            break
        chunks.append(chunk)
    for descriptor in ended:
        os.close(descriptor)
    return b"".join(chunks)


def read_from_group(pipe: IO[bytes], child: int) -> bytes:
    """What a child writes until it ends. The child is the leader of a process group, which is then killed."""
    try:
        return read_until_end(pipe, child)
    finally:
        with suppress(ProcessLookupError):  # it ended before it became the leader
            os.killpg(child, signal.SIGKILL)


def in_child(
    work: Callable[[IO[str]], None], read: Callable[[IO[bytes], int], bytes] = read_until_end
) -> tuple[str, int]:
    """Run `work` in a forked child, which writes its answer to the file that it gets. Returns the answer and the exit
    status of the child. ``read(pipe, child)`` returns what the child with this process id writes until it ends.

    The child exits at once, since a normal exit of torch takes half a second."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            use_default_alarm()
            with os.fdopen(writing, "w") as answer:
                work(answer)
        finally:  # nothing may continue past the fork
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        text = read(pipe, child).decode()
    return text, os.waitpid(child, 0)[1]


def use_default_alarm() -> None:
    """Let the kernel end this process at the alarm, whatever plugin code has done to the signal's handler."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})


def death(status: int, activity: str, limit: float) -> str:
    """Why a child died, in a sentence."""
    doing = f" while {activity}" if activity else ""
    if not os.WIFSIGNALED(status):
        return f"the process ended with exit code {os.waitstatus_to_exitcode(status)}{doing}"
    number = os.WTERMSIG(status)
    if number == signal.SIGALRM:
        return f"took longer than its limit of {limit:g} s{doing}"
    hint = " (out of memory?)" if number == signal.SIGKILL else ""
    return f"the process was killed by {signal.Signals(number).name}{hint}{doing}"
