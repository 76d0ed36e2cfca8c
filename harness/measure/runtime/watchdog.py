"""Says what a child is doing, and ends it when that takes too long.

The word lies in memory shared with the fork server, so it can be read after the child was killed; the kernel's own
timer does the killing, so nobody polls.
"""

from __future__ import annotations

import mmap
import signal
from typing import Any

SIZE = 512


class Watchdog:
    """Shared memory with the name of what runs now, and an alarm of `limit` seconds around it."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._memory: Any = mmap.mmap(-1, SIZE)
        self._last = b""

    def doing(self, level: str, what: str) -> None:
        """Say that `what` of `level` begins, and start the alarm anew. Past the limit the kernel ends the process."""
        word = f"{level}\n{what}".encode()[: SIZE - 1]
        if word != self._last:
            self._memory[: len(word) + 1] = word + b"\0"
            self._last = word
        signal.setitimer(signal.ITIMER_REAL, self.limit)

    def rest(self) -> None:
        """Stop the alarm."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def clear(self) -> None:
        """Forget what an earlier child was doing."""
        self._memory[0] = 0
        self._last = b""

    def last_words(self) -> tuple[str, str]:
        """The level and the work a child that died was at; empty where it had not begun."""
        text = bytes(self._memory[:]).split(b"\0", 1)[0].decode(errors="replace")
        level, _, what = text.partition("\n")
        return level, what
