"""Suites of commands: what `command` stands for, and which settings they may leave out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.modes import PROGRAM
from harness.records.plan import COMMAND
from harness.records.settings import Learning
from harness.suite.schema import PatchSchema, SuiteSchema


def values_of_command(patch: PatchSchema, *, in_base: bool) -> Iterator[tuple[tuple[str, str], Any]]:
    """The paths and values that the field `command` of a patch stands for."""
    if patch.command is not None:
        yield ("model", "name"), COMMAND
        yield ("model", "run"), patch.command
        if in_base:
            yield ("dataset", "name"), PROGRAM


def wrong_length(schema: SuiteSchema) -> str:
    """What is wrong with the length of training runs; empty if nothing is. A program has its own length."""
    learning = getattr(schema.measure, "learning", None)
    base = schema.base
    if not isinstance(learning, Learning.suite_form()):
        return ""
    given = sum(getattr(learning, length) is not None for length in ("steps", "epochs", "seconds"))
    if base.command is not None or (base.model or {}).get("name") == COMMAND:
        return "learning: the runs of a command have their own length; remove steps, epochs and seconds." * bool(given)
    return "" if given == 1 else "learning: expected exactly one of steps, epochs and seconds: the length of a run."
