"""One module for each format that a report is written in."""

from pathlib import Path


def saved(path: Path, text: str) -> list[Path]:
    """Write a file; the paths that a reporter returns."""
    path.write_text(text, encoding="utf-8")
    return [path]
