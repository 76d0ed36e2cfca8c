"""The door, proved by packages that are not ours: one good, one that fails to import, one whose name clashes.

They must be installed, which tox does at the end of its environment `plugins`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from harness.testing import find_out

HERE = Path(__file__).parent


def harness(*arguments: object, cwd: Path = HERE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_list_names_the_good_and_the_bad():
    done = harness("list")
    assert done.returncode == 3
    assert "minimal gated unit: one gate for all  (guest-good)" in done.stdout
    assert "problem: plugin guest-broken: import failed: ModuleNotFoundError: No module named" in done.stderr
    assert "brings model 'lstm', and so does rnn-harness-plugins" in done.stderr


def test_the_good_one_runs(tmp_path):
    done = harness("run", HERE / "guest.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("mgu  ")]  # of a table, not of the answer
    assert "another model" in line
    (folder,) = (tmp_path / "results" / "guest").iterdir()
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["blocks"][0]["trials"][1]["model"] == {
        "name": "mgu", "parameters": {"hidden_size": 16, "embedding_size": 8}, "plugin": "guest-good", "version": "1.2.3",
    }  # fmt: skip


def test_the_conformance_kit_takes_a_guest():
    base = {
        "model": {"name": "gru", "hidden_size": 8},
        "dataset": {"name": "lengths", "examples": 64, "batch_size": 8},
        "use": ["adam"],
    }
    finding = find_out(base, {"model": "mgu"})
    assert (finding["outcome"], finding["changes"]) == ("ok", "model")


def test_a_clash_names_both_and_spoils_nothing_else(tmp_path):
    done = harness("check", HERE / "guest.yaml", "--set", "base.model=lstm")
    assert done.returncode == 2
    assert (
        "two plugins bring a model named 'lstm': guest-clash and rnn-harness-plugins. Uninstall one of them."
        in done.stderr
    )


def test_a_missing_name_points_at_the_plugin_that_failed():
    done = harness("check", HERE / "guest.yaml", "--set", "base.model=quasi_rnn")
    assert done.returncode == 2
    assert "A plugin that failed to import may have brought it (plugin guest-broken: import failed" in done.stderr
