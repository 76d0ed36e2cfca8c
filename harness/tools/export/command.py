"""``harness export``: a trial as a standalone script, or as the text of an issue."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from harness.api.lookup import open_run
from harness.api.session import SuiteOverrides, plan_of
from harness.cli import completers
from harness.cli.options import device_option, preset_option, results_option, set_option, write_text
from harness.cli.plugin_options import plugin_option, plugins_of
from harness.errors import UserError
from harness.modes import MODES
from harness.plugins.catalog import Catalog
from harness.plugins.experiment import EXPERIMENT
from harness.records.plan import Block, Plan, Trial
from harness.report.report import Report, make_report
from harness.suite.yaml_source import is_yaml


@click.command()
@plugin_option
@click.argument("trial")
@click.argument("run", type=click.Path(path_type=Path), required=False, shell_complete=completers.runs)
@click.option("--script", "form", flag_value="script", help="Write a Python file that repeats the steps of the trial.")
@click.option(
    "--issue", "form", flag_value="issue", help="Write the Markdown text of an issue that contains this file."
)
@click.option("--mode", type=click.Choice(MODES), help="By default, the first mode that is measured.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write to this file.")
@click.option(
    "--check/--no-check", default=True,
    help="Run the script and compare its losses before it is written.  [default: check]",
)  # fmt: skip
@preset_option
@set_option
@device_option
@results_option
@click.pass_context
def export(
    context: click.Context,
    /,
    trial: str,
    run: Path | None,
    form: str | None,
    mode: str | None,
    output: Path | None,
    check: bool,
    results: Path,
    **changes: Any,
) -> None:
    """Export a trial as a standalone script or as the text of an issue.

    TRIAL is an id or the beginning of one (see harness plan), a level such as packed, or a level with its context such
    as wide/packed. RUN is the folder of a run, the name of a suite for its latest run, NAME~1 for the run before that,
    or the YAML file of a suite, which needs no run. By default it is the latest run.

    The script needs only torch. It contains the code of the parts that the trial uses, some of the measured batches,
    and the loss of each step as the harness computes it. Before it is written, it is run and its losses are compared.

    \b
    Examples:
      harness export reviews/packed suites/packing.yaml --script
      harness export wide/packed results/packing/2026-11-26T120000 --issue
    """
    if form is None:
        raise UserError("expected --script or --issue.", fix="Add one of them.")
    overrides = SuiteOverrides.of(**changes, only=())
    report = None
    if run is not None and is_yaml(run):
        _, catalog, plan = plan_of(run, overrides, plugins_of(context))
    elif overrides != SuiteOverrides([]):
        fix = "Leave out --preset, --set and --device, or give the YAML file of a suite."
        raise UserError("a trial of a run is exported as it was planned.", fix=fix)
    else:
        plan, catalog, report = read_run(context, run, results)
    with redirect_stdout(sys.stderr):  # plugins may print
        text = export_text(plan, catalog, report, trial, form, mode, check=check)
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(output, text)
    click.echo(f"Written: {output}", err=True)


def read_run(context: click.Context, run: Path | None, results: Path) -> tuple[Plan, Catalog, Report]:
    """The plan, the catalog and the report of an earlier run."""
    store = open_run(run, results)
    plan, plugins = store.plan(), plugins_of(context)
    if not plugins.files:
        plugins = replace(plugins, files=tuple(map(Path, plan.overrides.get("plugins", ()))))
    catalog = plugins.catalog_for([store])
    return plan, catalog, make_report(store, catalog)


def export_text(
    plan: Plan, catalog: Catalog, report: Report | None, wanted: str, form: str, mode: str | None, *, check: bool
) -> str:
    """The script or the issue. If a script without the unused methods does not repeat the trial, all methods are kept.
    A message on the error stream says whether the script was checked."""
    # These modules import torch, which --help does not need.
    from harness.tools.export.check import find_difference
    from harness.tools.export.issue_text import ISSUE_BATCH_CHARACTERS, MAX_ISSUE_CHARACTERS, issue_text, measured_lines
    from harness.tools.export.script import BATCH_CHARACTERS, ExportedTrial, make_script, mode_of
    from harness.tools.export.trials import check_unchanged, find_trial

    block, trial = find_trial(plan, wanted)
    if trial.model.name == EXPERIMENT:
        fix = "Share the file itself; `harness vary` and a suite measure it."
        raise UserError(f"{trial.model.title} is a script already, so its trials are not exported.", fix=fix)
    if trial.is_program:
        fix = "Share the command itself; `harness ab` measures it."
        raise UserError(f"{trial.level} is a command, so its trials are not exported.", fix=fix)
    check_unchanged(plan, trial, catalog)
    if trial.is_function:
        return function_text(plan, block, trial, report, form, check=check)
    mode = mode_of(block, trial, catalog, mode)
    measured = measured_lines(report, block, trial, mode) if report else ()
    exported = ExportedTrial(plan, block, trial, mode, measured)
    characters = ISSUE_BATCH_CHARACTERS if form == "issue" else BATCH_CHARACTERS
    for whole in (False, True):
        script = make_script(catalog, exported, whole=whole, characters=characters)
        if not check or script.replay is None:
            click.echo("Not checked: the script was not run.", err=True)
            break
        limit = block.measures.limit
        difference = find_difference(script.text, script.replay, exported.environment, limit, script.included)
        if not difference:
            steps = len(script.replay.values)
            outcome = "fails like the trial" if script.failure else f"repeats the {steps} steps of the trial"
            click.echo(f"Checked: the script was run and {outcome}.", err=True)
            break
    else:
        fix = "Add --no-check to export it anyway."
        raise UserError(f"the script of {exported.path} does not repeat the trial: {difference}.", fix=fix)
    if form == "script":
        return script.text
    text = issue_text(exported, script, report)
    if len(text) > MAX_ISSUE_CHARACTERS:
        click.echo(
            f"The text has {len(text):,} characters, but GitHub accepts only {MAX_ISSUE_CHARACTERS:,}. "
            "Attach the script as a file instead.",
            err=True,
        )
    return text


def function_text(plan: Plan, block: Block, trial: Trial, report: Report | None, form: str, *, check: bool) -> str:
    """The script or the issue of a comparison of functions."""
    from harness.tools.export.functions import check_script, function_issue, function_script

    script = function_script(block, trial, f"{trial.level} against {block.baseline.level}, exported from {plan.suite}.")
    if check:
        check_script(script)
        click.echo("Checked: the script runs.", err=True)
    return script if form == "script" else function_issue(script, report)
