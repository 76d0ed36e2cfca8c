"""The report as JSON, for scripts. docs/tables.md describes the fields."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.report.formats import saved
from harness.report.report import Report, to_json


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.json into the run's folder."""
    return saved(folder / "report.json", text_of(to_json(report)) + "\n")


def text_of(data: Mapping[str, Any]) -> str:
    """Values as JSON text that every parser reads. Numbers that are not finite become null."""
    return json.dumps(_plain(data), indent=1, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
