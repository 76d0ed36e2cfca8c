"""Measure suites, show their progress, and print their reports: what ``harness run`` does."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from harness.analysis.verdicts import Answer
from harness.api.lookup import PluginChoice
from harness.api.progress import Progress
from harness.api.result import has_failures
from harness.api.session import ExecutionOptions, Session, SuiteOverrides, plan_of
from harness.cli.options import show_remarks
from harness.cli.plugin_options import stopped_while
from harness.cli.show import show, show_batch
from harness.errors import CLAIM_FAILED, FAILED, INTERRUPTED, UserError
from harness.records.plan import Plan
from harness.report.report import Report
from harness.report.suite_batch import SuiteBatch


def measure_suite(session: Session, options: ExecutionOptions, *, as_json: bool, verbose: bool = False) -> int:
    """Measure one suite and print its report. Returns the exit code."""
    if options.confirm:
        try:
            check_gate([session.plan])
        except UserError:
            session.store.discard_if_empty()
            raise
    report, code = measured(session, options)
    show(report, session.store.folder, as_json=as_json, verbose=verbose)
    return code


def measure_batch(
    batch: SuiteBatch, plugins: PluginChoice, options: ExecutionOptions, *, as_json: bool, verbose: bool = False
) -> int:
    """Measure every suite of a folder, one after another. All are planned before the first is measured."""
    overrides = {suite: SuiteOverrides(**batch.overrides).where_possible(suite) for suite in batch.suites}
    plans = [plan_of(suite, overrides[suite], plugins)[-1] for suite in batch.suites]
    if options.confirm:
        check_gate(plans)
    codes, reports = [], {}
    for number, suite in enumerate(batch.suites, 1):
        click.echo(f"\n{suite.name} ({number} of {len(batch.suites)})", err=True)
        known = batch.runs.get(suite.name)
        if known is not None:
            session = Session.resume(known, plugins)
        else:
            session = Session.begin(suite, overrides[suite], plugins, batch.results, options)
        batch = batch.with_run(suite, session.store.folder)
        try:
            reports[suite.name], code = measured(session, options)
        except SystemExit:
            click.echo(f"Resume the whole folder with: harness run --resume {batch.folder}", err=True)
            raise
        codes.append(code)
        batch.write(reports)
        if not as_json:
            show(reports[suite.name], session.store.folder, as_json=False, verbose=verbose)
    show_batch(batch, reports, as_json=as_json)
    return FAILED if FAILED in codes else CLAIM_FAILED if CLAIM_FAILED in codes else 0


def check_gate(plans: Sequence[Plan]) -> None:
    """Raise UserError if a gate could not fail, whatever is measured: it would pass in CI without a test."""
    if any(block.measures.quick for plan in plans for block in plan.blocks):
        what = "a first look (--quick) decides no claim, so the gate cannot fail."
        raise UserError(what, where="--gate", fix="Leave out --quick or --gate.")
    if not any(plan.claims for plan in plans):
        fix = "Add a claim, such as: {says: It is not slower, level: LEVEL, expect: at most 5% slower}"
        raise UserError("there is no claim, so the gate cannot fail.", where="--gate", fix=fix)


def measured(session: Session, options: ExecutionOptions) -> tuple[Report, int]:
    """Measure and report; the report and the exit code. On Ctrl-C, say how to resume and exit."""
    show_remarks(session.plan.remarks)
    watcher = Progress(session.plan, session.catalog, sys.stderr)
    try:
        report = session.execute(options, watcher)
    except KeyboardInterrupt as stop:
        click.echo(f"\nStopped{stopped_while(stop)}. Everything measured is stored.", err=True)
        click.echo(f"Resume with: harness run --resume {session.store.folder}", err=True)
        for problem in session.report().problems:
            click.echo(problem, err=True)
        sys.exit(INTERRUPTED)
    if has_failures(report) or watcher.problems:
        return report, FAILED
    failing = options.confirm and any(claim.answer == Answer.FAILS for claim in report.findings.claims)
    return report, CLAIM_FAILED if failing else 0
