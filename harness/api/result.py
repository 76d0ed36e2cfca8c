"""The result of a run for Python: the report, rows of plain values, data frames, and a cell of a notebook."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.one_comparison import OneComparison, choose
from harness.errors import UserError, did_you_mean
from harness.plugins.isolation import visible
from harness.records.store import Store
from harness.report.answers import only_answer
from harness.report.cells import FIRST_LOOK
from harness.report.report import Report, failure_line
from harness.report.rows import COLUMNS, Row, Rows, rows_of

if TYPE_CHECKING:
    import pandas
    import polars

    from harness.api.series import Decision


def has_failures(report: Report) -> bool:
    """Whether a trial failed or broke its promise, or a metric or reporter failed."""
    return bool(report.problems) or any(record.outcome in ("failed", "invalid") for record in report.findings.failures)


@dataclass(frozen=True, repr=False)
class Result:
    """A run and its results. `report` is what every reporter gets, `folder` holds all stored files, and `noticed` are
    the errors of plugins that observed the run. `decision` is that of a try of a series: keep, discard or undecided.

    Rows are dictionaries that all have the columns of the CSV files, except that the column of levels is always called
    `level`. docs/python.md describes the columns."""

    report: Report
    folder: Path
    noticed: tuple[str, ...] = ()
    decision: Decision | None = None

    @property
    def ok(self) -> bool:
        """Whether every trial ran and kept its promise, and no metric, reporter or observer failed. A false claim
        is a finding, not a failure."""
        return not (has_failures(self.report) or self.noticed)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it is not ok: each trial that failed or broke its promise, and other errors."""
        findings = self.report.findings
        broken = (failure_line(findings.plan, record) for record in findings.broken)
        return (*broken, *self.report.problems, *self.noticed)

    @property
    def answer(self) -> str:
        """The answer to the question of the suite, in a sentence."""
        return self.report.answer

    @property
    def summary(self) -> tuple[str, ...]:
        """The results in sentences, the most important first."""
        return self.report.summary

    @property
    def axis(self) -> str:
        """The compared axis, whose levels are in the column `level`."""
        return self.report.findings.plan.axis

    def of(self, level: str | None = None, **coordinates: str) -> OneComparison:
        """The comparison of a level with the baseline by step time, or by the score that decides. `coordinates` choose
        among several: mode, metric, and the axes that are not compared. Raises UserError unless exactly one fits."""
        wanted = {**({} if level is None else {"level": level}), **coordinates}
        return OneComparison(choose(self.report.findings.deciding, wanted), self.report.first_look)

    @property
    def verdict(self) -> str:
        """The verdict of a run with one comparison; "" for a first look. Raises UserError where there are several."""
        return self.of().verdict

    @property
    def ratio(self) -> float | None:
        """The ratio of a run with one comparison, or the difference of its score."""
        return self.of().ratio

    @property
    def interval(self) -> tuple[float, float] | None:
        """The confidence interval of `ratio`."""
        return self.of().interval

    @property
    def comparisons(self) -> list[Row]:
        """Each level against the baseline, by context, mode and metric."""
        return self.rows("comparisons").rows

    @property
    def claims(self) -> list[Row]:
        """Each claim of the suite, with the answer holds, fails or undecided, and the reason."""
        return self.rows("claims").rows

    def learning(self) -> list[Row]:
        """Each score over seeds, a level against the baseline, with the values of every seed."""
        return self.rows("learning").rows

    def curves(self) -> list[Row]:
        """Every score of every training run, at each step where it was evaluated."""
        return self.rows("curves").rows

    def samples(self) -> list[Row]:
        """Every raw sample of the clock, in seconds per step."""
        return self.rows("samples").rows

    def rows(self, table: str) -> Rows:
        """A table by its name. It has columns even if it has no rows."""
        if table not in COLUMNS:
            raise UserError(f"there is no table {table!r}.", fix=did_you_mean(table, COLUMNS))
        return rows_of(table, self.report.findings, self._records if table in ("samples", "curves") else ())

    def to_pandas(self, table: str = "comparisons") -> pandas.DataFrame:
        """A table as a pandas data frame. Raises UserError if pandas is not installed."""
        found = self.rows(table)
        return _imported("pandas").DataFrame(found.rows, columns=list(found.columns))

    def to_polars(self, table: str = "comparisons") -> polars.DataFrame:
        """A table as a polars data frame. Raises UserError if polars is not installed."""
        found = self.rows(table)
        # Types are inferred from all rows: a ratio is often missing in the first ones.
        return _imported("polars").DataFrame(found.rows, schema=list(found.columns), infer_schema_length=None)

    @cached_property
    def _records(self) -> list[Any]:
        return Store.open(self.folder).records()

    @property
    def _shown_folder(self) -> Path:
        """The folder, relative to the current one if it is inside it."""
        here = Path.cwd()
        return self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder

    def __str__(self) -> str:
        """What `harness run` prints: the answer on one screen."""
        from harness.report.formats import screen

        return screen.render(self.report, self._shown_folder)

    def __repr__(self) -> str:
        """One line: the only comparison, or how many there are of each verdict; failures; the folder."""
        decision = [str(self.decision)] if self.decision else []
        return f"<Result: {'; '.join([self._headline, *decision, *self._failures])}; {self._shown_folder}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from harness.report.formats import html

        return html.render_cell(self.report, self._shown_folder)

    @property
    def _headline(self) -> str:
        if only := only_answer(self.report):
            return visible(only)
        compared = self.report.findings.deciding
        counts = Counter(FIRST_LOOK if self.report.first_look else str(one.verdict) for one in compared)
        each = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        return f"{len(compared)} comparisons{f': {each}' if each else ''}"

    @property
    def _failures(self) -> list[str]:
        return [f"{len(self.problems)} problem{'s' * (len(self.problems) > 1)}"] if self.problems else []


def _imported(library: str) -> Any:
    """A library that the harness does not depend on."""
    try:
        return import_module(library)
    except ImportError as error:
        raise UserError(f"{library} is not installed.", fix=f"Install it with: pip install {library}") from error
