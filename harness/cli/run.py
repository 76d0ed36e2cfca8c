"""The verb run: one suite, or a folder of suites that ends with one page of claims."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.api.session import Asked, How, begin, carry_out, finish, take_up, went_wrong
from harness.cli import completing
from harness.cli.options import (
    Context,
    as_json_option,
    device_option,
    left_out,
    only_option,
    plan_of,
    plugin_option,
    preset_option,
    quick_option,
    results_option,
    set_option,
    show,
    show_page,
    stopped_while,
    until_decided_option,
)
from harness.errors import CLAIM_FAILED, FAILED, INTERRUPTED, UserError

if TYPE_CHECKING:
    from harness.plugins.catalog import Catalog
    from harness.records.plan import Plan
    from harness.records.store import Store
    from harness.report.report import Report
    from harness.report.suite_batch import SuiteBatch as Page


@click.command()
@plugin_option
@click.argument("suite", type=click.Path(path_type=Path), required=False, shell_complete=completing.suites)
@preset_option
@set_option
@only_option
@device_option
@quick_option
@until_decided_option
@results_option
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="DIR", shell_complete=completing.runs,
    help="Go on with a run that was stopped.",
)  # fmt: skip
@click.option(
    "--seeds", type=click.IntRange(1), metavar="N",
    help="With --resume: go on to N seeds. Looked at before, what they are part of is marked as extended.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N",
    help="How many runs of a learning measure train at a time (as many as there are cores). No clock runs then.",
)  # fmt: skip
@click.option("--gate", is_flag=True, help="For CI: exit with 1 if a claim fails, and fails again when measured anew.")
@click.option(
    "--executor", default="local", show_default=True, shell_complete=completing.executors,
    help="Where blocks are measured; see harness list.",
)  # fmt: skip
@as_json_option
@click.pass_context
def run(
    context: Context,
    /,
    suite: Path | None,
    resume: Path | None,
    results: Path,
    seeds: int | None,
    executor: str,
    jobs: int | None,
    gate: bool,
    as_json: bool,
    **changes: Any,
) -> None:
    """Measure a suite, or every suite of a folder, and say what it shows.

    Records are kept in results/<suite>/<run>/ as they are measured; Ctrl-C loses nothing, and --resume DIR goes on. A
    folder ends with one page: each claim with its verdict, effect and interval.

    The exit code is 3 if a trial failed or broke its promise. A claim that fails is a finding and changes nothing,
    unless --gate is given.
    """
    asked, how = Asked.of(**changes), How(executor, jobs, confirm=gate)
    if (suite is None) == (resume is None):
        raise UserError("give a suite, or --resume with the folder of a run.", fix="Try: harness run suites/smoke.yaml")
    if seeds is not None and resume is None:
        raise UserError("--seeds adds to a run that was looked at.", fix="Use --set measure.learning.seeds=N instead.")
    if resume is not None and asked != Asked([]):
        fix = "Leave out --preset, --set, --only, --device, --quick, --until-decided."
        raise UserError("a resumed run goes on as it was planned.", fix=fix)
    from harness.report.suite_batch import SuiteBatch as Page

    if resume is not None and Page.is_one(resume):
        run_page(context, Page.open(resume), how, as_json=as_json)
    elif suite is not None and suite.is_dir():
        asked = replace(asked, without=left_out(context))
        run_page(context, Page.create(results, suite, vars(asked)), how, as_json=as_json)
    else:
        files, without = context.obj or (), left_out(context)
        if resume is not None:
            store, catalog, plan = take_up(resume, files, seeds, without)
        else:
            assert suite is not None
            store, catalog, plan = begin(suite, asked, files, results, how, without)
        report, code = carried_out(store, catalog, plan, how, suite.parent if suite else Path())
        show(report, store, as_json=as_json)
        sys.exit(code)


def carried_out(store: Store, catalog: Catalog, plan: Plan, how: How, where: Path) -> tuple[Report, int]:
    """Measure, report, and say with which code to end. Interrupted, it says how to go on, and ends."""
    from harness.api.progress import Progress

    watcher = Progress(plan, sys.stderr)
    try:
        report = carry_out(store, catalog, plan, how, where, watcher)
    except KeyboardInterrupt as stop:
        go_on = f"What is measured is kept; go on with: harness run --resume {store.folder}"
        click.echo(f"\nStopped{stopped_while(stop)}. {go_on}", err=True)
        for problem in finish(store, catalog).problems:
            click.echo(problem, err=True)
        sys.exit(INTERRUPTED)
    if went_wrong(report) or watcher.problems:
        return report, FAILED
    failing = how.confirm and any(claim.answer == "fails" for claim in report.findings.claims)
    return report, CLAIM_FAILED if failing else 0


def run_page(context: Context, page: Page, how: How, *, as_json: bool) -> None:
    """Every suite of a page, one after another; all are planned before the first is measured."""
    asked = {suite: Asked(**page.asked).where_possible(suite) for suite in page.suites}
    for suite in page.suites:
        plan_of(context, suite, asked[suite])
    codes, reports = [], {}
    for number, suite in enumerate(page.suites, 1):
        known = page.runs.get(suite.name)
        click.echo(f"\n{suite.name} ({number} of {len(page.suites)})", err=True)
        if known is not None:
            store, catalog, plan = take_up(known, context.obj or (), without=left_out(context))
        else:
            files, without = context.obj or (), left_out(context)
            store, catalog, plan = begin(suite, asked[suite], files, page.results, how, without)
        page = page.with_run(suite, store.folder)
        try:
            reports[suite.name], code = carried_out(store, catalog, plan, how, suite.parent)
        except SystemExit:
            click.echo(f"With the rest of the folder: harness run --resume {page.folder}", err=True)
            raise
        codes.append(code)
        page.write(reports)
        if not as_json:
            show(reports[suite.name], store, as_json=False)
    show_page(page, reports, as_json=as_json)
    sys.exit(FAILED if FAILED in codes else CLAIM_FAILED if CLAIM_FAILED in codes else 0)
