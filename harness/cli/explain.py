"""``harness explain``: compare two profiles row by row, so that the rows add up to the measured difference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import completers
from harness.cli.options import as_json_option, echo_json, only_option, results_option
from harness.cli.plugin_options import plugin_option, plugins_of
from harness.errors import UserError
from harness.modes import MODES
from harness.wrapping import wrapped

if TYPE_CHECKING:
    from harness.analysis.explain import Explanation
    from harness.analysis.findings import Findings


@click.command()
@plugin_option
@click.argument("run", shell_complete=completers.runs)
@click.argument("levels", nargs=-1, metavar="[A] [B]")
@only_option
@click.option("--mode", type=click.Choice(MODES), help="Explain only this mode.")
@click.option(
    "--rows", type=click.IntRange(min=1), metavar="N", default=8, show_default=True,
    help="Show at most N rows of each table.",
)  # fmt: skip
@results_option
@as_json_option
@click.pass_context
def explain(
    context: click.Context,
    /,
    run: str,
    levels: tuple[str, ...],
    only: tuple[str, ...],
    mode: str | None,
    rows: int,
    results: Path,
    as_json: bool,
) -> None:
    """Explain why one level takes longer than another, by phase and operator.

    RUN is the folder of a run, the name of a suite for its latest run, NAME~1 for the run before that, or "latest". The
    profiles of A and B are aligned and scaled to the measured times, so that the rows add up to the measured
    difference. With one level, it is compared with the baseline; with none, every level is. The suite must measure both
    speed and profile.

    \b
    Examples:
      harness explain latest padded packed
      harness explain results/packing/2026-01-31T120000 packed --only data=wide
    """
    from harness.analysis.findings import find
    from harness.api.lookup import open_run, parse_only
    from harness.report.cells import block_title
    from harness.report.formats import terminal
    from harness.report.tables.causes import sentence_of
    from harness.report.tables.explain import explanation_table, in_json, rows_above, warnings

    store = open_run(run, results)
    plan = store.plan()
    findings = find(plan, store.records(), plugins_of(context).catalog_for([store]))
    found = explanations(findings, levels, parse_only(only), mode, str(store.folder))
    texts = warnings([one.block for one in found], {(one.block.id, one.mode): (one.a, one.b) for one in found})
    if as_json:
        echo_json({"folder": str(store.folder), "explanations": [in_json(one) for one in found], "warnings": texts})
        return
    for one in found:
        if one.explained:
            click.echo(f"\n{terminal.table(explanation_table(one, rows, share=0.0))}")
        else:
            click.echo(f"\n{terminal.prose(f'{block_title(one.block, one.mode)}: {sentence_of(one)}')}")
    if any(len(rows_above(one, 0.0)) > rows for one in found if one.explained):
        click.echo(f"\n{wrapped('Show more rows with --rows N. All rows: --json.')}")
    for text in texts:
        click.echo(f"\n{terminal.prose(f'Warning. {text}')}")


def explanations(
    findings: Findings, levels: Sequence[str], only: dict[str, list[str]], mode: str | None, where: str
) -> list[Explanation]:
    """The explanations of these levels. Raises UserError, with the reason, if there are none."""
    from harness.analysis.explain import explain as explain_pair
    from harness.analysis.profiles import profiler_cost
    from harness.api.lookup import is_selected, known_levels, known_names

    plan = findings.plan
    if len(levels) > 2:
        raise UserError(f"expected at most two levels, got {len(levels)}.")
    known = {trial.level for block in plan.blocks for trial in block.trials}
    levels = known_names(f"level of axis {plan.axis}", levels, known)
    contexts: dict[str, set[str]] = {}
    for block in plan.blocks:
        for axis, level in block.context.items():
            contexts.setdefault(axis, set()).add(level)
    only = known_levels(only, contexts, "axis of the context")
    if len(levels) < 2:
        found = [one for one in findings.explained if not levels or one.level == levels[0]]
    else:
        cost = profiler_cost(findings.profiles)
        found = []
        for measured in findings.measured:
            by_level = {one.level: one for one in findings.profiles.get((measured.block.id, measured.mode), ())}
            if set(levels) <= set(by_level) and (
                one := explain_pair(findings.times_of(measured), by_level[levels[0]], by_level[levels[1]], cost)
            ):
                found.append(one)
    found = [one for one in found if is_selected(one.context, only) and mode in (None, one.mode)]
    if not found:
        fix = "Add speed and profile to the measures of the suite, and run it again."
        if findings.profiles and findings.measured:
            fix = "Both levels must be timed and profiled in the same context. See: harness report"
        raise UserError("this run has nothing to explain for these levels.", where=where, fix=fix)
    return found
