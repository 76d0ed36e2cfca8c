"""`harness ab` for commands: from command lines to a suite that compares whole programs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.api.made_suites import expectation, made_suite_name
from harness.errors import UserError, did_you_mean
from harness.modes import PROGRAM
from harness.plugins.code_files import is_reference
from harness.plugins.command_line import CommandLine
from harness.plugins.printed_scores import ScoreReader
from harness.records.plan import LEARNING
from harness.records.value_types import amount_scale
from harness.suite.names import LONGEST, appearance
from harness.suite.values import SuiteValues

#: The fewest seconds for which a round runs each command on average: short commands run several times.
ROUND = "500 ms"
#: How scores are compared, by the scale of their margin.
COMPARED = {"difference": "share", "ratio": "ratio", "number": "number"}
BETTER = ("higher", "lower")
#: Words of an expectation that are about a score.
OF_SCORES = ("better", "worse")


def is_command(text: str) -> bool:
    """Whether an argument of `harness ab` is a command and not a function: it has a space, or names a program."""
    if " " in text.strip():
        return True
    return not is_reference(text) and (shutil.which(text) is not None or Path(text).is_file())


@dataclass(frozen=True)
class CommandComparison:
    """What `harness ab` compares: command lines, the first of them is the baseline.

    `metrics` say how scores are read (see `harness.plugins.printed_scores`); the first one decides. `better` is higher
    or lower, or one for each score, as in "acc=higher,loss=lower". With scores, every command runs under `seeds` seeds,
    10 by default, and `margin` is of the first score; without, it is of the time. `limit` is the most time that one run
    may take. `expect` is what each other command is expected to be, such as "at most 5% slower"."""

    commands: Sequence[str]
    metrics: Sequence[str] = ()
    better: str = ""
    seeds: int | None = None
    margin: str = ""
    budget: str = ""
    limit: str = ""
    expect: str = ""

    def suite(self) -> SuiteValues:
        """The suite. Raises UserError for a mistake in the commands or the options."""
        if len(self.commands) < 2:
            raise UserError("ab compares at least two commands.", fix="Name a second one.")
        for text in self.commands:
            CommandLine.parse(text).check_program(Path())
        readers = self.readers()
        levels = level_names(self.commands)
        first, *others = levels
        base: dict[str, Any] = {"command": self.commands[0]}
        measure: dict[str, Any] = {"speed": {"of": PROGRAM, "seconds": ROUND}}
        if self.budget:
            measure["speed"]["budget"] = self.budget
        if readers:
            base["dataset"] = {"scores": self.scores(readers)}
            measure[LEARNING] = {"metric": next(iter(readers)), "seeds": self.seeds or 10}
        if self.margin:
            measure[LEARNING if readers else "speed"]["margin"] = self.margin
        measure["limit"] = self.limit or "1 h"
        axis: dict[str, Any] = {first: {}}
        axis |= {level: {"command": text} for level, text in zip(others, self.commands[1:], strict=True)}
        values: dict[str, Any] = {
            "question": f"Which command is better: {' or '.join(levels)}?",
            "base": base,
            "axes": {"command": axis},
            "compare": {"axis": "command", "baseline": first},
            "measure": measure,
        }
        if self.expect:
            values["claims"] = [self.claim(level, readers) for level in others]
        return SuiteValues(made_suite_name("ab", command_name(CommandLine.parse(self.commands[-1]))), values)

    def readers(self) -> dict[str, ScoreReader]:
        """How each score is read, by its name. Raises UserError if the options do not fit each other."""
        found: dict[str, ScoreReader] = {}
        for text in self.metrics:
            try:
                reader = ScoreReader.parse(text)
            except UserError as error:
                raise UserError(error.what, where=f"--metric {text}", fix=error.fix) from None
            if reader.name in found:
                fix = "Name the group of one of them: (?P<NAME>...)."
                raise UserError(f"two scores have the name {reader.name}.", where=f"--metric {text}", fix=fix)
            found[reader.name] = reader
        for option, given in (("--seeds", self.seeds), ("--better", self.better)):
            if given and not found:
                fix = r"Say how the score is read, as in: --metric 'acc=([\d.]+)'."
                raise UserError("there is no score to compare.", where=option, fix=fix)
        return found

    def scores(self, readers: dict[str, ScoreReader]) -> dict[str, dict[str, str]]:
        """The scores as a suite has them."""
        first = next(iter(readers))
        return {
            name: {
                "read": reader.text,
                "better": self.direction(name, readers),
                "compared": self.scale if name == first else "number",
            }
            for name, reader in readers.items()
        }

    @property
    def scale(self) -> str:
        """How the first score is compared: as its margin says."""
        return COMPARED[amount_scale(self.margin.strip())] if self.margin else "number"

    def direction(self, name: str, readers: dict[str, ScoreReader]) -> str:
        """Which values of a score are better."""
        where = f"--better {self.better}" if self.better else "--metric"
        given = self.better
        if "=" in given:
            pairs = dict(pair.split("=", 1) for pair in given.split(",") if "=" in pair)
            for other in pairs:
                if other not in readers:
                    raise UserError(f"there is no score {other!r}.", where=where, fix=did_you_mean(other, readers))
            given = pairs.get(name, "")
        if given not in BETTER:
            fix = f"Say which values of {name} are better: --better higher, or --better lower."
            raise UserError(f"the direction of {name} is not known.", where=where, fix=fix)
        return given

    def claim(self, level: str, readers: dict[str, ScoreReader]) -> dict[str, Any]:
        """The claim that a level is as expected: about the first score if it says better or worse, or about time."""
        expected = expectation(self.expect)
        claim: dict[str, Any] = {"says": f"{level}: {self.expect}", "level": level, "expect": self.expect}
        if expected.expect.split()[-1] not in OF_SCORES:
            return {**claim, "of": PROGRAM}
        if not readers:
            fix = "Use faster or slower, or add --metric."
            raise UserError("no score is read that could be better or worse.", where="--expect", fix=fix)
        return {**claim, "of": LEARNING, "metric": next(iter(readers))}


def level_names(commands: Sequence[str]) -> list[str]:
    """The commands as names of levels: without surplus spaces, shortened if they are long, and numbered if they are
    the same."""
    names: list[str] = []
    for number, text in enumerate(commands, 1):
        name = appearance(" ".join(text.split()))
        if len(name) > LONGEST:
            half = LONGEST // 2 - 8
            name = f"{name[:half]} ... {name[-half:]}"
        names.append(f"{name} ({number})" if name in names else name)
    return names


def command_name(command: CommandLine) -> str:
    """A short name of a command for a folder: the script of an interpreter, or the program."""
    words = [Path(word).stem for word in command.words if not word.startswith("-")]
    return words[1] if len(words) > 1 and words[0].startswith(("python", "sh", "bash")) else words[0]
