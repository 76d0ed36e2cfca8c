"""One module for each format that a report is written in."""

from pathlib import Path

from harness.records.store import replace_file


def saved(path: Path, text: str) -> list[Path]:
    """Write a file; the paths that a reporter returns."""
    replace_file(path, text.encode("utf-8", errors="backslashreplace"))
    return [path]
