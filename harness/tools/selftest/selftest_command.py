"""``harness selftest``: check that verdicts meet their stated error rate."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import as_json_option, echo_json
from harness.errors import FAILED, INTERRUPTED, UserError

if TYPE_CHECKING:
    from harness.tools.selftest.traces import Traces


@click.command()
@click.option(
    "--live", is_flag=True,
    help="Measure on this machine: 40 times no difference, 10 times +5 %. It takes minutes.",
)  # fmt: skip
@click.option(
    "--record", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Record the noise of this machine, and write it to this file.",
)  # fmt: skip
@click.option(
    "--traces", type=click.Path(path_type=Path), metavar="FILE",
    help="Replay this recording instead of the shipped one.",
)  # fmt: skip
@click.option(
    "--count", type=click.IntRange(min=1), metavar="N",
    help="The number of experiments per condition, comparisons (--live) or traces.",
)  # fmt: skip
@click.option(
    "--seconds", type=click.FloatRange(min=0.5), metavar="S", default=5.0, show_default=True,
    help="The length of each recorded trace.",
)  # fmt: skip
@as_json_option
def selftest(
    live: bool, record: Path | None, traces: Path | None, count: int | None, seconds: float, as_json: bool
) -> None:
    """Check that verdicts meet their stated error rate.

    Without options, recorded noise of a real machine with known differences is replayed through the analysis, a
    thousand times per condition. This takes half a minute and always gives the same result. The exit code is 3 if a
    limit is missed.
    """
    if sum((live, record is not None, traces is not None)) > 1:
        raise UserError("--live, --record and --traces exclude each other.", fix="Give one of them.")
    if live:
        on_this_machine(count or 40, as_json)
    elif record is not None:
        recording(record, count or 60, seconds)
    else:
        replayed(traces, count, as_json)


def replayed(path: Path | None, count: int | None, as_json: bool) -> None:
    """Replay recorded noise and print the calibration table."""
    from tabulate import tabulate

    from harness.tools.selftest.calibration import ENOUGH_TRACES, REPLAYS, calibrate, to_json
    from harness.tools.selftest.status import status
    from harness.tools.selftest.traces import SHIPPED, load_traces

    traces = load_traces(path or SHIPPED)
    replays = count or REPLAYS
    rates, checks = calibrate(traces, replays, shipped=path is None, say=status)
    status("")
    missed = [check for check in checks if check.binding and not check.holds]
    if as_json:
        echo_json(to_json(rates, checks))
        sys.exit(FAILED if missed else 0)
    rows = []
    for check in checks:
        limit, met = f"{check.must} {check.limit:.1%}", "met" if check.holds else "MISSED"
        rows.append((check.name, f"{check.share:.1%}", *((limit, met) if check.binding else ("no limit", ""))))
    click.echo(
        f"{path or 'the shipped recording'}: traces {numbers_of(traces)}; {replays} experiments per condition.\n"
    )
    click.echo(tabulate(rows, ("check", "share", "must be", ""), tablefmt="simple", disable_numparse=True))
    if any(len(group) < ENOUGH_TRACES for group in traces.values()) and path is not None:
        click.echo(f"\nFewer than {ENOUGH_TRACES} traces say little about an environment.")
    click.echo(f"\n{f'{len(missed)} limits are missed' if missed else 'All limits are met'}.")
    sys.exit(FAILED if missed else 0)


def numbers_of(traces: Traces) -> str:
    """The number of traces in each environment, as text."""
    return ", ".join(f"{len(group)} of {environment!r}" for environment, group in traces.items())


def recording(path: Path, count: int, seconds: float) -> None:
    """Record the noise of this machine. Ctrl-C writes the complete traces."""
    from harness.tools.selftest.live import record_noise
    from harness.tools.selftest.status import collect
    from harness.tools.selftest.traces import save_traces

    if not path.parent.is_dir():
        raise UserError("folder not found.", where=str(path.parent), fix="Create it first.")
    found, interrupted = collect(
        record_noise(count, seconds), 2 * count, lambda traces: f"{len(traces)} of {2 * count} traces"
    )
    if not found:
        raise UserError("stopped before the first trace was complete; nothing was written.", where=str(path))
    traces = {name: [trace for environment, trace in found if environment == name] for name in dict(found)}
    save_traces(path, traces)
    click.echo(
        f"{'Stopped. ' if interrupted else ''}{path}: {numbers_of(traces)}. Replay it: harness selftest --traces {path}"
    )
    sys.exit(INTERRUPTED if interrupted else 0)


def on_this_machine(same: int, as_json: bool) -> None:
    """Compare the baseline with itself, and with a level that is slower by a known amount."""
    from harness.tools.selftest.live import Summary, live
    from harness.tools.selftest.status import collect

    slowed = max(1, same // 4)
    total = same + slowed
    begun, cpu_begun = time.monotonic(), time.process_time()
    found, interrupted = collect(live(same, slowed), total, lambda done: f"{len(done)} of {total} comparisons")
    result = Summary(found, coordinator=(time.process_time() - cpu_begun) / (time.monotonic() - begun))
    if as_json:
        echo_json(result.to_json())
    else:
        click.echo("\n".join(result.lines()))
    sys.exit(INTERRUPTED if interrupted else 0 if result.holds else FAILED)
