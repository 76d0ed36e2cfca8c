"""Numbers of stored runs as text: what the {{ expressions }} of the findings call.

`where` are keyword arguments, one for each axis; without them, a range over all contexts is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jinja2

from _generate.advice import Numbers
from _generate.runs import StoredRun
from harness.analysis.finding import Finding
from harness.analysis.learning import Learned
from harness.records.plan import Block
from harness.report.cells import amount, milliseconds
from harness.report.tables.learning import mean_cell

#: The levels of some axes, which select contexts.
Where = Mapping[str, str | list[str]]


def findings_of(run: StoredRun, numbers: Numbers) -> list[Finding]:
    """The findings of a run that a page shows: by context, then by level."""
    found = run.report.findings
    everything = (*found.comparisons, *found.learning.comparisons, *found.quantities, *found.growth, *found.effects)
    order = {block.id: i for i, block in enumerate(found.plan.blocks)}
    chosen: dict[tuple[int, int], Finding] = {}
    for one in everything:
        is_meant = one.level in numbers.levels and (one.mode, one.metric) == (numbers.mode, numbers.metric)
        if is_meant and one.size is not None and in_place(one.block, numbers.where):
            # In a design a combination may have the name of an effect. The effect comes last, and is meant.
            chosen[order[one.block.id], numbers.levels.index(one.level)] = one
    return [chosen[place] for place in sorted(chosen)]


def in_place(block: Block, where: Where) -> bool:
    """Whether a block is one of these contexts; of an axis one level is given, or a list."""
    return all(
        block.context.get(axis) in (levels if isinstance(levels, list) else [levels]) for axis, levels in where.items()
    )


def size_in_words(finding: Finding, value: float | None = None) -> str:
    """A ratio with two decimals, or with three where it is small; a difference in points, without its sign."""
    value = finding.size if value is None else value
    assert value is not None
    if finding.scale == "difference":
        return f"{abs(100 * value):.1f}"
    if finding.scale == "ratio":
        return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
    return finding.in_words(value)


@dataclass(frozen=True)
class StoredNumbers:
    """The functions that expressions may call; `runs` are the reference runs by their suites."""

    runs: Mapping[str, StoredRun]

    def render(self, text: str, where: str) -> str:
        """The text with its expressions replaced. Raises SystemExit if one cannot be computed."""
        names: dict[str, Callable[..., str]] = {
            "effect": self.effect, "interval": self.interval, "inverse": self.inverse, "score": self.score,
            "diverged": self.diverged, "reached": self.reached, "padding": self.padding, "amount": self.amount,
            "time": self.time, "exponent": self.exponent, "break_even": self.break_even, "cell": self.cell,
        }  # fmt: skip
        try:
            return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text).render(names)
        except (LookupError, TypeError, ValueError, jinja2.TemplateError) as error:
            raise SystemExit(f"{where}: {type(error).__name__}: {error}") from error

    def find(self, suite: str, level: str, metric: str, mode: str, where: Where) -> list[Finding]:
        """The findings of one level. Raises LookupError if there is none."""
        found = findings_of(self.runs[suite], Numbers(suite, (level,), metric, mode, dict(where)))
        if not found:
            raise LookupError(f"{suite} has no {metric} of {level} in {mode} {dict(where)}")
        return sorted(found, key=lambda one: one.size or 0.0)

    def effect(self, suite: str, level: str, metric: str = "step_time", mode: str = "train", **where: Any) -> str:
        """The ratio to the baseline, or the difference in points; of several contexts the range."""
        found = self.find(suite, level, metric, mode, where)
        sizes = [size_in_words(one) for one in (found[0], found[-1])]
        if found[0].scale == "difference" and (found[-1].size or 0.0) < 0:
            sizes.reverse()  # losses from the smallest on
        return " to ".join(dict.fromkeys(sizes))

    def interval(self, suite: str, level: str, metric: str = "step_time", mode: str = "train", **where: Any) -> str:
        """The size and its interval in one context."""
        (one,) = self.find(suite, level, metric, mode, where)
        signed = one.in_words if one.scale == "difference" else partial(size_in_words, one)
        low, high = (signed(end) for end in one.interval or ())
        return f"{signed(one.size)} ({100 * one.confidence:.3g} % interval {low} to {high})"

    def inverse(self, suite: str, level: str, metric: str = "step_time", mode: str = "train", **where: Any) -> str:
        """One over the ratio: how many times as fast, or how many times smaller."""
        sizes = [1 / one.size for one in self.find(suite, level, metric, mode, where) if one.size]
        return " to ".join(dict.fromkeys(f"{size:.1f}" for size in (min(sizes), max(sizes))))

    def learned(self, suite: str, where: Where) -> Learned:
        """The training runs of one context."""
        (one,) = (one for one in self.runs[suite].report.findings.learning.learned if in_place(one.block, where))
        return one

    def score(self, suite: str, level: str, metric: str, **where: Any) -> str:
        """The mean score over seeds."""
        return mean_cell(self.learned(suite, where), level, metric).replace("%", " %")

    def diverged(self, suite: str, level: str, **where: Any) -> str:
        """How many seeds diverged."""
        return _count(self.learned(suite, where).diverged(level))

    def reached(self, suite: str, level: str, **where: Any) -> str:
        """How many seeds reached the target."""
        return _count([step is not None for step in self.learned(suite, where).reached(level)])

    def number(self, suite: str, level: str, mode: str, metric: str, where: Where) -> list[float]:
        """A metric of a trial in these contexts."""
        findings = self.runs[suite].report.findings
        blocks = [block for block in findings.plan.blocks if in_place(block, where)]
        return [findings.numbers[block.id, level, mode, metric] for block in blocks]

    def padding(self, suite: str, level: str, mode: str = "train", **where: Any) -> str:
        """The share of computed time steps that is padding."""
        shares = sorted(self.number(suite, level, mode, "padding_share", where))
        return " to ".join(dict.fromkeys(f"{100 * share:.0f}" for share in (shares[0], shares[-1]))) + " %"

    def time(self, suite: str, level: str, mode: str = "train", **where: Any) -> str:
        """The time of a step in one context."""
        (seconds,) = self.number(suite, level, mode, "step_time", where)
        return f"{milliseconds(seconds)} ms"

    def amount(self, suite: str, level: str, metric: str, mode: str = "train", **where: Any) -> str:
        """A quantity of a level in one context, such as bytes."""
        found = self.runs[suite].report.findings
        (one,) = (
            each
            for each in found.quantities
            if (each.level, each.metric, each.mode) == (level, metric, mode) and in_place(each.block, where)
        )
        return amount(one.value, one.quantity.unit)

    def exponent(self, suite: str, level: str, quantity: str, mode: str = "train") -> str:
        """The exponent by which a quantity grows."""
        growth = self.runs[suite].report.findings.growth
        (one,) = (each for each in growth if (each.level, each.quantity, each.mode) == (level, quantity, mode))
        return f"{one.exponent.mean:.2f}"

    def break_even(self, suite: str, level: str, mode: str = "train", **where: Any) -> str:
        """The share of padding above which a level is faster than the baseline, with its range."""
        curves = (each for each in self.runs[suite].report.findings.break_evens if each.mode == mode)
        (curve,) = (
            curve for each in curves if dict(each.rest) == where for curve in each.curves if curve.level == level
        )
        (crossing,) = curve.crossings
        low, high = (100 * end for end in (crossing.low or 0.0, crossing.high or 1.0))
        return f"{100 * crossing.at:.0f} % ({low:.0f} to {high:.0f} %)"

    def cell(self, suite: str, table: str, row: str, column: str) -> str:
        """A cell of a table of the report, by its title, the beginning of its row, and the head of its column."""
        tables = [each for section in self.runs[suite].report.sections for each in (*section.tables, *section.details)]
        (found,) = (each for each in tables if each.title == table)
        (cells,) = (cells for cells in found.rows if cells[0] == row)
        return cells[found.headers.index(column)].replace("%", " %")


def _count(outcomes: Sequence[Any]) -> str:
    return f"{sum(map(bool, outcomes))} of {len(outcomes)}"
