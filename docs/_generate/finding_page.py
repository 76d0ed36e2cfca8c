"""A page for each piece of advice: the verdict, a plot, the reasons, what to do, and the numbers of each machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from _generate import markdown as md
from _generate.advice import Advice, ClaimUse, Source, all_advice
from _generate.finding_plot import caption, place_in_words, plot, size_and_interval
from _generate.numbers import StoredNumbers, findings_of
from _generate.runs import StoredRun, machines, reference_runs, stored_runs
from _generate.verdict import checked_verdict, claim_in
from harness.analysis.claims import ClaimResult
from harness.plugins.catalog import Catalog
from harness.records.plan import Claim
from harness.report.cells import ANSWERS

FOLDER = "docs/findings"
NOT_RUN = "not run"
#: The verdicts with a sign that needs no colour.
SIGNS = {"True": "✓ True", "False": "✗ False", "It depends": "± It depends", "Not decided": "? Not decided"}


def pages(root: Path, catalog: Catalog) -> dict[str, bytes]:
    """The page and the plot of each piece of advice, by path."""
    found = {}
    for advice in all_advice(root):
        found[f"{FOLDER}/{advice.name}.md"] = page(root, catalog, advice).encode()
        drawn = findings_of(reference_runs(root, catalog)[advice.numbers.suite], advice.numbers)
        found[f"{FOLDER}/{advice.name}.svg"] = plot(advice.title, drawn).encode()
    return found


def page(root: Path, catalog: Catalog, advice: Advice) -> str:
    """The page of one piece of advice. Raises SystemExit if its file contradicts the runs."""
    runs = stored_runs(root, catalog)
    checked_verdict(advice, runs)
    numbers = StoredNumbers(reference_runs(root, catalog))
    sections = {name: numbers.render(text, advice.name) for name, text in advice.sections.items()}
    suites = list(dict.fromkeys(use.suite for use in advice.claims))
    files = [numbers.runs[suite].suite_file for suite in suites]
    return md.page(
        advice.title,
        f"docs/_findings/{advice.name}.md and the stored runs",
        f"> **Advice:** {advice.advice}\n>\n" + "\n".join(f"> {line}" for line in given_by(advice.sources)),
        f"**{signed(advice)}.** {numbers.render(advice.answer, advice.name)}",
        f"![{md.cell(advice.title)}: plot of the numbers in the table below]({advice.name}.svg)",
        f"*Measured on {numbers.runs[advice.numbers.suite].machine}.*",
        "## Why",
        sections["Why"],
        *([f"See also {'; '.join(link(source) for source in advice.see_also)}."] if advice.see_also else []),
        "## What to do",
        sections["What to do"],
        "## What was measured, and where",
        claims_table(advice, runs, machines(root, catalog)),
        numbers_table(advice, runs, machines(root, catalog)),
        note(numbers.runs[advice.numbers.suite]),
        "To measure it on your machine:",
        md.fence("text", "\n".join(f"harness run {file}" for file in files)),
        "## Limits",
        sections["Limits"],
        "[All findings](index.md) · [How the method works](../method.md) · [When not to believe a result](../bias.md)",
    )


def signed(advice: Advice) -> str:
    """The verdict with its sign, and with what it depends on."""
    return SIGNS[advice.verdict] + advice.verdict_in_words.removeprefix(advice.verdict)


def given_by(sources: Sequence[Source]) -> Iterator[str]:
    """Who gives the advice, a line for each source."""
    if not sources:
        yield "Often heard; no written source was found."
    for source in sources:
        quote = f"“{source.quote}” — " if source.quote else ""
        yield f"- {quote}{link(source)}"


def link(source: Source) -> str:
    """A source with its address."""
    return f"[{source.title}]({source.url})"


def claims_table(advice: Advice, runs: Sequence[StoredRun], columns: Sequence[str]) -> str:
    """Each claim with its answer on each machine. A claim that is false is shown with its answer in the same row."""
    by_place = {(run.suite, run.machine): run for run in runs}
    rows = []
    for use in advice.claims:
        first = tested_in(use, runs)
        cells = [answer_on(by_place.get((use.suite, machine)), use, first.claim) for machine in columns]
        rows.append([f"“{use.claim}” ({first.expected}; {use.suite})", *cells, NOT_RUN])
    return md.table(["claim (threshold; suite)", *columns, "GPU"], rows)


def tested_in(use: ClaimUse, runs: Sequence[StoredRun]) -> ClaimResult:
    """The claim in the reference run."""
    result = claim_in(next(run for run in runs if run.suite == use.suite), use.claim)
    assert result is not None
    return result


def answer_on(run: StoredRun | None, use: ClaimUse, first: Claim) -> str:
    """The answer to a claim on one machine, in how many contexts it is true, and the threshold if it is another one
    than that of the `first` run."""
    if run is None or (result := claim_in(run, use.claim)) is None:
        return NOT_RUN
    some = 0 < len(result.true_in) < result.contexts
    places = f", true in {len(result.true_in)} of {result.contexts}" if some else ""
    other = (result.claim.expect, result.claim.by) != (first.expect, first.by)
    return f"{ANSWERS[result.answer]}{places}{f' (tested: {result.expected})' if other else ''}"


def numbers_table(advice: Advice, runs: Sequence[StoredRun], columns: Sequence[str]) -> str:
    """The numbers of the plot on each machine."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    what = ""
    for run in (run for run in runs if run.suite == advice.numbers.suite):
        for one in findings_of(run, advice.numbers):
            words = f"{size_and_interval(one)}: {one.verdict}"
            cells.setdefault((place_in_words(one), one.level), {})[run.machine] = words
            what = caption(one)
    several = len({context for context, _ in cells}) > 1
    rows = [
        [f"{level}, {context}" if several else level, *(there.get(machine, NOT_RUN) for machine in columns), NOT_RUN]
        for (context, level), there in cells.items()
    ]
    return md.table([what, *columns, "GPU"], rows)


def note(run: StoredRun) -> str:
    """How to read the numbers of the table, and which machine the run had."""
    return (
        "Numbers in brackets are intervals at 95 % confidence. Nothing was measured on a GPU. The text and the plot "
        f"use the reference run `results/reference/{run.suite}`: {md.cell(run.report.machine)}."
    )
