"""A folder of suites that run one after another, and the page of their claims."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tabulate import tabulate

from harness.errors import UserError
from harness.records.store import Store
from harness.report.cells import ANSWERS
from harness.report.report import Report
from harness.report.table import Table
from harness.report.tables.claims import claim_row
from harness.suite.files import suites_in

NAME = "page.json"


@dataclass(frozen=True)
class SuiteBatch:
    """The suites of the folder `source`, and their runs so far by the suite's file name. `overrides` are the command
    line's changes to each."""

    folder: Path
    source: Path
    results: Path
    suites: tuple[Path, ...]
    overrides: Mapping[str, Any]
    runs: Mapping[str, Path]

    @classmethod
    def create(cls, results: Path, source: Path, overrides: Mapping[str, Any]) -> SuiteBatch:
        """A new batch of all suites in a folder. Raises UserError where there are none."""
        suites = tuple(suites_in(source))
        if not suites:
            fix = "Create one with `harness new suite NAME`."
            raise UserError("there are no suites in this folder.", where=str(source), fix=fix)
        batch = cls(Store.new_folder(results / "pages"), source, results, suites, overrides, {})
        batch.save()
        return batch

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder holds a batch, and not a run."""
        return (folder / NAME).is_file()

    @classmethod
    def open(cls, folder: Path) -> SuiteBatch:
        """The batch in a folder. Raises UserError where it cannot be read."""
        try:
            data = json.loads((folder / NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"cannot be read: {error}.", where=str(folder / NAME)) from error
        runs = {name: folder / path for name, path in data["runs"].items()}
        suites = tuple(Path(path) for path in data["suites"])
        return cls(folder, Path(data["source"]), Path(data["results"]), suites, data["asked"], runs)

    def with_run(self, suite: Path, run: Path) -> SuiteBatch:
        """The batch with one more run. It is stored at once, so that an interrupted run is found again."""
        batch = replace(self, runs={**self.runs, suite.name: run})
        batch.save()
        return batch

    def save(self) -> None:
        """Store what a resume needs. Paths of runs are relative, so that results can be moved as a whole."""
        runs = {name: os.path.relpath(run, self.folder) for name, run in self.runs.items()}
        data = {
            "source": str(self.source),
            "results": str(self.results),
            "suites": [str(suite) for suite in self.suites],
            "asked": dict(self.overrides),
            "runs": runs,
        }
        Store(self.folder).write(NAME, json.dumps(data, indent=1))

    def write(self, reports: Mapping[str, Report]) -> Path:
        """Write claims.md from the reports there are, by the suite's file name."""
        links = {name: Path(os.path.relpath(run, self.folder)) / "report.md" for name, run in self.runs.items()}
        return Store(self.folder).write("claims.md", in_markdown(reports, links))


def claims_table(reports: Mapping[str, Report]) -> Table:
    """The claims of all suites."""
    rows = tuple(claim_row(name, one) for name, report in reports.items() for one in report.findings.claims)
    return Table("Claims", ("claim", "answer", "expected", "found", "95 % interval", "worst case", "suite"), rows)


def in_markdown(reports: Mapping[str, Report], links: Mapping[str, Path]) -> str:
    """The page of claims; `links` are the reports of single runs."""
    answers = [claim.words for report in reports.values() for claim in report.claims]
    counts = ", ".join(f"{answers.count(words)} {words.lower()}" for words in ANSWERS.values())
    machines = dict.fromkeys(report.machine.partition(", commit")[0] for report in reports.values())
    table = claims_table(reports)
    lines = [
        "# Claims of all suites",
        "",
        f"{len(answers)} claims: {counts}. Run on {'; '.join(machines)}.",
        "",
        "Each claim compares a level with its baseline (a ratio of times, losses or bytes, a difference of shares in "
        "points, or a difference of exponents), or is about a value of the level itself. Of several contexts the worst "
        "case is shown; for claims about any context, the best case.",
        "",
        tabulate(table.rows, table.headers, tablefmt="github", disable_numparse=True),
        "",
        "## Suites",
        "",
    ]
    for name, report in reports.items():
        problems = [f"  - {text}" for text in (*report.failures, *report.problems)]
        lines += [f"- **{report.question}** [{Path(name).stem}]({quote(str(links[name]))})", *problems]
    return "\n".join([*lines, ""])
