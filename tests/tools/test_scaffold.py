"""New plugins and suites work unchanged, and invalid names are refused."""

from __future__ import annotations

import ast
import builtins
import configparser
import json
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from toy_suite import TOY, toy_catalog
from venvs import Venv

from harness.cli.app import cli
from harness.errors import UserError
from harness.plan.planner import make_plan
from harness.plugins.catalog import KINDS as PARTS
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import read_text
from harness.tools.scaffold.names import USED_WORDS, Names, names_of
from harness.tools.scaffold.plugin import KINDS, new_plugin, plugin_files
from harness.tools.scaffold.suite import NewSuite

ROOT = Path(__file__).parents[2]
#: The shortest names, usual ones, and the longest: the length of lines depends on them.
NAMES = (Names("x", "x", "y"), names_of("my-cells"), names_of("a" * 30, "b" * 30))
#: Parts of the toy for the options whose defaults are in rnn-harness-plugins.
TOYS = {"model": "mlp", "against": "linear", "dataset": "points", "use": ["descent"]}


@pytest.fixture(scope="module")
def own() -> Catalog:
    """The catalog with the core and the toy only."""
    return Catalog(load_plugins([TOY]))


def write(files: dict[str, str], folder: Path) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def harness(*arguments: object) -> str:
    """Calls the command line without ending the process."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_a_package(kind):
    files = plugin_files(names_of("my-cells"), kind, "Ada <ada@example.org>")
    expected = {
        ".github/workflows/test.yml", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "my_cells/__init__.py",
        "my_cells/my_cell.py", "pyproject.toml", "suites/my-cells.yaml", "suites/suite.schema.json",
        "tests/test_conformance.py", "tests/test_my_cell.py", "tox.ini",
    }  # fmt: skip
    assert set(files) == expected - (set() if KINDS[kind].has_promises else {"tests/test_conformance.py"})
    assert KINDS[kind].has_promises == ("harness conform my_cell" in files["README.md"])
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["entry-points"]["harness"] == {"my_cells": "my_cells"}
    assert project["project"]["authors"] == [{"name": "Ada", "email": "ada@example.org"}]
    needed = {text.partition(">=")[0] for text in project["project"]["dependencies"]}
    imported = imports_of(files["my_cells/my_cell.py"])
    assert ("rnn-harness-plugins" in needed) == ("harness_rnn" in imported)
    assert imported - needed <= {"harness", "harness_rnn", *sys.stdlib_module_names}
    tox = configparser.ConfigParser()
    tox.read_string(files["tox.ini"])
    assert tox["tox"]["skip_missing_interpreters"] == "true"
    jobs = yaml.safe_load(files[".github/workflows/test.yml"])["jobs"]
    assert set(jobs) == {"lint", "test", "gate"}
    assert jobs["gate"]["steps"][-1] == {"run": "harness run suites/my-cells.yaml --gate"}
    assert all("@v" in step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step)
    suite = files["suites/my-cells.yaml"]
    assert suite.startswith("# yaml-language-server: $schema=suite.schema.json\n")
    if kind == "measure":  # a suite may only name kinds of measurement that are installed
        assert "\n  my_cell: {batches: 4}" in suite
    else:
        assert parse_suite(read_text(suite, "suite"), "suite", suite, toy_catalog()).claims


def imports_of(text: str) -> set[str]:
    """The packages that the code imports at its top."""
    nodes = ast.parse(text).body
    names = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.partition(".")[0] for name in names}


def test_there_is_a_template_for_each_kind_of_part():
    """The core's own kit checks promises, so a plugin that only has promises has no test at the start."""
    assert set(KINDS) == {part.kind for part in PARTS} - {"promise"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", NAMES, ids=lambda names: names.module[:8])
def test_ruff_finds_nothing(kind, names, tmp_path):
    folder = write(plugin_files(names, kind), tmp_path)
    for file in folder.rglob("*.py"):
        compile(file.read_text(), str(file), "exec")
    if not find_spec("ruff"):
        pytest.skip("ruff is not installed")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_template_uses_the_ruff_rules_of_this_project():
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    theirs = tomllib.loads(plugin_files(names_of("my-cells"), "model")["pyproject.toml"])["tool"]["ruff"]
    assert theirs["lint"]["select"] == ours["lint"]["select"]
    assert (theirs["line-length"], theirs["target-version"]) == (ours["line-length"], ours["target-version"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_plugin_imports_without_torch(kind, tmp_path):
    folder = write(plugin_files(names_of("my-cells"), kind), tmp_path)
    (hook,) = (hook for part, hook in PARTS.items() if part.kind == kind)
    code = (
        f"import sys, my_cells; parts = list(my_cells.{hook}());"
        "print(*[part.name for part in parts], 'torch' in sys.modules, 'my_cells.my_cell' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.stdout == "my_cell False False\n", done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_cannot_have_a_name_that_its_code_uses(kind):
    names = Names("some-thing", "some_thing", "part_of_it")
    tree = ast.parse(plugin_files(names, kind)["some_thing/part_of_it.py"])
    used = {alias.asname or alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    used |= {a.asname or a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}
    used |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    lower = {name for name in used if name == name.lower()} - {names.part}
    assert lower
    assert lower <= USED_WORDS | set(dir(builtins)) | set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("name", "distribution", "module", "part"),
    [
        ("my-cells", "my-cells", "my_cells", "my_cell"),
        ("My.Cells", "my-cells", "my_cells", "my_cell"),
        ("leaky", "leaky", "leaky", "leaky"),
        ("gates2", "gates2", "gates2", "gates2"),
        ("my-class", "my-class", "my_class", "my_class"),
    ],
)
def test_all_names_follow_from_one(name, distribution, module, part):
    assert names_of(name) == Names(distribution, module, part)


@pytest.mark.parametrize(
    ("name", "part", "says"),
    [
        ("my cells", None, "'my cells' is not a valid name for a package. Use letters"),
        ("-cells", None, "'-cells' is not a valid name for a package."),
        ("zellen-für-alle", None, "'zellen-für-alle' is not a valid name for a package."),
        ("../cells", None, "'../cells' is not a valid name for a package."),
        ("2cells", None, "'2cells' is not a valid name for a module. Choose a name that begins with a letter"),
        ("class", None, "'class' is not a valid name for a module."),
        ("json", None, "json is the name of a module of the standard library. Choose another name."),
        ("torch", None, "torch is the name of a module or folder that a plugin needs."),
        ("tests", None, "tests is the name of a module or folder that a plugin needs."),
        ("c" * 31, None, "a name of 31 characters is too long. Use at most 30."),
        ("my-cells", "My cell", "--part My cell: 'My cell' is not a valid name for a part. Choose one with --part"),
        ("my-cells", "lambda", "'lambda' is not a valid name for a part."),
        ("my-cells", "list", "the name 'list' has another meaning in the code"),
        ("my-cells", "null", "the name 'null' has another meaning in the code"),
        ("lists", None, "the name 'list' has another meaning in the code"),
    ],
)
def test_invalid_names_are_refused(name, part, says):
    with pytest.raises(UserError) as caught:
        names_of(name, part)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "part", "says"),
    [
        ("rnn-harness", None, "rnn-harness 0.1.0 is already installed."),
        ("yaml", None, "there is already a module yaml."),
        ("my-cells", "mlp", "plugin toy.py already provides the model mlp. Choose another with --part."),
        ("my-cells", "csv", "the name 'csv' has another meaning in the code"),
        ("my-cells", "markdown", "plugin rnn-harness already provides the reporter markdown."),
    ],
)
def test_used_names_are_refused(name, part, says, own):
    with pytest.raises(UserError) as caught:
        new_plugin(name, "model", own, part=part)
    assert says in str(caught.value)


@pytest.mark.parametrize("author", [" ", "<ada@example.org>", "Ada <ada>", "Ada\n[tool]"])
def test_an_author_has_a_name(author):
    with pytest.raises(UserError, match="expected a name, or a name and an address"):
        plugin_files(names_of("my-cells"), "model", author)


def test_an_author_may_have_any_name():
    author = 'Ada "the \\ countess" <ada@example.org>'
    project = tomllib.loads(plugin_files(names_of("my-cells"), "model", author)["pyproject.toml"])["project"]
    assert project["authors"] == [{"name": 'Ada "the \\ countess"', "email": "ada@example.org"}]


def test_the_command_writes_a_plugin_once_and_prints_the_next_steps(tmp_path):
    said = harness("new", "plugin", "my-meters", "--kind", "metric", "--into", tmp_path / "a b")
    folder = tmp_path / "a b" / "my-meters"
    assert said.splitlines() == [
        f"{folder}: 13 files, with the metric my_meter (kind metric).",
        "Next:",
        f"  pip install -e '{folder}[test]'",
        "  harness conform my_meter",
        f"  harness run '{folder}'/suites/my-meters.yaml",
    ]
    (folder / "my_meters" / "__init__.py").write_text("mine")
    with pytest.raises(UserError, match="already exists and is not overwritten"):
        harness("new", "plugin", "my-meters", "--into", tmp_path / "a b")
    assert (folder / "my_meters" / "__init__.py").read_text() == "mine"


def test_the_default_kind_is_printed(tmp_path):
    said = harness("new", "plugin", "my-cells", "--into", tmp_path)
    assert "with the model my_cell (kind model, the default; see --kind)." in said


def test_unwritable_folder_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written: Not a directory"):
        harness("new", "plugin", "my-cells", "--into", tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({}, ["question: \"Is mlp faster than linear?\"", "{says: \"mlp is faster than linear\", level: mlp, expect: lower by 5%}"]),
        ({"question": 'Is it "worth"\nit: #1?'}, ['question: "Is it \\"worth\\"\\nit: #1?"']),
        ({"dataset": "cloud", "measure": "learning"}, ["metric: close, margin: 1 point", "metric: close, expect: better"]),
        ({"measure": "learning"}, ["metric: loss, margin: 2%", "metric: loss, expect: better"]),
        ({"against": None, "optimization": "shorten"}, ["with: {use: [shorten]}", "expect: equal within 5%"]),
        ({"against": None, "optimization": "null"}, ['question: "Does null pay?"', 'with: {use: ["null"]}']),
        ({"against": None, "optimization": "adaptive"}, ["adaptive: {use: [adaptive], drop: [descent]}"]),
    ],
)  # fmt: skip
def test_a_new_suite_can_be_planned(wanted, holds, own):
    text = NewSuite(own, **{**TOYS, **wanted}).text("mine")
    plan = make_plan(parse_suite(read_text(text, "mine.yaml"), "mine", text, own), own)
    assert (len(plan.blocks), len(plan.blocks[0].trials), len(plan.claims)) == (1, 2, 1)
    for piece in holds:
        assert piece in text
    if "question" in wanted:
        assert plan.question == wanted["question"]


def test_models_with_a_width_share_it(own):
    """linear has no hidden_size, so the base has none; the two models that have it share it."""
    assert "model: {name: linear}\n" in NewSuite(own, **TOYS).text("mine")
    alone = {**TOYS, "against": None, "optimization": "null"}
    assert "model: {name: mlp, hidden_size: 32}\n" in NewSuite(own, **alone).text("mine")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"model": "mlq"}, "--model mlq: there is no model named 'mlq'. Did you mean mlp?"),
        ({"against": "liner"}, "--against liner: there is no model named 'liner'. Did you mean linear?"),
        ({"dataset": "pints"}, "--dataset pints: there is no dataset named 'pints'. Did you mean points?"),
        ({"use": ["decent"]}, "--use decent: there is no optimization named 'decent'. Did you mean descent"),
        ({"against": "mlp"}, "--against mlp: both models are the same."),
        ({"optimization": "null"}, "a suite compares two models, or one model with and without an optimization."),
        ({"against": None, "optimization": "descent"}, "--optimization descent: the baseline already uses it."),
        ({"against": None, "optimization": "same"}, "there is no optimization named 'same'."),
        ({"question": " "}, "--question: expected a question, got an empty text."),
        (
            {"against": None, "optimization": "plane"},
            "plane needs plane, which mlp does not offer. Try --model linear.",
        ),
    ],
)
def test_a_suite_that_cannot_be_planned_is_refused(wanted, says, own):
    with pytest.raises(UserError) as caught:
        NewSuite(own, **{**TOYS, **wanted}).text("mine")
    assert says in str(caught.value)


