"""The generated reference pages are current and complete, and outdated pages are named."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from harness import errors
from harness.cli.app import core_commands, load
from harness.plugins import hookspecs
from harness.plugins.catalog import KINDS, Catalog, core_catalog
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Command, Part
from harness.suite import schema

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
OURS = ("rnn-harness", "rnn-harness-plugins")


#: A source distribution contains neither the runs nor the project of the plugins.
needs_runs = pytest.mark.skipif(
    not (ROOT / "results" / "reference").exists(), reason="a source distribution has no reference runs"
)


def section_of(page: str, heading: str) -> str:
    """The text under a heading, up to the next heading of the same or a higher level."""
    text = (REFERENCE / page).read_text()
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,3}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no heading {heading}"
    return found[2]


@needs_runs
def test_generated_pages_are_current():
    command = [sys.executable, ROOT / "docs" / "generate.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_outdated_pages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """In a copy of the pages. The expected pages are the originals, which the test above checks."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    generate = importlib.import_module("generate")
    sources = [file for name in generate.FOLDERS for file in (ROOT / name).iterdir()]
    pages = {str(file.relative_to(ROOT)): file.read_bytes() for file in sources}
    for name, content in pages.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    page = tmp_path / "docs" / "reference" / "suite.md"
    page.write_text(page.read_text().replace("- default: `60 s`", "- default: `61 s`", 1))
    (tmp_path / "docs" / "findings" / "tbptt.svg").write_text("<svg/>")
    (tmp_path / "docs" / "reference" / "old.md").write_text("# Old\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "pages", lambda root: pages)
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert {"docs/reference/suite.md: not current", "docs/findings/tbptt.svg: not current"} <= set(lines)
    assert "docs/reference/old.md: nothing generates this file" in lines
    assert "-- default: `61 s`" in lines
    assert "+- default: `60 s`" in lines
    assert len(lines) < 12
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


MODELS = [
    found
    for found in vars(schema).values()
    if inspect.isclass(found) and issubclass(found, BaseModel) and found.__module__ == schema.__name__
]
MODELS += [measure.settings.suite_form() for measure in core_catalog().measures.values()]
FIELDS = [(model, name, field) for model in MODELS for name, field in model.model_fields.items()]


@pytest.mark.parametrize(("model", "name", "field"), FIELDS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_field_of_a_suite_is_described(model: type[BaseModel], name: str, field: FieldInfo):
    assert field.description
    assert field.examples
    key = field.alias or name
    page = (REFERENCE / "suite.md").read_text()
    assert re.search(rf"^(### |\| \[)`(?:[\w.\[\]]+\.)?{key}(?:\.AXIS|\[\])?`", page, re.MULTILINE)
    assert field.description.rstrip(".").lower() in page.replace("`", "").lower()


@pytest.mark.parametrize(("model", "name", "field"), FIELDS, ids=lambda value: value if isinstance(value, str) else "")
def test_examples_and_defaults_are_valid_in_a_suite(model: type[BaseModel], name: str, field: FieldInfo):
    """Otherwise an editor would insert invalid values, and the page would show seconds without a unit."""
    adapter = TypeAdapter(field.rebuild_annotation())
    for example in field.examples or []:
        adapter.validate_python(example)
    if field.default is not None and not field.is_required():
        adapter.validate_python(field.default)


HOOKS = [name for name, found in vars(hookspecs).items() if hasattr(found, "harness_spec")]


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_described_with_an_example(name: str):
    text = section_of("hooks.md", f"`{name}`")
    assert f"def {name}(" in text.partition("```python")[0]
    example = text.partition("```python")[2]
    assert "@harness.hookimpl" in example
    assert f"def {name}(" in example
    words = re.sub(r"```.*?```", "", text, flags=re.DOTALL).strip()
    assert len(words.split()) > 3


@pytest.mark.parametrize("kind", [Part, *KINDS], ids=lambda kind: kind.__name__)
def test_every_field_of_a_part_is_described(kind: type):
    text = section_of("hooks.md", "Every part" if kind is Part else f"`{kind.__name__}`")
    own = {field.name for field in dataclasses.fields(kind)} & set(kind.__annotations__)
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", text, re.MULTILINE))
    assert set(rows) == own
    for name in own:
        assert rows[name].strip() or f"`{name}`" in (kind.__doc__ or ""), f"{kind.__name__}.{name}: write #: above it"


def test_every_seam_is_described():
    from harness.plugins.recipe import SEAMS

    rows = re.findall(r"^\| `(\w+)` \|", section_of("hooks.md", "Seams"), re.MULTILINE)
    assert rows == list(SEAMS)


def commands() -> Iterator[tuple[str, click.Command]]:
    for name, entry in core_commands().items():
        command = load(entry)
        yield f"harness {name}", command
        if isinstance(command, click.Group):
            yield from ((f"harness {name} {below}", each) for below, each in command.commands.items())


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_option_is_described(name: str, command: click.Command):
    text = section_of("cli.md", name).replace("\\|", "|")
    assert (command.help or "").strip()
    context = click.Context(command, info_name=name)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and "--help" not in parameter.opts and not parameter.hidden:
            assert (parameter.help or "").strip(), parameter.opts
            names = parameter.get_help_record(context)[0]
            assert f"`{names} ...`" in text if parameter.multiple else f"`{names}`" in text
        elif isinstance(parameter, click.Argument):
            assert f"| `{parameter.metavar or parameter.name.upper()}` |" in text


def test_every_exit_code_is_described():
    codes = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)}
    assert set(errors.EXIT_CODES) == {0, *codes}
    assert re.findall(r"^\| (\d+) \|", section_of("cli.md", "Exit codes"), re.MULTILINE) == list(
        map(str, errors.EXIT_CODES)
    )


ENTRIES = [
    (kind, name, entry)
    for catalog in [Catalog(load_plugins())]
    for kind in KINDS
    if kind is not Command  # commands are on their own page, see above
    for name, entry in catalog.entries(kind).items()
    if entry.plugin in OURS
]


@pytest.mark.parametrize(("kind", "name", "entry"), ENTRIES, ids=lambda value: value if isinstance(value, str) else "")
def test_every_part_is_described(kind: type[Part], name: str, entry: Any):
    assert entry.part.summary
    text = (REFERENCE / "parts.md").read_text()
    of_kind = re.search(rf"^## {kind.kind.capitalize()}s\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)[1]
    section = re.search(rf"^### `{name}`\n(.*?)(?=^### |\Z)", of_kind, re.DOTALL | re.MULTILINE)[1]
    assert entry.part.summary in section.replace("\\*", "*")
    assert entry.part.source in section


@needs_runs
def test_every_reference_run_has_a_row():
    runs = {plan.parent.name for plan in (ROOT / "results" / "reference").glob("*/plan.json")}
    named = set(re.findall(r"\[([\w-]+)\]\(", (ROOT / "results" / "reference" / "README.md").read_text()))
    assert runs - named == set()
