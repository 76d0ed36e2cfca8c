"""The fork server imports torch once, then forks a fresh child for every process that measures.

It runs as ``python -m harness.measure.forkserver FD SOCKET``. The coordinator writes one JSON message a line to
standard input and reads one JSON answer a line from file descriptor FD. What code prints goes elsewhere, so that it
cannot be mistaken for an answer. The server has one thread and never uses a GPU; its children may.

Messages: ``{"request": "open", "plugins": [...], "without": [...]}`` once; ``{"request": "prepare", "block": ...}`` for
each block; ``{"request": "verify", ...}`` and ``{"request": "measure", "kind": ..., "stage": ..., "mode": ..., ...}``;
``{"request": "copy"}`` forks a copy of the server, which uses the two file descriptors that were sent to SOCKET.
An answer with "failed" and a "reason" is an error; "failed" is the level that caused it, or empty.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback
from functools import partial
from pathlib import Path
from time import perf_counter  # bound here, since a plugin that is imported later might replace it
from typing import IO, Any

from harness.errors import UserError
from harness.measure.children import death, in_child, read_until_end
from harness.plugins.isolation import error_text
from harness.records.plan import Block

Answer = dict[str, Any]


class ForkServer:
    """Answers one message after another. Every measurement runs in a new child."""

    def __init__(self, answers: int, copier: int) -> None:
        self.answers, self.copier = answers, copier
        self.worker: Any = None

    def answer(self, message: Answer) -> Answer:
        """The answer to one message. Raises what the code of a plugin raises."""
        if message["request"] == "open":
            missing = not_preloaded()
            if missing:
                raise UserError(f"LD_PRELOAD names {missing}, which the system did not load; see worker.log")
            # Imported here, so that the answer says what is wrong if torch cannot be imported.
            from harness.measure.worker import Worker

            self.worker, facts = Worker.open([Path(file) for file in message["plugins"]], message["without"])
            return {"facts": facts}
        if message["request"] == "prepare":
            return {"examples": self.worker.prepare(Block.from_json(message["block"]))}
        if message["request"] == "copy":
            return self.copy()
        return self.measure_in_child(message)

    def copy(self) -> Answer:
        """Fork a copy of this server. Both answer: this server to its coordinator, and the copy on its own pipe."""
        with socket.socket(fileno=os.dup(self.copier)) as copier:
            _, (messages, answers), *_ = socket.recv_fds(copier, 1, 2)
        if not (copy := os.fork()):
            os.setsid()
            os.dup2(messages, sys.stdin.fileno())
            os.dup2(answers, self.answers)
            os.close(self.copier)
            self.worker.use_own_watchdog()
        os.close(messages)
        os.close(answers)
        return {"pid": copy}

    def measure_in_child(self, message: Answer) -> Answer:
        """Fork, measure, and read the child's answer. If the child dies, the answer says what it was doing."""
        watchdog = self.worker.watchdog
        watchdog.clear()
        forked = perf_counter()  # the child reads the same clock, which counts from the start of the machine

        def measure(pipe: IO[str]) -> None:
            os.close(self.answers)
            os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())  # messages are for the server
            try:
                text = json.dumps(self.worker.run(message, forked))
            except BaseException as error:  # plugin code may raise anything
                traceback.print_exc()
                text = json.dumps(failure(error))
            pipe.write(text)
            sys.stdout.flush()
            sys.stderr.flush()

        text, status = in_child(measure, partial(read_until_end, parent=sys.stdin))
        level, activity = watchdog.last()
        if not text:
            return {"failed": level, "reason": death(status, activity, watchdog.limit)}
        answer: Answer = json.loads(text)
        if answer.get("failed") == "":  # the code that raised did not say which level it was measuring
            answer["failed"] = level
        return {**answer, "seconds": perf_counter() - forked}


def failure(error: BaseException) -> Answer:
    """The answer in place of one that an exception prevented."""
    return {"failed": "", "reason": str(error) if isinstance(error, UserError) else error_text(error)}


def not_preloaded() -> str:
    """The first library of LD_PRELOAD that this process has not loaded. The loader only warns and continues."""
    wanted = os.environ.get("LD_PRELOAD", "").replace(":", " ").split()
    loaded = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace") if wanted else ""
    return next((path for path in wanted if str(Path(path).resolve()) not in loaded), "")


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    server = ForkServer(answers.fileno(), int(sys.argv[2]))
    for line in sys.stdin:
        try:
            reply = json.dumps(server.answer(json.loads(line)))
        except BaseException as error:  # plugin code may raise anything
            traceback.print_exc()
            reply = json.dumps(failure(error))
        answers.write(reply + "\n")


if __name__ == "__main__":
    main()
