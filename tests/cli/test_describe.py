"""``harness describe``: parameters and their descriptions, parts that offer what a part needs, and an example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import pytest
from toy_suite import TOY

from harness.cli.describe import describe_entry, describe_named, in_words, location_of
from harness.errors import UserError
from harness.plan.examples import complaint, example_of
from harness.plugins.catalog import KINDS, Catalog
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Dataset, Model, Optimization
from harness.plugins.signature import parameters_of, type_in_words
from harness.suite.yaml_source import read_scalar, read_text, scalar_text

PARTS = """
from typing import Annotated, Literal
import pydantic
import harness

def cell(facts, *, size: int, act: Literal["tanh", "relu"] = "tanh",
         gain: Annotated[float, pydantic.Field(description="times this")] = 1.0, silent: int = 3):
    \"\"\"A cell. `size` is its width; `act` its
    nonlinearity, of which `size` knows nothing. The rest is plain.\"\"\"

def grow(recipe, *, by: int = 2):
    return recipe

def notes(*, path: str, kind: Literal["a", "b"]):
    raise AssertionError("planning loads no data")

def fingerprint(*, path, kind):
    raise ValueError(f"{path} is not there; path is\\nyour notebook")

@harness.hookimpl
def provide_models():
    yield harness.Model("cell", cell, "a cell", source="Somebody 1999", offers={"soil"})

@harness.hookimpl
def provide_datasets():
    yield harness.Dataset("notes", notes, "notes", fingerprint=fingerprint)

@harness.hookimpl
def provide_optimizations():
    yield harness.Optimization("grow", grow, "grows", changes="order", needs={"soil", "sun"})
    yield harness.Optimization("root", grow, "roots", changes="model", needs={"soil"}, example={"model": {"name": "cell", "size": 7}})
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("describe") / "my_parts.py"
    path.write_text(PARTS)
    return path


def of_files(*files: Path) -> Catalog:
    """The parts of the core and of these files, without other installed plugins."""
    catalog = Catalog(load_plugins(files))
    wanted = {"rnn-harness", *(path.name for path in files)}
    for by_name in catalog._entries.values():
        for name, entries in list(by_name.items()):
            by_name[name] = [entry for entry in entries if entry.plugin in wanted]
            if not by_name[name]:
                del by_name[name]
    return catalog


@pytest.fixture
def mine(file: Path) -> Catalog:
    return of_files(TOY, file)


@pytest.fixture(scope="module")
def toy() -> Catalog:
    return of_files(TOY)


def row_of(catalog: Catalog, name: str) -> dict:
    (row,) = describe_named(catalog, name)
    return row


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "int"),
        (Literal["tanh", "relu"], "tanh | relu"),
        (Literal[2, "inf"] | None, "2 | inf | None"),
        (str | int, "str | int"),
        (list[int], "list[int]"),
        (dict[str, Literal["a"]], "dict[str, a]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Annotated[float, pydantic.Field(gt=0)], "float"),
        (list, "list"),
    ],
)
def test_types_are_readable(annotation, words):
    assert type_in_words(annotation) == words


def test_parameter_has_its_author_s_description(mine):
    parameters = {row["name"]: row for row in row_of(mine, "cell")["parameters"]}
    assert {name: row["meaning"] for name, row in parameters.items()} == {
        "size": "`size` is its width; `act` its nonlinearity, of which `size` knows nothing.",
        "act": "`act` its nonlinearity, of which `size` knows nothing.",
        "gain": "times this",
        "silent": "",
    }
    assert parameters["act"]["choices"] == ["tanh", "relu"]
    assert parameters["size"]["choices"] is None
    assert parameters["size"]["required"]
    text = in_words(row_of(mine, "cell"))
    assert "    size: int required\n        `size` is its width; `act`" in text
    assert "    silent: int = 3\n\n" in text


def test_choices_of_a_union_are_all_its_values():
    def build(*, a: Literal["x"] | None = None, b: bool | int = True, c: bool = False):
        return a, b, c

    found = parameters_of(build, 0, "it")
    assert {name: one.choices for name, one in found.items()} == {"a": ["x", None], "b": None, "c": [True, False]}


def test_describe_lists_parts_that_offer_a_needed_feature(mine):
    row = row_of(mine, "grow")
    assert row["offered_by"] == {"soil": {"model": ["cell"]}, "sun": {}}
    text = in_words(row)
    assert "  needs: soil, which model cell offers\n" in text
    assert "  needs: sun, which nothing here offers\n" in text
    assert "  changes: order, so it promises the same computation, on other batches\n" in text
    assert row_of(mine, "cell")["needed_by"] == {"soil": {"optimization": ["grow", "root"]}}
    assert "  offers: soil, for optimizations grow, root\n" in in_words(row_of(mine, "cell"))


