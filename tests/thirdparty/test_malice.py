"""A guest that means no good, whole and installed: what it does is named, the others go on, and nothing is lost.

One run takes all that the parts and hooks of one plugin can do at once; each by itself stands in tests/plugins/test_isolation.py,
test_run and test_worker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.plugins import Catalog, load_plugins
from harness.testing import cases

HERE = Path(__file__).parent
#: What is in these names and versions must not reach a terminal or a page as it is.
ESCAPE, SCRIPT = "\x1b]0;", "<script>alert(1)</script>"


def harness(*arguments: object, cwd: Path, malice: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GUEST_MALICE": malice, "HARNESS_WITHOUT": "guest-clash,guest-blocked"}
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def listed(tmp_path: Path, malice: str) -> tuple[dict[str, list[str]], list[str]]:
    """The parts that each plugin could bring, and the malicious one's problems."""
    done = harness("list", "--json", cwd=tmp_path, malice=malice)
    assert done.returncode == 3
    told = json.loads(done.stdout)
    parts: dict[str, list[str]] = {}
    for row in told["parts"]:
        parts.setdefault(row["plugin"], []).append(row["name"])
    return parts, [p["reason"] for p in told["problems"] if p["plugin"] == "guest-malicious"]


OURS = {"local", "step_time", "html", "markdown", "csv"}
NO_NAME = "is no name: letters, digits, and . _ + - after the first"


@pytest.mark.parametrize(
    ("malice", "reasons"),
    [
        ("import-exits", ["import failed: SystemExit: 0"]),
        ("import-raises", ["import failed: Strange: its message cannot be read"]),
        ("import-prints,import-moves,import-clock", []),
        ("parts-endless", ["provide_models yields more than 1000 parts, so none of them is taken"]),
        (
            "parts-odd",
            [
                f"provide_models yields a model that cannot be used: {what}"
                for what in (
                    f"'../../x' {NO_NAME}", f"\"=cmd|' /C calc'!A0\" {NO_NAME}", f"'{SCRIPT}' {NO_NAME}",
                    "cursed: its summary is no text without control characters", f"['a', 'list'] {NO_NAME}",
                )
            ],
        ),
        (
            "core-names",
            [
                f"brings {what}, which is the core's own and stays so"
                for what in ("metric 'step_time'", "reporter 'html'", "executor 'local'")
            ],
        ),
    ],
)  # fmt: skip
def test_list_goes_on_and_names_it(tmp_path, malice, reasons):
    parts, problems = listed(tmp_path, malice)
    assert problems == reasons
    assert set(parts["rnn-harness"]) >= OURS
    assert "lstm" in parts["rnn-harness-plugins"]
    assert "mgu" in parts["guest-good"]
    assert ("fickle" in parts.get("guest-malicious", ())) == (not malice.startswith(("import-e", "import-r")))


def test_nothing_that_a_terminal_obeys_is_printed(tmp_path):
    done = harness("list", cwd=tmp_path, malice="parts-odd,import-prints")
    assert ESCAPE not in done.stdout + done.stderr
    assert "this is not JSON" not in done.stdout
    assert "this is not JSON" in done.stderr


SUITE = """
question: Can a guest do harm?
base:
  model: {name: honest}
  dataset: {name: lengths, mean: 5, examples: 128, batch_size: 8}
  use: [adam]
axes:
  cell:
    base: {}
    same: {use: [{name: clip, max_norm: 1000}]}
    leaves: {model: model-leaves}
    exits: {model: model-exits}
    meddles: {model: model-meddles}
compare: {axis: cell, baseline: base}
measure: {speed: {warm_up: 10 ms, seconds: 50 ms, budget: 1 s, visits: 5}}
"""
EVERYTHING = (
    "import-prints,import-clock,import-torch,import-moves,parts-odd,machine-lies,observer-exits,observer-mutates,"
    "metric-exits,metric-text,metric-nan,metric-shape,metric-writes,metric-replaces,reporter-deletes,reporter-exits,"
    "reporter-forges,reporter-mutates,reporter-outside,reporter-wipes,block-forges,core-names"
)


