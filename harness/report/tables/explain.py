"""Profiles and explanations as tables of text, and warnings where the trials of a table were computed differently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from harness.analysis.explain import Explanation, OperatorTime, largest
from harness.analysis.findings import Findings
from harness.analysis.grouping import grouped
from harness.analysis.profiles import ENGINE, SUBNORMAL, UNATTRIBUTED, ByOperator, Profiled, Profiles, profiler_cost
from harness.modes import step_name, step_note
from harness.records.plan import Block
from harness.report.cells import UNKNOWN, block_title, confidence_interval, first_few, in_words, listed, section_words
from harness.report.table import Section, Table

#: An explanation's table has at least this many rows, and more until the rest together is less than this share of the
#: difference; at most this many.
LEAST_ROWS, REST, MOST_ROWS = 10, 0.08, 40
#: A report shows the rows of this many explanations, of the largest differences.
MOST_EXPLAINED = 20
#: How many operators a trial's own table shows.
TOP = 10
#: A sentence names a cause from this share of the difference on, and at most this many of them.
NAMED, MOST_NAMED = 0.06, 4


def reasons(findings: Findings) -> Section:
    """How each trial was computed and what its difference comes from; and in detail the largest differences by
    operator, and what takes most time in each trial."""
    words = section_words(
        "Each variant was profiled once after timing. Rows are the profile scaled to the measured phase times, minus "
        "profiler overhead, so they add up to the measured difference.",
        ("between operators", "time outside any operator: Python code, or the autograd engine in the backward pass"),
        ("kernel path", "the implementations that computed the step, recognised by the names of operators"),
        ("page faults", "how often a step touched memory that the system had not provided yet"),
        ("subnormal", "the share of subnormal numbers in the backward pass, which are slow on many processors"),
    )
    cost = profiler_cost(findings.profiles)
    blocks = {block.id: block for block in findings.plan.blocks}
    differences = grouped(findings.explained, lambda one: (one.block.id, one.mode))
    tables, details = [], [explanation_table(one) for one in largest(findings.explained, MOST_EXPLAINED)]
    for (block_id, mode), group in findings.profiles.items():
        block, sentences = blocks[block_id], map(sentence_of, differences.get((block_id, mode), ()))
        tables.append(kernel_path_table(block, mode, group, findings.plan.axis, list(sentences)))
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


def explanation_table(one: Explanation, most: int = MOST_ROWS, *, all_of_them: bool = False) -> Table:
    """The rows of an explanation that matter, at most this many, or exactly this many; the rest in one, and the sum."""
    shown = one.rows[: most if all_of_them else least_rows(one, most)]
    rest = one.rows[len(shown) :]
    cells = [_cells(one, row.phase, short(row.operator), row) for row in shown]
    if rest:
        cells.append(_cells(one, "", f"{len(rest)} others", OperatorTime.total("", "", rest)))
    cells.append(_cells(one, "", "sum", OperatorTime.total("", "", one.rows)))
    a, b = one.baseline, one.level
    headers = ("phase", "operator", f"{a}, ms", f"{b}, ms", "difference", "share", f"calls, {a}", f"calls, {b}")
    title = f"{block_title(one.block, one.mode)}: {b} against {a}"
    return Table(title, headers, tuple(cells), tuple(_notes(one, shown)))


def least_rows(one: Explanation, most: int) -> int:
    """How many rows it takes until the rest no longer matters."""
    left = one.difference
    for number, row in enumerate(one.rows[:most], 1):
        left -= row.difference
        if number >= min(LEAST_ROWS, most) and abs(left) <= REST * abs(one.difference):
            return number
    return most


def _cells(one: Explanation, phase: str, name: str, row: OperatorTime) -> tuple[str, ...]:
    share = f"{row.difference / one.difference:.0%}" if one.difference else UNKNOWN
    calls = ("", "") if row.operator == UNATTRIBUTED and phase else tuple(f"{count:,.0f}" for count in row.calls)
    return phase, name, *(f"{s * 1e3:.3f}" for s in row.seconds), f"{row.difference * 1e3:+.3f}", share, *calls


def _notes(one: Explanation, shown: Sequence[OperatorTime]) -> Iterator[str]:
    yield from step_note(one.mode)
    yield sentence_of(one)
    covered = sum(row.difference for row in shown) / one.difference if one.difference else 1.0
    yield (
        f"The rows shown cover {covered:.0%} of the difference; {one.in_operators:.0%} of it is inside operators, "
        f"{1 - one.in_operators:.0%} between them."
    )
    yield f"Cross-check: unprofiled steps in the same process differed by {one.plain_difference * 1e3:+.2f} ms."
    if one.a.device != "cuda":
        yield f"Profiler overhead of {one.cost * 1e9:.0f} ns per operator is subtracted."


def sentence_of(one: Explanation) -> str:
    """Why one trial takes longer than the other, in a sentence."""
    bounds = f" ({confidence_interval(one)})" if one.interval else ""
    size = f"{one.level} takes {one.ratio:.3f}× as long as {one.baseline} for {step_name(one.mode)}{bounds}"
    causes = ["the interval includes no difference"]
    if one.decided:
        causes = [*_other_path(one), *_more_calls(one), *_main_operators(one)]
    return f"{size}, {one.difference * 1e3:+.2f} ms per step{': ' if causes else ''}{'; '.join(causes)}."


def _other_path(one: Explanation) -> list[str]:
    a, b = one.a.kernel_paths, one.b.kernel_paths
    here, there = [path for path in b if path not in a], [path for path in a if path not in b]
    if here and there:
        return [f"it ran {listed(here)} instead of {listed(there)}"]
    return [f"it also ran {listed(here)}"] if here else [f"it did not run {listed(there)}"] if there else []


def _more_calls(one: Explanation) -> list[str]:
    a, b = (sum(each.merged.values()) for each in (one.a, one.b))
    if abs(b - a) < 0.1 * max(a, b):
        return []
    despite = "" if (b > a) == (one.difference > 0) else "despite "
    return [f"{despite}{abs(b - a):,.0f} {'more' if b > a else 'fewer'} operator calls ({a:,.0f} to {b:,.0f})"]


def _main_operators(one: Explanation) -> list[str]:
    """The operators that have most of the difference, in its own direction."""
    main = [
        f"{short(row.operator)} ({row.difference * 1e3:+.2f} ms)"
        for row in one.by_operator()
        if row.difference * one.difference > 0 and abs(row.difference) >= NAMED * abs(one.difference)
    ]
    return [f"largest parts: {', '.join(main[:MOST_NAMED])}"] if main else []


def short(operator: str) -> str:
    """The name of an operator as tables show it."""
    if operator == UNATTRIBUTED:
        return "between operators"
    name = operator.removeprefix(ENGINE).removeprefix("aten::").removeprefix("torch::autograd::")
    return f"{name} (engine)" if operator.startswith(ENGINE) else name


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
    return [f"{', '.join(first_few(places, 4))}: {text}" for text, places in found.items()]


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
