"""Amounts, such as bytes, over the baseline's in all contexts."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.claim_words import place_of
from harness.analysis.quantities import QuantityFinding
from harness.modes import step_name
from harness.report.answer import leading_claim
from harness.report.cells import common_baseline, in_words
from harness.report.plots import figures as fig
from harness.report.plots.figures import Plot
from harness.report.plots.forest import Forest, ForestRow
from harness.report.report import Report


def amount_plots(report: Report) -> Iterator[Plot]:
    """The amount that the leading claim is about."""
    findings, leading = report.findings, leading_claim(report.findings)
    if leading is None or not leading.claim.exact or leading.claim.is_value:
        return
    claim = leading.claim
    styles, kind = fig.styles_in(findings.plan), ""
    rows, shown = list[ForestRow](), list[QuantityFinding]()
    for found in findings.kinds:
        for one in found.quantities:
            if (one.metric, one.mode) == (claim.metric, claim.of) and one.ratio and one.level != one.baseline:
                style, word = styles[one.level], str(one.verdict)
                rows.append(ForestRow(place_of(one), one.level, style, one.ratio, None, True, word))
                shown.append(one)
                kind = found.measure.kind.name
    if rows:
        name, step = in_words(claim.metric), step_name(claim.of)
        baseline = common_baseline(shown)
        title = f"{name} against {baseline}{f' for {step}' if step else ''}"
        unit = f"{name} over the baseline's (below 1 is less)"
        yield Plot.of(
            Forest(title, rows, "ratio", unit, baseline), in_words(kind).capitalize(), "amount", claim.metric, claim.of
        )
