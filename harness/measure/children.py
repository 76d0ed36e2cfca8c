"""Child processes: how they start and answer, how their answer is read, and why one died. Does not import torch."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from typing import IO, Any

from harness.plugins.isolation import error_text


def in_child(work: Callable[[IO[str]], None]) -> tuple[str, int]:
    """Run `work` in a forked child, which writes its answer to the file that it gets. Returns the answer and the exit
    status of the child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            use_default_alarm()
            with os.fdopen(writing, "w") as pipe:
                work(pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    return text, os.waitpid(child, 0)[1]


def run_child(measure: Callable[[], dict[str, Any]], writing: int) -> None:
    """Measure, write the answer, and exit at once: a normal exit of torch takes half a second."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())  # messages are for the server
    use_default_alarm()
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


def use_default_alarm() -> None:
    """Let the kernel end this process at the alarm, whatever plugin code has done to the signal's handler."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})


def read_all(reading: int, child: int) -> str:
    """What the child writes until it ends. Blocks. If the coordinator ends meanwhile, the child is killed and this
    process ends."""
    chunks: list[bytes] = []
    ended = [os.pidfd_open(child)] if hasattr(os, "pidfd_open") else []  # readable when the child has ended
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while True:
            ready, _, _ = select.select([pipe, sys.stdin, *ended], [], [])
            if sys.stdin in ready:  # no message is due now, so this is the end of the input
                os.kill(child, signal.SIGKILL)
                os._exit(1)
            # If only the end of the child is ready, a process that it started still holds the pipe open.
            chunk = pipe.read(1 << 16) if pipe in ready else b""
            if not chunk:
                break
            chunks.append(chunk)
    for descriptor in ended:
        os.close(descriptor)
    return b"".join(chunks).decode()


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
