"""An installed package whose parts and hooks misbehave in every way: harness names it, and all other results are correct.

One run has all faults at once. Single faults are tested in tests/plugins/test_isolation.py and in tests/measure.
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
#: Names and summaries of the package contain these. They must not reach a terminal or a page unescaped.
ESCAPE, SCRIPT = "\x1b]0;", "<script>alert(1)</script>"


def harness(*arguments: object, cwd: Path, faults: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GUEST_FAULTS": faults, "HARNESS_WITHOUT": "guest-clash,guest-blocked"}
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def listed(tmp_path: Path, faults: str) -> tuple[dict[str, list[str]], list[str]]:
    """The names of the parts of each plugin, and the problems of the malicious one."""
    done = harness("list", "--json", cwd=tmp_path, faults=faults)
    assert done.returncode == 3
    shown = json.loads(done.stdout)
    parts: dict[str, list[str]] = {}
    for row in shown["parts"]:
        parts.setdefault(row["plugin"], []).append(row["name"])
    return parts, [p["reason"] for p in shown["problems"] if p["plugin"] == "guest-malicious"]


#: Parts of the core that must stay.
CORE_PARTS = {"local", "step_time", "html", "markdown", "csv"}
NO_NAME = "is not a valid name: use letters, digits, and . _ + - after the first letter"


@pytest.mark.parametrize(
    ("faults", "reasons"),
    [
        ("import-exits", ["import failed: SystemExit: 0"]),
        ("import-raises", ["import failed: Strange: its message cannot be read"]),
        ("import-prints,import-moves,import-clock", []),
        ("parts-endless", ["provide_models yields more than 1000 parts; none of them is used"]),
        (
            "parts-odd",
            [
                f"provide_models yields an unusable model: {what}"
                for what in (
                    f"'../../x' {NO_NAME}", f"\"=cmd|' /C calc'!A0\" {NO_NAME}", f"'{SCRIPT}' {NO_NAME}",
                    "cursed: its summary is not text, or has control characters", f"['a', 'list'] {NO_NAME}",
                )
            ],
        ),
        (
            "core-names",
            [
                f"provides {what}, which is a name of the core; it is not used"
                for what in ("metric 'step_time'", "reporter 'html'", "executor 'local'")
            ],
        ),
    ],
)  # fmt: skip
def test_list_names_the_plugin_and_shows_all_others(tmp_path, faults, reasons):
    parts, problems = listed(tmp_path, faults)
    assert problems == reasons
    assert set(parts["rnn-harness"]) >= CORE_PARTS
    assert "lstm" in parts["rnn-harness-plugins"]
    assert "mgu" in parts["guest-good"]
    assert ("fickle" in parts.get("guest-malicious", ())) == (not faults.startswith(("import-e", "import-r")))


def test_list_prints_no_control_sequences(tmp_path):
    done = harness("list", cwd=tmp_path, faults="parts-odd,import-prints")
    assert ESCAPE not in done.stdout + done.stderr
    assert "this is not JSON" not in done.stdout
    assert "this is not JSON" in done.stderr


SUITE = """
question: Can a plugin do harm?
base:
  model: {name: working}
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


def test_run_with_all_faults_gives_correct_results(tmp_path):
    (tmp_path / "bad.yaml").write_text(SUITE)
    done = harness("run", "bad.yaml", "--quick", "--json", cwd=tmp_path, faults=EVERYTHING)
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    (folder,) = (path for path in (tmp_path / "results" / "bad").iterdir() if path.is_dir())

    # Broken trials fail with their names. The others are measured with the real clock.
    assert report["failures"] == [
        "all, leaves: failed in verify: the process ended with exit code 0 while verifying",
        next(
            line
            for line in report["failures"]
            if line.startswith("all, exits: failed in verify: verifying") and "SystemExit" in line
        ),
        "all, meddles: failed in verify: it changes torch's default dtype, which all trials share",
    ]
    (same,) = (row for row in report["comparisons"] if row["level"] == "same" and row["metric"] == "step_time")
    assert 0.2 < same["ratio"] < 5
    records = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    walls = [time for record in records for time in record["data"].get("wall", ())]
    assert len(walls) > 3 * 8 * 5
    assert min(walls) > 1000  # nanoseconds; a stopped clock or a forged sample would give less
    assert json.loads((folder / "machine.json").read_text())["threads"] == 1
    assert "forged" not in json.dumps(report)
    assert "Whatever you measured" not in json.dumps(report)

    # The report names faults in metrics and reporters. The error stream names faults during the run.
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
        assert any(problem.endswith(what) for problem in report["problems"]), what
    assert any("reporter-outside (plugin guest-malicious): ValueError: it names" in p for p in report["problems"])
    for what in (
        "its import changes time.perf_counter_ns; restored",
        "its import changes torch's default dtype; restored",
        "its import changes torch.manual_seed; restored",
        "describe_machine failed: ValueError: processor is known already",
        "plan_ready failed: SystemExit: 0",
        "run_block changes a record; it is stored as it was measured (all)",
    ):
        assert f"plugin guest-malicious: {what}" in done.stderr
    assert ESCAPE not in done.stdout + done.stderr

    # The stored run is unchanged, and its report is the same without the plugin.
    done = harness("report", folder, "--without", "guest-malicious", "--json", cwd=tmp_path)
    again = json.loads(done.stdout)
    assert again["summary"] == report["summary"]
    assert again["problems"] == []
    page = (folder / "report.html").read_text()
    assert SCRIPT not in page


def test_conformance_kit_finds_the_faults():
    catalog = Catalog(load_plugins(without=["guest-clash", "guest-blocked"]))
    found = {}
    for name, promise in (
        ("model-meddles", "global-state"),
        ("fickle", "same-in-every-process"),
        ("model-exits", "trains"),
    ):
        (case,) = cases(name, only=[promise], catalog=catalog)
        result = case.run()
        found[name] = result.found
        assert result.outcome == "failed", result
    assert "changes torch's default dtype" in found["model-meddles"]
    assert found["fickle"].startswith("another process loads different data")
    assert "SystemExit" in found["model-exits"]
