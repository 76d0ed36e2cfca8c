"""The sources of the findings, docs/_findings/*.md: one piece of advice in each file.

The front matter gives the advice, who gives it, the expected verdict, and the claims and numbers that the page shows.
The text below it has three sections: Why, What to do, and Limits. Text may contain {{ expressions }}, which `numbers`
computes from the stored runs: measured numbers are never typed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

SECTIONS = ("Why", "What to do", "Limits")
VERDICTS = ("True", "False", "It depends", "Not decided")
#: What the advice is about, as the index by stakes groups it.
AREAS = ("accuracy", "learning", "time", "memory")


@dataclass(frozen=True)
class Source:
    """Where the advice is given: a page or paper, and one sentence of it, word for word."""

    title: str
    url: str
    quote: str = ""


@dataclass(frozen=True)
class ClaimUse:
    """A claim of a suite. `where` selects contexts of it; by default it is used as it was answered."""

    suite: str
    claim: str
    answer: str
    where: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Numbers:
    """The numbers that are drawn and listed: one metric of some levels, in the contexts that `where` selects."""

    suite: str
    levels: tuple[str, ...]
    metric: str = "step_time"
    mode: str = "train"
    where: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Advice:
    """A piece of advice. `answer` and `stakes` may contain expressions. `decided_by` are the claims that decide the
    verdict, `also` those that the page shows too."""

    name: str
    title: str
    advice: str
    verdict: str
    area: str
    stakes: str
    answer: str
    numbers: Numbers
    decided_by: tuple[ClaimUse, ...]
    sections: dict[str, str]
    depends: str = ""
    also: tuple[ClaimUse, ...] = ()
    sources: tuple[Source, ...] = ()
    see_also: tuple[Source, ...] = ()

    @property
    def verdict_in_words(self) -> str:
        """The verdict, with what it depends on."""
        return f"{self.verdict} on {self.depends}" if self.depends else self.verdict

    @property
    def claims(self) -> tuple[ClaimUse, ...]:
        """Every claim that the page shows."""
        return self.decided_by + self.also


@cache
def all_advice(root: Path) -> tuple[Advice, ...]:
    """Every piece of advice, sorted by name."""
    return tuple(read(path) for path in sorted((root / "docs" / "_findings").glob("*.md")))


def read(path: Path) -> Advice:
    """One file. Raises SystemExit if its front matter or its sections are not as expected."""
    try:
        _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
        data = yaml.safe_load(front)
        lists = {"decided_by": ClaimUse, "also": ClaimUse, "sources": Source, "see_also": Source}
        data |= {key: tuple(kind(**one) for one in data.get(key, ())) for key, kind in lists.items()}
        data["numbers"] = Numbers(**{**data["numbers"], "levels": tuple(data["numbers"]["levels"])})
        parts = re.split(r"^## (.*)\n", body, flags=re.MULTILINE)
        found = Advice(
            name=path.stem, sections=dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True)), **data
        )
    except (TypeError, ValueError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise SystemExit(f"{path}: cannot be read as advice: {error}") from error
    if tuple(found.sections) != SECTIONS:
        raise SystemExit(f"{path}: expected the sections {', '.join(SECTIONS)}, found {', '.join(found.sections)}")
    if found.verdict not in VERDICTS or found.area not in AREAS:
        raise SystemExit(f"{path}: expected one of {VERDICTS} as verdict and one of {AREAS} as area")
    if (found.verdict == "It depends") != bool(found.depends):
        raise SystemExit(f"{path}: `depends` says on what the verdict depends; give it with `It depends` only")
    return found
