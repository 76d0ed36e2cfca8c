"""Runs `harness` commands in forks of a process that has imported what they need, which saves seconds of CPU time each."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([
    "torch", "matplotlib.pyplot", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg",
    "tensorboard.summary.writer.record_writer", "tensorboard.plugins.hparams.api_pb2", "harness.api.session",
    "harness.api.progress", "harness.cli.app", "harness.report.writer", "harness.report.formats.html",
    "harness.report.formats.tensorboard", "harness.report.plots.plots", "harness.testing", "harness.tools.export.script",
    "harness_rnn.models", "warm_command",
])  # fmt: skip


def run_warm(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float = 300
) -> tuple[int | None, str]:
    """The exit code of ``harness *arguments`` and its output on both streams. None if it takes too long."""
    with NamedTemporaryFile() as output:
        process = CONTEXT.Process(target=_harness, args=(list(arguments), folder, dict(environment), output.name))
        process.start()
        process.join(timeout)
        code = process.exitcode
        process.kill()
        return code, Path(output.name).read_text()


def _harness(arguments: list[str], folder: Path, environment: dict[str, str], output: str) -> None:
    from harness.cli import main

    with Path(output).open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["harness", *arguments]
    main()
