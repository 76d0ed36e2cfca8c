"""Packages that `harness new plugin` writes can be installed, keep their promises, and have suites that run."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from inner_pytest import run_pytest
from venvs import Venv

from harness.tools.scaffold.names import names_of
from harness.tools.scaffold.plugin import KINDS, plugin_files
from harness.tools.scaffold.suite import NewSuite


def packages(folder: Path) -> dict[str, Path]:
    """A package of each kind, unchanged."""
    made = {}
    for kind in KINDS:
        made[kind] = folder / f"my-{kind}s"
        for path, text in plugin_files(names_of(f"my-{kind}s"), kind).items():
            (made[kind] / path).parent.mkdir(parents=True, exist_ok=True)
            (made[kind] / path).write_text(text)
    return made


def test_the_tests_of_the_examples_pass(tmp_path, monkeypatch):
    """The tests of each package, without the conformance tests, which the slow test below runs."""
    made = packages(tmp_path)
    for folder in made.values():
        monkeypatch.syspath_prepend(folder)
    tests = [folder / "tests" / f"test_my_{kind}.py" for kind, folder in made.items()]
    code, output = run_pytest(tmp_path, *tests)
    assert code == 0, output
    assert "passed" in output
    assert "skipped" not in output


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"model": "gru"},
        {"model": "transformer", "dataset": "lengths"},
        {"model": "lstm", "against": "rnn", "measure": "learning"},
        {"optimization": "clip"},
        {"optimization": "bucket"},
        {"optimization": "sgd", "measure": "learning", "dataset": "adding"},
        {"optimization": "last_naive"},
    ],
    ids=str,
)
def test_new_suites_plan_with_the_parts_there_are(wanted, catalog):
    assert NewSuite(catalog, **wanted).text("mine")  # raises UserError if it cannot be planned


@pytest.mark.slow
def test_the_commands_of_each_readme_work(tmp_path):
    """Run every command, except those that need a checkout or install torch again."""
    venv = Venv(tmp_path / "venv")
    made = packages(tmp_path)
    for kind, folder in made.items():
        text = (folder / "README.md").read_text()
        commands = re.findall(r"^\$ (.*)$", text, flags=re.MULTILINE)
        here = [command for command in commands if "HARNESS" not in command and "tox" not in command]
        verbs = [" ".join(command.split()[: 2 if command.startswith("harness") else 1]) for command in here]
        own = [f"harness my_{kind}"] if kind == "command" else []
        conform = ["harness conform"] if KINDS[kind].has_promises else []
        assert verbs == ["pip", "harness describe", "harness run", *own, *conform, "pytest"]
        for command in here:
            quick = " --quick" if command.startswith("harness run") else ""
            done = venv.run("bash", "-c", command + quick, cwd=folder)
            assert done.returncode == 0, f"{kind}: $ {command}\n{done.stdout}"
        if kind not in ("measure", "command"):  # harness list does not show these
            assert f"({folder.name})" in venv.run("harness", "list", kind, cwd=tmp_path).stdout
    assert list(made["reporter"].rglob("results/*/*/my_reporter.txt"))
    assert "my metric" in venv.run("harness", "report", cwd=made["metric"]).stdout


@pytest.mark.slow
def test_packages_pass_mypy(tmp_path):
    """With mypy as the packages configure it, and with only the harness installed."""
    if not find_spec("mypy"):
        pytest.skip("mypy is not installed")
    for folder in packages(tmp_path).values():
        done = subprocess.run([sys.executable, "-m", "mypy"], cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout
