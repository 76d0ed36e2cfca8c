"""``harness plan``: show what a suite would measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import as_json_option, echo_json, plural, quick_option, suite_argument, suite_options
from harness.cli.plugin_options import plugin_option, plugins_of

if TYPE_CHECKING:
    from harness.records.plan import Block


@click.command()
@plugin_option
@suite_argument
@suite_options
@quick_option
@as_json_option
@click.pass_context
def plan(context: click.Context, /, suite: Path, as_json: bool, **changes: Any) -> None:
    """Show what a suite would measure, what it would skip and why, and how long it would take."""
    from harness.api.session import SuiteOverrides, plan_of
    from harness.plan.measures import estimated_seconds

    _, catalog, made = plan_of(suite, SuiteOverrides.of(**changes), plugins_of(context))
    if as_json:
        echo_json(made.to_json())
        return
    click.echo(made.question)
    times = [estimated_seconds(block, catalog) for block in made.blocks]
    for block, (low, high) in zip(made.blocks, times, strict=True):
        show_block(block, low, high)
    if made.skipped:
        click.echo("\nSkipped")
        for skipped in made.skipped:
            click.echo(f"  {', '.join(skipped.coordinates.values())}: {skipped.because}")
    least, most = sum(low for low, _ in times) / 60, sum(high for _, high in times) / 60
    click.echo(
        f"\n{plural(len(made.blocks), 'block')}. "
        f"Estimated time: {least:.1f} to {most:.1f} minutes; slow steps can take longer."
    )


def show_block(block: Block, low: float, high: float) -> None:
    """Print what a block measures, and its trials. The times are in seconds."""
    measures = ", ".join(block.measures.timed_modes) or "no timing"
    if block.measures.learning:
        measures += f"; {len(block.measures.learning.seeds)} seeds of {block.measures.learning.length}"
    click.echo(f"\n{block.name} ({measures}; at least {low:.0f} s, budget {high:.0f} s)")
    for trial in block.trials:
        parts = [trial.model.name, trial.dataset.name, *(spec.name for spec in trial.use)]
        changes = "baseline" if trial is block.baseline else f"changes {trial.changes}"
        click.echo(f"  {trial.id}  {trial.level:<20} {' + '.join(parts)}  ({changes})")
