"""``harness run``: measure one suite, or a folder of suites that ends with one page of claims."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from harness.api.progress import Progress
from harness.api.result import has_failures
from harness.api.session import ExecutionOptions, SuiteOverrides, begin, execute, plan_of, resume
from harness.cli import completers
from harness.cli.options import (
    as_json_option,
    device_option,
    only_option,
    preset_option,
    quick_option,
    results_option,
    set_option,
    until_decided_option,
)
from harness.cli.plugin_options import plugin_option, plugins_of, stopped_while
from harness.cli.show import show, show_page
from harness.errors import CLAIM_FAILED, FAILED, INTERRUPTED, UserError
from harness.plugins.catalog import Catalog
from harness.records.plan import Plan
from harness.records.store import Store
from harness.report.report import Report
from harness.report.suite_batch import SuiteBatch
from harness.report.writer import report_run


@click.command()
@plugin_option
@click.argument("suite", type=click.Path(path_type=Path), required=False)
@preset_option
@set_option
@only_option
@device_option
@quick_option
@until_decided_option
@results_option
@click.option(
    "--resume", "folder", type=click.Path(path_type=Path), metavar="DIR", shell_complete=completers.runs,
    help="Continue an interrupted run.",
)  # fmt: skip
@click.option(
    "--seeds", type=click.IntRange(1), metavar="N",
    help="With --resume: train up to N seeds. Results already inspected before the extra seeds are flagged `extended`.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N",
    help="Train N runs of a learning measure at once, one per core by default. Nothing is timed meanwhile.",
)  # fmt: skip
@click.option("--gate", is_flag=True, help="For CI: measure a failing claim again, and exit with 1 if it still fails.")
@click.option(
    "--executor", metavar="NAME", default="local", show_default=True, shell_complete=completers.parts("executor"),
    help="The executor that measures the blocks; see `harness list executors`.",
)  # fmt: skip
@as_json_option
@click.pass_context
def run(
    context: click.Context,
    /,
    suite: Path | None,
    folder: Path | None,
    results: Path,
    seeds: int | None,
    executor: str,
    jobs: int | None,
    gate: bool,
    as_json: bool,
    **changes: Any,
) -> None:
    """Measure a suite, or every suite in a folder, and report the results.

    Records are written to results/SUITE/RUN/ while the run goes on. Ctrl-C loses nothing, and --resume DIR continues.
    A folder of suites ends with one page that lists each claim with its verdict, effect and interval.

    The exit code is 3 if a trial failed or broke its promise. A claim that fails is a finding and leaves the exit code
    at 0, unless --gate is given.
    """
    overrides, options = SuiteOverrides.of(**changes), ExecutionOptions(executor, jobs, confirm=gate)
    plugins = plugins_of(context)
    if (suite is None) == (folder is None):
        raise UserError("give a suite, or --resume with the folder of a run.", fix="Try: harness run suites/smoke.yaml")
    if seeds is not None and folder is None:
        raise UserError("--seeds extends an earlier run.", fix="Use --set measure.learning.seeds=N instead.")
    if folder is not None and overrides != SuiteOverrides([]):
        fix = "Leave out --preset, --set, --only, --device, --quick and --until-decided."
        raise UserError("a run is resumed as it was planned.", fix=fix)
    if folder is not None and SuiteBatch.is_one(folder):
        run_page(context, SuiteBatch.open(folder), options, as_json=as_json)
    elif suite is not None and suite.is_dir():
        overrides = replace(overrides, without=plugins.without)
        run_page(context, SuiteBatch.create(results, suite, vars(overrides)), options, as_json=as_json)
    else:
        if folder is not None:
            begun, where = resume(folder, plugins, seeds), Path()
        else:
            assert suite is not None
            begun, where = begin(suite, overrides, plugins, results, options), suite.parent
        report, code = executed(*begun, options, where)
        show(report, begun[0], as_json=as_json)
        sys.exit(code)


def executed(store: Store, catalog: Catalog, plan: Plan, options: ExecutionOptions, where: Path) -> tuple[Report, int]:
    """Measure and report; the report and the exit code. On Ctrl-C, say how to resume and exit."""
    watcher = Progress(plan, catalog, sys.stderr)
    try:
        report = execute(store, catalog, plan, options, where, watcher)
    except KeyboardInterrupt as stop:
        click.echo(f"\nStopped{stopped_while(stop)}. Everything measured is stored.", err=True)
        click.echo(f"Resume with: harness run --resume {store.folder}", err=True)
        for problem in report_run(store, catalog).problems:
            click.echo(problem, err=True)
        sys.exit(INTERRUPTED)
    if has_failures(report) or watcher.problems:
        return report, FAILED
    failing = options.confirm and any(claim.answer == "fails" for claim in report.findings.claims)
    return report, CLAIM_FAILED if failing else 0


def run_page(context: click.Context, page: SuiteBatch, options: ExecutionOptions, *, as_json: bool) -> None:
    """Measure every suite of a page, one after another. All are planned before the first is measured."""
    plugins = plugins_of(context)
    overrides = {suite: SuiteOverrides(**page.asked).where_possible(suite) for suite in page.suites}
    for suite in page.suites:
        plan_of(suite, overrides[suite], plugins)
    codes, reports = [], {}
    for number, suite in enumerate(page.suites, 1):
        click.echo(f"\n{suite.name} ({number} of {len(page.suites)})", err=True)
        known = page.runs.get(suite.name)
        if known is not None:
            begun = resume(known, plugins)
        else:
            begun = begin(suite, overrides[suite], plugins, page.results, options)
        store = begun[0]
        page = page.with_run(suite, store.folder)
        try:
            reports[suite.name], code = executed(*begun, options, suite.parent)
        except SystemExit:
            click.echo(f"Resume the whole folder with: harness run --resume {page.folder}", err=True)
            raise
        codes.append(code)
        page.write(reports)
        if not as_json:
            show(reports[suite.name], store, as_json=False)
    show_page(page, reports, as_json=as_json)
    sys.exit(FAILED if FAILED in codes else CLAIM_FAILED if CLAIM_FAILED in codes else 0)
