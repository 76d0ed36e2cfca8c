"""Child processes: how they start and answer, and why one died. Does not import torch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import IO


def in_child(
    work: Callable[[IO[str]], None], read: Callable[[IO[bytes], int], bytes] = lambda pipe, child: pipe.read()
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