def test_all_at_once(tmp_path):
    (tmp_path / "bad.yaml").write_text(SUITE)
    done = harness("run", "bad.yaml", "--quick", "--json", cwd=tmp_path, malice=EVERYTHING)
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    (folder,) = (path for path in (tmp_path / "results" / "bad").iterdir() if path.is_dir())

    # Trials that break fail by name, and the others are measured, by a clock that nobody has touched.
    assert told["failures"] == [
        "all, leaves: failed in verify: the process ended with exit code 0 while verifying",
        next(
            line for line in told["failures"] if line.startswith("all, exits: failed in verify: verifying: SystemExit")
        ),
        "all, meddles: failed in verify: it changes torch's default dtype, which all trials share",
    ]
    (same,) = (row for row in told["comparisons"] if row["level"] == "same" and row["metric"] == "step_time")
    assert 0.2 < same["ratio"] < 5
    records = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    walls = [time for record in records for time in record["data"].get("wall", ())]
    assert len(walls) > 3 * 8 * 5
    assert min(walls) > 1000  # nanoseconds: neither a clock that stands still nor a forged sample
    assert json.loads((folder / "machine.json").read_text())["threads"] == 1
    assert "forged" not in json.dumps(told)
    assert "Whatever you measured" not in json.dumps(told)

    # Who did what is said, of reports in the report, of the run as it goes on.
    for what in (
        "metric-exits (plugin guest-malicious): SystemExit: 0",
        "metric-text (plugin guest-malicious): ValueError: it gives '1.0', not a finite number",
        "metric-nan (plugin guest-malicious): ValueError: it gives 'nan', not a finite number",
        "metric-shape (plugin guest-malicious): ValueError: it gives float64 of shape (3,), not a number for each sample",
        "metric-writes (plugin guest-malicious): ValueError: assignment destination is read-only",
        "reporter-deletes (plugin guest-malicious): it removes records.jsonl, which is not its own; restored",
        "reporter-forges (plugin guest-malicious): it changes records.jsonl, which is not its own; restored",
        "reporter-wipes (plugin guest-malicious): it removes records.jsonl, which is not its own; restored",
        "reporter-exits (plugin guest-malicious): SystemExit: 0",
    ):
        assert any(problem.endswith(what) for problem in told["problems"]), what
    assert any("reporter-outside (plugin guest-malicious): ValueError: it names" in p for p in told["problems"])
    for what in (
        "its import changes time.perf_counter_ns; put back",
        "its import changes torch's default dtype; put back",
        "its import changes torch.manual_seed; put back",
        "describe_machine failed: ValueError: processor is known already",
        "plan_ready failed: SystemExit: 0",
        "run_block changes a record; it is kept as it was measured (all)",
    ):
        assert f"plugin guest-malicious: {what}" in done.stderr
    assert ESCAPE not in done.stdout + done.stderr

    # The run is what it was, and without that guest it reads the same.
    report = harness("report", folder, "--without", "guest-malicious", "--json", cwd=tmp_path)
    again = json.loads(report.stdout)
    assert again["summary"] == told["summary"]
    assert again["problems"] == []
    page = (folder / "report.html").read_text()
    assert SCRIPT not in page


def test_the_kit_finds_it_out():
    catalog = Catalog(load_plugins(without=["guest-clash", "guest-blocked"]))
    broken = {}
    for name, promise in (("model-meddles", "global-state"), ("fickle", "same-everywhere"), ("model-exits", "trains")):
        (case,) = cases(name, only=[promise], catalog=catalog)
        seen = case.look()
        broken[name] = seen.what
        assert seen.outcome == "broken", name
    assert "changes torch's default dtype" in broken["model-meddles"]
    assert broken["fickle"].startswith("two processes load different data")
    assert "SystemExit" in broken["model-exits"]
