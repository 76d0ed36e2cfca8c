"""How the values in a suite are written: shares, times with a unit, amounts, seeds, parts by name.

Each is a type that pydantic reads. Its JSON Schema says in a ``$comment`` what it takes, in words for people.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema


def _share(value: Any) -> float:
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9.]+)\s*%", value.strip())):
        return float(match[1]) / 100
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise ValueError("it takes a share such as 2% or 0.02")


_UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def _duration(value: Any) -> float:
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9.]+)\s*(ms|s|min|h)", value.strip())):
        return float(match[1]) * _UNITS[match[2]]
    raise ValueError("it takes a time with its unit, such as 60 s or 2 min")


def _amount(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(AMOUNT, value.strip()):
        return value.strip()
    raise ValueError("it takes an amount such as 2% of a loss, or 1 point of an accuracy (a hundredth)")


def _seeds(value: Any) -> list[int]:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return list(range(value))
    whole = isinstance(value, list) and all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in value)
    if whole and value and len(set(value)) == len(value):
        return list(value)
    raise ValueError("it takes how many seeds, such as 10, or a list of different whole numbers")


def nothing_is_empty(value: Any) -> Any:
    """A key with nothing after it is an empty mapping."""
    return {} if value is None else value


def one_is_a_list(value: Any) -> Any:
    """A word alone stands for a list of it."""
    return [value] if isinstance(value, str) else value


#: A number with what it counts: shares of a ratio, or hundredths of a difference.
AMOUNT = r"([0-9]+\.?[0-9]*|\.[0-9]+) ?(%|points?)"
Amount = Annotated[
    str,
    BeforeValidator(_amount),
    WithJsonSchema({"type": "string", "pattern": f"^{AMOUNT}$", "$comment": "an amount: % of a ratio, or points"}),
]
Seeds = Annotated[
    list[int],
    BeforeValidator(_seeds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
            ],
            "$comment": "how many, or a list of different whole numbers",
        }
    ),
]
Share = Annotated[
    float,
    BeforeValidator(_share),
    Field(gt=0, lt=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                {"type": "string", "pattern": r"^[0-9.]+\s*%$"},
            ],
            "$comment": "a share between 0 and 1, in % or as a number",
        }
    ),
]
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    Field(gt=0),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9.]+\s*(ms|s|min|h)$",
            "$comment": "a time above 0 with its unit: ms, s, min or h",
        }
    ),
]
_NAMED = {
    "anyOf": [{"type": "string"}, {"type": "object", "properties": {"name": {"type": "string"}}}],
    "$comment": "a name, or a mapping with the name and parameters",
}


def _named(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict):
        raise ValueError("it takes a name, or a mapping with a name and parameters")
    if not isinstance(value.get("name", ""), str):
        raise ValueError("a name is text")
    return value


def _used(value: Any) -> Any:
    value = _named(value)
    if "name" not in value:
        raise ValueError("an entry of use needs a name")
    return value


def level_name(value: Any) -> Any:
    """A level's name is text, also where the scalar that stands for it is a number or a truth value."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


LevelNames = Annotated[
    list[Annotated[str, BeforeValidator(level_name)]],
    BeforeValidator(lambda value: value if isinstance(value, list) else [value]),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [{"type": ["string", "number"]}, {"type": "array", "items": {"type": ["string", "number"]}}],
            "$comment": "a level, or a list of levels",
        }
    ),
]
Named = Annotated[dict[str, Any], BeforeValidator(_named), WithJsonSchema(_NAMED)]
Used = Annotated[dict[str, Any], BeforeValidator(_used), WithJsonSchema(_NAMED)]
_MODE = {"enum": ["train", "inference"]}
Modes = Annotated[
    list[Literal["train", "inference"]],
    BeforeValidator(one_is_a_list),
    Field(min_length=1),
    WithJsonSchema(
        {"anyOf": [_MODE, {"type": "array", "items": _MODE, "minItems": 1}], "$comment": "train, inference, or a list"}
    ),
]
