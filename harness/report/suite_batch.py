"""A folder of suites, run one after another, and the one page that their claims end on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tabulate import tabulate

from harness.analysis.claims import ClaimResult
from harness.errors import UserError
from harness.records.store import Store
from harness.report.report import Report
from harness.report.summary import UNITS
from harness.report.table import Table

NAME = "page.json"


@dataclass(frozen=True)
class Page:
    """The suites of a folder and the runs they have had so far, by the suite's file name; `asked` is what the command
    line changes in each."""

    folder: Path
    source: Path
    results: Path
    suites: tuple[Path, ...]
    asked: Mapping[str, Any]
    runs: Mapping[str, Path]

    @classmethod
    def create(cls, results: Path, source: Path, asked: Mapping[str, Any]) -> Page:
        """A new page of all suites in a folder. Raises UserError where there are none."""
        suites = tuple(sorted(source.glob("*.yaml")))
        if not suites:
            raise UserError("there is no suite in it.", where=str(source), fix="A suite is a file named *.yaml.")
        folder = Store.new_folder(results / "pages")
        page = cls(folder, source, results, suites, asked, {})
        page.keep()
        return page

    @staticmethod
    def is_one(folder: Path) -> bool:
        """Whether a folder holds a page, and not a run."""
        return (folder / NAME).is_file()

    @classmethod
    def open(cls, folder: Path) -> Page:
        """The page in a folder. Raises UserError where it cannot be read."""
        try:
            data = json.loads((folder / NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"cannot be read: {error}.", where=str(folder / NAME)) from error
        runs = {name: folder / path for name, path in data["runs"].items()}
        suites = tuple(Path(path) for path in data["suites"])
        return cls(folder, Path(data["source"]), Path(data["results"]), suites, data["asked"], runs)

    def with_run(self, suite: Path, run: Path) -> Page:
        """The page with one more run, kept at once, so that an interrupted one is found again."""
        page = replace(self, runs={**self.runs, suite.name: run})
        page.keep()
        return page

    def keep(self) -> None:
        """Write what is needed to go on. Runs are named from here, so that results can be moved as a whole."""
        runs = {name: os.path.relpath(run, self.folder) for name, run in self.runs.items()}
        data = {
            "source": str(self.source),
            "results": str(self.results),
            "suites": [str(suite) for suite in self.suites],
            "asked": {name: list(value) if isinstance(value, tuple) else value for name, value in self.asked.items()},
            "runs": runs,
        }
        Store(self.folder).write(NAME, json.dumps(data, indent=1))

    def write(self, reports: Mapping[str, Report]) -> Path:
        """Write claims.md from the reports there are, by the suite's file name."""
        links = {name: Path(os.path.relpath(run, self.folder)) / "report.md" for name, run in self.runs.items()}
        return Store(self.folder).write("claims.md", in_markdown(reports, links))


def claims_table(reports: Mapping[str, Report]) -> Table:
    """Claim, verdict, effect, interval and where it decides, of all suites."""
    rows = [row(name, result) for name, report in reports.items() for result in report.findings.claims]
    return Table("Claims", ("claim", "verdict", "effect", "95 % interval", "where it decides", "suite"), tuple(rows))


def row(suite: str, result: ClaimResult) -> tuple[str, ...]:
    """One claim. Where nothing decides, the reason stands in the place of a context."""
    if result.decisive is None:
        where = result.reason
    else:
        where = f"{result.decisive.block.name} ({result.decisive.metric.replace('_', ' ')})"
        if result.contexts > 1:
            where += f", of {result.contexts}"
    unit = UNITS.get(result.claim.scale, "") if result.size else ""
    return result.claim.says, result.answer, result.size + unit, result.interval, where, Path(suite).stem


def in_markdown(reports: Mapping[str, Report], links: Mapping[str, Path]) -> str:
    """The page."""
    answers = [result.answer for report in reports.values() for result in report.findings.claims]
    counts = ", ".join(f"{answers.count(word)} {text}" for word, text in (  # type: ignore[arg-type]
        ("holds", "hold"), ("fails", "fail"), ("undecided", "are undecided")))  # fmt: skip
    machines = list(dict.fromkeys(report.machine.partition(", commit")[0] for report in reports.values()))
    table = claims_table(reports)
    lines = [
        "# What the claims come to",
        "",
        f"Of {len(answers)} claims {counts}. Run on {'; '.join(machines)}.",
        "",
        "An effect is of the level that the claim names against its baseline: a ratio of times, losses or bytes, a "
        "difference of shares in points, or one of exponents. Of several contexts the one that decides is shown: the "
        "least favourable, or for claims about any context the most favourable.",
        "",
        tabulate(table.rows, table.headers, tablefmt="github", disable_numparse=True),
        "",
        "## Suites",
        "",
    ]
    for name, report in reports.items():
        lines += [f"- **{report.question}** [{Path(name).stem}]({links[name]})", *problems_of(report)]
    return "\n".join([*lines, ""])


def problems_of(report: Report) -> Sequence[str]:
    """What failed, as items below the suite's own."""
    return [f"  - {text}" for text in (*report.failures, *report.problems)]
