"""Check that an exported script does what its trial does, in a new process without the harness and the plugins."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.measure.runtime.replay import Replay

#: The largest relative difference between values of the same step on one machine.
TOLERANCE = 1e-5
#: The seconds that a script may take in addition to those of its steps.
START_SECONDS = 120.0
STEP = re.compile(r"^step \d+: (?:loss|mean magnitude) (\S+)", re.MULTILINE)

#: Runs a script in a process that cannot import some packages.
RUNNER = """
import runpy, sys

class Missing:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in {packages}:
            raise ModuleNotFoundError("the script must not import " + name, name=name)

sys.meta_path.insert(0, Missing())
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def find_difference(
    text: str, replay: Replay, environment: Mapping[str, str], limit: float, missing: Sequence[str] = ()
) -> str:
    """How a script differs from its trial, in words; empty if it has the same values or fails in the same way. It runs
    with the variables of the `environment` and without the `missing` packages. A step may take `limit` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.py"
        path.write_text(text, encoding="utf-8")
        hangs = "longer than" in replay.failure
        seconds = limit if hangs else START_SECONDS + limit * max(1, len(replay.values))
        runner = RUNNER.replace("{packages}", repr(tuple(missing)))
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", runner, path], cwd=folder, env={**os.environ, **environment},
                capture_output=True, text=True, errors="replace", timeout=seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "" if hangs else "it takes longer than the trial may take"
    values = [float(value) for value in STEP.findall(done.stdout)]
    for step, (expected, found) in enumerate(zip(replay.values, values, strict=False), 1):
        same = abs(expected - found) <= TOLERANCE * abs(expected) or (math.isnan(expected) and math.isnan(found))
        if not same:
            return f"its step {step} gives {found:.9g}, the trial's gives {expected:.9g}"
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    if done.returncode and not replay.failure:
        return f"it fails with {last}, the trial does not fail"
    if replay.failure and not done.returncode:
        return f"it does not fail, the trial fails with {replay.failure}"
    if replay.failure and not is_same_failure(done, replay.failure):
        return f"it fails with {last}, the trial fails with {replay.failure}"
    if len(values) != len(replay.values):
        return f"it takes {len(values)} steps, the trial takes {len(replay.values)}"
    return ""


def is_same_failure(done: subprocess.CompletedProcess[str], failure: str) -> bool:
    """Whether a process ended by the signal, or by an exception of the class, that a failure names."""
    if done.returncode < 0:
        return signal.Signals(-done.returncode).name in failure
    classes = {line.partition(":")[0].rpartition(".")[2] for line in done.stderr.splitlines() if line[:1].strip()}
    return any(f"{name}:" in failure for name in classes)
