"""A child of the fork server: how it runs, how its answer is read, and why it died."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.plugins.isolation import error_text


def run_child(measure: Callable[[], dict[str, Any]], writing: int) -> None:
    """Measure, write the answer, and exit at once: a normal exit of torch takes half a second."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())  # messages are for the server
    arm()
    try:
        text = json.dumps(measure())
    except BaseException as error:  # nothing may continue past the fork
        traceback.print_exc()
        text = json.dumps({"failed": "", "reason": error_text(error)})
    with os.fdopen(writing, "w") as pipe:
        pipe.write(text)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def arm() -> None:
    """Have the kernel end this process when the alarm rings, whatever plugin code has done to the signal's handler."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})


def read_all(reading: int, child: int) -> str:
    """What the child writes until it ends. Blocks. If the coordinator ends meanwhile, the child is killed and this
    process ends."""
    chunks: list[bytes] = []
    with os.fdopen(reading, "rb", buffering=0) as pipe, _end_of(child) as ended:
        while True:
            ready, _, _ = select.select([pipe, sys.stdin, *ended], [], [])
            if sys.stdin in ready:  # no message is due now, so this is the end of the input
                os.kill(child, signal.SIGKILL)
                os._exit(1)
            if pipe not in ready:  # the child has ended, and a process that it started still holds the pipe
                return b"".join(chunks).decode()
            chunk = pipe.read(1 << 16)
            if not chunk:
                return b"".join(chunks).decode()
            chunks.append(chunk)


@contextmanager
def _end_of(child: int) -> Iterator[list[int]]:
    """A descriptor that is readable when the child has ended; none where the system has no such descriptors."""
    if not hasattr(os, "pidfd_open"):
        yield []
        return
    descriptor = os.pidfd_open(child)
    try:
        yield [descriptor]
    finally:
        os.close(descriptor)


def death(status: int, what: str, limit: float) -> str:
    """Why a child died, in a sentence."""
    doing = f" while {what}" if what else ""
    if not os.WIFSIGNALED(status):
        return f"the process ended with exit code {os.waitstatus_to_exitcode(status)}{doing}"
    number = os.WTERMSIG(status)
    if number == signal.SIGALRM:
        return f"took longer than its limit of {limit:g} s{doing}"
    hint = " (out of memory?)" if number == signal.SIGKILL else ""
    return f"the process was killed by {signal.Signals(number).name}{hint}{doing}"
