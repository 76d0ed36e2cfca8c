"""``harness doctor``: check whether this machine is suitable for benchmarking."""

from __future__ import annotations

import sys
import time

import click

from harness.cli.options import as_json_option, echo_json
from harness.cli.plugin_options import catalog_of
from harness.errors import FAILED

#: The word that each state is shown by.
WORDS = {"ok": "ok  ", "note": "note", "problem": "BAD "}


@click.command()
@click.option("--no-measure", is_flag=True, help="Do not measure the smallest difference that can be detected.")
@as_json_option
@click.pass_context
def doctor(context: click.Context, no_measure: bool, as_json: bool) -> None:
    """Check whether this machine is suitable for benchmarking, and suggest fixes.

    It checks the torch build, threads, CPU governor, CPU quota, steal time, other load, GPU and plugins, and measures
    the smallest difference that can be detected in a given time. The exit code is 3 if there is a problem.
    """
    from harness.tools.selftest import doctor as checks
    from harness.tools.selftest.live import measure, servers, specimen_block
    from harness.tools.selftest.status import status

    catalog = catalog_of(context)
    found = [*checks.machine(), *checks.plugins(catalog)]
    with servers(catalog.plugins.without) as running:
        status("starting torch")
        found += checks.torch_build(running.get({}).facts)
        if not no_measure:
            status("comparing the baseline with itself")
            begun = time.monotonic()
            comparison = measure(specimen_block().without({"slowed"}), "same", running)
            found += checks.sensitivity(comparison, time.monotonic() - begun)
    status("")
    if as_json:
        echo_json([vars(result) for result in found])
    else:
        for result in found:
            click.echo(f"{WORDS[result.state]}  {result.name}: {result.what}")
            if result.fix:
                click.echo(f"        {result.fix}")
    sys.exit(FAILED if any(result.state == "problem" for result in found) else 0)
