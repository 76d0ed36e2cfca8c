"""Value types that only a suite has: parts by name, and the names of levels."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema


def none_is_empty(value: Any) -> Any:
    """A key with nothing after it is an empty mapping."""
    return {} if value is None else value


def level_name(value: Any) -> Any:
    """The name of a level is text, also where a number or a truth value gives it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def _named(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict):
        raise ValueError("expected a name, or a mapping with a name and parameters")
    if not isinstance(value.get("name", ""), str):
        raise ValueError("expected text as a name")
    return value


def _used(value: Any) -> Any:
    value = _named(value)
    if "name" not in value:
        raise ValueError("an entry of use needs a name")
    return value


_NAMED = {
    "anyOf": [{"type": "string"}, {"type": "object", "properties": {"name": {"type": "string"}}}],
    "$comment": "a name, or a mapping with the name and parameters",
}
Named = Annotated[dict[str, Any], BeforeValidator(_named), WithJsonSchema(_NAMED)]
Used = Annotated[dict[str, Any], BeforeValidator(_used), WithJsonSchema(_NAMED)]
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