def test_a_part_with_a_parameter_without_default_is_refused(tmp_path):
    file = tmp_path / "of_files.py"
    file.write_text(
        "import harness\n"
        "def of_files(*, path: str): ...\n"
        "@harness.hookimpl\n"
        "def provide_datasets():\n"
        "    yield harness.Dataset('of_files', of_files)\n"
    )
    with pytest.raises(UserError, match="of_files needs a value for path, which has no default"):
        NewSuite(Catalog(load_plugins([TOY, file])), **{**TOYS, "dataset": "of_files"}).text("mine")


@pytest.mark.parametrize("name", ["../mine", "", ".mine", "my suite"])
def test_invalid_names_of_suites_are_refused(name, own):
    with pytest.raises(UserError, match="is not a valid name for a suite"):
        NewSuite(own, **TOYS).text(name)


def test_the_command_writes_a_suite_and_the_schema_once(tmp_path):
    toys = ["--model", "mlp", "--against", "linear", "--dataset", "points", "--use", "descent", "--into", tmp_path]
    said = harness("-p", TOY, "new", "suite", "mine", *toys)
    path, schema = tmp_path / "mine.yaml", tmp_path / "suite.schema.json"
    assert said.splitlines() == [
        f"Written: {path}", f"Written: {schema}", "Next:", f"  harness -p {TOY} plan {path}",
        f"  harness -p {TOY} run {path} --quick", f"  harness -p {TOY} run {path}",
    ]  # fmt: skip
    assert "properties" in json.loads(schema.read_text())
    assert "is valid: 1 block, 2 trials, 0 skipped." in harness("-p", TOY, "check", path)
    schema.write_text("{}")
    assert "suite.schema.json" not in harness("-p", TOY, "new", "suite", "other.yaml", *toys)
    assert schema.read_text() == "{}"
    with pytest.raises(UserError, match="already exists"):
        harness("-p", TOY, "new", "suite", "mine", *toys)


def test_a_wheel_has_the_templates(tmp_path):
    """Names that begin with a dot are included."""
    venv = Venv(tmp_path / "venv")
    done = venv.run("pip", "wheel", "--no-deps", "--wheel-dir", tmp_path / "wheels", ROOT, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    (wheel,) = (tmp_path / "wheels").iterdir()
    templates = ROOT / "harness" / "tools" / "scaffold" / "templates"
    there = {f"harness/tools/scaffold/templates/{path.relative_to(templates)}" for path in templates.rglob("*.j2")}
    assert any("/.github/" in path for path in there)
    assert there <= set(zipfile.ZipFile(wheel).namelist())
