"""``harness history``: a suite's ratios over all its runs."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import completers
from harness.cli.options import as_json_option, echo_json_text, plural, results_option


@click.command()
@click.argument("suite", required=False, shell_complete=completers.runs)
@results_option
@click.option(
    "--last", type=click.IntRange(1), default=10, show_default=True, metavar="N",
    help="The number of runs of each group that are shown one by one, latest last.",
)  # fmt: skip
@as_json_option
def history(suite: str | None, results: Path, last: int, as_json: bool) -> None:
    """Show a suite's ratios over all its runs, and where they changed.

    SUITE is the name or file of a suite, or one of its runs, by default the latest run of all. Runs on other machines,
    with another torch version or with another question form groups of their own. A change is reported when two runs
    show it, together with the commits, versions and settings that changed at the same time.
    """
    from harness.api.lookup import suite_of_runs
    from harness.report.formats import terminal
    from harness.report.rows import json_text
    from harness.tools.comparison.history import read_history
    from harness.tools.comparison.history_tables import history_sections, to_json

    found = read_history(results, suite_of_runs(suite, results))
    if as_json:
        echo_json_text(json_text(to_json(found)))
        return
    runs = sum(len(group.runs) for group in found.groups)
    click.echo(f"{found.suite}: {plural(runs, 'run')} in {plural(len(found.groups), 'group')}")
    if found.groups:
        for line in terminal.sections(history_sections(found, last)):
            click.echo(line)
    for run in found.left_out:
        click.echo(f"Left out: {run.name}: {run.left_out}")
    for problem in found.problems:
        click.echo(f"Problem: {problem}", err=True)
