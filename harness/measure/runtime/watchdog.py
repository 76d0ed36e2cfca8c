"""Says what a child is doing, and ends it if that takes too long.

The text is in memory shared with the fork server, which can read it after the child was killed. The kernel's timer
kills the child, so nobody polls.
"""

from __future__ import annotations

import mmap
import signal
from typing import Any

SIZE = 512


class Watchdog:
    """Shared memory with what runs now, and an alarm of `limit` seconds around it (0: no alarm)."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._memory: Any = mmap.mmap(-1, SIZE)
        self._last = b""

    def doing(self, level: str, what: str) -> None:
        """Say that `what` of `level` begins, and start the alarm again. After the limit the kernel ends the process."""
        text = f"{level}\n{what}".encode()[: SIZE - 1]
        if text != self._last:
            self._memory[: len(text) + 1] = text + b"\0"
            self._last = text
        self.start_alarm()

    def start_alarm(self) -> None:
        """Start the alarm again."""
        signal.setitimer(signal.ITIMER_REAL, self.limit)

    def stop_alarm(self) -> None:
        """Stop the alarm."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def clear(self) -> None:
        """Forget what an earlier child was doing."""
        self._memory[0] = 0
        self._last = b""

    def last(self) -> tuple[str, str]:
        """The level that was measured last and what was done with it; empty if nothing had begun."""
        text = bytes(self._memory[:]).split(b"\0", 1)[0].decode(errors="replace")
        level, _, what = text.partition("\n")
        return level, what
