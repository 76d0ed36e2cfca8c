"""A status line on the error stream, while a command measures."""

import sys


def status(text: str) -> None:
    """Replace the status line; an empty text removes it. Nothing is shown if the error stream is not a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
