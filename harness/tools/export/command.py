"""The verb export: a trial as one file of its own, or as the text of an issue."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.api.session import Asked, run_of
from harness.cli import completing
from harness.cli.options import (
    Context,
    catalog_of,
    device_option,
    plan_of,
    plugin_option,
    preset_option,
    results_option,
    set_option,
)
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.plugins.catalog import Catalog
    from harness.records.plan import Plan
    from harness.report.report import Report


@click.command()
@plugin_option
@click.argument("trial", shell_complete=completing.trials)
@click.argument("run", type=click.Path(path_type=Path), required=False, shell_complete=completing.suites_or_runs)
@click.option("--script", "form", flag_value="script", help="One Python file that repeats the trial's steps.")
@click.option("--issue", "form", flag_value="issue", help="The Markdown text of an issue, with that file inside.")
@click.option("--mode", type=click.Choice(["train", "inference"]), help="By default, the first that is measured.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
@click.option("--check/--no-check", default=True, help="Run the file before it is handed out.  [default: check]")
@preset_option
@set_option
@device_option
@results_option
@click.pass_context
def export(
    context: Context,
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
    """Export a trial for somebody who does not have the harness: as a script, or as an issue's text around it.

    \b
    TRIAL  its id or the beginning of it (see harness plan), its level (packed),
           or its level in a context (wide/packed)
    RUN    the folder of a run, by default the latest, or a suite's YAML file

    The script needs torch and nothing else. It holds the code of the parts that the trial uses and nothing more of
    their plugins, some of the batches that it is measured on, and the loss of each step as the harness computes it.
    Before it is handed out it is run, and its losses are compared.

    \b
    harness export reviews/packed suites/packing.yaml --script --output packed.py
    harness export wide/packed results/packing/2026-11-26T120000 --issue
    """
    if form is None:
        raise UserError("say what to make of the trial.", fix="Add --script or --issue.")
    asked = Asked.of(**changes, only=())
    if run is not None and run.suffix in (".yaml", ".yml"):
        _, catalog, plan = plan_of(context, run, asked)
        report = None
    elif asked != Asked([]):
        raise UserError("a run is as it was planned.", fix="Leave out --preset, --set, --device, or give a suite.")
    else:
        plan, catalog, report = of_a_run(context, run, results)
    with redirect_stdout(sys.stderr):  # what plugins print must not get into what is exported
        text = written(plan, catalog, report, trial, form, mode, check=check)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}.", where=str(output)) from error
    click.echo(f"Written: {output}", err=True)


def of_a_run(context: Context, run: Path | None, results: Path) -> tuple[Plan, Catalog, Report]:
    """The plan, the catalog and the report of an earlier run."""
    from harness.report.report import make_report

    store = run_of(run, results)
    plan = store.plan()
    catalog = catalog_of(context, plan.overrides.get("plugins", ()), plan.overrides.get("without", ()))
    return plan, catalog, make_report(store, catalog)


def written(
    plan: Plan, catalog: Catalog, report: Report | None, wanted: str, form: str, mode: str | None, *, check: bool
) -> str:
    """The script or the issue; whether it was checked is said on the way. Classes are kept whole where they must be."""
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
        fix = "--no-check hands it out as it is."
        raise UserError(f"the script of {subject.place} does not do what the trial does: {wrong}.", fix=fix)
    if check and script.was_run:
        click.echo(f"Checked: run by itself, it {script.outcome}.", err=True)
    else:
        click.echo("Not checked: nobody has run it yet.", err=True)
    if form == "script":
        return script.text
    text = issue(subject, script, report)
    if len(text) > LONGEST:
        click.echo(
            f"Its {len(text):,} characters are more than GitHub's {LONGEST:,}: attach trial.py instead.", err=True
        )
    return text
