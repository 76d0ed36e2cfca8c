"""Every snippet in the documentation is run, in the order it stands, in a folder that a page's snippets share.

- ```yaml: a suite, or part of one that is merged over a small suite; it must plan. ``# name.yaml`` first saves it.
- ```python: a module saved under the name in its first line, or code that is run, with the names that the page's
  snippets before it have left.
- ```console: each ``$ command`` is run; the lines under it must appear in its output in order, ``...`` standing for
  anything. ``exit code N`` as the last line expects that code instead of 0.
- ```text and others are for the eye.

A page that installs something has a virtual environment of its own for it, see `venvs`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import jsonschema
import pytest
import yaml
from markdown_it import MarkdownIt
from venvs import Venv

from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.suite.loader import parse_suite
from harness.suite.schema import json_schema
from harness.suite.yaml_source import read_text

ROOT = Path(__file__).parents[2]
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts)
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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_snippets(page: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory):
    names: dict[str, object] = {}
    environment = dict(os.environ)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if any(language == "console" and "$ pip install" in text for language, text, _ in fences(page)):
        environment = Venv(tmp_path_factory.mktemp("venv")).environment
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
                run(command, where, tmp_path, environment)


def check_suite(text: str, where: str, folder: Path) -> None:
    whole = {**yaml.safe_load(BASE), **yaml.safe_load(text)} if "question:" not in text else None
    source = read_text(yaml.safe_dump(whole, sort_keys=False) if whole else text, where)
    catalog = Catalog(load_plugins(sorted(folder.glob("my_*.py"))))
    jsonschema.validate(source.value, json_schema(catalog))
    plan = make_plan(parse_suite(source, "snippet", text, catalog), catalog)
    assert plan.blocks


def run(command: str, where: str, folder: Path, environment: dict[str, str]) -> None:
    line, *expected = command.rstrip("\n").split("\n")
    code = 0
    if expected and (match := re.fullmatch(r"exit code (\d+)", expected[-1])):
        code, expected = int(match[1]), expected[:-1]
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, text=True, timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == code, f"{where}: $ {line}\n{done.stdout}"
    missing = first_missing(expected, done.stdout)
    assert missing is None, f"{where}: $ {line}\nhas no line like: {missing}\n--- it says:\n{done.stdout}"


def first_missing(expected: list[str], output: str) -> str | None:
    """The first expected line that the output lacks. Lines must follow each other unless a line of ... is between."""
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


def test_the_readme_names_what_there_is():
    """Its two commands are run by hand and by CI; here, that what they name exists."""
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
def test_links_lead_somewhere(page: Path):
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link
