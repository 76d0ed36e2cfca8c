"""The suite reference. It is made from the schema of suites (harness/suite/schema.py)."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from _generate import markdown as md
from harness.plugins.catalog import core_catalog
from harness.suite.schema import suite_schema

#: The longest line of YAML.
WIDTH = 88
#: Shown for a field without a default.
REQUIRED = "required"
#: The placeholders in a path for names that the suite chooses, by depth below the field.
NAMES = {"axes": ("AXIS", "LEVEL")}


class Section(NamedTuple):
    """One mapping of a suite: its path, the path of the field that contains it, this field, and its schema."""

    path: str
    at: str
    holder: FieldInfo | None
    model: type[BaseModel]


def page() -> str:
    """The page."""
    blocks: list[str] = []
    known: dict[type[BaseModel], str] = {}
    for section in sections(Section("", "", None, suite_schema(core_catalog()))):
        blocks += in_words(section, known)
        known.setdefault(section.model, section.path)
    return md.page(
        "Suite reference",
        "harness/suite/schema.py and harness/records/settings.py",
        "Every field of a suite. [Suites](../suites.md) explains how they work together. `harness schema` prints the "
        "same as a JSON Schema for editors. On the command line, `--set` overrides a field by its path: "
        '`--set measure.speed.budget="2 min"`.',
        *blocks,
    )


def sections(section: Section) -> Iterator[Section]:
    """A section, then the sections of the mappings in it, in the order of the fields."""
    yield section
    for name, field in section.model.model_fields.items():
        at = below(section.path, field.alias or name)
        for path, model in models_in(field.annotation, at):
            yield from sections(Section(path, at, field, model))


def below(path: str, key: str) -> str:
    """The path of a key in a mapping."""
    return f"{path}.{key}" if path else key


def models_in(annotation: Any, path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """The mappings that a type allows, each with its path."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield path, annotation
        return
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from models_in(inner[0], path)
    elif origin is list:
        yield from models_in(inner[0], f"{path}[]")
    elif origin is dict:
        yield from models_in(inner[1], f"{path}.{name_below(path)}")
    else:
        for one in inner:
            yield from models_in(one, path)


def name_below(path: str) -> str:
    """The placeholder for a name that the suite chooses, below a path."""
    first, *rest = path.split(".")
    names = NAMES.get(first, ("NAME",))
    return names[min(len(rest), len(names) - 1)]


def in_words(section: Section, known: dict[type[BaseModel], str]) -> Iterator[str]:
    """A section as blocks of Markdown. A schema that was described before is only linked."""
    path, at, holder, model = section
    yield f"## {md.code(path) if path else 'The suite'}"
    if model in known:
        yield f"{doc(model)}\n\nThe same fields as {link(known[model])}, with the prefix `{path}.`."
        return
    yield doc(model)
    if holder and holder.examples:
        example = holder.examples[0]
        yield example_block(at, example) if holds_more(example) else f"For example {md.code(f'{at}: {flow(example)}')}."
    schema = model.model_json_schema(by_alias=True)
    inner = [(name, field) for name, field in model.model_fields.items() if list(models_in(field.annotation, ""))]
    if inner:
        rows = [of_mapping(below(path, name), field) for name, field in inner]
        yield md.table(["mapping", "meaning", "default"], rows)
    for name, field in model.model_fields.items():
        if (name, field) not in inner:
            key = field.alias or name
            yield from of_field(below(path, key), key, field, schema["properties"][key])
    if isinstance(free := schema.get("additionalProperties"), dict):
        yield f"### {md.code(below(path, 'AXIS'))}"
        yield f"Any other key is an axis of the suite.\n\n- value: {words(free)}"


def doc(model: type[BaseModel]) -> str:
    """The docstring of a schema on one line."""
    return " ".join((model.__doc__ or "").split())


def link(path: str) -> str:
    """A link to a section of this page."""
    anchor = "".join(c for c in path.lower() if c.isalnum() or c in "-_")
    return f"[{md.code(path)}](#{anchor})" if path else "[the suite](#the-suite)"


def of_mapping(path: str, field: FieldInfo) -> tuple[str, str, str]:
    """A field that has its own sections, as a row."""
    where = next(models_in(field.annotation, path))[0]
    return link(where), md.sentence(md.coded(field.description or "")), default_of(field)


def of_field(path: str, key: str, field: FieldInfo, schema: dict[str, Any]) -> Iterator[str]:
    """A field under its own heading: its meaning, its value, its default and an example."""
    yield f"### {md.code(path)}"
    yield md.sentence(md.coded(field.description or ""))
    default = default_of(field)
    lines = [f"- value: {words(schema)}", f"- default: {default}" if default != REQUIRED else f"- {REQUIRED}"]
    examples = field.examples or []
    inline = [md.code(f"{key}: {flow(example)}") for example in examples if not (path == key and holds_more(example))]
    if inline:
        lines.append(f"- example: {md.listed(inline)}")
    yield "\n".join(lines)
    if not inline and examples:
        yield example_block(path, examples[0])


def holds_more(example: Any) -> bool:
    """Whether an example is a mapping or a list, which is easier to read on several lines."""
    return isinstance(example, dict | list)


def default_of(field: FieldInfo) -> str:
    """The default, as in a suite."""
    if field.is_required():
        return REQUIRED
    empty = field.default is None or field.default in ([], {})
    return "none" if empty else md.code(flow(field.default))


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    style = isinstance(value, dict | list)
    text = yaml.safe_dump(value, default_flow_style=style, sort_keys=False, width=1000, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def example_block(path: str, value: Any) -> str:
    """An example at its place in a suite."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return md.fence("yaml", "\n".join(block(value)))


def block(value: Any, indent: str = "") -> Iterator[str]:
    """A mapping as lines of YAML, with each value on one line if it fits."""
    for key, inner in value.items():
        line = f"{indent}{key}: {flow(inner)}"
        if len(line) <= WIDTH and (indent or not isinstance(inner, dict) or len(inner) == 1):
            yield line
        elif isinstance(inner, dict):
            yield f"{indent}{key}:"
            yield from block(inner, f"{indent}  ")
        else:
            yield f"{indent}{key}:"
            yield from (f"{indent}  - {flow(one)}" for one in inner)


def words(schema: dict[str, Any]) -> str:
    """The values that a JSON Schema accepts, in words. A schema may contain these words as ``$comment``."""
    if "$comment" in schema:
        return str(schema["$comment"])
    if "enum" in schema:
        return md.listed([md.code(str(value)) for value in schema["enum"]])
    if "anyOf" in schema:
        return md.listed([words(one) for one in schema["anyOf"] if one.get("type") != "null"])
    kind, inner = schema.get("type"), schema.get("items") or schema.get("additionalProperties")
    what = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}.get(
        str(kind), ""
    )
    if kind == "array":
        what = {"text": "a list of texts", "anything": "a list"}.get(each := words(inner or {}), f"a list, each {each}")
    elif kind == "object":
        what = f"a mapping, each value {words(inner)}" if isinstance(inner, dict) else "a mapping"
    elif not kind:
        what = "anything"
    limits = {
        "minimum": "at least {}", "exclusiveMinimum": "above {}", "maximum": "at most {}",
        "exclusiveMaximum": "below {}", "minLength": "not empty", "minItems": "not empty", "pattern": "matching `{}`",
    }  # fmt: skip
    found = [text.format(f"{schema[key]:g}" if isinstance(schema[key], float) else schema[key])
             for key, text in limits.items() if key in schema]  # fmt: skip
    return ", ".join([what, *found])
