"""Runs `harness` commands inside the process of the tests."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest
from toy_suite import TOY

from harness.cli.app import main

COMMAND = [sys.executable, "-m", "harness", "-p", str(TOY)]


class Screen(io.StringIO):
    """An output that is a terminal. Its width is the environment variable COLUMNS."""

    def isatty(self) -> bool:
        return True


def call(*arguments: object, cwd: Path, kind: type[io.StringIO] = io.StringIO) -> subprocess.CompletedProcess[str]:
    """A call of the command line in this process. A new process would take two seconds to import torch for the toy."""
    output, errors = kind(), io.StringIO()
    command = ["harness", *map(str, arguments)]
    with (
        chdir(cwd),
        redirect_stdout(output),
        redirect_stderr(errors),
        patch.object(sys, "argv", command),
        pytest.raises(SystemExit) as end,
    ):
        main()
    return subprocess.CompletedProcess(command, int(end.value.code or 0), output.getvalue(), errors.getvalue())


def harness(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A call with the parts of the toy."""
    return call("-p", TOY, *arguments, cwd=cwd)


def the_run(here: Path) -> Path:
    (folder,) = (here / "results" / "toy").iterdir()
    return folder


def lines_of(folder: Path) -> list[dict]:
    path = folder / "records.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def heed_ctrl_c() -> None:
    """For a process about to start: shells make background jobs ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
