"""A token that processes pass around a ring, so that only one of them runs at a time. Does not import torch.

Trials that need different environments cannot share a process, so their processes take turns. Each process has a slot
in the ring and blocks on its named pipe. A note, one line of JSON, is passed on with the token.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def make_ring(folder: Path, slots: int) -> int:
    """Create the pipes of a ring and give the token to the first slot. Returns a descriptor to close at the end; the
    token exists while it is open."""
    for slot in range(slots):
        os.mkfifo(_pipe(folder, slot))
    descriptor = os.open(_pipe(folder, 0), os.O_RDWR)
    os.write(descriptor, json.dumps({"pids": {}}).encode() + b"\n")
    return descriptor


def _pipe(folder: Path, slot: int) -> Path:
    return folder / f"slot{slot}"


class TokenRing:
    """The ring as the process in one slot sees it.

    With `freeze`, a process that receives the token stops the process it came from, and a process that passes it on
    first continues the next one: threads that spin while they wait would take time from the process that is measured.
    Only the holder of the token sends signals, so no process stays stopped.
    """

    def __init__(self, folder: str, slot: int, slots: int, freeze: bool = False) -> None:
        self.slot, self.slots, self.freeze = slot, slots, freeze
        # Opened for reading and writing: then opening does not block, and nothing that is written is lost.
        self._input = os.fdopen(os.open(_pipe(Path(folder), slot), os.O_RDWR), "rb", buffering=0)
        self._next = os.open(_pipe(Path(folder), (slot + 1) % slots), os.O_RDWR)

    def wait(self) -> dict[str, Any]:
        """Block until this slot has the token. Returns the note."""
        note: dict[str, Any] = json.loads(self._input.readline())
        previous = note["pids"].get(str((self.slot - 1) % self.slots))
        if self.freeze and previous and not note.get("last"):
            os.kill(previous, signal.SIGSTOP)
        return note

    def pass_on(self, note: Mapping[str, Any], *, last: bool = False) -> None:
        """Pass the token to the next slot. `last`: this slot will not wait for it again."""
        following = note["pids"].get(str((self.slot + 1) % self.slots))
        if self.freeze and following:  # before the token leaves: a process without the token sends no signals
            os.kill(following, signal.SIGCONT)
        pids = {**note["pids"], str(self.slot): os.getpid()}
        os.write(self._next, json.dumps({**note, "pids": pids, "last": last}).encode() + b"\n")
