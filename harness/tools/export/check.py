"""Does an exported script do what the trial does? Run in a process of its own, as whoever receives it would."""

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

#: On one machine, numbers of the same steps may differ by this share.
TOLERANCE = 1e-5
#: The most seconds that a script may take beyond those its steps may.
PATIENCE = 120.0
STEP = re.compile(r"^step \d+: (?:loss|mean size) (\S+)", re.MULTILINE)


#: Runs a script where packages cannot be imported that are only on the machine that exports.
WITHOUT = """
import runpy, sys

class Without:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(name + " is not to be imported", name=name)

sys.meta_path.insert(0, Without())
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def complaint(
    text: str, rehearsal: Replay, environment: Mapping[str, str], limit: float, without: Sequence[str] = ()
) -> str:
    """What is wrong with a script, in a sentence; nothing where it fails as the trial does or gives its numbers. It is
    run with variables of its `environment`, and `without` the packages that were taken along."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.py"
        path.write_text(text, encoding="utf-8")
        hangs = "longer than" in rehearsal.failure
        patience = limit if hangs else PATIENCE + limit * max(1, len(rehearsal.numbers))
        runner = WITHOUT.replace("{names}", repr(tuple(without)))
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", runner, path], cwd=folder, env={**os.environ, **environment},
                capture_output=True, text=True, timeout=patience,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "" if hangs else "it takes longer than the trial may"
    numbers = [float(number) for number in STEP.findall(done.stdout)]
    for step, (ours, theirs) in enumerate(zip(rehearsal.numbers, numbers, strict=False), 1):
        if not (abs(ours - theirs) <= TOLERANCE * abs(ours) or (math.isnan(ours) and math.isnan(theirs))):
            return f"its step {step} comes to {theirs:.9g}, and the trial's to {ours:.9g}"
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    if done.returncode and not rehearsal.failure:
        return f"it fails, and the trial does not: {last}"
    if rehearsal.failure and not done.returncode:
        return f"it runs, and the trial failed: {rehearsal.failure}"
    if rehearsal.failure and not same_failure(done, rehearsal.failure):
        return f"it fails with {last}, and the trial failed otherwise: {rehearsal.failure}"
    if len(numbers) != len(rehearsal.numbers):
        return f"it takes {len(numbers)} steps and not {len(rehearsal.numbers)}"
    return ""


def same_failure(done: subprocess.CompletedProcess[str], failure: str) -> bool:
    """Whether a process failed as is told: by the same signal, or by an exception of the same kind."""
    if done.returncode < 0:
        return signal.Signals(-done.returncode).name in failure
    kinds = {line.partition(":")[0].rpartition(".")[2] for line in done.stderr.splitlines() if line[:1].strip()}
    return any(f"{kind}:" in failure for kind in kinds)
