"""Measure a comparison that has no suite file, and print its answers."""

from __future__ import annotations

from pathlib import Path

import click

from harness.analysis.verdicts import Answer
from harness.api.lookup import PluginChoice
from harness.api.result import Result
from harness.api.series import Series
from harness.api.session import ExecutionOptions, Session, SuiteOverrides
from harness.cli.measuring import measured
from harness.cli.options import echo_json_text
from harness.errors import UNDECIDED
from harness.report.answers import answers_of, notes_of
from harness.report.formats.terminal import page_in, prose, table
from harness.report.report import Report
from harness.report.rows import json_text, to_json
from harness.report.tables.causes import sentence_of
from harness.report.tables.explain import explanation_table
from harness.suite.values import SuiteValues
from harness.wrapping import columns

#: The rows of a table of operators.
OPERATORS = 6


def measure(
    suite: SuiteValues,
    plugins: PluginChoice,
    results: Path,
    *,
    gate: bool,
    as_json: bool,
    quick: bool = False,
    series: str = "",
) -> int:
    """Measure a suite that was made from options, and print its answers. Returns the exit code; with `gate`, it depends
    on the claims: 1 if one is false, 4 if one is undecided. In a `series`, it depends on the decision."""
    tries = Series.named(series, results) if series else None
    options = ExecutionOptions(confirm=gate)
    session = Session.begin(suite, SuiteOverrides(gate=gate or bool(tries), quick=quick), plugins, results, options)
    attempt = None
    if tries:
        attempt, session = tries.begin(session)
    report, code = measured(session, options)
    folder = session.store.folder
    decision = tries.finish(attempt, Result(report, folder)) if tries and attempt else None
    if as_json:
        found = {"folder": str(folder), "answers": answers_of(report), **to_json(report)}
        echo_json_text(json_text({**found, "series": decision.to_json()} if decision else found))
    else:
        click.echo(f"\n{answer_text(report, folder)}")
        if decision:
            click.echo(decision)
    if decision:
        return code or decision.code
    undecided = gate and any(claim.answer == Answer.UNDECIDED for claim in report.findings.claims)
    return code or (UNDECIDED if undecided else 0)


def answer_text(report: Report, folder: Path) -> str:
    """The answers, and where to read more. The verdicts come last."""
    width = columns()
    notes = [*notes_of(report), *report.flags, *report.warnings, *report.problems]
    claims = [f"{claim.answer}: {claim.claim.says}" for claim in report.findings.claims]
    lines = [prose(text, width) for text in notes]
    for one in report.findings.explained:
        lines += [
            "",
            table(explanation_table(one, OPERATORS), width) if one.explained else prose(sentence_of(one), width),
            "",
        ]
    lines += [f"Report: {page_in(folder)}", ""]
    return "\n".join([*lines, *(prose(text, width) for text in [*answers_of(report), *claims])])
