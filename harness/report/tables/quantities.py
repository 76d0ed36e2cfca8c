"""Quantities of trials as tables of text, and the sections of the kinds of measurement."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

from harness.analysis.finding import exact_in_words
from harness.analysis.grouping import grouped
from harness.analysis.quantities import KindFindings, QuantityFinding, TrialData
from harness.analysis.verdicts import Verdict
from harness.modes import step_note
from harness.plugins.catalog import resolve
from harness.plugins.isolation import caught, isolated
from harness.plugins.kinds import Quantity
from harness.plugins.manager import CORE
from harness.records.plan import Block
from harness.report.cells import UNKNOWN, amount, block_title, in_words
from harness.report.table import Section, Table, checked, present


def section_of(found: KindFindings, problems: list[str]) -> Section | None:
    """The section of a kind of measurement: its own, or a table of all its quantities. The error of a plugin's section
    is added to `problems`."""
    kind, entry = found.measure.kind, found.measure.entry
    if kind.section is None:
        names = [name for quantity in kind.quantities for name in (quantity, f"{quantity}/")]
        tables = quantity_tables(found, kind.name, lambda mode: names)
        words = f"{kind.summary[:1].upper()}{kind.summary[1:]}."
        return Section(in_words(kind.name).capitalize(), words, tables, why=True) if tables else None
    if entry.plugin == CORE:
        return checked(resolve(kind.section, entry.owner)(found))
    with caught(entry.owner, problems), isolated(f"running {entry.owner}"):
        return checked(resolve(kind.section, entry.owner)(copy.deepcopy(found)))
    return None


def quantity_tables(
    found: KindFindings, what: str, names: Callable[[str], Sequence[str]],
    notes: Callable[[KindFindings, list[TrialData]], Iterable[str]] = lambda found, trials: (),
) -> tuple[Table, ...]:  # fmt: skip
    """A table for each block and mode that has one of the quantities that `names` gives for the mode. A name that ends
    in / means all counted amounts. `notes` gives the notes of a table."""
    places = grouped(found.data.trials, lambda trial: (trial.block.id, trial.mode)).values()
    return present(
        quantity_table(found, those[0].block, those[0].mode, names(those[0].mode), what, tuple(notes(found, those)))
        for those in places
    )


def quantity_table(
    found: KindFindings, block: Block, mode: str, names: Iterable[str], what: str, notes: tuple[str, ...]
) -> Table | None:
    """The named quantities that some trial has; None where there are none."""
    here = found.of(block, mode)
    by_name = grouped(here.values(), lambda one: one.metric)
    shown = {
        name: ones[0].quantity
        for wanted in names
        for name, ones in by_name.items()
        if name == wanted or (wanted.endswith("/") and name.startswith(wanted))
    }
    if not shown:
        return None
    heads = (title(quantity, name) for name, quantity in shown.items())
    rows = tuple((trial.level, *(cell(here.get((trial.level, name))) for name in shown)) for trial in block.trials)
    place = block_title(block, mode) if mode else block.name
    return Table(f"{place}: {what}", (found.plan.axis, *heads), rows, (*step_note(mode), *notes))


def title(quantity: Quantity, name: str) -> str:
    """The head of a column."""
    per = name.partition("/")[2]
    return f"{quantity.per_amount or quantity.title} / {in_words(per)}" if per else quantity.title


def cell(one: QuantityFinding | None) -> str:
    """A quantity with its unit, and its ratio to the baseline's."""
    if one is None:
        return UNKNOWN
    text = amount(one.value, one.quantity.unit)
    if not one.verdict or "/" in one.metric:  # the ratio of an amount is that of the whole
        return text
    if one.verdict == Verdict.SAME or one.ratio is None:
        return f"{text} ({one.verdict})"
    return f"{text} (× {exact_in_words(one.ratio)}, {one.verdict})"
