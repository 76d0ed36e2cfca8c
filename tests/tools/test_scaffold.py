"""New plugins and suites: what is written works as it is, and names that will not do are refused."""

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
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import read_text
from harness.tools.scaffold.names import TAKEN_WORDS, Names, names_of
from harness.tools.scaffold.plugin import KINDS, Author, new_plugin, plugin_files
from harness.tools.scaffold.suite import Wanted, suite_text

ROOT = Path(__file__).parents[2]
#: The shortest names, usual ones, and the longest: lines grow with them.
NAMES = (Names("x", "x", "y"), names_of("my-cells"), names_of("a" * 30, "b" * 30))
#: What the toy has in place of the parts that rnn-harness-plugins would bring.
TOYS = {"model": "mlp", "against": "linear", "dataset": "points", "use": ["descent"]}


@pytest.fixture(scope="module")
def own() -> Catalog:
    """The catalog with no plugin but the core's own and the toy."""
    return Catalog(load_plugins([TOY]))


def write(files: dict[str, str], folder: Path) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def harness(*arguments: object) -> str:
    """The command line without its way of ending."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_a_package(kind):
    files = plugin_files(names_of("my-cells"), kind, Author("Ada", "ada@example.org"))
    assert set(files) == {
        ".github/workflows/test.yml", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "my_cells/__init__.py",
        "my_cells/my_cell.py", "pyproject.toml", "suites/my-cells.yaml", "suites/suite.schema.json",
        "tests/test_conformance.py", "tests/test_my_cell.py", "tox.ini",
    }  # fmt: skip
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["entry-points"]["harness"] == {"my_cells": "my_cells"}
    assert project["project"]["authors"] == [{"name": "Ada", "email": "ada@example.org"}]
    needed = {text.partition(">=")[0] for text in project["project"]["dependencies"]}
    imported = {
        node.module.partition(".")[0]
        for node in ast.walk(ast.parse(files["my_cells/my_cell.py"]))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert ("rnn-harness-plugins" in needed) == ("harness_rnn" in imported)
    tox = configparser.ConfigParser()
    tox.read_string(files["tox.ini"])
    assert tox["tox"]["skip_missing_interpreters"] == "true"
    jobs = yaml.safe_load(files[".github/workflows/test.yml"])["jobs"]
    assert set(jobs) == {"lint", "test"}
    assert all("@v" in step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step)
    suite = files["suites/my-cells.yaml"]
    assert suite.startswith("# yaml-language-server: $schema=suite.schema.json\n")
    assert parse_suite(read_text(suite, "suite"), "suite", suite, toy_catalog()).claims


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", NAMES, ids=lambda names: names.module[:8])
def test_what_is_written_is_clean(kind, names, tmp_path):
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


def test_the_rules_of_style_are_ours():
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    theirs = tomllib.loads(plugin_files(names_of("my-cells"), "model")["pyproject.toml"])["tool"]["ruff"]
    assert theirs["lint"]["select"] == ours["lint"]["select"]
    assert (theirs["line-length"], theirs["target-version"]) == (ours["line-length"], ours["target-version"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_door_opens_without_torch(kind, tmp_path):
    folder = write(plugin_files(names_of("my-cells"), kind), tmp_path)
    code = (
        f"import sys, my_cells; parts = list(my_cells.provide_{kind}s());"
        "print(*[part.name for part in parts], 'torch' in sys.modules, 'my_cells.my_cell' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.stdout == "my_cell False False\n", done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_no_part_can_take_a_name_that_its_code_needs(kind):
    names = Names("some-thing", "some_thing", "part_of_it")
    tree = ast.parse(plugin_files(names, kind)["some_thing/part_of_it.py"])
    used = {alias.asname or alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    used |= {a.asname or a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}
    used |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    lower = {name for name in used if name == name.lower()} - {names.part}
    assert lower
    assert lower <= TAKEN_WORDS | set(dir(builtins)) | set(sys.stdlib_module_names)


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
def test_names_follow_from_one(name, distribution, module, part):
    assert names_of(name) == Names(distribution, module, part)


@pytest.mark.parametrize(
    ("name", "part", "says"),
    [
        ("my cells", None, "a package cannot be called 'my cells'. A name is made of letters"),
        ("-cells", None, "a package cannot be called '-cells'."),
        ("zellen-für-alle", None, "a package cannot be called"),
        ("../cells", None, "a package cannot be called '../cells'."),
        ("2cells", None, "'2cells' is no name for a module. Choose a name that begins with a letter"),
        ("class", None, "'class' is no name for a module."),
        ("json", None, "Python has a module json of its own. Choose another name."),
        ("torch", None, "the name torch is taken"),
        ("tests", None, "the name tests is taken"),
        ("c" * 31, None, "a name of 31 characters is too long. Keep to 30."),
        ("my-cells", "My cell", "--part My cell: 'My cell' is no name for a part. Choose one with --part"),
        ("my-cells", "lambda", "'lambda' is no name for a part."),
        ("my-cells", "list", "code cannot call a part 'list'"),
        ("my-cells", "null", "code cannot call a part 'null'"),
        ("lists", None, "code cannot call a part 'list'"),
    ],
)
def test_names_that_will_not_do_are_refused(name, part, says):
    with pytest.raises(UserError) as caught:
        names_of(name, part)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "part", "says"),
    [
        ("rnn-harness", None, "rnn-harness 0.1.0 is installed already."),
        ("yaml", None, "there is a module yaml already."),
        ("my-cells", "mlp", "plugin toy.py brings the model mlp already. Choose another with --part."),
        ("my-cells", "csv", "code cannot call a part 'csv'"),
        ("my-cells", "markdown", "plugin rnn-harness brings the reporter markdown already."),
    ],
)
def test_names_that_are_taken_are_refused(name, part, says, own):
    with pytest.raises(UserError) as caught:
        new_plugin(name, "model", own, part=part)
    assert says in str(caught.value)


@pytest.mark.parametrize("author", ["", "<ada@example.org>", "Ada <ada>", "Ada\n[tool]"])
def test_an_author_has_a_name(author):
    with pytest.raises(UserError, match="it takes a name, or a name and an address"):
        Author.of(author)


def test_an_author_may_have_any_name():
    author = Author.of('Ada "the \\ countess" <ada@example.org>')
    project = tomllib.loads(plugin_files(names_of("my-cells"), "model", author)["pyproject.toml"])["project"]
    assert project["authors"] == [{"name": 'Ada "the \\ countess"', "email": "ada@example.org"}]


def test_the_command_writes_once_and_says_what_comes_next(tmp_path):
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
    with pytest.raises(UserError, match="is there already, and nothing is overwritten"):
        harness("new", "plugin", "my-meters", "--into", tmp_path / "a b")
    assert (folder / "my_meters" / "__init__.py").read_text() == "mine"


def test_the_kind_that_was_not_chosen_is_said(tmp_path):
    said = harness("new", "plugin", "my-cells", "--into", tmp_path)
    assert "with the model my_cell (kind model, the default; see --kind)." in said


def test_a_place_that_cannot_be_written_is_named(tmp_path):
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
def test_a_new_suite_plans_as_it_is_written(wanted, holds, own):
    text = suite_text("mine", Wanted(**{**TOYS, **wanted}), own)
    plan = make_plan(parse_suite(read_text(text, "mine.yaml"), "mine", text, own), own)
    assert (len(plan.blocks), len(plan.blocks[0].trials), len(plan.claims)) == (1, 2, 1)
    for piece in holds:
        assert piece in text
    if "question" in wanted:
        assert plan.question == wanted["question"]


def test_models_of_one_form_have_one_width(own):
    """linear has no hidden_size, so the base gives none; two that have it share it."""
    assert "model: {name: linear}\n" in suite_text("mine", Wanted(**TOYS), own)
    alone = {**TOYS, "against": None, "optimization": "null"}
    assert "model: {name: mlp, hidden_size: 32}\n" in suite_text("mine", Wanted(**alone), own)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"model": "mlq"}, "--model mlq: there is no model named 'mlq'. Did you mean mlp?"),
        ({"against": "liner"}, "--against liner: there is no model named 'liner'. Did you mean linear?"),
        ({"dataset": "pints"}, "--dataset pints: there is no dataset named 'pints'. Did you mean points?"),
        ({"use": ["decent"]}, "--use decent: there is no optimization named 'decent'. Did you mean descent"),
        ({"against": "mlp"}, "mlp would be compared with itself."),
        ({"optimization": "null"}, "two models are compared, or a step with an optimization and without."),
        ({"against": None, "optimization": "descent"}, "descent is used by the baseline, too."),
        ({"against": None, "optimization": "same"}, "there is no optimization named 'same'."),
        ({"question": " "}, "a question takes some words."),
        (
            {"against": None, "optimization": "plane"},
            "plane needs plane, which mlp does not offer. With --model linear they would.",
        ),
    ],
)
def test_a_suite_that_would_not_plan_is_not_made(wanted, says, own):
    with pytest.raises(UserError) as caught:
        suite_text("mine", Wanted(**{**TOYS, **wanted}), own)
    assert says in str(caught.value)


def test_what_only_the_user_knows_is_not_made_up(tmp_path):
    file = tmp_path / "of_files.py"
    file.write_text(
        "import harness\n"
        "def of_files(*, path: str): ...\n"
        "@harness.hookimpl\n"
        "def provide_datasets():\n"
        "    yield harness.Dataset('of_files', of_files)\n"
    )
    with pytest.raises(UserError, match="of_files needs a value for path, which only you know"):
        suite_text("mine", Wanted(**{**TOYS, "dataset": "of_files"}), Catalog(load_plugins([TOY, file])))


@pytest.mark.parametrize("name", ["../mine", "", ".mine", "my suite"])
def test_a_suites_name_is_a_files(name, own):
    with pytest.raises(UserError, match="a suite cannot be called"):
        suite_text(name, Wanted(**TOYS), own)


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
    with pytest.raises(UserError, match="is there already"):
        harness("-p", TOY, "new", "suite", "mine", *toys)


def test_a_wheel_has_the_templates(tmp_path):
    """Also those whose names begin with a dot. What is installed from it is what everybody gets."""
    venv = Venv(tmp_path / "venv")
    done = venv.run("pip", "wheel", "--no-deps", "--wheel-dir", tmp_path / "wheels", ROOT, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    (wheel,) = (tmp_path / "wheels").iterdir()
    templates = ROOT / "harness" / "tools" / "scaffold" / "templates"
    there = {f"harness/tools/scaffold/templates/{path.relative_to(templates)}" for path in templates.rglob("*.j2")}
    assert any("/.github/" in path for path in there)
    assert there <= set(zipfile.ZipFile(wheel).namelist())
