"""The GitHub action of this repository: its fields, and its last step, which runs here."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.cli.ab import ab

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "speed.yml").read_text())


def run_step(commands: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    step = ACTION["runs"]["steps"][-1]
    environment = {**os.environ, "COMMANDS": commands}
    return subprocess.run([step["shell"], "-c", step["run"]], cwd=cwd, env=environment, capture_output=True, text=True)


def test_the_inputs_that_the_steps_use_exist():
    used = {name for text in yaml.dump(ACTION["runs"]).split("inputs.")[1:] for name in [text.split()[0].rstrip("}")]}
    assert used == set(ACTION["inputs"])
    assert all("${{" not in step.get("run", "") for step in ACTION["runs"]["steps"]), (
        "a script is not built from inputs"
    )


@pytest.mark.parametrize(
    ("commands", "code"), [("schema", 0), ("schema\n\nlist nonsense\n", 2), ("", 2), ("check 'no such file.yaml'", 2)]
)
def test_the_last_step_runs_every_line(commands, code, tmp_path):
    done = run_step(commands, tmp_path)
    assert done.returncode == code, done.stderr
    assert ('"properties"' in done.stdout) == commands.startswith("schema")


def test_the_workflow_is_a_valid_command():
    (job,) = WORKFLOW["jobs"].values()
    step = job["steps"][-1]
    assert step["uses"] == "./"
    assert set(step["with"]) <= set(ACTION["inputs"])
    name, *words = shlex.split(step["with"]["command"])
    assert name == "ab"
    context = ab.make_context("ab", words)
    for reference in (*context.params["versions"], context.params["inputs"]):
        file, _, function = reference.partition(":")
        assert f"def {function}(" in (ROOT / file).read_text()
