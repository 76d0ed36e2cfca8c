"""The verb that says why: two profiles side by side, adding up to the measured difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.api.session import chosen, run_of
from harness.cli import completing
from harness.cli.options import Context, as_json_option, catalog_for, only_option, plugin_option, results_option
from harness.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from harness.analysis.explain import Explanation
    from harness.analysis.findings import Findings


@click.command()
@plugin_option
@click.argument("run", type=click.Path(path_type=Path), shell_complete=completing.runs)
@click.argument("levels", nargs=-1, metavar="[A] [B]", shell_complete=completing.levels)
@only_option
@click.option("--mode", type=click.Choice(["train", "inference"]), help="Only this mode; all by default.")
@click.option("--rows", type=click.IntRange(min=1), help="How many rows a table shows; as many as matter by default.")
@results_option
@as_json_option
@click.pass_context
def explain(
    context: Context,
    /,
    run: Path,
    levels: tuple[str, ...],
    only: tuple[str, ...],
    mode: str | None,
    rows: int | None,
    results: Path,
    as_json: bool,
) -> None:
    """Explain why B takes longer than A in a RUN (its folder, or "latest").

    Two profiles are aligned by phase and operator and scaled to the clock, so that the rows sum to the measured
    difference. With one level it is held against the baseline; with none, every level is. The suite must measure both
    speed and profile.

    \b
      harness explain latest padded packed
      harness explain results/packing/2026-01-31T120000 packed --only data=wide
    """
    from harness.analysis.findings import find
    from harness.report.formats import terminal
    from harness.report.tables.explain import MOST_ROWS, explanation_table, in_json, warnings

    store = run_of(run, results)
    plan = store.plan()
    findings = find(plan, store.records(), catalog_for(context, store))
    found = asked_for(findings, levels, chosen(only), mode, str(store.folder))
    told = warnings([one.block for one in found], {(one.block.id, one.mode): (one.a, one.b) for one in found})
    if as_json:
        answer: dict[str, Any] = {"folder": str(store.folder), "explanations": [in_json(one) for one in found]}
        click.echo(json.dumps({**answer, "warnings": told}, indent=1, ensure_ascii=False))
        return
    for one in found:
        click.echo("\n" + terminal.table(explanation_table(one, rows or MOST_ROWS, all_of_them=rows is not None)))
    for text in told:
        click.echo(f"\nWarning. {text}")


def asked_for(
    findings: Findings, levels: tuple[str, ...], only: dict[str, list[str]], mode: str | None, where: str
) -> list[Explanation]:
    """The explanations that the command line asks for. Raises UserError where there is none, with the reason."""
    from harness.analysis.explain import explain
    from harness.analysis.profiles import profiler_cost as event_cost
    from harness.api.session import kept

    plan = findings.plan
    known = list(dict.fromkeys(trial.level for block in plan.blocks for trial in block.trials))
    for level in levels:
        if level not in known:
            raise UserError(f"there is no level {level!r} of {plan.axis}.", fix=did_you_mean(level, known))
    if len(levels) > 2:
        raise UserError("it takes two levels at most: A and B.")
    for axis in only:
        axes = {name for block in plan.blocks for name in block.context}
        if axis not in axes:
            raise UserError(f"there is no axis {axis!r} beside the compared one.", fix=did_you_mean(axis, sorted(axes)))

    if len(levels) < 2:
        found = [one for one in findings.explained if not levels or one.b.level == levels[0]]
    else:
        cost = event_cost(findings.profiles)
        found = []
        for measured in findings.measured:
            by_level = {one.level: one for one in findings.profiles.get((measured.block.id, measured.mode), ())}
            if not set(levels) <= set(by_level):
                continue
            if one := explain(measured, by_level[levels[0]], by_level[levels[1]], cost):
                found.append(one)
    found = [one for one in found if kept(one.block.context, only) and mode in (None, one.mode)]
    if not found:
        fix = "A suite's measures need both, speed and profile; then run it."
        if findings.profiles and findings.measured:
            fix = "Both levels must have been timed and profiled in the same context: see harness report."
        raise UserError("nothing in this run can be explained so.", where=where, fix=fix)
    return found
