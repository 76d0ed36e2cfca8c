"""A command line in a suite: the program, its arguments and its variables. Nothing runs here."""

from __future__ import annotations

import glob
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError, did_you_mean

#: Stands for the seed of a run.
SEED = "{seed}"
#: Every program gets its seed in this variable, too.
SEED_VARIABLE = "HARNESS_SEED"
#: Characters that mean something to a shell only, unless they are in quotation marks. No shell reads the command.
SHELL = frozenset("|&;<>")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class CommandLine:
    """A program with its arguments, and the variables that are written before it, as in ``SEED=1 python train.py``."""

    text: str
    words: tuple[str, ...]
    variables: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> CommandLine:
        """The words of a command. They are split as a shell splits them, but no shell runs. Raises UserError for a
        command that only a shell understands."""
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise UserError(
                f"the command {text!r} cannot be read: {str(error).lower()}.", fix="Close the quotation mark."
            ) from error
        variables: dict[str, str] = {}
        while words and (match := _VARIABLE.fullmatch(words[0])):
            variables[match[1]] = match[2]
            del words[0]
        if not words:
            raise UserError(f"the command {text!r} names no program.", fix="Example: python train.py --seed {seed}")
        if operator := shell_operator(text):
            fix = f"Let a shell run it: sh -c {shlex.quote(text)}"
            raise UserError(f"the command {text!r} has {operator!r}, which only a shell understands.", fix=fix)
        return cls(text, tuple(words), variables)

    @property
    def has_seed(self) -> bool:
        """Whether it says where the seed belongs."""
        return any(SEED in word for word in (*self.words, *self.variables.values()))

    def with_seed(self, seed: int) -> tuple[list[str], dict[str, str]]:
        """The words and the variables of the run with this seed."""
        variables = {SEED_VARIABLE: str(seed), **self.variables}
        filled = {name: value.replace(SEED, str(seed)) for name, value in variables.items()}
        return [word.replace(SEED, str(seed)) for word in self.words], filled

    def check_program(self, folder: Path) -> None:
        """Raise UserError if there is no such program. `folder` is where the command runs."""
        name = self.words[0]
        path = self.variables.get("PATH", os.environ.get("PATH", os.defpath))
        if "/" in name:
            file = folder / name
            if not file.is_file():
                others = [str(each.relative_to(folder)) for each in file.parent.glob("*")]
                fix = (
                    did_you_mean(name.removeprefix("./"), others)
                    if others
                    else f"It is relative to {folder.resolve()}."
                )
                raise UserError(f"there is no program {name!r}.", where=self.text, fix=fix)
            if not os.access(file, os.X_OK):
                fix = f"Make it executable (chmod +x {shlex.quote(name)}), or name the program that runs it."
                raise UserError(f"{name!r} is not executable.", where=self.text, fix=fix)
        elif shutil.which(name, path=path) is None:
            near = did_you_mean(name, programs_like(name, path.split(os.pathsep)))
            fix = near if near.startswith("Did") else "Is it installed, and is its folder in the variable PATH?"
            raise UserError(f"there is no program {name!r}.", where=self.text, fix=fix)


def shell_operator(text: str) -> str:
    """The first word of a command that is an operator of a shell, outside of quotation marks; empty if there is
    none."""
    words = shlex.shlex(text, posix=False, punctuation_chars="|&;<>")
    words.commenters = ""
    try:
        return next((word for word in words if SHELL.issuperset(word)), "")
    except ValueError:  # it has escaped quotation marks
        return ""


def programs_like(name: str, folders: Sequence[str]) -> set[str]:
    """The names of programs that begin with the same letter."""
    known = {Path(folder) for folder in folders if folder}
    return {each.name for folder in known if folder.is_dir() for each in folder.glob(f"{glob.escape(name[:1])}*")}
