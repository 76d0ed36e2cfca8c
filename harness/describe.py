"""A part as its author describes it, for scripts and for the eye."""

from __future__ import annotations

import inspect
from typing import Any

from harness.catalog import Catalog, Entry
from harness.parameters import BATCH_SIZE, REQUIRED, parameters_of
from harness.parts import Dataset, Executor, Promise, Reporter

#: Kinds that a suite sets no parameters of.
WITHOUT_PARAMETERS = (Reporter, Executor, Promise)


def describe_named(catalog: Catalog, name: str) -> list[dict[str, Any]]:
    """Every part of this name, as plain values. Raises UserError where there is none."""
    return [describe_entry(catalog, entry) for entry in catalog.named(name)]


def describe_entry(catalog: Catalog, entry: Entry) -> dict[str, Any]:
    """What a part does, takes, promises, needs and offers, and where it comes from."""
    part = entry.part
    code = catalog.code(entry)
    owner = f"{part.kind} {part.name} (plugin {entry.plugin})"
    parameters = {} if isinstance(part, WITHOUT_PARAMETERS) else parameters_of(code, part.given, owner)
    if isinstance(part, Dataset):
        parameters[BATCH_SIZE.name] = BATCH_SIZE
    rows = [
        {
            "name": parameter.name,
            "type": parameter.type_name,
            "required": parameter.default is REQUIRED,
            "default": None if parameter.default is REQUIRED else parameter.default,
        }
        for parameter in parameters.values()
    ]
    return {
        "kind": part.kind,
        "name": part.name,
        "plugin": entry.plugin,
        "version": entry.version,
        "summary": part.summary,
        "changes": getattr(part, "changes", None),
        "role": getattr(part, "role", None),
        "computes": getattr(part, "computes", None),
        "source": part.source,
        "scores": {
            name: f"{score.summary or name} ({score.better} is better)"
            for name, score in getattr(part, "scores", {}).items()
        },
        "needs": sorted(part.needs),
        "offers": sorted(part.offers),
        "doc": inspect.getdoc(code) or "",
        "parameters": rows,
    }


def in_words(row: dict[str, Any]) -> str:
    """A described part as text."""
    lines = [f"{row['kind']} {row['name']}: {row['summary']}  ({row['plugin']} {row['version']})"]
    lines += [f"  {key}: {row[key]}" for key in ("changes", "role", "computes", "source") if row[key]]
    lines += [f"  {key}: {', '.join(row[key])}" for key in ("needs", "offers") if row[key]]
    lines += [f"  score {name}: {text}" for name, text in row["scores"].items()]
    if row["doc"]:
        lines += ["", *(f"  {line}".rstrip() for line in row["doc"].splitlines())]
    if row["parameters"]:
        lines += ["", "  parameters"]
    for parameter in row["parameters"]:
        default = "required" if parameter["required"] else f"= {parameter['default']!r}"
        lines.append(f"    {parameter['name']}: {parameter['type']} {default}")
    return "\n".join(lines)
