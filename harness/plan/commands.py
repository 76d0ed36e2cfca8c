"""Checks of trials that are programs, and what is planned differently for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from harness.errors import Place, UserError, did_you_mean
from harness.modes import PROGRAM
from harness.plugins.command_line import SEED, SEED_VARIABLE, CommandLine
from harness.plugins.parts import Score, is_name
from harness.plugins.printed_scores import ScoreReader
from harness.records.plan import COMMAND, Spec, Trial
from harness.records.settings import Learning, Measures, Speed

#: How a score of a program may be compared: by the difference of numbers or of shares, or by the ratio.
COMPARED: dict[str, Literal["number", "difference", "ratio"]] = {
    "number": "number", "share": "difference", "ratio": "ratio",
}  # fmt: skip
BETTER = ("higher", "lower")
FIELDS = ("read", "better", "compared")


def check_program(trial: Trial, measures: Measures) -> None:
    """Raise UserError if a trial is a program that cannot be measured as the suite says, or no program where one is
    needed."""
    if not trial.is_program:
        if trial.dataset.name == PROGRAM:
            raise UserError(f"the dataset {PROGRAM} is for commands only.", fix=f"Use the model {COMMAND}.")
        if PROGRAM in measures.modes:
            raise UserError(f"the mode {PROGRAM} is for commands only.", fix="Use train, inference, call or fresh.")
        return
    if trial.dataset.name != PROGRAM:
        fix = "Write command: ... in the base, in place of model and dataset."
        raise UserError(f"a command needs the dataset {PROGRAM}, not {trial.dataset.name}.", fix=fix)
    if trial.use:
        raise UserError(f"a command cannot use {trial.use[0].name}.", fix="Give the program an argument for it.")
    if trial.device != "cpu":
        what = f"the device {trial.device} means nothing to a command."
        raise UserError(what, fix="Remove device; give the program an argument for it.")
    for kind in measures.kinds:
        if kind not in ("speed", "learning"):
            fix = "Its peak memory and its CPU time come with speed." if kind in ("memory", "cost") else "Remove it."
            raise UserError(f"{kind} cannot be measured of a command.", fix=fix)
    if measures.timed_modes != (PROGRAM,):
        fix = f"Write measure: {{speed: {{of: {PROGRAM}}}}}. Scores come from the same runs."
        raise UserError(f"a command is measured as a whole, by speed of {PROGRAM}.", fix=fix)
    if measures.learning and not trial.dataset.parameters["scores"]:
        fix = "Add scores to base.dataset, as in: {scores: {acc: {read: 'acc=(.+)', better: higher}}}."
        raise UserError("learning needs a score to read.", fix=fix)
    check_scores(trial.dataset)
    folder = Path(trial.dataset.parameters["folder"])
    if not folder.is_dir():
        raise UserError(f"there is no folder {str(folder)!r}.", fix=f"It is relative to {Path.cwd()}.")
    CommandLine.parse(trial.model.parameters["run"]).check_program(folder)


def check_scores(dataset: Spec) -> None:
    """Raise UserError for a score whose form is wrong."""
    for name, form in dataset.parameters["scores"].items():
        if not is_name(name):
            raise UserError(f"{name!r} is not the name of a score.", fix="Use letters, digits, and . _ + -.")
        for field in form:
            if field not in FIELDS:
                raise UserError(f"score {name} has no field {field!r}.", fix=did_you_mean(field, FIELDS))
        if "read" not in form or "better" not in form:
            fix = "Example: {read: 'acc=(.+)', better: higher}."
            raise UserError(f"score {name} lacks {'better' if 'read' in form else 'read'}.", fix=fix)
        for field, known in (("better", BETTER), ("compared", tuple(COMPARED))):
            if (value := form.get(field, known[0])) not in known:
                raise UserError(f"score {name}: {field} is {value!r}.", fix=f"Use {', '.join(known)}.")
        ScoreReader.parse(form["read"])


def scores_of_program(dataset: Spec) -> dict[str, Score]:
    """The scores that are read from the output of the programs."""
    found = {}
    for name, form in dataset.parameters["scores"].items():
        compared = COMPARED[form.get("compared", "number")]
        found[name] = Score(form["better"], compared, f"read by {form['read']}")
    return found


def speed_of_programs(speed: Speed, learning: Learning | None) -> Speed:
    """The settings of timing. The variance of rounds is not pooled: what is expected of steps of a model says nothing
    about programs. The first look is not before the last seed of `learning`, since all seeds are run in any case."""
    plain, seeds = speed.as_planned(plain=True), learning.planned if learning else 0
    if seeds <= plain.looks[0]:
        return plain
    looks = (seeds, *(look for look in plain.looks if look > seeds))
    return plain.changed(looks=looks, rates=plain.rates if len(looks) == 3 else (0.05 / len(looks),) * len(looks))


@contextmanager
def placed(where: Place | None) -> Iterator[None]:
    """Give this place to a UserError that has none."""
    try:
        yield
    except UserError as error:
        raise UserError(error.what, where=where, fix=error.fix) from error


def remarks_on_programs(trials: Sequence[Trial], measures: Measures) -> Iterator[str]:
    """A warning if scores are read, and no command says where the seed of a run belongs."""
    if not measures.learning or not trials[0].is_program:
        return
    if not any(CommandLine.parse(trial.model.parameters["run"]).has_seed for trial in trials):
        yield (
            f"no command contains {SEED}, so the programs get the seed of a run in the variable {SEED_VARIABLE} only."
        )
