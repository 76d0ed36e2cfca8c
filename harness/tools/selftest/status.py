"""A status line on the error stream, while a command measures."""

import sys
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def status(text: str) -> None:
    """Replace the status line; an empty text removes it. Nothing is shown if the error stream is not a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def collect(items: Iterable[Item], total: int, describe: Callable[[list[Item]], str]) -> tuple[list[Item], bool]:
    """The items, and whether Ctrl-C came before the last one. The status line describes those that are complete."""
    found: list[Item] = []
    begun, interrupted = time.monotonic(), False
    try:
        for item in items:
            found.append(item)
            left = (time.monotonic() - begun) / len(found) * (total - len(found))
            status(f"{describe(found)}, {minutes(left)} left")
    except KeyboardInterrupt:
        interrupted = True
    status("")
    return found, interrupted


def minutes(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
