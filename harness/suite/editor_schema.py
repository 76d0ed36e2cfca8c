"""The JSON Schema of a suite with the names and parameters of the installed parts. Editors complete and check them."""

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
    """A part with the schema of each of its parameters; `parameters` is None where they cannot be read."""

    part: Part
    parameters: Mapping[str, Schema] | None


def schema_with_parts(catalog: Catalog) -> tuple[Schema, list[str]]:
    """The schema, and why the parameters of some parts could not be read; it accepts any parameters of these."""
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
    path = defs["PathSchema"]["properties"]["path"]
    known = {"enum": list(paths(models, datasets, optimizations))}
    path["anyOf"] = [known, {"type": "string", "pattern": r"^experiment\."}]  # a function has any parameters
    del path["type"]
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
    """The schema of a parameter: a value of its type, or null, which means its default."""
    try:
        adapter = pydantic.TypeAdapter(parameter.annotation)
        schema = adapter.json_schema()
    except (pydantic.PydanticUserError, pydantic.PydanticSchemaGenerationError):  # JSON cannot describe the type
        schema = {}
    if "$defs" in schema:  # nested forms are left to the planner, since their references would have to be rewritten
        schema = {}
    choices = schema.pop("enum", None) or ([schema.pop("const")] if "const" in schema else None)
    schema.pop("title", None)
    if choices is not None:
        schema = {"enum": [*choices, None]}
    elif isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    elif "anyOf" in schema and {"type": "null"} not in schema["anyOf"]:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    required = "required" if parameter.default is REQUIRED else ""
    description = " · ".join(filter(None, [parameter.type_name, parameter.meaning(doc), required]))
    default = {"default": parameter.default} if is_json(parameter.default) else {}
    return {**schema, **default, "description": description}


def named(parts: Iterable[Described]) -> list[Schema]:
    """A name alone, or a name with parameters. A parameter that the part does not have may only be null: a level writes
    that where the base gives the parameter to another part."""
    parts = list(parts)
    return [{"anyOf": names(parts)}, *map(with_parameters, parts)] if parts else [{"type": ["string", "object"]}]


def names(parts: Iterable[Described]) -> list[Schema]:
    """Each name with the summary of its part."""
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
    """The schema of a parameter that does not exist: null. The message is for editors."""
    return {"type": "null", "errorMessage": message}


def unnamed(parts: Iterable[Described]) -> Schema:
    """A mapping without a name: it changes parameters of the base's part, whichever that is."""
    parts = list(parts)
    forms: dict[str, list[Schema]] = {}
    descriptions: dict[str, set[str]] = {}
    for one in parts:
        for name, schema in (one.parameters or {}).items():
            descriptions.setdefault(name, set()).add(schema["description"])
            form = {key: value for key, value in schema.items() if key not in ("default", "description")}
            if form not in forms.setdefault(name, []):
                forms[name].append(form)
    # Defaults are left out, and descriptions that differ between parts.
    properties = {
        name: {
            **(each[0] if len(each) == 1 else {"anyOf": each}),
            **({"description": next(iter(descriptions[name]))} if len(descriptions[name]) == 1 else {}),
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
    """The paths that an axis can vary: a parameter of a part, the name of a part, or a field of the base."""
    for kind, parts in (("model", models), ("dataset", datasets)):
        parameters = dict.fromkeys(name for one in parts for name in one.parameters or ())
        yield from (f"{kind}.{name}" for name in ("name", *parameters))
    yield from (f"use.{one.part.name}.{name}" for one in optimizations for name in one.parameters or ())
    yield from ("seed", "device")


def suggest(schema: Schema, words: list[str]) -> None:
    """Accept any text, and let editors complete these words."""
    schema.pop("type", None)
    schema["anyOf"] = [{"enum": words}, {"type": "string"}]


def is_json(value: Any) -> bool:
    """Whether JSON can store a value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
