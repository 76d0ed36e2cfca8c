"""From one trial's step to another's, operator by operator: a waterfall plot of what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.analysis.explain import Explanation, largest
from harness.report.answer import explanation_of
from harness.report.cells import block_title
from harness.report.plots import figures as fig
from harness.report.plots.figures import Plot
from harness.report.report import Report
from harness.report.tables.causes import milliseconds, others, short

#: The insides of bars that take more and less time.
MORE, LESS = fig.GREY, "white"
#: At most this many operators have a bar of their own, of at least this share of the difference; the rest share one.
BARS, SHARE = 10, 0.02
#: This many explanations are drawn, of the largest differences.
MOST = 8


def explain_plots(report: Report) -> Iterator[Plot]:
    """The difference that the answer is about, then the largest of those that were decided and profiled."""
    asked, styles = explanation_of(report.findings), fig.styles_in(report.findings.plan)
    found = largest(report.findings.explained, MOST)
    for one in sorted({id(one): one for one in (asked, *found) if one}.values(), key=lambda one: one is not asked):
        yield Plot.of(Waterfall(one, styles), "Why", "why", *one.context.values(), one.mode, one.level)


class Waterfall(fig.Drawing):
    """The whole step of one trial, what the other takes more or less of, and the whole step of the other. Whole steps
    have the colours of their levels."""

    def __init__(self, one: Explanation, styles: Mapping[str, fig.Style]) -> None:
        self.one, self.styles = one, styles
        self.title = f"{block_title(one.block, one.mode)}: from {one.baseline} to {one.level}"
        self.size = 8.0, 1.4 + 0.27 * (len(self.steps()) + 2)

    def steps(self) -> list[tuple[str, float]]:
        """The differences of operators in milliseconds: decreases, then increases, the largest of each first, and the
        rest together. What may be chance has no bar of its own."""
        rows, least = self.one.by_operator(), max(self.one.sensitivity, SHARE * abs(self.one.difference))
        shown = [row for row in rows if abs(row.difference) >= least][:BARS]
        found = [
            (f"{short(row.operator)} · {row.phase}", 1e3 * row.difference)
            for row in sorted(shown, key=lambda row: row.difference > 0)
        ]
        if rest := [row for row in rows if row not in shown]:
            found.append((others(len(rest)), 1e3 * sum(row.difference for row in rest)))
        return found

    def draw(self, figure: fig.Figure) -> None:
        """A bar per row, each beginning where the one above it ends."""
        axes = figure.add_subplot()
        first, last = (1e3 * seconds for seconds in self.one.seconds)
        rows = [(self.one.baseline, 0.0, first)]
        at = first
        for name, change in self.steps():
            rows.append((name, at, change))
            at += change
        rows.append((self.one.level, 0.0, last))
        ends = [x for _, begin, change in rows for x in (begin, begin + change)]
        for place, (name, begin, change) in enumerate(rows):
            whole = place in (0, len(rows) - 1)
            inside = self.styles[name].colour if whole else MORE if change > 0 else LESS
            edge = inside if whole else fig.GREY
            axes.barh(-place, change, left=begin, height=0.62, color=inside, edgecolor=edge, linewidth=0.9)
            text = f"{change:.2f} ms" if whole else milliseconds(self.one, change / 1e3)
            axes.annotate(
                text, (max(begin, begin + change), -place), (4, 0), textcoords="offset points", va="center", fontsize=8
            )
            if place + 1 < len(rows):
                end = begin + change
                axes.plot([end, end], [-place - 0.31, -place - 0.69], color=fig.GREY, linewidth=0.7)
        axes.set_xlim(0, 1.15 * max(ends))
        axes.set_ylim(-len(rows) + 0.4, 0.6)
        axes.set_yticks([-place for place in range(len(rows))], [name for name, *_ in rows])
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"milliseconds per step; filled: {self.one.level} takes more, hollow: it takes less")
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        fig.bare(axes, "top", "right", "left")
        fig.heading(axes, self.title)
