"""Profiles and explanations as tables of text, and warnings where the trials of a table were computed differently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from harness.analysis.explain import Explanation, OperatorTime, largest
from harness.analysis.findings import Findings
from harness.analysis.grouping import grouped
from harness.analysis.profiles import SUBNORMAL, UNATTRIBUTED, ByOperator, Profiled, Profiles, profiler_cost
from harness.modes import step_note
from harness.records.plan import Block
from harness.report.answer import explanation_of
from harness.report.cells import UNKNOWN, block_title, first_few, in_words, listed, section_words
from harness.report.table import Section, Table
from harness.report.tables.causes import decimals, milliseconds, others, sentence_of, short

#: An explanation's table shows the rows from this share of the difference on, and at most this many.
SHARE, MOST_ROWS = 0.02, 40
#: A report shows the rows of this many explanations, of the largest differences.
MOST_EXPLAINED = 20
#: How many operators a trial's own table shows.
TOP = 10


def reasons(findings: Findings) -> Section:
    """What the difference of the answer comes from, and how the trials beside it were computed; and in detail the
    largest of the other differences, and what takes most time in each trial."""
    asked = explanation_of(findings)
    words = section_words(
        f"{asked.block.name}: {sentence_of(asked)}" if asked else "No difference of times is clear enough to explain.",
        ("rows", "a profile after timing, scaled to the measured times of phases, so they add up to the difference"),
        ("between operators", "time outside any operator: Python code, or the autograd engine in the backward pass"),
        ("kernel path", "the implementations that computed the step, recognised by the names of operators"),
        ("page faults", "how often a step touched memory that the system had not provided yet"),
        ("subnormal", "the share of subnormal numbers in the backward pass, which are slow on many processors"),
    )
    cost = profiler_cost(findings.profiles)
    blocks = {block.id: block for block in findings.plan.blocks}
    differences = grouped(findings.explained, lambda one: (one.block.id, one.mode))
    also = [one for one in largest(findings.explained, MOST_EXPLAINED) if one is not asked]
    tables = [explanation_table(asked)] if asked else []
    details = [explanation_table(one) for one in also]
    place = (asked.block.id, asked.mode) if asked else next(iter(findings.profiles))
    for (block_id, mode), group in findings.profiles.items():
        block, sentences = blocks[block_id], map(sentence_of, differences.get((block_id, mode), ()))
        paths = kernel_path_table(block, mode, group, findings.plan.axis, list(sentences))
        (tables if (block_id, mode) == place else details).append(paths)
        for one in group:
            details += [operators_table(block, one, cost), *([kernels_table(block, one)] if one.kernel_times else [])]
    return Section("Why", words, tuple(tables), tuple(details), why=True)


def kernel_path_table(
    block: Block, mode: str, group: Sequence[Profiled], axis: str, sentences: Sequence[str] = ()
) -> Table:
    """The kernel path of each trial, how many operators it calls, page faults and subnormal numbers. The notes say why
    each trial takes its time, and name the settings."""
    amounts = [name for name in group[0].counts if all(one.counts.get(name) for one in group)]
    # The smallest amount: steps that depend on each other, where these are counted.
    fewest = min(amounts, key=lambda name: group[0].counts[name], default="")
    rows = []
    for one in group:
        per = [f"{one.launches / one.counts[fewest]:,.1f}"] if fewest else []
        share = one.conditions["subnormal"]
        subnormal = UNKNOWN if share is None else f"{share:.1%}"
        faults = one.conditions["page_faults"]
        calls, launches = sum(one.merged.values()), one.launches
        paths = ", ".join(one.kernel_paths)
        rows.append((one.level, paths, f"{calls:,.0f}", f"{launches:,.0f}", *per, f"{faults:,.0f}", subnormal))
    headers = (
        axis, "kernel path", "operator calls per step", "launches",
        *([f"launches / {in_words(fewest).removesuffix('s')}"] if fewest else []), "page faults", "subnormal",
    )  # fmt: skip
    launched = "kernels on the device" if group[0].device == "cuda" else "calls to leaf operators"
    settings = ", ".join(f"{name} {_setting(value)}" for name, value in group[0].flags.items())
    notes = (*step_note(mode), *sentences, f"Launches: {launched}. Settings of {group[0].level}: {settings}.")
    return Table(f"{block_title(block, mode)}: how it was computed, and why", headers, tuple(rows), notes)


def explanation_table(one: Explanation, most: int = MOST_ROWS, *, share: float = SHARE) -> Table:
    """The rows that are at least this share of the difference, the largest first and at most this many; the others in
    one row, and the sum. No row is shown by itself that is smaller than the explanation's sensitivity."""
    shown = rows_above(one, share)[:most]
    digits = max(2, decimals(one))  # at least those of the table of comparisons

    def cells(name: str, row: OperatorTime) -> tuple[str, ...]:
        seconds = (*(f"{1e3 * each:.{digits}f}" for each in row.seconds), f"{1e3 * row.difference:+.{digits}f}")
        before, after = (f"{count:,.0f}" for count in row.calls)
        return name, row.phase, *seconds, "" if row.operator == UNATTRIBUTED and row.phase else f"{before} to {after}"

    rows = [cells(short(row.operator), row) for row in shown]
    if rest := [row for row in one.rows if row not in shown]:
        rows.append(cells(others(len(rest)), OperatorTime.total("", "", rest)))
    rows.append(cells("sum", OperatorTime.total("", "", one.rows)))
    headers = ("operator", "phase", one.baseline, one.level, "change", "calls")
    title = f"{block_title(one.block, one.mode)}: {one.level} against {one.baseline}, in ms per step"
    return Table(title, headers, tuple(rows), tuple(_notes(one)))


