"""The fork servers of a run, one for each environment. Does not import torch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from harness.errors import UserError
from harness.plugins.catalog import Catalog
from harness.records.plan import THREADS

#: Variables that must be set before torch is imported, unless the user has set them.
VARIABLES = {
    # torch.cuda.is_available() then does not start CUDA. Once CUDA has started in a server, no child can use it.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    # torch 2.6 starts a pool of compiling processes together with its compiler.
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
    # The order of a set of texts depends on it, and with it a vocabulary that was made from a set.
    "PYTHONHASHSEED": "0",
}


Answer = dict[str, Any]


def threads_of_numpy(environment: Mapping[str, str]) -> dict[str, str]:
    """The variable that gives NumPy as many threads as torch. Otherwise it uses all cores, and idle threads spin."""
    return {"OPENBLAS_NUM_THREADS": environment.get(THREADS, os.environ.get(THREADS, "1"))}


class Refused(Exception):
    """A server cannot measure a block. The message says why."""

    @property
    def answer(self) -> Answer:
        """This error in the form of an answer."""
        return {"failed": "", "reason": str(self)}


class Server:
    """A running fork server with one environment. Raises UserError if it cannot start, and Refused if it dies."""

    def __init__(self, catalog: Catalog, environment: Mapping[str, str], log: Path) -> None:
        reading, writing = os.pipe()
        self._copier, its_copier = socket.socketpair()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "harness.measure.forkserver", str(writing), str(its_copier.fileno())],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[writing, its_copier.fileno()],
                env={**VARIABLES, **threads_of_numpy(environment), **os.environ, **environment},
                start_new_session=True,  # the coordinator handles Ctrl-C
            )
        os.close(writing)
        its_copier.close()
        assert self.process.stdin is not None
        self._messages: IO[bytes] = self.process.stdin
        self._answers: IO[str] = os.fdopen(reading, encoding="utf-8")
        #: The coordinator whose block it has loaded.
        self.prepared: object = None
        self._copies: dict[int, ServerCopy] = {}
        files, without = [str(path) for path in catalog.plugins.files], list(catalog.plugins.without)
        answer = self.ask(request="open", plugins=files, without=without)
        if self.exit_code is not None:
            raise Refused(answer["reason"])
        if "failed" in answer:
            self.close()
            raise UserError(f"the measuring process cannot start: {answer['reason']}.")
        self.facts: dict[str, Any] = answer["facts"]

    @property
    def exit_code(self) -> int | None:
        """None while it runs; the negative number of the signal if one killed it."""
        return self.process.returncode

    def ask(self, **message: Any) -> Answer:
        """Send a message and block until the answer comes."""
        self.send(message)
        return self.receive()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message. If the server is dead, `receive` returns an answer that says so."""
        with suppress(BrokenPipeError):
            self._messages.write(json.dumps(message).encode() + b"\n")
            self._messages.flush()

    def receive(self) -> Answer:
        """Block until the answer comes, or until the server has died. Raises OSError if the disk is full there."""
        line = self._answers.readline()
        if not line:  # it has ended
            self.close()
            return {"failed": "", "reason": f"the measuring process ended{self.code_in_words}"}
        answer: Answer = json.loads(line)
        if "no_space" in answer:
            raise OSError(*answer["no_space"])
        return answer

    def fileno(self) -> int:
        """The descriptor that is readable when an answer has come."""
        return self._answers.fileno()

    @property
    def code_in_words(self) -> str:
        """With which code it ended."""
        return f" with code {self.exit_code}"

    def copy(self, slot: int) -> ServerCopy:
        """The copy of this server in a slot, with the block that this server has loaded. It must be idle. Raises
        Refused."""
        found = self._copies.get(slot)
        if found is None or found.exit_code is not None or found.prepared is not self.prepared:
            if found is not None:
                found.close()
            found = self._copies[slot] = ServerCopy(self)
        return found

    def fork(self, *descriptors: int) -> int:
        """Let the server fork a copy of itself, which reads and writes these descriptors. Returns its process id.
        Raises Refused."""
        socket.send_fds(self._copier, [b" "], descriptors)
        answer = self.ask(request="copy")
        if "failed" in answer:
            raise Refused(answer["reason"])
        return int(answer["pid"])

    def close(self) -> None:
        """End the server, its child and its copies."""
        for copy in self._copies.values():
            copy.close()
        self._copies.clear()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._copier.close()
        self._close_pipes()

    def _close_pipes(self) -> None:
        with suppress(BrokenPipeError):  # closing writes what could not be sent
            self._messages.close()
        self._answers.close()


class ServerCopy(Server):
    """A copy of an idle server, forked from it. It shares the memory of everything that the server has loaded, so it
    starts at once. Several runs can then train at the same time. Raises Refused if it cannot start."""

    def __init__(self, original: Server) -> None:
        reading, its_answers = os.pipe()
        its_messages, writing = os.pipe()
        self._messages, self._answers = os.fdopen(writing, "wb"), os.fdopen(reading, encoding="utf-8")
        self.prepared, self._open = original.prepared, True
        try:
            self.pid = original.fork(its_messages, its_answers)
        finally:
            os.close(its_messages)
            os.close(its_answers)
        self.receive()  # it is ready

    @property
    def exit_code(self) -> int | None:
        """None while it runs. Its code is not known, since it is a child of the original."""
        return None if self._open else 0

    @property
    def code_in_words(self) -> str:
        """See `exit_code`."""
        return ""

    def close(self) -> None:
        """End the copy and its child."""
        if self._open:
            self._open = False
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._close_pipes()


@dataclass
class Servers:
    """The fork servers of a run by environment, started at first use. Use it as a context manager."""

    folder: Path
    catalog: Catalog
    #: Called with the facts of the machine when a server has started.
    on_machine: Callable[[Mapping[str, Any]], None] = lambda facts: None
    #: How many processes may compute at a time while nothing is timed.
    jobs: int = 1
    #: A digest of the examples of each dataset. Every process has to load the same examples.
    examples: dict[str, str] = field(default_factory=dict)
    _running: dict[Any, Server] = field(default_factory=dict)

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *exception: object) -> None:
        for server in self._running.values():
            server.close()
        self._running.clear()

    def get(self, environment: Mapping[str, str], slot: int = 0) -> Server:
        """A running server with this environment. Processes that run at the same time need different slots."""
        key = (tuple(sorted(environment.items())), slot)
        if key not in self._running or self._running[key].exit_code is not None:
            self._running[key] = Server(self.catalog, environment, self.folder / "worker.log")
            self.on_machine(self._running[key].facts)
        return self._running[key]
