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

    It checks names, parameters, axes and claims, and whether the optimizations fit together. Then it loads the data,
    builds each trial, takes a few training steps, evaluates once, and verifies each level. Every error names the file,
    line and column.

    A valid suite can still fail later in a run: training may diverge, memory may run out, and plugins may change. Steps
    are tried of as many blocks as fit into three seconds. A block is not verified if that alone would take longer.
    Kinds of measurement by plugins are only imported. The folder of results and the executor, which are options of
    `harness run`, are not checked.
    """
    from harness.api.examined import examined_plan
    from harness.api.session import SuiteOverrides, plan_of

    plan = examined_plan(*plan_of(suite, SuiteOverrides.of(**changes), plugins_of(context))).plan
    show_remarks(plan.remarks)
    trials = sum(len(block.trials) for block in plan.blocks)
    click.echo(f"{suite} is valid: {plural(len(plan.blocks), 'block')}, {trials} trials, {len(plan.skipped)} skipped.")
