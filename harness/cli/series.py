"""``harness series``: the ledger of a series of tries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import as_json_option, echo_json, plural, results_option

if TYPE_CHECKING:
    from harness.api.ledger import Ledger


@click.command()
@click.argument("name", required=False)
@results_option
@as_json_option
def series(name: str | None, results: Path, as_json: bool) -> None:
    """Show a series of tries: what each was allowed, what it showed, what is left.

    NAME is that of the series, by default all of them. ``harness ab --series NAME`` adds a try. A series keeps the rate
    of false verdicts *faster* over all its tries.
    """
    from harness.api.series import ledger_of, series_in

    ledgers = [ledger_of(each, results) for each in ([name] if name else series_in(results))]
    if as_json:
        found = [in_json(ledger) for ledger in ledgers]
        echo_json(found[0] if name else found)
    elif not ledgers:
        click.echo(f"There is no series in {results}. To begin one: harness ab OLD NEW --series NAME")
    for ledger in () if as_json else ledgers:
        show(ledger, with_tries=bool(name))


def in_json(ledger: Ledger) -> dict[str, object]:
    """A ledger as plain values."""
    state = ledger.state
    return {
        "series": ledger.name, "alpha": ledger.alpha, "keeps": len(state.keeps), "next_level": state.next_level,
        "wealth": state.wealth, "tries": [one.row() for one in ledger.tries],
    }  # fmt: skip


def show(ledger: Ledger, *, with_tries: bool) -> None:
    """Print the numbers of a series, and its tries as a table."""
    from harness.report.formats.terminal import table
    from harness.report.table import Table

    state = ledger.state
    counts = ", ".join(f"{number} {word}" for word, number in ledger.counts().items())
    click.echo(
        f"{ledger.name}: {plural(state.begun, 'try').replace('trys', 'tries')}{f' ({counts})' if counts else ''}. "
        f"Rate of false keeps: {100 * ledger.alpha:g} %. Left for further tries: {state.wealth:.2g}; "
        f"the next try is kept if p <= {state.next_level:.2g}."
    )
    if with_tries and ledger.tries:
        rows = tuple(tuple(cells_of(one.row())) for one in ledger.tries)
        header = ("try", "new", "against", "needs p <=", "p", "ratio", "interval", "decision", "run")
        click.echo(table(Table("", header, rows)))


def cells_of(row: dict[str, object]) -> Sequence[str]:
    """A try as the cells of a table."""
    p, ratio, low, high = (row.get(name) for name in ("p", "ratio", "low", "high"))
    decision = f"{row['decision'] or 'not finished (its error rate is spent)'}"
    reason = row.get("reason")
    return (
        str(row["try"]), str(row["new"]), str(row["old"]), f"{row['level']:.2g}",
        f"{p:.2g}" if isinstance(p, float) else "-", f"{ratio:.3f}" if isinstance(ratio, float) else "-",
        f"{low:.3f} to {high:.3f}" if isinstance(low, float) and isinstance(high, float) else "",
        f"{decision}: {reason}" if reason else decision, str(row["run"]),
    )  # fmt: skip
