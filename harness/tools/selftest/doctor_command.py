"""``harness doctor``: check whether this machine is suitable for benchmarking."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from harness.cli.options import as_json_option, echo_json, plural
from harness.cli.plugin_options import catalog_of
from harness.errors import FAILED
from harness.tools.selftest.status import status
from harness.wrapping import wrapped

if TYPE_CHECKING:
    from harness.plugins.catalog import Catalog
    from harness.tools.selftest.doctor import Result

#: The word that each state is shown by.
WORDS = {"ok": "ok  ", "note": "note", "problem": "BAD "}
#: How far a fix, and the second line of a result, are indented.
INDENT = " " * 6


@click.command()
@click.option("--no-measure", is_flag=True, help="Do not measure the smallest difference that can be detected.")
@as_json_option
@click.pass_context
def doctor(context: click.Context, no_measure: bool, as_json: bool) -> None:
    """Check whether this machine is suitable for benchmarking, and suggest fixes.

    It checks the torch build, threads, CPU governor, CPU quota, steal time, other load, GPU and plugins, and measures
    the smallest difference that can be detected in a given time. The exit code is 3 if there is a problem.
    """
    found = []
    for result in results(catalog_of(context), measured=not no_measure):
        found.append(result)
        if not as_json:
            show(result)
    status("")
    if as_json:
        echo_json([vars(result) for result in found])
    else:
        click.echo(summary(found))
    sys.exit(FAILED if any(result.state == "problem" for result in found) else 0)


def results(catalog: Catalog, *, measured: bool) -> Iterator[Result]:
    """The result of each check, as soon as it is known."""
    from harness.tools.selftest import doctor as checks
    from harness.tools.selftest.live import measure, servers, specimen_block

    status("checking the machine")
    yield from checks.machine()
    status("importing the code of all plugins")
    yield from checks.plugins(catalog)
    status("starting torch")
    with servers(catalog.plugins.without) as running:
        yield from checks.torch_build(running.get({}).facts)
        if measured:
            status("comparing the baseline with itself")
            begun = time.monotonic()
            comparison = measure(specimen_block().without({"slowed"}), "same", running)
            yield from checks.sensitivity(comparison, time.monotonic() - begun)


def show(result: Result) -> None:
    """Print a result at once."""
    status("")
    click.echo(wrapped(f"{WORDS[result.state]}  {result.name}: {result.what}", hang=INDENT))
    if result.fix:
        click.echo(wrapped(result.fix, INDENT))


def summary(found: Sequence[Result]) -> str:
    """How many checks there were, and of how many there is something to do."""
    states = Counter(result.state for result in found)
    problems, notes = plural(states["problem"], "problem"), plural(states["note"], "note")
    return wrapped(f"{plural(len(found), 'result')}: {states['ok']} ok, {notes}, {problems}.")
