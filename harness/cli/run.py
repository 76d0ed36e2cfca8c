"""``harness run``: measure one suite, or a folder of suites that ends with one page of claims."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from harness.cli import completers
from harness.cli.options import as_json_option, quick_option, results_option, suite_options, verbose_option
from harness.cli.plugin_options import plugin_option, plugins_of
from harness.errors import UserError


@click.command()
@plugin_option
@click.argument("suite", type=click.Path(path_type=Path), required=False)
@suite_options
@quick_option
@results_option
@click.option(
    "--resume", "folder", type=click.Path(path_type=Path), metavar="RUN", shell_complete=completers.runs,
    help="Continue an interrupted run: its folder, the name of a suite for its latest run, or `latest`.",
)  # fmt: skip
@click.option(
    "--seeds", type=click.IntRange(1), metavar="N",
    help="With --resume: train with N seeds in all. Results that had fewer seeds before are flagged `extended`.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N",
    help="The number of training runs at the same time, by default one per core. Nothing is timed meanwhile.",
)  # fmt: skip
@click.option(
    "--gate", is_flag=True,
    help="For CI: measure a false claim again, and exit with 1 if it is false both times. A regression that one "
    "measurement finds with probability p fails the gate with about p². Undecided claims pass. Not with --quick.",
)  # fmt: skip
@click.option(
    "--executor", metavar="NAME", default="local", show_default=True, shell_complete=completers.parts("executor"),
    help="The executor that measures the blocks. `harness list executors` shows all.",
)  # fmt: skip
@verbose_option
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
    verbose: bool,
    as_json: bool,
    **changes: Any,
) -> None:
    """Measure a suite, or every suite in a folder, and answer its question.

    Records are written to results/SUITE/RUN/ while the run goes on. Ctrl-C loses nothing, and --resume RUN continues.
    A folder of suites ends with one page that lists each claim with its verdict, effect and interval.

    The exit code is 3 if a trial failed or broke its promise. A false claim is a finding and leaves the exit code at 0,
    unless --gate is given.
    """
    from harness.api.lookup import open_run
    from harness.api.session import ExecutionOptions, Session, SuiteOverrides
    from harness.cli.measuring import measure_batch, measure_suite
    from harness.report.suite_batch import SuiteBatch

    overrides, options = SuiteOverrides.of(**changes, gate=gate), ExecutionOptions(executor, jobs, confirm=gate)
    plugins = plugins_of(context)
    if (suite is None) == (folder is None):
        raise UserError("give a suite, or --resume with the folder of a run.", fix="Try: harness run suites/smoke.yaml")
    if seeds is not None and folder is None:
        raise UserError("--seeds needs --resume.", fix="For a new run, use --set measure.learning.seeds=N.")
    if folder is not None and replace(overrides, gate=False) != SuiteOverrides([]):
        fix = "Leave out --preset, --set, --only, --device and --quick."
        raise UserError("a resumed run keeps its plan.", where="--resume", fix=fix)
    if folder is not None:
        if SuiteBatch.is_in(folder):
            code = measure_batch(SuiteBatch.open(folder), plugins, options, as_json=as_json, verbose=verbose)
        else:
            session = Session.resume(open_run(folder, results).folder, plugins, seeds)
            code = measure_suite(session, options, as_json=as_json, verbose=verbose)
    else:
        assert suite is not None
        if suite.is_dir():
            overrides = replace(overrides, without=plugins.without)
            batch = SuiteBatch.create(results, suite, vars(overrides))
            code = measure_batch(batch, plugins, options, as_json=as_json, verbose=verbose)
        else:
            session = Session.begin(suite, overrides, plugins, results, options)
            code = measure_suite(session, options, as_json=as_json, verbose=verbose)
    sys.exit(code)
