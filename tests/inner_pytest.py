"""Runs pytest inside a test in this process, since a new process would import torch again."""

from __future__ import annotations

import io
from contextlib import chdir, redirect_stdout
from pathlib import Path

import pytest


def run_pytest(folder: Path, *arguments: object) -> tuple[int, str]:
    """The exit code and the output of pytest in a folder, without this project's settings."""
    output = io.StringIO()
    options = [
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        f"--rootdir={folder}",
        "--import-mode=importlib",
    ]
    with chdir(folder), redirect_stdout(output):
        code = pytest.main([*options, *map(str, arguments)])
    return int(code), output.getvalue()
