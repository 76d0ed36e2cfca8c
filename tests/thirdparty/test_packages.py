"""Installed third-party packages: working ones of several kinds, one that fails to import, and two whose names clash.

tox installs them at the end of its environments `tests` and `plugins`. `test_malicious_package` tests harmful ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.plugins import Catalog, load_plugins
from harness.testing import verify_level

HERE = Path(__file__).parent
#: Both provide a name of rnn-harness-plugins.
CLASHING = ("guest-clash", "guest-blocked")


def harness(*arguments: object, cwd: Path = HERE, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )


def test_list_shows_parts_and_problems():
    done = harness("list")
    assert done.returncode == 3
    for kind, line in (
        ("models", "minimal gated unit: one gate for all  (guest-good)"),
        ("models", "highway around  (guest-models)"),
        ("datasets", "which bracket is to be closed next, at every step?  (guest-data)"),
        ("metrics", "a step without the making of its batch  (guest-metric)"),
        ("reporters", "chat.json: the answer and the claims as a message  (guest-reporter)"),
    ):
        assert line in harness("list", kind).stdout
    assert "problem: plugin guest-broken: import failed: ModuleNotFoundError: No module named" in done.stderr
    assert "provides model 'lstm', and so does rnn-harness-plugins" in done.stderr


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run with models, a dataset, metrics and a reporter of the packages. Of the two with clashing names, only the one
    whose name the suite uses is left out."""
    home = tmp_path_factory.mktemp("packages")
    done = harness("run", HERE / "packages.yaml", "--quick", "--without", "guest-clash", cwd=home)
    (folder,) = (home / "results" / "packages").iterdir()
    return done, folder


def test_parts_of_several_packages_run_together(ran):
    done, folder = ran
    assert done.returncode == 0, done.stdout + done.stderr
    whole = (folder / "report.txt").read_text()
    rows = [line.split() for line in whole.splitlines() if "first look:" in line and "..." not in line]
    changes = {row[0]: " ".join(row[-2:]) for row in rows}
    assert changes.pop("at_once") != "changes model"  # the same computation, and verified
    assert changes == dict.fromkeys(("gru", "mgu", "sru"), "changes model")
    assert "whole" in whole
    plan = json.loads((folder / "plan.json").read_text())
    trials = {trial["level"]: trial for trial in plan["blocks"][0]["trials"]}
    assert trials["mgu"]["model"] == {
        "name": "mgu", "parameters": {"hidden_size": 16, "embedding_size": 8}, "plugin": "guest-good", "version": "1.2.3",
    }  # fmt: skip
    assert trials["mgu"]["dataset"]["plugin"] == "guest-data"
    assert trials["mgu"]["fingerprint"] == "dyck 1"
    assert (trials["at_once"]["changes"], trials["sru"]["changes"]) == ("rounding", "model")
    numbers = {row["metric"] for row in json.loads((folder / "report.json").read_text())["numbers"]}
    assert {"tail", "compute_time"} <= numbers
    message = json.loads((folder / "chat.json").read_text())
    assert "All steps at once are faster" in message["blocks"][2]["text"]["text"]


def test_report_leaves_out_the_packages_that_the_run_left_out(ran, tmp_path):
    _, folder = ran
    log = tmp_path / "log"
    assert json.loads((folder / "plan.json").read_text())["overrides"]["without"] == ["guest-clash"]
    machine = json.loads((folder / "machine.json").read_text())
    assert "guest-clash" not in machine["plugins"]
    assert machine["plugins"]["guest-blocked"] == "1.2.3"
    assert "harness --without guest-clash run packages.yaml --quick" in (folder / "report.html").read_text()
    done = harness("report", folder, HARNESS_WITHOUT="Guest_Blocked", GUEST_BLOCKED_LOG=str(log))
    assert done.returncode == 0, done.stderr
    assert not log.exists()


def test_package_that_is_left_out_is_not_imported(tmp_path):
    log = tmp_path / "log"
    done = harness("--without", "guest-clash", "list", "--without=guest-blocked", GUEST_BLOCKED_LOG=str(log))
    assert not log.exists()
    assert "left out: plugin guest-blocked" in done.stdout
    assert "left out: plugin guest-clash" in done.stdout
    assert "provides model" not in done.stderr
    harness("list", GUEST_BLOCKED_LOG=str(log))
    assert log.read_text() == "imported\n"


def test_clash_names_both_packages_and_the_fix():
    done = harness("check", HERE / "packages.yaml", "--set", "base.model=lstm")
    assert done.returncode == 2
    both = "two plugins provide a model named 'lstm': guest-clash and rnn-harness-plugins."
    assert f"{both} Uninstall one of them, or use --without NAME." in done.stderr
    done = harness("check", HERE / "packages.yaml", "--set", "base.model=lstm", "--without", "guest-clash")
    assert done.returncode == 0, done.stderr


def test_without_rejects_unknown_packages_and_the_core():
    done = harness("list", "--without", "guest-blocket")
    assert done.returncode == 2
    message = "--without guest-blocket: no plugin named 'guest-blocket' is installed. Did you mean guest-blocked"
    assert done.stderr.startswith(f"Error: {message}")
    done = harness("list", HARNESS_WITHOUT="guest-clash, rnn-harness")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: HARNESS_WITHOUT: rnn-harness is the core itself")


def test_unknown_name_mentions_the_package_that_failed_to_import():
    done = harness("check", HERE / "packages.yaml", "--set", "base.model=quasi_rnn")
    assert done.returncode == 2
    assert "A plugin that failed to import may provide it (plugin guest-broken: import failed" in done.stderr


@pytest.fixture(scope="module")
def catalog():
    return Catalog(load_plugins(without=CLASHING))


BRACKETS = {"name": "dyck", "length": 300, "examples": 64, "batch_size": 8}


@pytest.mark.parametrize(
    ("base", "level", "outcome", "changes"),
    [
        ("gru", "mgu", "ok", "model"),
        ({"name": "min_gru", "scan": "sequential", "num_layers": 2}, "min_gru", "ok", "rounding"),
        ({"name": "min_gru", "scan": "sequential"}, {"name": "min_gru", "double": False}, "invalid", "rounding"),
    ],
)
def test_verify_level_accepts_parts_of_packages(catalog, base, level, outcome, changes):
    """In the last case the logarithmic scan in float32 loses more digits than rounding explains."""
    given = dict(base) if isinstance(base, dict) else {"name": base}
    trial = {"model": {**given, "hidden_size": 8}, "dataset": BRACKETS, "use": ["adam"]}
    patch = {"name": level} if isinstance(level, str) else level
    finding = verify_level(
        trial, {"model": {**patch, "scan": "parallel"} if "scan" in given else patch}, catalog=catalog
    )
    assert (finding["outcome"], finding["changes"]) == (outcome, changes), finding["reason"]
