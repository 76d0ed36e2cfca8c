"""The reference of parts: everything that the two distributions of this repository provide."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from _generate import markdown as md
from harness.cli.describe import describe_entry
from harness.plugins.catalog import KINDS, Catalog
from harness.plugins.parts import Command, Part

#: The facts of a part that are words: their names in its description.
FACTS = ("changes", "role", "computes", "needs", "offers")
#: The keys of a parameter that have a column.
COLUMNS = ("name", "type", "choices", "required", "default")


def page(catalog: Catalog) -> str:
    """The page."""
    kinds = {kind: catalog.entries(kind) for kind in KINDS if kind is not Command}  # they have a page of their own
    return md.page(
        "Parts",
        "the parts themselves",
        "Every part that this repository provides, with its promise, its parameters and its source. `harness list` "
        "also shows the parts of other plugins, and `harness describe NAME` shows the same text as this page. "
        "[Suites](../suites.md) explains how to use them.",
        md.table(
            ["kind", "parts"],
            (
                (f"[{kind.kind}s](#{kind.kind}s)", ", ".join(f"[{md.code(name)}](#{anchor(name)})" for name in found))
                for kind, found in kinds.items()
                if found
            ),
        ),
        *(block for kind, found in kinds.items() if found for block in of_kind(kind, found, catalog)),
    )


def anchor(name: str) -> str:
    """The anchor of a part's heading."""
    return "".join(c for c in name.lower() if c.isalnum() or c in "-_")


def of_kind(kind: type[Part], found: Mapping[str, Any], catalog: Catalog) -> Iterator[str]:
    """All parts of a kind."""
    yield f"## {kind.kind.capitalize()}s"
    for entry in found.values():
        yield from of_part(entry.part, describe_entry(catalog, entry))


def of_part(part: Part, row: Mapping[str, Any]) -> Iterator[str]:
    """A part under its own heading: its description, its promise and its parameters."""
    yield f"### {md.code(row['name'])}"
    yield row["summary"].replace("*", "\\*")
    yield md.from_docstring(row["doc"])
    facts = [f"- {key}: {fact_of(row[key])}" for key in FACTS if row.get(key)]
    facts += [f"- {name}: {fact_of(value)}" for name, value in own_facts(part) if name not in row]
    facts += [f"- score {md.code(name)}: {text}" for name, text in (row.get("scores") or {}).items()]
    facts += [f"- source: {row['source']}"] if row.get("source") else []
    facts.append(f"- provided by {row['plugin']}")
    yield "\n".join(facts)
    if row["parameters"]:
        more = [key for key in row["parameters"][0] if key not in COLUMNS]
        rows = [
            (
                md.code(p["name"]),
                md.code(type_of(p)),
                default_of(p),
                *(md.from_docstring(str(p.get(k) or "")) for k in more),
            )
            for p in row["parameters"]
        ]
        yield md.table(["parameter", "type", "default", *more], rows)


def own_facts(part: Part) -> Iterator[tuple[str, Any]]:
    """The fields with words that only this kind of part has, such as the unit of a metric. References to code are left
    out."""
    common = {field.name for field in dataclasses.fields(Part)}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.name not in common and value and isinstance(value, str | frozenset) and ":" not in value:
            yield field.name, value


def fact_of(value: Any) -> str:
    """A word, or several words in alphabetical order, as code."""
    return md.code(value) if isinstance(value, str) else ", ".join(md.code(str(one)) for one in sorted(value))


def type_of(parameter: Mapping[str, Any]) -> str:
    """A type, written in the same way for every version of Python."""
    return str(parameter["type"]).replace("pathlib._local.", "").replace("pathlib.", "")


def default_of(parameter: Mapping[str, Any]) -> str:
    """A default as Python code."""
    return "required" if parameter["required"] else md.code(repr(parameter["default"]))
