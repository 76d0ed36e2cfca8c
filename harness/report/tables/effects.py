"""Effects of an ablation design as tables: one for each block and mode."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.effects import Effect
from harness.records import designs
from harness.records.plan import Plan
from harness.report.table import Table


def words(plan: Plan) -> str:
    """What the design's estimands are, a line each, for above its tables."""
    kinds = dict.fromkeys(contrast.kind for contrast in designs.contrasts(plan.design, plan.factors))
    meant = (f"- {kind}: {designs.WORDS[kind]}." for kind in kinds)
    return "\n".join(["P values are adjusted for all effects of a table (Holm).", *meant])


def effect_table(title: str, effects: Sequence[Effect]) -> Table | None:
    """Size, interval, adjusted p value and verdict of the effects of one block and mode. The header names the estimand,
    or a column does where there are several; what could not be estimated is told under the table, with the reason."""
    shown = [effect for effect in effects if effect.estimate is not None]
    if not effects:
        return None
    kinds = dict.fromkeys(effect.kind for effect in effects)
    several = len(kinds) > 1
    rows = tuple(
        (
            effect.level,
            *((effect.kind,) if several else ()),
            *size_cells(effect),
            p_value_in_words(effect.adjusted),
            verdict_words(effect),
        )
        for effect in shown
    )
    interval = f"{100 * effects[0].confidence:.3g} % interval"
    headers = ("factors", *(("estimand",) if several else ()), effects[0].scale, interval, "p (Holm)", "verdict")
    lacking: dict[str, list[str]] = {}
    for effect in effects:
        if effect.estimate is None:
            lacking.setdefault(effect.reason, []).append(
                f"{effect.kind} of {effect.level}" if several else effect.level
            )
    notes = tuple(f"Not estimated: {', '.join(names)} ({reason})." for reason, names in lacking.items())
    return Table(f"{title}: effects{'' if several else f', {next(iter(kinds))}'}", headers, rows, notes)


def size_cells(effect: Effect) -> tuple[str, str]:
    """Size and interval as text: a ratio, or a signed difference."""
    form = "{:.3f}" if effect.scale == "ratio" else "{:+.3g}"
    interval = effect.interval
    size = "-" if effect.ratio is None else form.format(effect.ratio)
    return size, " to ".join(map(form.format, interval)) if interval else ""


def p_value_in_words(p: float | None) -> str:
    """A p value as people read one."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def verdict_words(effect: Effect) -> str:
    """The verdict in words, with reason and marks."""
    speed = effect.block.measures.speed
    verdict = f"{effect.verdict} ({effect.reason})" if effect.reason else effect.verdict
    if speed and speed.quick and effect.verdict not in ("invalid", "unranked"):
        verdict = "first look"  # one process has no interval of an effect
    return "; ".join([verdict, *effect.flags])
