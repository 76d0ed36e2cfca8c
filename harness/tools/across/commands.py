"""The verbs that look across runs: compare and history. Like `harness.cli`, they print."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.api.session import chosen, folder_of, store_of
from harness.cli import completing
from harness.cli.options import Context, as_json_option, catalog_for, only_option, plugin_option, results_option
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.tools.across.runs import Across, Gate
    from harness.tools.across.times import Past


def _share(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """A share such as 2% or 0.02."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*(%?)", text.strip())
    share = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < share <= 1:
        raise UserError("it takes a share such as 5% or 0.05.", where=f"--margin {text}")
    return share


@click.command()
@plugin_option
@click.argument("run_a", metavar="A", shell_complete=completing.names_of_runs)
@click.argument("run_b", metavar="B", shell_complete=completing.names_of_runs)
@only_option
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", shell_complete=completing.metrics,
    help="Compare by this; again for more.",
)  # fmt: skip
@click.option(
    "--margin", metavar="SHARE", callback=_share,
    help="What still counts as equal, such as 5% (the smaller margin of the two suites).",
)  # fmt: skip
@click.option("--allow", multiple=True, metavar="FIELD", help="Accept that the runs differ in this field.")
@click.option(
    "--history", is_flag=True, help="Judge by how much earlier runs under the key of A differ; absolute times, too."
)
@click.option("--gate", is_flag=True, help="For CI: the exit code says what became of B.")
@results_option
@as_json_option
@click.pass_context
def compare(
    context: Context,
    /,
    run_a: str,
    run_b: str,
    only: tuple[str, ...],
    metrics: tuple[str, ...],
    margin: float | None,
    allow: tuple[str, ...],
    history: bool,
    gate: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Hold run B against the older run A: what became slower, worse or larger, and may one say so?

    A and B are folders of runs, names of suites (their latest run under --results), or latest. NAME~1 is the run before
    the latest one.

    Ratios to the baseline are compared, which each run timed beside it; absolute times are shown. What differs between
    the runs is told field by field, with what that rules out. Writes nothing.

    \b
    Exit codes with --gate, the first that applies:
      2  a mistake in what was asked
      3  trials failed in B
      1  slower, a worse score, more of what is exact, or a claim that held and fails
      4  undecided, or not comparable
      0  none of these
    """
    from harness.report.formats.json_report import text_of
    from harness.tools.across.comparability import parse_allowed
    from harness.tools.across.pairs import Side
    from harness.tools.across.runs import Asked, compare_runs, to_json
    from harness.tools.across.runs import gate as gate_of

    asked = Asked(margin, metrics, chosen(only), parse_allowed(allow))
    folders = folder_of(run_a, results), folder_of(run_b, results)
    if folders[0].resolve() == folders[1].resolve():
        raise UserError("A and B are the same run.", where=str(folders[0]), fix="NAME~1 is the one before the latest.")
    stores = [store_of(folder) for folder in folders]
    catalog = catalog_for(context, *stores)
    first, second = (Side.read(store, catalog) for store in stores)
    if first.records and first.records == second.records:
        raise UserError(
            "A and B hold the same records.", where=str(folders[1]), fix="A copy of a run is no second one."
        )
    past, runs = earlier_runs(*folders) if history else (None, 0)
    across = compare_runs(first, second, asked, past, runs)
    outcome = gate_of(across)
    if as_json:
        click.echo(text_of(to_json(across, outcome)))
    else:
        show_comparison(across, outcome)
    sys.exit(outcome.code if gate else 0)


def earlier_runs(a: Path, b: Path) -> tuple[Past, int]:
    """What the runs beside A say that are under its key and older than B."""
    from harness.tools.across.history import past_of, read_visits

    folders = sorted(plan.parent for plan in a.resolve().parent.glob("*/plan.json"))
    visits, _ = read_visits({a.resolve(): None, b.resolve(): None, **dict.fromkeys(folders)})
    by_folder = {visit.folder: visit for visit in visits}
    return past_of(visits, by_folder[a.resolve()], by_folder[b.resolve()])


def show_comparison(across: Across, outcome: Gate) -> None:
    """Print what became of B."""
    from harness.report.formats import terminal
    from harness.tools.across.tables import comparison_sections, flags_of

    click.echo(f"A: {across.a.name}\nB: {across.b.name}\n{across.b.plan.question}")
    remarks = (
        ("Failed in B", outcome.failed),
        ("Problems", across.problems),
        ("Only in A", across.missing),
        ("Only in B", across.new),
        ("Worse", outcome.worse),
        ("Open", outcome.open),
    )
    flags = (f"  {flag}" for flag in flags_of(across))
    for line in (*terminal.sections(comparison_sections(across)), *flags, *terminal.remarks(remarks)):
        click.echo(line)
    click.echo(f"\nMargin {100 * across.margin:g} %. In all: {outcome.answer} (exit code {outcome.code} with --gate).")


@click.command()
@click.argument("suite", required=False, shell_complete=completing.suites_with_runs)
@results_option
@click.option(
    "--last", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="Show so many runs one by one."
)
@as_json_option
def history(suite: str | None, results: Path, last: int, as_json: bool) -> None:
    """Show a suite's ratios over all its runs, and where they changed for good.

    SUITE is a suite's name or file, by default that of the latest run. Runs on other machines, under another torch or
    of another question are groups of their own, never mixed. A change is called once two runs show it, and told with
    what changed with it: commits, versions, settings.
    """
    from harness.records.store import Store
    from harness.report.formats import terminal
    from harness.report.formats.json_report import text_of
    from harness.tools.across.history import read_history
    from harness.tools.across.tables import history_sections, history_to_json

    name = Path(suite).stem if suite else Store.latest(results).folder.parent.name
    found = read_history(results, name)
    if as_json:
        click.echo(text_of(history_to_json(found)))
        return
    runs, groups = sum(len(group.visits) for group in found.groups), len(found.groups)
    click.echo(f"{found.suite}: {runs} run{'s' * (runs != 1)} in {groups} group{'s' * (groups != 1)}")
    if found.groups:
        for line in terminal.sections(history_sections(found, last)):
            click.echo(line)
    for visit in found.left_out:
        click.echo(f"Left out: {visit.name}: {visit.left_out}")
    for problem in found.problems:
        click.echo(f"Problem: {problem}", err=True)
