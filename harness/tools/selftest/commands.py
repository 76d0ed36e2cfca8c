"""The verbs that ask whether results can be trusted here: selftest and doctor. Like `harness.cli`, they print."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import as_json_option, catalog_of
from harness.errors import FAILED, INTERRUPTED, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.tools.selftest.live import Experiment


@click.command()
@click.option("--live", is_flag=True, help="Measure this machine instead: 40 times nothing, 10 times +5 %; minutes.")
@click.option(
    "--record", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Record this machine's noise."
)
@click.option(
    "--traces", type=click.Path(path_type=Path), metavar="FILE", help="Replay this recording, not the shipped one."
)
@click.option("--count", type=click.IntRange(min=1), help="Experiments (--live, replays) or traces (--record).")
@click.option(
    "--seconds", type=click.FloatRange(min=0.5), default=5.0, show_default=True, help="Of each recorded trace."
)
@as_json_option
def selftest(
    live: bool, record: Path | None, traces: Path | None, count: int | None, seconds: float, as_json: bool
) -> None:
    """Ask whether verdicts are right at the rate they state.

    Without options, replays recorded noise of a real machine through the analysis, a thousand times a condition, with
    known differences. The same every time, half a minute. The exit code is 3 where a bar is missed.
    """
    if sum((live, record is not None, traces is not None)) > 1:
        raise UserError("--live, --record and --traces are three different things.", fix="Give one of them.")
    if live:
        on_this_machine(count or 40, as_json)
    elif record is not None:
        recording(record, count or 60, seconds)
    else:
        replayed(traces, count, as_json)


def replayed(path: Path | None, count: int | None, as_json: bool) -> None:
    """The calibration table."""
    from tabulate import tabulate

    from harness.tools.selftest.calibration import ENOUGH_TRACES, REPLAYS, calibrate
    from harness.tools.selftest.calibration import as_json as to_json
    from harness.tools.selftest.traces import SHIPPED, load_traces

    traces = load_traces(path or SHIPPED)
    replays = count or REPLAYS
    cells, checks = calibrate(traces, replays, shipped=path is None, say=status)
    status("")
    missed = [check for check in checks if check.binding and not check.holds]
    if as_json:
        click.echo(json.dumps(to_json(cells, checks), indent=1))
        sys.exit(FAILED if missed else 0)
    rows = [
        (
            check.name,
            f"{check.share:.1%}",
            f"{check.must} {check.bar:.1%}" if check.binding else "told only",
            ("holds" if check.holds else "MISSED") if check.binding else "",
        )
        for check in checks
    ]
    numbers = ", ".join(f"{len(group)} of {environment!r}" for environment, group in traces.items())
    click.echo(f"{path or 'the shipped recording'}: traces {numbers}; {replays} experiments a condition.\n")
    click.echo(tabulate(rows, ("check", "share", "must be", ""), tablefmt="simple", disable_numparse=True))
    if any(len(group) < ENOUGH_TRACES for group in traces.values()) and path is not None:
        click.echo(f"\nFewer than {ENOUGH_TRACES} traces of an environment say little about it.")
    click.echo(f"\n{f'{len(missed)} bars are missed' if missed else 'Every bar is met'}.")
    sys.exit(FAILED if missed else 0)


def recording(path: Path, count: int, seconds: float) -> None:
    """Record this machine, keep what there is on Ctrl-C."""
    from harness.tools.selftest.live import record_noise
    from harness.tools.selftest.traces import save_traces

    if not path.parent.is_dir():
        raise UserError("there is no such folder.", where=str(path.parent))
    found: dict[str, Any] = {}
    interrupted = False
    begun = time.monotonic()
    try:
        for number, (environment, trace) in enumerate(record_noise(count, seconds), start=1):
            found.setdefault(environment, []).append(trace)
            left = (time.monotonic() - begun) / number * (2 * count - number)
            status(f"{environment}: {len(found[environment])} of {count} traces, {clock(left)} left in all")
    except KeyboardInterrupt:
        interrupted = True
    status("")
    if not found:
        raise UserError("stopped before the first trace was complete; nothing is written.", where=str(path))
    save_traces(path, found)
    numbers = ", ".join(f"{len(group)} of {environment!r}" for environment, group in found.items())
    click.echo(f"{'Stopped. ' if interrupted else ''}{path}: {numbers}. Replay it: harness selftest --traces {path}")
    sys.exit(INTERRUPTED if interrupted else 0)


def on_this_machine(same: int, as_json: bool) -> None:
    """Measure the same against itself, and an effect of known size."""
    from harness.tools.selftest.live import live, summary

    planted = max(1, same // 4)
    found: list[Experiment] = []
    interrupted = False
    begun, mine = time.monotonic(), time.process_time()
    try:
        for number, experiment in enumerate(live(same, planted), start=1):
            found.append(experiment)
            left = (time.monotonic() - begun) / number * (same + planted - number)
            status(f"{number} of {same + planted} comparisons, {clock(left)} left")
    except KeyboardInterrupt:
        interrupted = True
    status("")
    told = summary(found, coordinator=(time.process_time() - mine) / (time.monotonic() - begun))
    if as_json:
        click.echo(json.dumps(told.as_json(), indent=1))
    else:
        click.echo("\n".join(told.lines()))
    sys.exit(INTERRUPTED if interrupted else 0 if told.holds else FAILED)


@click.command()
@click.option("--no-measure", is_flag=True, help="Only look; do not measure the smallest visible difference.")
@as_json_option
@click.pass_context
def doctor(context: click.Context, no_measure: bool, as_json: bool) -> None:
    """Look whether this machine is fit to measure on, and say what to do about what is not.

    Torch build, threads, governor, quota, steal, other load, GPU, plugins, and the smallest difference that can be
    seen here in a given time. The exit code is 3 where something cannot be used or trusted.
    """
    from harness.tools.selftest import doctor as checks
    from harness.tools.selftest.live import measure, servers, specimen_block

    catalog = catalog_of(context)
    found = [*checks.machine(), *checks.plugins(catalog)]
    with servers(catalog.plugins.without) as running:
        status("starting torch")
        found += checks.torch_build(running.get({}).facts)
        if not no_measure:
            status("measuring the baseline against itself")
            begun = time.monotonic()
            comparison = measure(specimen_block().without({"slowed"}), "same", running)
            found += checks.eyesight(comparison, time.monotonic() - begun)
    status("")
    if as_json:
        click.echo(json.dumps([vars(finding) for finding in found], indent=1, ensure_ascii=False))
    else:
        show_findings(found)
    sys.exit(FAILED if any(finding.state == "problem" for finding in found) else 0)


def show_findings(found: Sequence[Any]) -> None:
    """One line a finding, and under it what to do."""
    marks = {"ok": "ok  ", "note": "note", "problem": "BAD "}
    for finding in found:
        click.echo(f"{marks[finding.state]}  {finding.name}: {finding.what}")
        if finding.do:
            click.echo(f"        {finding.do}")


def status(text: str) -> None:
    """A line that the next one replaces, on a terminal; elsewhere nothing: these runs take minutes, not hours."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
