"""The JSON Schema of a suite with the names and parameters of the parts that are installed, so that an editor completes
and checks them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic

from harness.errors import UserError
from harness.plugins.catalog import Catalog, Entry
from harness.plugins.parts import Dataset, Metric, Model, Optimization, Part
from harness.plugins.signature import BATCH_SIZE, REQUIRED, Parameter, parameters_of
from harness.suite.schema import json_schema

Schema = dict[str, Any]


@dataclass(frozen=True)
class Described:
    """A part with a schema of each of its parameters; None for parameters that cannot be read."""

    part: Part
    parameters: Mapping[str, Schema] | None


def schema_with_parts(catalog: Catalog) -> tuple[Schema, list[str]]:
    """The schema, and what is wrong with parts whose parameters could not be read: any will do for them."""
    problems: list[str] = []
    models, datasets, optimizations = (
        [described(catalog, entry, problems) for entry in catalog.entries(kind).values()]
        for kind in (Model, Dataset, Optimization)
    )
    schema = json_schema(catalog)
    defs = schema["$defs"]
    patch = defs["PatchSchema"]["properties"]
    patch["model"]["anyOf"] = [*named(models), unnamed(models), {"type": "null"}]
    patch["dataset"]["anyOf"] = [*named(datasets), unnamed(datasets), {"type": "null"}]
    patch["use"]["items"] = {"anyOf": named(optimizations)}
    patch["drop"]["items"] = {"anyOf": names(optimizations)}
    defs["PathSchema"]["properties"]["path"]["enum"] = list(paths(models, datasets, optimizations))
    scores = sorted({"loss", *(score for one in datasets for score in getattr(one.part, "scores", {}))})
    clocked = [name for name, entry in catalog.entries(Metric).items() if entry.part.per == "sample"]
    suggest(defs["LearningSettings"]["properties"]["metric"], scores)
    suggest(defs["ClaimSchema"]["properties"]["metric"], [*clocked, *scores])
    versions = ", ".join(f"{plugin} {version}" for plugin, version in catalog.plugins.versions.items())
    return {"$comment": f"Made by harness schema --with-parts, with {versions}.", **schema}, problems


def described(catalog: Catalog, entry: Entry, problems: list[str]) -> Described:
    """A part and the schemas of its parameters."""
    part = entry.part
    try:
        code = catalog.code(entry)
        found = parameters_of(code, part.given, entry.owner)
    except UserError as error:
        problems.append(str(error))
        return Described(part, None)
    if isinstance(part, Dataset):
        found[BATCH_SIZE.name] = BATCH_SIZE
    doc = inspect.getdoc(code) or ""
    return Described(part, {name: parameter_schema(parameter, doc) for name, parameter in found.items()})


def parameter_schema(parameter: Parameter, doc: str) -> Schema:
    """What a parameter takes: a value of its type, or null, which sets it back to its default."""
    try:
        adapter = pydantic.TypeAdapter(parameter.annotation)
        schema = adapter.json_schema()
    except (pydantic.PydanticUserError, pydantic.PydanticSchemaGenerationError):  # a type that JSON has no word for
        schema = {}
    if "$defs" in schema:  # their references would have to be rewritten: a form of its own is left to the planner
        schema = {}
    choices = schema.pop("enum", None) or ([schema.pop("const")] if "const" in schema else None)
    schema.pop("title", None)
    if choices is not None:
        schema = {"enum": [*choices, None]}
    elif isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    elif "anyOf" in schema and {"type": "null"} not in schema["anyOf"]:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    told = [parameter.meaning(doc), "required" if parameter.default is REQUIRED else ""]
    description = " · ".join(filter(None, [parameter.type_name, *told]))
    default = {"default": parameter.default} if is_json(parameter.default) else {}
    return {**schema, **default, "description": description}


def named(parts: Iterable[Described]) -> list[Schema]:
    """A name alone, or a name with parameters. One that the part lacks may only be set back, which a level does to a
    parameter that the base gave to another part."""
    parts = list(parts)
    return [{"anyOf": names(parts)}, *map(with_parameters, parts)] if parts else [{"type": ["string", "object"]}]


def names(parts: Iterable[Described]) -> list[Schema]:
    """Each name with what it is."""
    return [{"const": one.part.name, "description": one.part.summary} for one in parts] or [{"type": "string"}]


def with_parameters(one: Described) -> Schema:
    """A mapping with the name of this part and its parameters."""
    source = f" ({one.part.source})" if one.part.source else ""
    return {
        "title": f"{one.part.kind} {one.part.name}",
        "description": f"{one.part.summary}{source}",
        "type": "object",
        "properties": {"name": {"const": one.part.name}, **(one.parameters or {})},
        "required": ["name"],
        "additionalProperties": True
        if one.parameters is None
        else lacking(f"{one.part.kind} {one.part.name} has no such parameter"),
    }


def lacking(message: str) -> Schema:
    """What may be given to a parameter that there is not: null, which sets it back. The message is for editors."""
    return {"type": "null", "errorMessage": message}


def unnamed(parts: Iterable[Described]) -> Schema:
    """A mapping without a name changes parameters of the part that the base has, whichever that is."""
    parts = list(parts)
    forms: dict[str, list[Schema]] = {}
    told: dict[str, set[str]] = {}
    for one in parts:
        for name, schema in (one.parameters or {}).items():
            told.setdefault(name, set()).add(schema["description"])
            form = {key: value for key, value in schema.items() if key not in ("default", "description")}
            if form not in forms.setdefault(name, []):
                forms[name].append(form)
    # Defaults are left out, and what several parts do not tell alike.
    properties = {
        name: {
            **(each[0] if len(each) == 1 else {"anyOf": each}),
            **({"description": next(iter(told[name]))} if len(told[name]) == 1 else {}),
        }
        for name, each in forms.items()
    }
    kind = parts[0].part.kind if parts else "part"
    unknown = not parts or any(one.parameters is None for one in parts)
    return {
        "title": f"parameters of the base's {kind}",
        "type": "object",
        "properties": properties,
        "not": {"required": ["name"]},
        "additionalProperties": unknown or lacking(f"no {kind} here has such a parameter"),
    }


def paths(models: list[Described], datasets: list[Described], optimizations: list[Described]) -> Iterator[str]:
    """Where an axis of one value may stand: a parameter of a part, a part's name, or a field of the base."""
    for kind, parts in (("model", models), ("dataset", datasets)):
        parameters = dict.fromkeys(name for one in parts for name in one.parameters or ())
        yield from (f"{kind}.{name}" for name in ("name", *parameters))
    yield from (f"use.{one.part.name}.{name}" for one in optimizations for name in one.parameters or ())
    yield from ("seed", "device")


def suggest(schema: Schema, words: list[str]) -> None:
    """Let a text be one of these words, for an editor to complete, or another one."""
    schema.pop("type", None)
    schema["anyOf"] = [{"enum": words}, {"type": "string"}]


def is_json(value: Any) -> bool:
    """Whether JSON has a word for a value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
