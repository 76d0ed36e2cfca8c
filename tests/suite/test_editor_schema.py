"""The JSON Schema for editors: which suites it accepts and rejects, with and without installed parts."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import jsonschema
import pytest
from toy_suite import SUITE, TOY, toy_catalog

from harness.plugins.catalog import Catalog, core_catalog
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Dataset, Model, Optimization
from harness.suite.editor_schema import schema_with_parts
from harness.suite.loader import parse_suite
from harness.suite.schema import json_schema
from harness.suite.yaml_source import read_text

PARTS = """
import dataclasses
from typing import Annotated, Any, Literal
import pydantic
import harness

class Odd: pass
class Form(pydantic.BaseModel):
    inner: int = 1

def kept(facts, *, odd: Odd | None = None, form: Form | None = None, kind: Literal["a"] = "a", scale: float = float("inf"),
         share: Annotated[float, pydantic.Field(ge=0, le=1, description="of all")] = 0.5, many: list[int] = dataclasses.field(default=1)):
    return facts

@harness.hookimpl
def provide_models():
    yield harness.Model("kept", kept, "keeps")
    yield harness.Model("gone", "no_such_module:build", "is gone")
"""


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """The JSON Schema with the parts of the toy, which have unique names."""
    return schema_with_parts(Catalog(load_plugins([TOY])))[0]


def values(text: str = SUITE) -> dict[str, Any]:
    return read_text(text, "suite.yaml").value


def complaints(schema: dict[str, Any], suite: Any) -> list[str]:
    checker = jsonschema.validators.validator_for(schema)
    checker.check_schema(schema)
    return [error.json_path for error in checker(schema).iter_errors(suite)]


def changed(*path: str, to: Any) -> dict[str, Any]:
    suite = inside = deepcopy(values())
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = to
    return suite


def test_valid_suite_passes_both_schemas(made):
    assert complaints(json_schema(core_catalog()), values()) == []
    assert complaints(made, values()) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("measure", "speed", "of"), "train"),
        (("measure", "speed", "of"), ["train", "inference"]),
        (("axes", "what", "plain"), None),
        (("measure", "memory"), None),
        (("skip",), [{"what": ["plain", "backwards"], "because": "of a switch"}]),
        (("claims",), [{"says": "s", "level": "backwards", "metric": "flops", "expect": "lower"}]),
        (("base", "model"), {"name": "mlp", "hidden_size": 3}),
        (("base", "use"), ["descent", {"name": "spin", "share": 1}]),
        (("axes", "what", "backwards"), {"model": {"name": "linear", "hidden_size": None}}),
        (("axes", "what", "backwards"), {"model": {"bias": False}, "drop": ["descent"], "use": ["adaptive"]}),
        (("axes", "more"), {"path": "model.hidden_size", "values": [1, 2]}),
        (("axes", "more"), {"path": "use.shorten.max_norm", "values": [1.0, 2.0]}),
        (("axes", "more"), {"path": "dataset.batch_size", "values": [1, 2]}),
    ],
)
def test_accepted_suites_pass_both_schemas(made, path, value):
    suite = changed(*path, to=value)
    parse_suite(read_text(json.dumps(suite), "suite.yaml"), "suite", "", toy_catalog())
    assert complaints(json_schema(core_catalog()), suite) == []
    assert complaints(made, suite) == []


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("base", "model"), "liner", "$.base.model"),
        (("base", "model"), {"name": "mlp", "hiden_size": 3}, "$.base.model"),
        (("base", "model"), {"name": "mlp", "hidden_size": "large"}, "$.base.model"),
        (("base", "dataset"), {"name": "points", "batchsize": 8}, "$.base.dataset"),
        (("base", "use"), ["descnt"], "$.base.use[0]"),
        (("base", "use"), [{"name": "descent", "rate": 0.1}], "$.base.use[0]"),
        (("axes", "what", "backwards"), {"model": {"hiden_size": 3}}, "$.axes.what"),
        (("axes", "what", "backwards"), {"drop": ["descnt"]}, "$.axes.what"),
        (("axes", "more"), {"path": "model.hiden_size", "values": [1, 2]}, "$.axes.more"),
    ],
)
def test_misspelt_part_or_parameter_is_refused_by_the_schema_with_parts(made, path, value, where):
    suite = changed(*path, to=value)
    assert complaints(json_schema(core_catalog()), suite) == [], "which parts there are is not known without them"
    assert complaints(made, suite) == [where]


@pytest.mark.parametrize(
    "path", [("mesure",), ("measure", "sped"), ("axes", "what", "plain", "models"), ("base", "sed")]
)
def test_misspelt_field_is_refused_by_both_schemas(made, path):
    suite = changed("axes", "what", "plain", to={}) if "plain" in path else values()
    inside = suite
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = {}
    assert complaints(json_schema(core_catalog()), suite)
    assert complaints(made, suite)


def test_schema_has_types_defaults_and_descriptions(tmp_path):
    (tmp_path / "my_schema_parts.py").write_text(PARTS)
    schema, problems = schema_with_parts(Catalog(load_plugins([tmp_path / "my_schema_parts.py"])))
    assert len(problems) == 1
    assert problems[0].startswith("model gone (plugin my_schema_parts.py): importing no_such_module failed")
    json.loads(json.dumps(schema, allow_nan=False))
    forms = {
        form["title"]: form
        for form in schema["$defs"]["PatchSchema"]["properties"]["model"]["anyOf"]
        if "title" in form
    }
    kept = forms["model kept"]["properties"]
    assert kept["share"] == {
        "type": ["number", "null"], "minimum": 0, "maximum": 1, "default": 0.5, "description": "float · of all",
    }  # fmt: skip
    assert kept["kind"]["enum"] == ["a", None]
    assert "default" not in kept["scale"], "JSON has no word for infinity"
    assert kept["odd"].keys() == {"default", "description"}, "a type without a schema takes anything"
    model = {"name": "gone", "anything": 1}
    for form in (model, {"name": "kept", "form": {"inner": 2}}, {"anything": 1}):
        assert complaints(schema, changed("base", "model", to=form)) != ["$.base.model"]


def test_schema_without_parts_accepts_any_name():
    catalog = Catalog(load_plugins())
    for kind in (Model, Dataset, Optimization):
        catalog._entries[kind.kind].clear()
    schema, _ = schema_with_parts(catalog)
    assert complaints(schema, values()) == []


def test_command_writes_the_schema_and_prints_the_modeline(tmp_path, capsys):
    from click.testing import CliRunner

    from harness.cli.app import cli

    done = CliRunner().invoke(cli, ["-p", str(TOY), "schema", "--with-parts", "--write", str(tmp_path / "suites")])
    assert done.exit_code == 0, done.output
    path = tmp_path / "suites" / "suite.schema.json"
    assert done.output.startswith(f"Written: {path}\n")
    assert done.output.endswith("\n# yaml-language-server: $schema=suite.schema.json\n")
    assert "model mlp" in path.read_text()
    plain = CliRunner().invoke(cli, ["schema"])
    assert json.loads(plain.output) == json_schema(core_catalog())
    path.unlink()
    path.mkdir()
    refused = CliRunner().invoke(cli, ["schema", "--write", str(tmp_path / "suites")])
    assert "cannot be written: Is a directory." in str(refused.exception)
