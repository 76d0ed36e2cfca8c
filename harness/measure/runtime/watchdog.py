"""The watchdog of a child: it ends the child if an activity takes too long.

The name of the activity is in memory shared with the fork server, which can read it after the child was killed. The
kernel's timer kills the child, so no process polls.
"""

from __future__ import annotations

import mmap
import signal
from typing import Any

SIZE = 512


class Watchdog:
    """Shared memory with the current activity, and an alarm after `limit` seconds (0: no alarm)."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._memory: Any = mmap.mmap(-1, SIZE)
        self._last = b""

    def doing(self, level: str, activity: str) -> None:
        """Record that an activity of a level begins, and restart the alarm. After the limit the kernel ends the
        process."""
        text = f"{level}\n{activity}".encode()[: SIZE - 1]
        if text != self._last:
            self._memory[: len(text) + 1] = text + b"\0"
            self._last = text
        self.start_alarm()

    def start_alarm(self) -> None:
        """Start the alarm, or restart it."""
        signal.setitimer(signal.ITIMER_REAL, self.limit)

    def stop_alarm(self) -> None:
        """Stop the alarm."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def clear(self) -> None:
        """Delete the activity of an earlier child."""
        self._memory[0] = 0
        self._last = b""

    def last(self) -> tuple[str, str]:
        """The level and the activity that began last; empty if none had begun."""
        text = bytes(self._memory[:]).split(b"\0", 1)[0].decode(errors="replace")
        level, _, activity = text.partition("\n")
        return level, activity
