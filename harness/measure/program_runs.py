"""Runs a program, and keeps what it printed. Does not import torch."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.plugins.command_line import CommandLine
from harness.plugins.printed_scores import ScoreNotFound, ScoreReader

SCRIPT = Path(__file__).with_name("program_process.py")
#: The most bytes that are read of the output of a run, kept of it, and kept of all runs of a level.
MOST_READ, MOST_KEPT, MOST_OF_LEVEL = 2**24, 2**16, 2**24
#: A message has this many of the last lines of the output of a run that failed, and at most this many characters.
LAST_LINES, LAST_CHARACTERS = 4, 300


@dataclass(frozen=True)
class ProgramRun:
    """One run of a program. `wall` is in ns, `user` and `system` in seconds, `peak` in bytes; CPU time and peak include
    the processes that it waited for. `problem` says why the run failed. `left_running`: it left processes running,
    which were then ended."""

    wall: int = 0
    user: float = 0.0
    system: float = 0.0
    peak: int = 0
    preemptions: int = 0
    smallest_peak: int = 0
    left_running: bool = False
    problem: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def cpu(self) -> int:
        """CPU time in ns."""
        return round(1e9 * (self.user + self.system))


@dataclass(frozen=True)
class ProgramRunner:
    """Runs programs in `folder`, and keeps what they print in files under `kept`. `limit` is the most seconds that a
    run may take, and `readers` find the scores by name."""

    folder: Path
    kept: Path
    limit: float
    readers: Mapping[str, ScoreReader]

    def run(self, command: CommandLine, seed: int, title: str, name: str) -> ProgramRun:
        """Run a program once, in a fresh process. Its output is added to the file `name`, below the `title`."""
        self.kept.mkdir(exist_ok=True)
        outputs = [self.kept / "running.stdout", self.kept / "running.stderr"]
        words, variables = command.with_seed(seed)
        begun = time.time()
        numbers = measured(words, variables, self.limit, self.folder, outputs)
        stdout, stderr = (last_bytes(path) for path in outputs)
        run = ProgramRun(problem=f"cannot be started: {os.strerror(int(numbers[-1]))}")
        if numbers[0] != "cannot":
            run = self.judged(numbers, stdout, stderr, seed, begun)
        self.keep(self.kept / name, f"{title}: {run.problem or 'ok'}", stdout, stderr, failed=bool(run.problem))
        for path in outputs:
            path.unlink(missing_ok=True)
        return run

    def judged(self, numbers: Sequence[str], stdout: str, stderr: str, seed: int, begun: float) -> ProgramRun:
        """The run with its scores, or with its problem."""
        wall, status, over_limit = int(numbers[0]), int(numbers[5]), numbers[6] == "1"
        problem, scores = self.problem_of(status, over_limit, wall * 1e-9), dict[str, float]()
        if not problem:
            try:
                for name, reader in self.readers.items():
                    scores[name] = reader.find(stdout, self.folder, seed, begun)
            except ScoreNotFound as error:
                problem = str(error)
        if problem:
            problem += last_lines(stderr if status and stderr.strip() else stdout or stderr)
        return ProgramRun(
            wall, float(numbers[1]), float(numbers[2]), int(numbers[3]), int(numbers[4]), int(numbers[8]),
            numbers[7] == "1", problem, scores,
        )  # fmt: skip

    def problem_of(self, status: int, over_limit: bool, seconds: float) -> str:
        """Why a run with this wait status failed; empty if it did not."""
        if over_limit:
            return f"it takes longer than its limit of {self.limit:g} s (measure.limit in a suite, or --limit)"
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            known = {one.value for one in signal.Signals}
            name = signal.Signals(number).name if number in known else f"signal {number}"
            return f"it is killed by {name} after {seconds:.2g} s"
        code = os.waitstatus_to_exitcode(status)
        return f"it ends with exit code {code} after {seconds:.2g} s" if code else ""

    def keep(self, file: Path, title: str, stdout: str, stderr: str, *, failed: bool) -> None:
        """Add the output of a run to a file, as long as it is not too large. That of a failed run is always added."""
        if not failed and file.exists() and file.stat().st_size > MOST_OF_LEVEL:
            return
        with file.open("a", encoding="utf-8", errors="backslashreplace") as kept:
            kept.write(f"=== {title}\n")
            for text in (stdout, stderr):
                kept.write(text[-MOST_KEPT:])
                kept.write("\n" * (bool(text) and not text.endswith("\n")))


def measured(
    words: Sequence[str], variables: Mapping[str, str], limit: float, folder: Path, outputs: Sequence[Path]
) -> list[str]:
    """The numbers of a run, as `program_process` prints them. Blocks until the program has ended. If this is stopped by
    an exception, the program and its group are killed."""
    pairs = [text for pair in variables.items() for text in pair]
    files = [str(path.resolve()) for path in outputs]
    script = [sys.executable, "-I", "-S", str(SCRIPT), repr(limit), *files, str(len(variables))]
    process = subprocess.Popen(
        [*script, *pairs, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
        start_new_session=True,  # Ctrl-C is for the harness, which ends the program
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        numbers = process.stdout.readline().split()
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
    if not numbers:
        raise RuntimeError(f"the process that runs {shlex.join(words)} ended with code {process.returncode}")
    return [number.decode() for number in numbers]


def last_bytes(path: Path) -> str:
    """The text at the end of a file; empty if there is no file."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MOST_READ))
        return file.read().decode("utf-8", errors="replace")


def last_lines(text: str) -> str:
    """The last lines of an output, in a sentence for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()][-LAST_LINES:]
    if not lines:
        return "; it printed nothing"
    shown = " | ".join(lines)
    shown = f"...{shown[-LAST_CHARACTERS:]}" if len(shown) > LAST_CHARACTERS else shown
    return f"; its last line{'s are' if len(lines) > 1 else ' is'}: {shown}"
