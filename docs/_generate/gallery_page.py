"""The gallery: each reference run with its question, answer, claims and a plot, all from the stored records."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from _generate import markdown as md
from harness.plugins.catalog import Catalog
from harness.records.store import Store
from harness.report.formats.markdown import cell
from harness.report.plots.figures import Plot
from harness.report.plots.plots import all_plots
from harness.report.report import Report, make_report
from harness.report.suite_batch import claims_table, in_markdown

#: A plot that is larger is left out for a smaller one.
LARGEST = 100_000
#: The sections whose plots show what claims speak of, those first that show the most of it at once.
BY_SCORE = ("comparisons", "effects", "score", "curves", "speed")
BY_TIME = ("speed", "why", "break-even", "comparisons", "curves")


class Run(NamedTuple):
    """A reference run: its report, the suite and its reading from the repository's root, and its plot."""

    name: str
    report: Report
    suite: Path
    plot: Plot | None
    drawn: Path | None


@cache
def runs_of(root: Path, catalog: Catalog) -> tuple[Run, ...]:
    """Every reference run whose suite is there, in the order of their names."""
    found = []
    for plan in sorted((root / "results" / "reference").glob("*/plan.json")):
        folder = plan.parent
        report = make_report(Store.open(folder), catalog)
        suites = sorted((root / "suites").rglob(f"{folder.name}.yaml"))
        if len(suites) != 1:
            raise SystemExit(f"results/reference/{folder.name}: it takes one suite {folder.name}.yaml under suites/")
        plot, drawn = plot_of(report, folder)
        found.append(Run(folder.name, report, suites[0].relative_to(root), plot, drawn))
    return tuple(found)


def plot_of(report: Report, folder: Path) -> tuple[Plot | None, Path | None]:
    """The plot that shows best what the claims speak of, as the run left it; nothing where none is small enough."""
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
    """The plots as they lie beside the page."""
    return {f"docs/gallery/{run.name}.svg": run.drawn.read_bytes() for run in runs_of(root, catalog) if run.drawn}


def claims(root: Path, catalog: Catalog) -> str:
    """The page that `harness run suites` ends with, of the reference runs of these suites."""
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
        "What the suites of this repository found, each on one machine, at one time: a finding, not a law. The run of "
        "each is committed with every raw sample under `results/reference/`, and its reading, which says why and what "
        "it does not say, lies beside the suite. Nothing here is typed by hand: each number is computed from these "
        "records. [What verdicts and intervals mean](method.md), and [when not to believe them](bias.md).",
        md.table(["question", "its claims"], rows),
        *(block for run in runs for block in of_run(run)),
    )


def answers(report: Report) -> str:
    """How many claims ended with which answer."""
    found = [answer for _, answer, _ in report.claims]
    words = {"holds": "hold", "fails": "fail", "undecided": "undecided"}
    return ", ".join(f"{found.count(answer)} {text}" for answer, text in words.items() if answer in found)


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
        # The last column names the suite, which is this section.
        yield md.table(claims.headers[:-1], [[cell(text) for text in row[:-1]] for row in claims.rows])
    yield (
        f"On {cell(report.machine)}.\nIts reading: `{run.suite.with_suffix('.md')}`. To do it again: "
        f"`harness run {run.suite}`."
    )
