"""Suites of commands: what `command` stands for, and which settings they may leave out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.modes import PROGRAM
from harness.records.plan import COMMAND
from harness.records.settings import LearningSettings
from harness.suite.schema import PatchSchema, SuiteSchema
from harness.suite.yaml_source import Path_


def values_of_command(patch: PatchSchema, *, in_base: bool) -> Iterator[tuple[tuple[str, str], Any]]:
    """The paths and values that the field `command` of a patch stands for."""
    if patch.command is not None:
        yield ("model", "name"), COMMAND
        yield ("model", "run"), patch.command
        if in_base:
            yield ("dataset", "name"), PROGRAM


def length_complaints(schema: SuiteSchema) -> Iterator[tuple[Path_, str, str]]:
    """Where training runs have no length, or several, and what is wrong. Programs have their own length."""
    learning = getattr(schema.measure, "learning", None)
    base, at = schema.base, ("measure", "learning")
    if not isinstance(learning, LearningSettings):
        return
    given = sum(getattr(learning, length) is not None for length in ("steps", "epochs", "seconds"))
    if base.command is not None or (base.model or {}).get("name") == COMMAND:
        if given:
            yield at, "learning: the runs of a command have their own length.", "Remove steps, epochs and seconds."
    elif given != 1:
        yield at, "learning: expected exactly one of steps, epochs and seconds: the length of a run.", ""