def test_describe_shows_the_code_location(mine, file):
    code = row_of(mine, "grow")["code"]
    lines = file.read_text().splitlines()
    assert (code["module"], code["name"], code["file"]) == ("my_parts", "grow", str(file))
    assert lines[code["line"] - 1].startswith("def grow(")
    assert "  code: my_parts:grow (" in in_words(row_of(mine, "grow"))
    assert "  source: Somebody 1999\n" in in_words(row_of(mine, "cell"))


def test_code_without_a_file_is_described():
    assert location_of(len) == {"module": "builtins", "name": "len", "file": None, "line": None}


def test_every_example_of_the_toy_plans(toy):
    for kind in (Model, Dataset, Optimization):
        for name, entry in toy.entries(kind).items():
            example = example_of(toy, entry)
            assert example.plans, (name, example.note)
            assert complaint(toy, example.text) == ""
            assert name in example.text


def test_example_sets_required_parameters(mine):
    text = row_of(mine, "cell")["example"]["text"]
    assert "cell:\n      model: {name: cell, size: 1}" in text
    assert complaint(mine, text) == ""


def test_example_that_cannot_be_planned_says_what_is_missing(mine):
    example = row_of(mine, "notes")["example"]
    assert not example["plans"]
    assert "dataset: {name: notes, path: path/to/it, kind: a, batch_size: 32}" in example["text"]
    assert example["text"].startswith(
        "# This suite cannot be planned here: dataset notes (plugin my_parts.py): path/to/it is not there; path is your"
    )
    nowhere = row_of(mine, "grow")["example"]
    assert "grow needs soil, which linear does not offer" in nowhere["note"]


def test_example_uses_the_author_s_values(mine):
    example = row_of(mine, "root")["example"]
    assert example["plans"], example
    assert "  model: {name: cell, size: 7}\n" in example["text"]


def test_example_of_an_optimizer_replaces_the_default(toy):
    text = row_of(toy, "adaptive")["example"]["text"]
    assert "adaptive:\n      drop: [descent]\n      use:" in text


def test_metrics_reporters_and_executors_describe_their_use(toy):
    assert "metric: step_time, expect: lower}" in row_of(toy, "step_time")["example"]["text"]
    assert row_of(toy, "points_per_second")["example"]["text"] == "harness report latest --as csv"
    assert row_of(toy, "latex")["example"]["text"] == "harness report latest --as latex"
    assert row_of(toy, "local")["example"]["text"] == "harness run SUITE.yaml --executor local"


def test_kind_of_measurement_describes_its_settings_and_a_suite(toy):
    row = row_of(toy, "health")
    steps, looks = row["parameters"]
    assert (steps["name"], steps["type"], steps["default"]) == ("steps", "integer", 200)
    assert looks["meaning"] == "how often the model is inspected during the run"
    assert "health: {steps: 600, looks: 10}" in row["example"]["text"]
    assert row["example"]["plans"]
    types = {setting["name"]: setting["type"] for setting in row_of(toy, "speed")["parameters"]}
    assert types["of"] == "train, inference, call, fresh, program, or a list of these"
    assert types["cache"] == "warm or cold"
    assert (
        row_of(toy, "memory")["parameters"][0]["type"] == "train, inference, call, fresh, program, or a list of these"
    )


def test_promise_describes_its_command(toy):
    assert row_of(toy, "gradients")["example"]["text"] == "harness conform NAME --only gradients"


def test_no_example_without_models():
    assert row_of(of_files(), "step_time")["example"]["kind"] == "command"


def test_single_model_is_compared_with_itself(mine):
    for name in [name for name in mine.entries(Model) if name != "cell"]:
        del mine._entries["model"][name]
    text = row_of(mine, "cell")["example"]["text"]
    assert '    "2":\n      model: {size: 2}' in text
    assert complaint(mine, text) == ""


@pytest.mark.parametrize(
    "value", ["on", "1e-3", "~", "a: b", "[x", "", " x", "x #y", "lstm", "path/to/it", "ü", "- a", "a, b"]
)
def test_strings_of_an_example_are_quoted(value):
    assert read_text(f"{{key: {scalar_text(value)}}}", "x").value == {"key": value}
    assert read_scalar("true") is read_text(f"{{key: {scalar_text(True)}}}", "x").value["key"]


def test_describe_as_json(mine):
    for kind in KINDS:
        for name, entry in mine.entries(kind).items():
            row = describe_entry(mine, entry)
            assert json.loads(json.dumps(row, default=str))["name"] == name


def test_unknown_name_is_an_error(toy):
    with pytest.raises(UserError, match=r"there is no part named 'liner'. Did you mean linear"):
        describe_named(toy, "liner")