def rows_above(one: Explanation, share: float) -> list[OperatorTime]:
    """The rows that are at least this share of the difference and not smaller than the sensitivity."""
    least = max(one.sensitivity, share * abs(one.difference))
    return [row for row in one.rows if abs(row.difference) >= least]


def _notes(one: Explanation) -> Iterator[str]:
    yield from step_note(one.mode)
    yield sentence_of(one)
    inside = one.in_operators * one.difference
    yield (
        f"Inside operators: {milliseconds(one, inside)}; between them: {milliseconds(one, one.difference - inside)}. "
        f"Rows below {1e3 * one.sensitivity:.1g} ms may be chance and are among the others."
    )
    yield f"Cross-check: unprofiled steps in the same process differed by {milliseconds(one, one.plain_difference)}."
    if one.a.device != "cuda":
        yield f"Profiler overhead of {one.cost * 1e9:.0f} ns per operator is subtracted."


def in_json(one: Explanation) -> dict[str, Any]:
    """An explanation as JSON values, in seconds and calls per step."""
    return {
        "context": dict(one.context),
        "mode": one.mode,
        "a": one.baseline,
        "b": one.level,
        "because": sentence_of(one),
        "ratio": one.ratio,
        "interval": list(one.interval) if one.interval else None,
        "confidence": one.confidence,
        "processes": one.estimate.k if one.estimate else 0,
        "seconds": list(one.seconds),
        "difference": one.difference,
        "difference_beside_the_profiler": one.plain_difference,
        "explained": one.explained,
        "sensitivity": one.sensitivity,
        "share_in_operators": one.in_operators,
        "profiler_seconds_per_operator": one.cost,
        "rows": [{**asdict(row), "operator": row.operator or None, "difference": row.difference} for row in one.rows],
        "ways": {each.level: list(each.kernel_paths) for each in (one.a, one.b)},
        "fingerprints": {each.level: dict(each.conditions) for each in (one.a, one.b)},
    }


def operators_table(block: Block, one: Profiled, cost: float) -> Table:
    """The operators of one trial that take most time, over all phases, and where its trace is."""
    times = one.device_times if one.device == "cuda" else one.seconds(cost)
    calls = {key: one.calls.get(key, 0) for key in times}
    total, shown, rows = _top(times, calls)
    rest = f"{len(times) - len(rows)} others take the other {1 - shown / total:.0%}."
    headers = ("phase", "operator", "share", "ms per step", "calls per step")
    rows = tuple((phase, short(name), *cells) for phase, name, *cells in rows)
    title = f"{block_title(block, one.mode)} · {one.level}: operators"
    return Table(title, headers, rows, (f"{rest} Trace: traces/{one.trace}",))


def kernels_table(block: Block, one: Profiled) -> Table:
    """The kernels of one trial that take most time on its device."""
    times = {key: seconds for key, (_, seconds) in one.kernel_times.items()}
    total, _, rows = _top(times, {key: calls for key, (calls, _) in one.kernel_times.items()})
    note = f"{one.launches:,.0f} kernels per step take {total * 1e3:.3f} ms on the device together."
    headers = ("phase", "kernel", "share", "ms per step", "launches per step")
    return Table(f"{block_title(block, one.mode)} · {one.level}: kernels", headers, rows, (note,))


def _top(times: ByOperator, calls: ByOperator) -> tuple[float, float, tuple[tuple[str, ...], ...]]:
    """The sum of all times, that of the largest, and a row for each of these."""
    total = sum(times.values()) or 1.0
    best = sorted(times.items(), key=lambda item: -item[1])[:TOP]
    rows = tuple(
        (phase, name, f"{seconds / total:.0%}", f"{seconds * 1e3:.3f}", f"{calls[phase, name]:,.0f}")
        for (phase, name), seconds in best
    )
    return total, sum(seconds for _, seconds in best), rows


def warnings(blocks: Sequence[Block], profiles: Profiles) -> list[str]:
    """Reasons why the ratios of a table may not be the effect of its levels alone. A warning about several blocks is
    given once, with their names."""
    names = {block.id: block.name for block in blocks}
    found: dict[str, list[str]] = {}
    for (block, mode), group in profiles.items():
        for text in (*other_paths(group), *other_settings(group), *subnormal(group)):
            found.setdefault(text, []).append(f"{names[block]} · {mode}")
    return [f"{text.removesuffix('.')} ({', '.join(first_few(places, 4))})." for text, places in found.items()]


def other_paths(group: Sequence[Profiled]) -> Iterator[str]:
    """A warning where the trials took different kernel paths."""
    paths = grouped(group, lambda one: one.kernel_paths)
    if len(paths) > 1:
        ran = ", ".join(f"{listed([one.level for one in those])} ran {listed(path)}" for path, those in paths.items())
        yield f"Different kernels were used: {ran}. The ratio includes that difference."


def other_settings(group: Sequence[Profiled]) -> Iterator[str]:
    """A warning for each flag or type in which the trials differ."""
    for name in dict.fromkeys(name for one in group for name in one.flags):
        values = grouped(group, lambda one: one.flags.get(name))  # noqa: B023 - called at once
        if len(values) > 1:
            had = ", ".join(
                f"{listed([one.level for one in those])} had {_setting(value)}" for value, those in values.items()
            )
            yield f"Different settings of {name}: {had}. The ratio includes that difference."


def subnormal(group: Sequence[Profiled]) -> Iterator[str]:
    """A warning where a backward pass computes with subnormal numbers."""
    levels = [one.level for one in group if (one.conditions.get("subnormal") or 0.0) > SUBNORMAL]
    if levels:
        yield f"The backward pass of {listed(levels)} uses subnormal numbers, which are slow on many processors."


def _setting(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
