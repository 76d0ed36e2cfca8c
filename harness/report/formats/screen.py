"""The report on one screen: question, answer, one matrix, why, claims. `harness.report.formats.terminal` has it all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from harness.analysis.findings import Findings
from harness.plugins.isolation import visible
from harness.report.answer import explanation_of
from harness.report.cells import WORDING
from harness.report.formats import tensorboard
from harness.report.formats.console import (
    after_blank,
    fits,
    head,
    labelled,
    named,
    paragraph,
    print_on,
    table_lines,
    text_for,
)
from harness.report.formats.terminal import page_in
from harness.report.plots import plots
from harness.report.report import Report, visible_sizes
from harness.report.summary import slow_sentences
from harness.report.tables.causes import why_in_a_line
from harness.report.tables.claims import ClaimLine, capitalised
from harness.report.tables.matrix import Cell, Matrix, matrix_of

#: The colour of a verdict or an answer by its look, in the names of rich.
STYLES = {
    "less": "green", "good": "green", "more": "red", "bad": "red", "same": "cyan", "open": "yellow", "void": "dim",
}  # fmt: skip
NO_CLAIMS = Text("no claims", "dim")
#: The most rows of the matrix, claims, further sentences, and remarks of one kind.
MOST_ROWS, MOST_CLAIMS, MOST_SENTENCES, MOST_REMARKS = 16, 8, 2, 4
#: The most lines of one claim, of a further sentence, and of the notes under the matrix.
CLAIM_LINES, SENTENCE_LINES, NOTE_LINES = 5, 3, 4
#: The colour of a kind of remarks, and the most lines of one.
REMARKS = {"Failed": ("red", 4), "Problems": ("red", 4), "Warnings": ("yellow", 1), "Skipped": ("dim", 2)}


def render(report: Report, folder: Path | None = None, *, stream: TextIO | None = None) -> str:
    """The text for a stream: in colour if the stream shows colours, and as wide as the terminal. Without a stream it is
    plain."""
    return text_for(stream, lambda width: lines(report, width, folder))


def render_claims(reports: Mapping[str, Report], *, stream: TextIO | None = None) -> str:
    """The claims of several suites, each suite under its name."""

    def found(width: int) -> Iterator[Text]:
        for suite, report in reports.items():
            yield from [Text()] * (suite != next(iter(reports)))
            yield head(f"{suite}: {report.question}")
            yield from claim_lines(report.claims, width, most=len(report.claims)) if report.claims else [NO_CLAIMS]

    return text_for(stream, found)


def draw(report: Report, on: Console, folder: Path | None = None) -> None:
    """Print the text of a report on a console of rich, which may also record it as a picture."""
    print_on(on, lines(report, on.width, folder))


def lines(report: Report, width: int, folder: Path | None = None) -> Iterator[Text]:
    """The lines of the text, none longer than `width` unless a single word is."""
    shown, why = matrix_of(report.findings), why_lines(report.findings, width)
    for text, style in ((report.question, ""), (report.answer, "bold"), (report.banner, "yellow")):
        yield from paragraph(Text(visible(text), style), width, indent="")
    if shown is not None:
        yield Text()
        yield from matrix_lines(shown, width)
    yield from why
    yield from after_blank(claim_lines(report.claims, width))
    yield from after_blank(
        [
            *sentence_lines(report, width, explained=bool(why)),
            *remark_lines(report, width),
            *sensitivity_lines(report, width),
            *where_lines(report, width, folder),
        ]
    )


def claim_lines(claims: Sequence[ClaimLine], width: int, most: int = MOST_CLAIMS) -> Iterator[Text]:
    """The answer to each claim, the effect, the threshold, and where it is true."""
    for claim in claims[:most]:
        text = Text.assemble((claim.words, STYLES.get(WORDING[claim.answer].look, "")), f': "{visible(claim.says)}"')
        details = filter(None, (claim.effect, capitalised(claim.places), capitalised(claim.reason)))
        text.append(visible(f" (tested: {claim.tested}). {'. '.join(details)}."))
        yield from paragraph(text, width, CLAIM_LINES)
    rest = claims[most:]
    if rest:
        counts = [f"{sum(c.words == w for c in rest)} {w.lower()}" for w in dict.fromkeys(c.words for c in rest)]
        yield Text(f"{len(rest)} more claims: {', '.join(counts)}")


def why_lines(findings: Findings, width: int) -> list[Text]:
    """Why the level that the answer is about takes its time."""
    one = explanation_of(findings)
    if one is None:
        return []
    place = f" ({one.block.name})" if len(findings.plan.blocks) > 1 else ""
    return labelled(f"Why{place}", why_in_a_line(one), width, most=SENTENCE_LINES)


def sentence_lines(report: Report, width: int, *, explained: bool) -> Iterator[Text]:
    """Further sentences of the summary. Where it is `explained` why a level is slow, no sentence says how to find
    out."""
    known = slow_sentences(report.findings) if explained else []
    for sentence in [one for one in report.summary if one not in known][:MOST_SENTENCES]:
        yield from paragraph(Text(visible(sentence)), width, SENTENCE_LINES)


def sensitivity_lines(report: Report, width: int) -> list[Text]:
    """How small a difference of times the run could detect."""
    sizes = visible_sizes(report.findings)
    if sizes is None:
        return paragraph(Text(report.last_line), width)
    typical, noisiest = sizes
    both = typical if typical == noisiest else f"{typical} (noisiest: {noisiest})"
    return labelled("Sensitivity", f"the run detects {both} in 80 % of cases", width)


def remark_lines(report: Report, width: int) -> Iterator[Text]:
    """Failures, problems, warnings and skipped trials, of each at most some, and how many there are."""
    remarks = dict(report.remarks)
    for title, (style, most) in REMARKS.items():
        texts = remarks.get(title, ())
        for text in texts[:MOST_REMARKS]:
            yield from labelled(title.removesuffix("s"), text, width, style, most)
        if len(texts) > MOST_REMARKS:
            yield Text(f"{title}: {len(texts) - MOST_REMARKS} more", style)


def where_lines(report: Report, width: int, folder: Path | None) -> Iterator[Text]:
    """Where the report is, and what to install to see more of it."""
    for text in (plots.missing_plots(report), tensorboard.missing_curves(report)):
        yield from paragraph(Text(text), width)
    if folder is not None:
        yield from labelled("Report", f"{page_in(folder)} (all numbers: --verbose)", width)


# The matrix


def matrix_lines(matrix: Matrix, width: int) -> Iterator[Text]:
    """The matrix in the widest form that fits: places as columns, places as rows, or a line for each comparison."""
    forms = (by_level(matrix), by_place(matrix), without_baseline(by_place(matrix), matrix))
    rows = next((rows for rows in forms if fits(rows, width)), None)
    if rows is None:
        found = [line for one in one_by_one(matrix) for line in paragraph(one, width)]
        shown, left = found[:MOST_ROWS], found[MOST_ROWS:]
    else:
        header, *body = table_lines(rows)
        shown, left = [header, *body[:MOST_ROWS]], body[MOST_ROWS:]
    yield from shown
    if left:
        counts = Counter(cell.verdict.rstrip("*") for cell in matrix.cells.values())
        every = ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common() if verdict)
        text = f"… and {len(left)} more lines. Of all {len(matrix.cells)} comparisons: {every}."
        yield from paragraph(Text(text, "dim"), width)
    yield from paragraph(Text(visible(" ".join((matrix.caption, *matrix.notes))), "dim"), width, NOTE_LINES, "")


def by_level(matrix: Matrix) -> list[list[Text]]:
    """A row for each level, a column for each place."""
    rows = [[head(matrix.axis), *map(head, matrix.titles)]]
    if matrix.baseline:
        rows.append([named(matrix.baseline), *(named(value or "baseline") for value in matrix.baselines)])
    return rows + [
        [named(level), *(text_of(matrix.cell(level, place)) for place in matrix.places)] for level in matrix.levels
    ]


def by_place(matrix: Matrix) -> list[list[Text]]:
    """A row for each place, a column for each level."""
    base = [head(matrix.baseline)] if matrix.baseline else []
    rows = [[head(" · ".join(matrix.axes)), *base, *map(head, matrix.levels)]]
    for place, value in zip(matrix.places, matrix.baselines, strict=True):
        own = [named(value or "baseline")] if base else []
        rows.append([named(place), *own, *(text_of(matrix.cell(level, place)) for level in matrix.levels)])
    return rows


def without_baseline(rows: list[list[Text]], matrix: Matrix) -> list[list[Text]]:
    """A row for each place, without the baseline's own values."""
    return [[row[0], *row[2:]] for row in rows] if matrix.baseline else rows


def one_by_one(matrix: Matrix) -> Iterator[Text]:
    """A text for each comparison."""
    for place in matrix.places:
        for level in matrix.levels:
            if (level, place) in matrix.cells:
                where = f"{place}, " if len(matrix.places) > 1 else ""
                yield Text(visible(f"{where}{level}: ")).append_text(text_of(matrix.cells[level, place]))


def text_of(cell: Cell) -> Text:
    """A cell with its verdict in colour."""
    text = Text(cell.size)
    if cell.size and cell.verdict:
        text.append(" ")
    return text.append(cell.verdict, STYLES.get(cell.look, ""))
