"""The report as plain text: what the terminal shows, and the same in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tabulate import tabulate

from harness.plugins.isolation import visible
from harness.report.formats import saved, tensorboard
from harness.report.plots import plots
from harness.report.report import Report
from harness.report.table import Section, Table


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.txt into the run's folder."""
    return saved(folder / "report.txt", render(report) + "\n")


def render(report: Report, folder: Path | None = None) -> str:
    """The whole text; with the run's folder it says where the report is. Control characters are made visible, so no
    name or reason can command the terminal."""
    return visible("\n".join(_lines(report, folder)))


def _lines(report: Report, folder: Path | None) -> Iterator[str]:
    yield report.question
    if report.first_look:
        yield "A first look, one process per block: nothing here is a verdict. Run without --quick for those."
    yield from report.summary
    yield from sections(report.sections)
    for flag in report.flags:
        yield f"  {flag}"
    yield from remarks(report.remarks)
    if report.claims:
        yield "\nClaims"
        yield from (f"  {answer.upper()}: {says} ({reason})" for says, answer, reason in report.claims)
    if folder is not None:
        written = [path for name in ("report.html", "report.md") if (path := folder / name).is_file()]
        yield f"\nReport: {written[0] if written else folder}"
    missing = [line for line in (plots.how_to_get_them(report), tensorboard.how_to_get_them(report)) if line]
    last = [*missing, *([report.last_line] if report.last_line else [])]
    if last and folder is None:
        yield ""
    yield from last


def sections(those: Iterable[Section]) -> Iterator[str]:
    """Tables under their headings, without details."""
    for one in those:
        if one.tables or not one.details:
            yield visible(f"\n{one.title}. {one.words}" if one.words else f"\n{one.title}")
        for each in one.tables:
            yield f"\n{table(each)}"


def remarks(those: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """Lines under their headings, without empty ones."""
    for title, lines in those:
        if lines:
            yield f"\n{title}"
        yield from (f"  {visible(line)}" for line in lines)


def table(one: Table) -> str:
    """A table under its title, with its notes."""
    text = tabulate(one.rows, one.headers, tablefmt="simple", disable_numparse=True)
    return visible("\n".join((one.title, text, *one.notes)))
