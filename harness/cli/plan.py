"""``harness plan``: show what a suite would measure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import (
    as_json_option,
    duration,
    echo_json,
    plural,
    quick_option,
    show_remarks,
    suite_argument,
    suite_options,
)
from harness.cli.plugin_options import plugin_option, plugins_of
from harness.wrapping import wrapped

if TYPE_CHECKING:
    from harness.plugins.rehearsal import Rehearsal, TimeRange
    from harness.records.plan import Block

#: What the parts of a run are called; other kinds of measurement have their own names.
PARTS = {"verify": "verification", "speed": "timing", "profile": "profiles"}
#: How far the second line of a trial is indented.
HANG = " " * 6


@click.command()
@plugin_option
@suite_argument
@suite_options
@quick_option
@as_json_option
@click.pass_context
def plan(context: click.Context, /, suite: Path, as_json: bool, **changes: Any) -> None:
    """Show what a suite would measure, what it would skip and why, and how long it would take.

    It takes a few steps of each trial to estimate the time, for at most about ten seconds. What `harness check` finds
    wrong is an error here too.
    """
    from harness.api.examined import examined_plan
    from harness.api.session import SuiteOverrides, plan_of
    from harness.plan.estimates import total_of

    planned = plan_of(suite, SuiteOverrides.of(**changes), plugins_of(context))
    imports = time.process_time()
    examined = examined_plan(*planned, timed=True)
    made, times, parts = examined.plan, examined.seconds, examined.by_part(imports)
    total = total_of(parts.values())
    show_remarks(made.remarks)
    if as_json:
        blocks = {block.id: seconds._asdict() for block, seconds in zip(made.blocks, times, strict=True)}
        named = {name: seconds._asdict() for name, seconds in parts.items()}
        echo_json({**made.to_json(), "seconds": {**total._asdict(), "parts": named, "blocks": blocks}})
        return
    click.echo(wrapped(made.question))
    for block, seconds in zip(made.blocks, times, strict=True):
        show_block(block, seconds)
    if made.skipped:
        click.echo("\nSkipped")
        for skipped in made.skipped:
            click.echo(wrapped(f"{', '.join(skipped.coordinates.values())}: {skipped.because}", "  ", HANG))
    click.echo("\n" + wrapped(f"{plural(len(made.blocks), 'block')}. Estimated time: {in_words(total)}."))
    shares = (f"{PARTS.get(name, name)} {duration(seconds.expected)}" for name, seconds in parts.items())
    click.echo(wrapped(f"Of this: {', '.join(shares)}. {source(examined.rehearsals)}"))


def show_block(block: Block, seconds: TimeRange) -> None:
    """Print what a block measures, how long it takes, and its trials."""
    measures = ", ".join(block.measures.timed_modes) or "no timing"
    if block.measures.learning:
        measures += f"; {len(block.measures.learning.seeds)} seeds of {block.measures.learning.length}"
    click.echo("\n" + wrapped(f"{block.name} ({measures}; {in_words(seconds)})", hang="  "))
    width = max(len(trial.level) for trial in block.trials)
    for trial in block.trials:
        both = dict.fromkeys([trial.model.title, trial.dataset.title])  # one of an experiment, which is both
        parts = [trial.model.parameters["run"]] if trial.is_program else [*both, *(spec.name for spec in trial.use)]
        changes = "another command" if trial.is_program else f"changes {trial.changes}"
        changes = "baseline" if trial is block.baseline else changes
        click.echo(wrapped(f"{trial.id}  {trial.level:<{width}}  {' + '.join(parts)}  ({changes})", "  ", HANG))


def in_words(seconds: TimeRange) -> str:
    """A range of times, such as "about 2 min; between 80 s and 3 min, depending on noise"."""
    least, expected, most = map(duration, seconds)
    if least == most:
        return f"about {expected}"
    return f"about {expected}; between {least} and {most}, depending on noise"


def source(rehearsals: Sequence[Rehearsal | None]) -> str:
    """A sentence that says what the times are calculated from."""
    rehearsed = sum(rehearsal is not None for rehearsal in rehearsals)
    if rehearsed == len(rehearsals):
        return "It was calculated from a rehearsal on this machine."
    return (
        f"It was calculated from a rehearsal of {rehearsed} of {len(rehearsals)} blocks on this machine; each other "
        "block is assumed to be between the nearest of these."
    )
