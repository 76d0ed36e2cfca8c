"""Whether a base is a complete trial: a model and a dataset, or an experiment or a command, which is both."""

from __future__ import annotations

from collections.abc import Iterator

from harness.plugins.experiment import EXPERIMENT, FROM
from harness.suite.schema import PatchSchema
from harness.suite.yaml_source import Path_

#: Where a mistake is, what is wrong, and what to do.
Complaint = tuple[Path_, str, str]


def base_complaints(base: PatchSchema) -> Iterator[Complaint]:
    """What a base lacks."""
    if base.command is not None:
        return
    if base.experiment is None:
        for part in ("model", "dataset"):
            if "name" not in (getattr(base, part) or {}):
                fix = "Add one; every level patches the base. A training script is an experiment instead."
                yield ("base",), f"base lacks the name of a {part}.", fix
    elif FROM not in base.experiment:
        fix = "Add from: FILE.py:NAME, a function that returns a harness.Experiment."
        yield ("base", EXPERIMENT), "the experiment lacks its function.", fix


def patch_complaints(patch: PatchSchema, at: Path_, base: PatchSchema) -> Iterator[Complaint]:
    """The parts that a patch sets and trials of the base do not have."""
    is_experiment = base.experiment is not None
    for part in ("model", "dataset") if is_experiment else (EXPERIMENT,):
        if getattr(patch, part) is not None:
            has = "an experiment" if is_experiment else "a model and a dataset"
            fix = "Set parameters of the experiment." if is_experiment else "Write an experiment in the base."
            yield (*at, part), f"the base has {has}, so there is no {part} to set.", fix
