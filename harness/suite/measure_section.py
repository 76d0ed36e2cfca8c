"""The section `measure` of a suite as settings."""

from __future__ import annotations

from typing import Any

from harness.records.settings import Measures, Settings, StepSettings


def measures_of(section: Any) -> Measures:
    """The settings of all kinds that the section `measure` names. A kind that measures steps and names no modes uses
    those of speed, or training."""
    given = {name: value for name, value in section if isinstance(value, Settings)}
    speed = given.get("speed")
    modes = speed.of if isinstance(speed, StepSettings) else ("train",)
    for name, settings in given.items():
        if isinstance(settings, StepSettings) and settings.of is None:
            given[name] = settings.changed(of=modes)
    return Measures.of(section.limit, **given)
