"""``harness export``: a trial as a standalone script, or as the text of an issue."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from harness.api.lookup import run_of
from harness.api.session import SuiteOverrides, plan_of
from harness.cli.options import device_option, preset_option, results_option, set_option, write_text
from harness.cli.plugin_options import plugin_option, plugins_of
from harness.errors import UserError
from harness.plugins.catalog import Catalog
from harness.records.plan import Plan
from harness.report.report import Report, make_report


@click.command()
@plugin_option
@click.argument("trial")
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option("--script", "form", flag_value="script", help="Write a Python file that repeats the steps of the trial.")
@click.option(
    "--issue", "form", flag_value="issue", help="Write the Markdown text of an issue that contains this file."
)
@click.option(
    "--mode", type=click.Choice(["train", "inference"]), help="By default the first mode that the suite measures."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write to this file.")
@click.option(
    "--check/--no-check",
    default=True,
    help="Run the script and compare its losses before it is written.  [default: check]",
)
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

    \b
    TRIAL  its id or the beginning of the id (see harness plan), its level (packed),
           or its level with the context (wide/packed)
    RUN    the folder of a run, by default the latest run, or the YAML file of a suite

    The script needs only torch. It contains the code of the parts that the trial uses, some of the measured batches,
    and the loss of each step as the harness computes it. Before it is written, it is run and its losses are compared.

    \b
    harness export reviews/packed suites/packing.yaml --script --output packed.py
    harness export wide/packed results/packing/2026-11-26T120000 --issue
    """
    if form is None:
        raise UserError("the form of the export is missing.", fix="Add --script or --issue.")
    overrides = SuiteOverrides.of(**changes, only=())
    if run is not None and run.suffix in (".yaml", ".yml"):
        _, catalog, plan = plan_of(run, overrides, plugins_of(context))
        report = None
    elif overrides != SuiteOverrides([]):
        raise UserError("a run is exported as it was planned.", fix="Leave out --preset, --set and --device.")
    else:
        plan, catalog, report = of_a_run(context, run, results)
    with redirect_stdout(sys.stderr):  # plugins may print
        text = written(plan, catalog, report, trial, form, mode, check=check)
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(output, text)
    click.echo(f"Written: {output}", err=True)


def of_a_run(context: click.Context, run: Path | None, results: Path) -> tuple[Plan, Catalog, Report]:
    """The plan, the catalog and the report of an earlier run."""
    store = run_of(run, results)
    plan, plugins = store.plan(), plugins_of(context)
    if not plugins.files:
        plugins = replace(plugins, files=tuple(map(Path, plan.overrides.get("plugins", ()))))
    catalog = plugins.catalog_for([store])
    return plan, catalog, make_report(store, catalog)


def written(
    plan: Plan, catalog: Catalog, report: Report | None, wanted: str, form: str, mode: str | None, *, check: bool
) -> str:
    """The script or the issue. If the script with shortened classes does not repeat the trial, whole classes are used.
    The error stream says whether the script was checked."""
    # These modules import torch, which --help does not need.
    from harness.tools.export.check import complaint
    from harness.tools.export.choose import check_unchanged, choose
    from harness.tools.export.issue import LONGEST, ROOM, issue, measured
    from harness.tools.export.script import Subject, make_script, mode_of

    block, trial = choose(plan, wanted)
    check_unchanged(plan, trial, catalog)
    mode = mode_of(block, trial, catalog, mode)
    subject = Subject(plan, block, trial, mode, measured(report, block, trial, mode) if report else ())
    for whole in (False, True):
        script = make_script(catalog, subject, whole=whole, **({"room": ROOM} if form == "issue" else {}))
        wrong = ""
        if check and script.was_run:
            limit = block.measures.limit
            wrong = complaint(script.text, script.rehearsal, subject.environment, limit, script.taken_along)
        if not wrong:
            break
    if wrong:
        fix = "Add --no-check to export it anyway."
        raise UserError(f"the script of {subject.place} does not repeat the trial: {wrong}.", fix=fix)
    if check and script.was_run:
        click.echo(f"Checked by running it: the script {script.outcome}.", err=True)
    else:
        click.echo("Not checked: the script has not been run.", err=True)
    if form == "script":
        return script.text
    text = issue(subject, script, report)
    if len(text) > LONGEST:
        click.echo(
            f"The text has {len(text):,} characters; GitHub allows {LONGEST:,}. Attach trial.py instead.", err=True
        )
    return text
