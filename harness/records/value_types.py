"""Value types of settings: shares, durations, amounts, seeds, modes.

Each is an annotation that pydantic reads. In a suite, a value is text with a unit; in a plan, it is a number. The
validation context `FROM_SUITE` says which of the two is read. The ``$comment`` in a JSON Schema is shown in editors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from harness.modes import MODES, Mode

#: The validation context for values that a user wrote in a suite.
FROM_SUITE: Mapping[str, Any] = {"from_suite": True}

#: Seconds in each unit of time.
SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
#: Bytes in each unit of memory.
BYTES = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
#: The units of a value by itself, with their sizes. A number without a unit stays as it is.
UNITS: Mapping[str, float] = {"": 1.0, "%": 0.01, "us": 1e-6, **SECONDS, **BYTES}
_NUMBER = r"([0-9]+\.?[0-9]*|\.[0-9]+)"
#: The pattern of an amount: a percentage of a ratio, or points of a difference (one point is 0.01).
AMOUNT = rf"{_NUMBER} ?(%|points?)"
#: The pattern of a value by itself, with or without a unit.
VALUE = rf"-?{_NUMBER}(e[+-]?[0-9]+)?( ?({'|'.join(filter(None, UNITS))}))?"


def from_suite(info: ValidationInfo) -> bool:
    """Whether the value comes from a suite and not from a stored plan or from Python."""
    return bool(info.context and info.context.get("from_suite"))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _share(value: Any) -> float:
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9.]+)\s*%", value.strip())):
        return float(match[1]) / 100
    if _is_number(value):
        return float(value)
    raise ValueError("expected a share such as 2% or 0.02")


def _duration(value: Any, info: ValidationInfo) -> float:
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9.]+)\s*(ms|s|min|h)", value.strip())):
        return float(match[1]) * SECONDS[match[2]]
    if _is_number(value) and not from_suite(info):
        return float(value)
    raise ValueError("expected a duration with its unit, such as 60 s or 2 min")


def _amount(value: Any) -> str:
    if _is_number(value) and value > 0:
        return str(value)
    if isinstance(value, str) and re.fullmatch(f"{AMOUNT}|{_NUMBER}", value.strip()):
        return value.strip()
    raise ValueError(
        "expected an amount such as 2% (of a loss), 1 point (of an accuracy, a hundredth) or 0.5 (of any other number)"
    )


def _seeds(value: Any) -> tuple[int, ...]:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return tuple(range(value))
    different = isinstance(value, (list, tuple)) and value and len(set(value)) == len(value)
    if different and all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in value):
        return tuple(value)
    raise ValueError("expected a number of seeds, such as 10, or a list of different whole numbers")


def _modes(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(dict.fromkeys(value)) if isinstance(value, list) else value


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
            "$comment": "a duration above 0 with its unit: ms, s, min or h",
        }
    ),
]
Amount = Annotated[
    str,
    BeforeValidator(_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": f"^({AMOUNT}|{_NUMBER})$"},
            ],
            "$comment": "an amount: % of a ratio, points of a share, or a number",
        }
    ),
]
Seeds = Annotated[
    tuple[int, ...],
    BeforeValidator(_seeds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
            ],
            "$comment": "how many seeds, or a list of different whole numbers",
        }
    ),
]
_MODE = {"enum": [*MODES]}
Modes = Annotated[
    tuple[Mode, ...],
    BeforeValidator(_modes),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [_MODE, {"type": "array", "items": _MODE, "minItems": 1}],
            "$comment": f"{', '.join(MODES)}, or a list of these",
        }
    ),
]


def amount_value(text: str) -> float:
    """An amount as a number: 2%, and also 2 points, is 0.02. A number stays as it is."""
    return float(text.rstrip("%points ")) / (1 if amount_scale(text) == "number" else 100)


def amount_scale(text: str) -> Literal["ratio", "difference", "number"]:
    """The scale of an amount: % of a ratio, points of a difference of shares, or a number without a unit."""
    return "ratio" if text.endswith("%") else "difference" if text.endswith(("t", "s")) else "number"
