"""A token that processes pass around a ring, so that only one of them runs at a time. Free of torch.

Needed where variants want different environments and so cannot share a process. Each seat of the ring blocks on a named
pipe of its own; a note, one line of JSON, travels with the token.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def make_ring(folder: Path, seats: int) -> None:
    """Create the pipes of a ring."""
    for seat in range(seats):
        os.mkfifo(_pipe(folder, seat))


def _pipe(folder: Path, seat: int) -> Path:
    return folder / f"seat{seat}"


class Baton:
    """One seat's hand in the ring.

    With `freeze`, whoever gets the token stops the one it came from, and continues the one it goes to: threads that
    spin while they wait would steal time from who is measured. Only the holder of the token signals, so nobody can be
    stopped for ever.
    """

    def __init__(self, folder: Path, seat: int, seats: int, *, freeze: bool = False) -> None:
        self.seat, self.seats, self.freeze = seat, seats, freeze
        # Opened for both directions, so that opening waits for nobody and nothing written is lost.
        self.mine = os.fdopen(os.open(_pipe(folder, seat), os.O_RDWR), "rb", buffering=0)
        self.next = os.open(_pipe(folder, (seat + 1) % seats), os.O_RDWR)

    def wait(self) -> dict[str, Any]:
        """Block until it is this seat's turn; returns the note."""
        note: dict[str, Any] = json.loads(self.mine.readline())
        previous = note["pids"].get(str((self.seat - 1) % self.seats))
        if self.freeze and previous and not note.get("last"):
            os.kill(previous, signal.SIGSTOP)
        return note

    def pass_on(self, note: Mapping[str, Any], *, last: bool = False) -> None:
        """Hand the token to the next seat. `last`: this seat will not wait for it again."""
        following = note["pids"].get(str((self.seat + 1) % self.seats))
        if self.freeze and following:  # before the token goes: whoever has passed it on signals nobody
            os.kill(following, signal.SIGCONT)
        pids = {**note["pids"], str(self.seat): os.getpid()}
        os.write(self.next, json.dumps({**note, "pids": pids, "last": last}).encode() + b"\n")


def start(folder: Path) -> int:
    """Give the first seat the token; returns a descriptor to close when it is over, since the token lives in it."""
    descriptor = os.open(_pipe(folder, 0), os.O_RDWR)
    os.write(descriptor, json.dumps({"pids": {}}).encode() + b"\n")
    return descriptor
