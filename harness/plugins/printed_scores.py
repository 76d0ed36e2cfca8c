"""Scores that a program prints or writes: where to find them in its output.

A score is described by a text:

- a regular expression with one group around the number. All matches have to be the same number; ``last:`` or ``first:``
  before the expression chooses one;
- ``json:KEY``: the last line of the output that is a JSON object with this key. ``a.b`` is the key b of the object a;
- ``file:PATH:KEY`` for a file PATH that ends in .json, or ``file:PATH:`` and one of the forms above.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.errors import UserError
from harness.plugins.command_line import SEED
from harness.plugins.parts import is_name

#: Escapes of regular expressions, which are no part of a name.
_ESCAPES = re.compile(r"\\[A-Za-z]")
_GROUP = re.compile(r"(?<!\\)\((?!\?)|\(\?P<")
#: The most values that a message lists.
MOST_VALUES = 3
EXAMPLE = r"Examples: 'acc=([\d.]+)', json:accuracy, file:metrics.json:accuracy."


class ScoreNotFound(Exception):
    """A program did not print a score, or not just one. The message says what was found, and what to do."""


@dataclass(frozen=True)
class ScoreReader:
    """Where a score is found. `take` says which match of a pattern counts; `path` is the file that has it, or empty for
    the output of the program. `key` is that of a JSON object; a JSON file is one object."""

    text: str
    pattern: str = ""
    take: Literal["only", "first", "last"] = "only"
    key: str = ""
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> ScoreReader:
        """The reader that a text describes. Raises UserError."""
        rest, path = text, ""
        if rest.startswith("file:"):
            _, path, rest = [*rest.split(":", 2), "", ""][:3]
            if not path or not rest:
                fix = "Write file:PATH:KEY for a .json file, or file:PATH:PATTERN."
                raise UserError(f"{text!r} lacks {'what to read in the file' if path else 'a file'}.", fix=fix)
            if path.endswith(".json"):
                return cls(text, key=rest.removeprefix("json:"), path=path)
        if rest.startswith("json:"):
            if not (key := rest.removeprefix("json:")):
                raise UserError(f"{text!r} lacks a key.", fix="Example: json:accuracy")
            return cls(text, key=key, path=path)
        take: Literal["only", "first", "last"] = "only"
        for word in ("first", "last"):
            if rest.startswith(f"{word}:"):
                take, rest = word, rest.removeprefix(f"{word}:")
        check_pattern(rest)
        return cls(text, rest, take, path=path)

    @property
    def name(self) -> str:
        """The name of the score: that of the group, the last word before the group, or the key; or "score"."""
        if self.key:
            word = self.key.rpartition(".")[2]
        elif names := list(re.compile(self.pattern).groupindex):
            word = names[0]
        else:
            before = _GROUP.split(self.pattern)[0]
            words = re.findall(r"[A-Za-z]\w*", _ESCAPES.sub(" ", before))
            word = words[-1] if words else ""
        return word if is_name(word) else "score"

    def find(self, output: str, folder: Path, seed: int, begun: float) -> float:
        """The score of a run, from its output or from the file that it wrote. `begun` is when the run began, in seconds
        since 1970. Raises ScoreNotFound."""
        where = "its output"
        if self.path:
            name = self.path.replace(SEED, str(seed))
            output, where = read_new(folder / name, begun), name
        if not self.key:
            return self.of_matches(output, where)
        return number_at(json_object(output, self.key, where, whole=self.path.endswith(".json")), self.key, where)

    def of_matches(self, output: str, where: str) -> float:
        """The number that the pattern finds."""
        found = [match for match in re.findall(self.pattern, output, re.MULTILINE) if match]
        if not found:
            raise ScoreNotFound(f"{where} has no match of the pattern {self.pattern!r}")
        values = [number_of(text, f"the pattern {self.pattern!r} matches") for text in found]
        different = list(dict.fromkeys(values))
        if len(different) > 1 and self.take == "only":
            shown = ", ".join(f"{value:g}" for value in different[:MOST_VALUES])
            more = ", ..." if len(different) > MOST_VALUES else ""
            raise ScoreNotFound(
                f"the pattern {self.pattern!r} matches {len(different)} different values in {where} ({shown}{more}); "
                f"write last:{self.pattern} or first:{self.pattern} to choose one"
            )
        return values[0] if self.take == "first" else values[-1]


def check_pattern(pattern: str) -> None:
    """Raise UserError unless a text is a regular expression with one group."""
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise UserError(f"{pattern!r} is not a regular expression: {error}.", fix=EXAMPLE) from error
    if groups != 1:
        fix = EXAMPLE if not groups else "Write (?:...) for a group that is not the number."
        what = "has no group around the number" if not groups else f"has {groups} groups; expected one, the number"
        raise UserError(f"the pattern {pattern!r} {what}.", fix=fix)


def read_new(file: Path, begun: float) -> str:
    """The text of a file that a run wrote. A file from before the run is refused."""
    try:
        # The clock of a file system may be some milliseconds behind.
        if file.stat().st_mtime < begun - 0.1:
            raise ScoreNotFound(f"it did not write {file.name} in this run; the file is older")
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ScoreNotFound(f"it did not write {file.name} ({error.strerror})") from error


def json_object(text: str, key: str, where: str, *, whole: bool) -> Any:
    """The JSON object in a text that has a key: the text itself, or the last such line of it."""
    for line in [text] if whole else reversed(text.splitlines()):
        if not whole and not line.lstrip().startswith("{"):
            continue
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and value_at(found, key) is not None:
            return found
    has = "is not" if whole else "has no line that is"
    raise ScoreNotFound(f"{where} {has} a JSON object with the key {key!r}")


def value_at(found: Any, key: str) -> Any:
    """The value of a key, or of a path of keys; None if there is none."""
    if key in found:
        return found[key]
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def number_at(found: Any, key: str, where: str) -> float:
    """The number that a key has. Raises ScoreNotFound if its value is not a finite number."""
    value = value_at(found, key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ScoreNotFound(f"{key!r} is {json.dumps(value)[:40]} in {where}, not a number")
    return number_of(str(value), f"{key!r} is")


def number_of(text: str, what: str) -> float:
    """A finite number. Raises ScoreNotFound for other texts."""
    try:
        value = float(text.strip().rstrip(".,%"))
    except ValueError:
        raise ScoreNotFound(f"{what} {text[:40]!r}, not a number") from None
    if not math.isfinite(value):
        raise ScoreNotFound(f"{what} {text}, not a finite number")
    return value
