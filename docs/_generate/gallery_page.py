"""The gallery: each reference run with its question, summary, claims and a plot, all from the stored records."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from _generate import markdown as md
from harness.plugins.catalog import Catalog
from harness.records.store import Store
from harness.report.cells import ANSWERS
from harness.report.formats.markdown import cell
from harness.report.plots.figures import Plot
from harness.report.plots.plots import all_plots
from harness.report.report import Report, make_report
from harness.report.suite_batch import claims_table, in_markdown

#: The largest size of a plot in bytes. A smaller plot replaces one that is larger.
LARGEST = 100_000
#: The beginnings of the names of plots that show what the claims are about, the best first.
BY_SCORE = ("comparisons", "effects", "score", "curves", "speed")
BY_TIME = ("speed", "why", "break-even", "comparisons", "curves")


class Run(NamedTuple):
    """A reference run: its report, the path of its suite from the root of the repository, and its plot."""

    name: str
    report: Report
    suite: Path
    plot: Plot | None
    drawn: Path | None


@cache
def runs_of(root: Path, catalog: Catalog) -> tuple[Run, ...]:
    """Every reference run that has a suite, sorted by name."""
    found = []
    for plan in sorted((root / "results" / "reference").glob("*/plan.json")):
        folder = plan.parent
        report = make_report(Store.open(folder), catalog)
        suites = sorted((root / "suites").rglob(f"{folder.name}.yaml"))
        if len(suites) != 1:
            raise SystemExit(f"{folder}: expected one suite {folder.name}.yaml under suites/, found {len(suites)}")
        plot, drawn = plot_of(report, folder)
        found.append(Run(folder.name, report, suites[0].relative_to(root), plot, drawn))
    return tuple(found)


def plot_of(report: Report, folder: Path) -> tuple[Plot | None, Path | None]:
    """The stored plot that best shows what the claims are about; nothing if none is small enough."""
    first = [result.decisive.metric for result in report.findings.claims if result.decisive]
    scored = bool(first) and not first[0].endswith(("_time", "_bytes", "flops"))
    wanted = BY_SCORE if scored else BY_TIME
    for beginning in wanted:
        for plot in all_plots(report):
            path = folder / "plots" / f"{plot.name}.svg"
            if plot.name.startswith(beginning) and path.is_file() and path.stat().st_size <= LARGEST:
                return plot, path
    return None, None


def plots(root: Path, catalog: Catalog) -> dict[str, bytes]:
    """The files of the plots, by path."""
    return {f"docs/gallery/{run.name}.svg": run.drawn.read_bytes() for run in runs_of(root, catalog) if run.drawn}


def claims(root: Path, catalog: Catalog) -> str:
    """The page with which `harness run suites` ends, for the reference runs of these suites."""
    runs = {f"{run.name}.yaml": run for run in runs_of(root, catalog) if run.suite.parent == Path("suites")}
    links = {name: Path(run.name) / "report.md" for name, run in runs.items()}
    return in_markdown({name: run.report for name, run in runs.items()}, links)


def page(root: Path, catalog: Catalog) -> str:
    """The page."""
    runs = runs_of(root, catalog)
    rows = [(f"[{cell(run.report.question)}](#{run.name})", answers(run.report)) for run in runs]
    return md.page(
        "Gallery",
        "results/reference/",
        "The results of the suites in this repository. Each was measured once, on one machine, so the result may be "
        "different on another machine. The runs are stored under `results/reference/` with every raw sample. Every "
        "number on this page is computed from them. Next to each suite is a page that discusses its results: the "
        "reasons, and the limits. Read [what verdicts and intervals mean](method.md) and [when not to believe "
        "them](bias.md).",
        md.table(["question", "claims"], rows),
        *(block for run in runs for block in of_run(run)),
    )


def answers(report: Report) -> str:
    """How many claims ended with which answer."""
    found = [claim.answer for claim in report.claims]
    return ", ".join(f"{found.count(answer)} {word.lower()}" for answer, word in ANSWERS.items() if answer in found)


def of_run(run: Run) -> Iterator[str]:
    """A run under its own heading."""
    report = run.report
    yield f"## {run.name}"
    yield f"**{cell(report.question)}**"
    yield from (cell(text) for text in report.summary)
    if run.plot:
        yield f"![{cell(run.plot.title)}](gallery/{run.name}.svg)"
    claims = claims_table({run.name: report})
    if claims.rows:
        # Without the last column: it names the suite, as the heading does.
        yield md.table(claims.headers[:-1], [[cell(text) for text in row[:-1]] for row in claims.rows])
    yield (
        f"Measured on {cell(report.machine)}.\nDiscussion: `{run.suite.with_suffix('.md')}`. Reproduce: "
        f"`harness run {run.suite}`."
    )
