"""Every snippet of the documentation runs. The snippets of a page run in their order, in one folder.

- ```yaml: a suite, or a part of one that is merged into a small suite. It must plan. A first line ``# name.yaml`` saves
  it under that name.
- ```python: a module that is saved under the name in its first line; or code that runs, with the names that the earlier
  snippets of the page have defined.
- ```console: each ``$ command`` runs. The lines below it must appear in its output in this order; ``...`` stands for any
  text. The last line ``exit code N`` expects that code instead of 0.
- ```text and others do not run.

A page that installs something has a virtual environment of its own (see `venvs`). In other pages, a command that needs
no shell runs in a process that has imported torch (see `warm_command`).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from importlib.metadata import entry_points
from pathlib import Path

import jsonschema
import pytest
import yaml
from markdown_it import MarkdownIt
from venvs import Venv
from warm_command import run_warm

from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.suite.loader import parse_suite
from harness.suite.schema import json_schema
from harness.suite.yaml_source import read_text

ROOT = Path(__file__).parents[2]
#: Runs a command line in a folder with environment variables. Returns the exit code and the output.
Execute = Callable[[str, Path, dict[str, str]], tuple[int | None, str]]
#: Without the sources of generated pages, in folders that begin with an underscore.
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if not any(part.startswith("_") for part in page.parts))
BASE = """
question: Is this snippet a suite?
base: {model: lstm, dataset: reviews, use: [adam]}
axes: {batching: {padded: {}, packed: {use: [pack]}, bucketed: {use: [bucket]}}}
compare: {axis: batching, baseline: padded}
measure: {speed: {}}
"""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fences(page: Path) -> list[tuple[str, str, int]]:
    """Language, text and line of each fenced block."""
    tokens = MarkdownIt().parse(page.read_text())
    return [(token.info.strip(), token.content, token.map[0] + 1) for token in tokens if token.type == "fence"]


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Modules that a page saves can be imported by its code, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_snippets(page: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory):
    names: dict[str, object] = {}
    environment = dict(os.environ)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if not any(one.value == "harness.pytest_plugin" for one in entry_points(group="pytest11")):
        environment["PYTEST_PLUGINS"] = "harness.pytest_plugin"  # the installed harness is older than this code
    execute = warm_or_bash
    if any(language == "console" and "$ pip install" in text for language, text, _ in fences(page)):
        environment, execute = Venv(tmp_path_factory.mktemp("venv")).environment, bash
    for language, text, line in fences(page):
        where = f"{name_of(page)}:{line}"
        name = re.match(r"# (\S+\.(?:yaml|py))\n", text)
        if name:
            (tmp_path / name[1]).write_text(text)
        if language == "yaml":
            check_suite(text, where, tmp_path)
        elif language == "python" and not name:
            with chdir(tmp_path):
                exec(compile(text, where, "exec"), names)
        elif language == "python":
            compile(text, where, "exec")
        elif language == "console":
            for command in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                check_command(command, where, execute, tmp_path, environment)


def check_suite(text: str, where: str, folder: Path) -> None:
    whole = {**yaml.safe_load(BASE), **yaml.safe_load(text)} if "question:" not in text else None
    source = read_text(yaml.safe_dump(whole, sort_keys=False) if whole else text, where)
    catalog = Catalog(load_plugins(sorted(folder.glob("my_*.py"))))
    jsonschema.validate(source.value, json_schema(catalog))
    with chdir(folder):  # a suite may name files that the page has written
        plan = make_plan(parse_suite(source, "snippet", text, catalog), catalog)
    assert plan.blocks


def check_command(command: str, where: str, execute: Execute, folder: Path, environment: dict[str, str]) -> None:
    line, *expected = command.rstrip("\n").split("\n")
    wanted = 0
    if expected and (match := re.fullmatch(r"exit code (\d+)", expected[-1])):
        wanted, expected = int(match[1]), expected[:-1]
    code, output = execute(line, folder, environment)
    assert code == wanted, f"{where}: $ {line}\n{output}"
    missing = first_missing(expected, output)
    assert missing is None, f"{where}: $ {line}\nThe output has no line like: {missing}\n--- output:\n{output}"


def bash(line: str, folder: Path, environment: dict[str, str]) -> tuple[int | None, str]:
    """The exit code of a command line, and its output on both streams."""
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, text=True, timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


def warm_or_bash(line: str, folder: Path, environment: dict[str, str]) -> tuple[int | None, str]:
    """The same. A plain `harness` command, without anything that only a shell can do, needs no new process."""
    if line.startswith("harness ") and not set(line) & set(";|&<>$`*"):
        return run_warm(shlex.split(line)[1:], folder, environment)
    return bash(line, folder, environment)


def first_missing(expected: list[str], output: str) -> str | None:
    """The first expected line that is not in the output. Lines must be adjacent unless a line ``...`` is between."""
    lines = output.rstrip("\n").split("\n")
    at, anywhere = 0, False
    for want in expected:
        if want.strip() == "...":
            anywhere = True
            continue
        pattern = re.compile(r".*".join(re.escape(part.strip()) for part in want.split("...")) + r".*")
        candidates = range(at, len(lines)) if anywhere else range(at, min(at + 1, len(lines)))
        found = next((i for i in candidates if pattern.match(lines[i].strip())), None)
        if found is None:
            return want
        at, anywhere = found + 1, False
    return None


def test_the_readme_names_existing_files_and_extras():
    """CI runs the two commands. This test checks that the files and extras that they name exist."""
    text = (ROOT / "README.md").read_text()
    commands = [content.strip() for language, content, _ in fences(ROOT / "README.md") if language == "bash"]
    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    assert "harness run suites/packing.yaml" in commands[0]
    assert commands[1].endswith("tox")
    extras = set(",".join(re.findall(r"\.\[([a-z,]+)\]", " ".join(commands))).split(","))
    assert extras == {"tensorboard", "plot", "test"}
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("page", [*PAGES, *(ROOT / "suites").rglob("*.md")], ids=name_of)
def test_links_lead_to_files(page: Path):
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link
