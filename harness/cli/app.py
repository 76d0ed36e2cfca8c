"""The command line: verbs to functions. With the modules `cli_*` the only place that prints or picks an exit code.

What a verb needs is imported inside it, so that ``--help`` and ``list`` stay fast and free of torch.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from harness.api.session import Asked, finish, run_of, went_wrong
from harness.cli import completing
from harness.cli.completion import VARIABLE, completion, prepare
from harness.cli.conform import conform
from harness.cli.explain import explain
from harness.cli.options import (
    Context,
    as_json_option,
    catalog_for,
    catalog_of,
    device_option,
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
    suite_argument,
)
from harness.cli.plot import plot
from harness.cli.run import run
from harness.cli.schema import schema
from harness.errors import FAILED, INTERRUPTED, MISTAKE, PIPE_CLOSED, UserError
from harness.plugins.isolation import one_line, visible
from harness.tools.across.commands import compare, history
from harness.tools.export.command import export
from harness.tools.scaffold.command import new
from harness.tools.selftest.commands import doctor, selftest


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@plugin_option
@click.version_option(package_name="rnn-harness", prog_name="harness")
def cli() -> None:
    """Does this choice actually help my recurrent model, and by how much?

    \b
    Start with      harness run suites/smoke.yaml
    then read       harness report
    and see         harness list            what there is to compare
                    harness describe lstm   what one part takes and promises
                    harness plan SUITE      what a suite would measure, and for how long
                    harness compare A B     what became of it since an older run
    begin your own  harness new suite NAME  a question; harness new plugin NAME for a part
    """


@cli.command()
@plugin_option
@suite_argument
@preset_option
@set_option
@only_option
@device_option
@click.pass_context
def check(context: Context, /, suite: Path, **changes: Any) -> None:
    """Check a suite without measuring anything.

    Names, parameters, axes, claims and how the optimizations fit together; every complaint says file:line:col.
    """
    _, _, plan = plan_of(context, suite, Asked.of(**changes))
    trials = sum(len(block.trials) for block in plan.blocks)
    click.echo(f"{suite}: fine: {len(plan.blocks)} blocks, {trials} trials, {len(plan.skipped)} skipped.")


@cli.command()
@plugin_option
@suite_argument
@preset_option
@set_option
@only_option
@device_option
@quick_option
@as_json_option
@click.pass_context
def plan(context: Context, /, suite: Path, as_json: bool, **changes: Any) -> None:
    """Show what a suite would measure: blocks, trials, what is skipped and why, and for how long."""
    from harness.plan.planner import estimated_seconds

    _, _, made = plan_of(context, suite, Asked.of(**changes))
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=1, ensure_ascii=False))
        return
    click.echo(made.question)
    least = most = 0.0
    for block in made.blocks:
        low, high = estimated_seconds(block)
        least, most = least + low, most + high
        modes = ", ".join(block.measures.speed.of) if block.measures.speed else "no clock"
        if block.measures.learning:
            modes += f"; {len(block.measures.learning.seeds)} seeds of {block.measures.learning.length}"
        click.echo(f"\n{block.name} ({modes}; {low:.0f} s at least, budget {high:.0f} s)")
        for trial in block.trials:
            parts = [trial.model.name, trial.dataset.name, *(spec.name for spec in trial.use)]
            promise = "the baseline" if trial is block.baseline else f"changes {trial.changes}"
            click.echo(f"  {trial.id}  {trial.level:<20} {' + '.join(parts)}  ({promise})")
    if made.skipped:
        click.echo("\nSkipped")
        for skipped in made.skipped:
            click.echo(f"  {', '.join(skipped.coordinates.values())}: {skipped.because}")
    budgets = f"budgets allow {most / 60:.1f}, and slow steps take what they take"
    click.echo(f"\n{len(made.blocks)} blocks, {least / 60:.1f} minutes at least; {budgets}.")


@cli.command("list")
@plugin_option
@click.argument("kind", required=False, shell_complete=completing.kinds)
@as_json_option
@click.pass_context
def list_(context: Context, kind: str | None, as_json: bool) -> None:
    """List the parts that plugins bring: models, datasets, optimizations, metrics, reporters, executors, promises.

    Plugins that could not be used are named with the reason, and the exit code is then 3.
    """
    from harness.errors import did_you_mean
    from harness.plugins.catalog import KINDS

    catalog = catalog_of(context)
    kinds = {part.kind: part for part in KINDS}
    if kind is not None:
        wanted = kind.removesuffix("s")
        if wanted not in kinds:
            raise UserError(f"there is no kind of part {kind!r}.", fix=did_you_mean(wanted, kinds))
        kinds = {wanted: kinds[wanted]}
    found = {name: catalog.entries(part) for name, part in kinds.items()}
    if as_json:
        rows = [
            {
                "kind": kind,
                "name": name,
                "plugin": entry.plugin,
                "version": entry.version,
                "summary": entry.part.summary,
            }
            for kind, entries in found.items()
            for name, entry in entries.items()
        ]
        problems = [{"plugin": problem.plugin, "reason": problem.reason} for problem in catalog.problems]
        found_out = {"parts": rows, "problems": problems, "without": list(catalog.plugins.without)}
        click.echo(json.dumps(found_out, indent=1, ensure_ascii=False))
        sys.exit(FAILED if problems else 0)
    for kind_name, entries in found.items():
        click.echo(f"{kind_name}s" if entries else f"{kind_name}s: none")
        width = max(map(len, entries), default=0)
        for name, entry in entries.items():
            promise = f" [changes {entry.part.changes}]" if kind_name == "optimization" else ""
            click.echo(f"  {name:<{width}}  {one_line(entry.part.summary)}{promise}  ({entry.plugin})")
    for left_out in catalog.plugins.without:
        click.echo(f"left out: plugin {left_out}")
    for problem in catalog.problems:
        click.echo(f"problem: {one_line(str(problem))}", err=True)
    sys.exit(FAILED if catalog.problems else 0)


@cli.command()
@plugin_option
@click.argument("name", shell_complete=completing.parts)
@click.option("--example", is_flag=True, help="Print its example alone, to be saved: a suite, or the command to use.")
@as_json_option
@click.pass_context
def describe(context: Context, name: str, example: bool, as_json: bool) -> None:
    """Describe a part: what it does, takes, promises, needs and offers, where it comes from, and an example.

    The example of a model, dataset or optimization is a suite that can be run as it stands, where all that it needs is
    here.

    \b
    harness describe lstm --example > lstm.yaml
    """
    from harness.cli.describe import describe_named, in_words

    rows = describe_named(catalog_of(context), name)
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False, default=str))
    elif example:
        found = [row["example"]["text"].rstrip("\n") for row in rows if row["example"]]
        if not found:
            raise UserError(f"there is no example of {name} here.", fix="A suite needs a model, data and an optimizer.")
        click.echo("\n\n".join(found))
    else:
        click.echo(visible("\n\n".join(in_words(row) for row in rows)))


@cli.command()
@plugin_option
@click.argument("folder", type=click.Path(path_type=Path), required=False, shell_complete=completing.runs)
@results_option
@click.option(
    "--as", "reporter", metavar="NAME", shell_complete=completing.reporters,
    help="Print what one reporter writes: latex, junit, github, csv, ...",
)  # fmt: skip
@as_json_option
@click.pass_context
def report(context: Context, folder: Path | None, results: Path, reporter: str | None, as_json: bool) -> None:
    """Rebuild a run's report from its records (the latest run by default), or a folder's page. Needs no torch.

    With --as NAME nothing is rebuilt: the text that one reporter writes is printed, to be pasted or piped. Several
    files come one after another, each under its name. harness list reporters names them.
    """
    from harness.cli.as_text import show_as
    from harness.records.store import Store
    from harness.report.report import make_report
    from harness.report.suite_batch import SuiteBatch as Page

    if reporter is not None:
        if as_json:
            raise UserError("--json and --as are two ways to print.", fix="Leave one of them out.")
        runs = Page.open(folder).runs if folder and Page.is_one(folder) else {}
        stores = {name: Store.open(run) for name, run in runs.items()} or {"": run_of(folder, results)}
        catalog = catalog_for(context, *stores.values())
        reports = {name: make_report(store, catalog) for name, store in stores.items()}
        show_as(reporter, reports, catalog)
        sys.exit(FAILED if any(map(went_wrong, reports.values())) else 0)
    if folder and Page.is_one(folder):
        page = Page.open(folder)
        stores = {name: Store.open(run) for name, run in page.runs.items()}
        catalog = catalog_for(context, *stores.values())
        reports = {name: finish(store, catalog) for name, store in stores.items()}
        page.write(reports)
        show_page(page, reports, as_json=as_json)
        sys.exit(FAILED if any(map(went_wrong, reports.values())) else 0)
    store = run_of(folder, results)
    made = finish(store, catalog_for(context, store))
    show(made, store, as_json=as_json)
    if went_wrong(made):
        sys.exit(FAILED)


cli.add_command(run)
cli.add_command(compare)
cli.add_command(conform)
cli.add_command(history)
cli.add_command(explain)
cli.add_command(new)
cli.add_command(plot)
cli.add_command(export)
cli.add_command(doctor)
cli.add_command(selftest)
cli.add_command(schema)
cli.add_command(completion)


def answer_the_shell() -> NoReturn:
    """Say what the shell may offer where the cursor is. Whatever goes wrong, it is not the time to tell."""
    prepare()
    try:
        cli.main(prog_name="harness", complete_var=VARIABLE)
    except Exception:
        sys.exit(FAILED)
    sys.exit(0)


def main() -> NoReturn:
    """Run the command line and turn whatever happens into a sentence and an exit code."""
    code: Any = 0
    if VARIABLE in os.environ:
        answer_the_shell()
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        click.echo(visible(str(error)), err=True)
        code = MISTAKE
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort) as stop:
        click.echo(f"Stopped{stopped_while(stop.__cause__ or stop)}.", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough; what was measured is on disk.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = PIPE_CLOSED
    sys.exit(code if isinstance(code, int) else 0)
