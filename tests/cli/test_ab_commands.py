"""`harness ab` with commands, as a user runs it: what is printed, mistakes, Ctrl-C, and a run that goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import heed_ctrl_c

import harness

TRAIN = """
import json, os, random, sys
seed = int(os.environ["HARNESS_SEED"])
random.seed(seed)
better = "--better" in sys.argv
print(f"acc={0.5 + 0.1 * random.random() + 0.2 * better:.4f}")
memory = bytearray(b"1") * (60_000_000 if better else 1_000_000)
"""
ROOT = Path(harness.__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(TRAIN)
    return tmp_path


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "COLUMNS": "200"}
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed_ctrl_c,
    )  # fmt: skip


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = started(folder, *arguments)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def ab(folder: Path, *options: str) -> tuple[int, str, str]:
    commands = (f"{sys.executable} train.py", f"{sys.executable} train.py --better")
    return run(folder, "ab", *commands, *options)


def test_time_memory_and_scores_of_two_commands(folder):
    code, output, errors = ab(
        folder, "--metric", r"acc=([\d.]+)", "--better", "higher", "--seeds", "5", "--margin", "1 point"
    )
    assert code == 0, errors
    old, new = f"`{sys.executable} train.py`", f"`{sys.executable} train.py --better`"
    *_, wall, score, cpu, memory = output.strip().splitlines()
    assert re.match(rf"{re.escape(new)} takes \d\.\d+ times as long as {re.escape(old)} \(95 % CI .*\): \w+", wall)
    assert score == f"{new} differs in acc by +20.0 points from {old} (95 % CI +20.0 to +20.0): better"
    assert re.match(rf"{re.escape(new)} needs \d\.\d+ times the CPU time of {re.escape(old)} \(", cpu)
    assert re.match(rf"{re.escape(new)} needs \d\.\d+ times the memory at its peak of .*: more$", memory)
    rows = (folder / "results").glob("*/*/tables/comparisons.csv")
    assert ",peak_memory," in next(rows).read_text()
    machine = json.loads(next((folder / "results").glob("*/*/machine.json")).read_text())
    assert "torch" not in machine


@pytest.mark.parametrize(
    ("options", "expected", "sentence"),
    [
        (
            ("--metric", "f1=(.+)", "--better", "higher"),
            3,
            "its output has no match of the pattern 'f1=(.+)'; its last",
        ),
        (("--metric", "acc=(.+)"), 2, "the direction of acc is not known. Say which values of acc are better"),
        (("--seeds", "3"), 2, "Error: --seeds: there is no score to compare."),
        (("--inputs", "a.py:b"), 2, "--inputs: this option is for functions only."),
    ],
)
def test_mistakes(folder, options, expected, sentence):
    code, output, errors = ab(folder, *options)
    assert code == expected
    assert sentence in output + errors


def test_a_baseline_that_fails_is_said_last(folder):
    code, output, errors = run(folder, "ab", "sh -c 'echo oh >&2; exit 4'", "sh -c true")
    assert code == 3
    assert re.search(r"it ends with exit code 4 after .* s; its last line is: oh$", output.strip().splitlines()[-1]), (
        errors
    )


def test_a_run_that_is_stopped_goes_on(folder):
    process = started(folder, "ab", "sleep 0.2", "sh -c 'echo $$ > pid; exec sleep 0.3'")
    until = time.monotonic() + 60
    records = None
    while time.monotonic() < until:  # the first round is stored
        records = next((folder / "results").glob("*/*/records.jsonl"), None)
        if records and "speed.program" in records.read_text():
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Everything measured is stored." in errors
    assert records is not None
    before = records.read_text()
    assert not list(records.parent.glob("output/running*.part"))
    code, output, errors = run(folder, "run", "--resume", str(records.parent))
    assert code == 0, errors
    assert records.read_text().startswith(before)
    code, _, errors = run(folder, "export", "sleep 0.2", "--script")
    assert code == 2
    assert "sleep 0.2 is a command, so its trials are not exported." in errors
    assert "slower" in output
