"""``harness check``: find mistakes in a suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import plural, show_remarks, suite_argument, suite_options
from harness.cli.plugin_options import plugin_option, plugins_of


@click.command()
@plugin_option
@suite_argument
@suite_options
@click.pass_context
def check(context: click.Context, /, suite: Path, **changes: Any) -> None:
    """Check a suite without measuring anything.

    It checks names, parameters, axes and claims, and whether the optimizations fit together. Then it loads the data and
    builds each trial once. Every error names the file, line and column.
    """
    from harness.api.examined import examined_plan
    from harness.api.session import SuiteOverrides, plan_of

    plan = examined_plan(*plan_of(suite, SuiteOverrides.of(**changes), plugins_of(context))).plan
    show_remarks(plan.remarks)
    trials = sum(len(block.trials) for block in plan.blocks)
    click.echo(f"{suite} is valid: {plural(len(plan.blocks), 'block')}, {trials} trials, {len(plan.skipped)} skipped.")
