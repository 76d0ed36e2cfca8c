"""``harness compare``: compare a run with an older one."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import completers
from harness.cli.options import as_json_option, echo_json_text, only_option, results_option
from harness.cli.plugin_options import plugin_option, plugins_of
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.tools.comparison.times import EarlierRuns


def _share(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """A share such as 2% or 0.02."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*(%?)", text.strip())
    share = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < share <= 1:
        raise UserError("expected a share such as 5% or 0.05.", where=f"--margin {text}")
    return share


@click.command()
@plugin_option
@click.argument("run_a", metavar="A", shell_complete=completers.runs)
@click.argument("run_b", metavar="B", shell_complete=completers.runs)
@only_option
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", shell_complete=completers.parts("metric"),
    help="Compare by this metric. Repeat the option for several.",
)  # fmt: skip
@click.option(
    "--margin", metavar="SHARE", callback=_share,
    help="The difference that counts as equal, such as 5%. By default the smaller margin of the two suites.",
)  # fmt: skip
@click.option("--allow", multiple=True, metavar="FIELD", help="Compare although the runs differ in this field.")
@click.option(
    "--history", is_flag=True, help="Use the spread of earlier comparable runs for verdicts, also on absolute times."
)
@click.option("--gate", is_flag=True, help="For CI: return the result as the exit code.")
@results_option
@as_json_option
@click.pass_context
def compare(
    context: click.Context,
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
    """Compare run B with an older run A: report what got slower, worse or larger, and whether the runs are comparable.

    A and B are folders of runs, names of suites (for their latest run under --results), or "latest". NAME~1 is the run
    before the latest one.

    Each run measured its ratios to the baseline; these are compared. Absolute times are only shown. Every difference
    between the runs is listed by field, with the comparisons that it rules out. Nothing is written.

    \b
    Exit codes with --gate, the first that applies:
      2  an error in the command line
      3  trials failed in B
      1  slower, worse or larger, or a claim that held and now fails
      4  undecided or not comparable
      0  none of these
    """
    from harness.api.lookup import open_run, parse_only
    from harness.report.formats import terminal
    from harness.report.report import flag_lines
    from harness.report.rows import json_text
    from harness.tools.comparison.comparison import ComparisonOptions, compare_runs, to_json
    from harness.tools.comparison.fields import parse_allowed
    from harness.tools.comparison.gate import gate_of
    from harness.tools.comparison.pairs import RunData
    from harness.tools.comparison.tables import comparison_sections

    options = ComparisonOptions(margin, metrics, parse_only(only), parse_allowed(allow))
    stores = [open_run(run, results) for run in (run_a, run_b)]
    folders = [store.folder for store in stores]
    if folders[0].resolve() == folders[1].resolve():
        fix = "NAME~1 is the run before the latest one."
        raise UserError("A and B are the same run.", where=str(folders[0]), fix=fix)
    catalog = plugins_of(context).catalog_for(stores)
    a, b = (RunData.read(store, catalog) for store in stores)
    if a.records and a.records == b.records:
        raise UserError("A and B have the same records.", where=str(folders[1]), fix="Give two different runs.")
    comparison = compare_runs(a, b, options, runs_before(*folders) if history else None)
    outcome = gate_of(comparison)
    if as_json:
        echo_json_text(json_text({**to_json(comparison), "gate": {**vars(outcome), "result": outcome.result}}))
    else:
        click.echo(f"A: {a.name}\nB: {b.name}\n{b.plan.question}")
        remarks = (
            ("Failed in B", outcome.failed),
            ("Problems", comparison.problems),
            ("Only in A", comparison.only_in_a),
            ("Only in B", comparison.only_in_b),
            ("Worse", outcome.worse),
            ("Open", outcome.open),
            ("Flags", flag_lines(comparison.flags)),
        )
        for line in (*terminal.sections(comparison_sections(comparison)), *terminal.remarks(remarks)):
            click.echo(line)
        result = f"{outcome.result} (exit code {outcome.code} with --gate)"
        click.echo(f"\nMargin {100 * comparison.margin:g} %. Result: {result}.")
    sys.exit(outcome.code if gate else 0)


def runs_before(a: Path, b: Path) -> EarlierRuns:
    """The runs of the suite that are comparable with A and older than B."""
    from harness.tools.comparison.history import earlier_runs, read_runs

    folders = sorted(plan.parent for plan in a.resolve().parent.glob("*/plan.json"))
    runs, _ = read_runs({a.resolve(): None, b.resolve(): None, **dict.fromkeys(folders)})
    by_folder = {run.folder: run for run in runs}
    return earlier_runs(runs, by_folder[a.resolve()], by_folder[b.resolve()])
