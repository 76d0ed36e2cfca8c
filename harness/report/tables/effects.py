"""Effects of an ablation design as tables of text."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.effects import Effect
from harness.analysis.findings import Findings
from harness.analysis.grouping import grouped
from harness.modes import step_note
from harness.records import designs
from harness.records.plan import LEARNING, Block
from harness.report.cells import (
    SIZE_HEADERS,
    block_title,
    interval_header,
    p_cell,
    section_words,
    size_cells,
    verdict_cell,
)
from harness.report.table import Section, Table, present


def effects(findings: Findings) -> Section:
    """What each factor of an ablation design does."""
    plan = findings.plan
    kinds = dict.fromkeys(contrast.kind for contrast in designs.contrasts(plan.design, plan.factors))
    words = "What each factor of the design does. P values are corrected for all effects of a table (Holm)."
    words = section_words(words, *((kind, designs.WORDS[kind]) for kind in kinds))
    tables = (
        effect_table(block_title(block, mode), findings.effects_in(block, mode, metric))
        for block, mode, metric in with_effects(findings)
    )
    return Section("Effects", words, present(tables))


def with_effects(findings: Findings) -> list[tuple[Block, str, str]]:
    """Each block, mode and metric whose effects have a table."""
    times = [(one.block, one.mode, "step_time") for one in findings.measured]
    return times + [(one.block, LEARNING, one.settings.metric) for one in findings.learning.learned]


def effect_table(title: str, effects: Sequence[Effect]) -> Table | None:
    """Size, interval, adjusted p value and verdict of the effects of one block and mode. The title names the estimand;
    where there are several, a column does. Notes say what could not be estimated, and why."""
    if not effects:
        return None
    kinds = list(dict.fromkeys(effect.kind for effect in effects))
    several, speed = len(kinds) > 1, effects[0].block.measures.speed
    rows = tuple(
        (
            effect.level,
            *((effect.kind,) if several else ()),
            *size_cells(effect),
            p_cell(effect.adjusted),
            verdict_cell(effect, first_look=bool(speed and speed.quick)),
        )
        for effect in effects
        if effect.estimate is not None
    )
    headers = (
        "factors", *(("estimand",) if several else ()), SIZE_HEADERS[effects[0].scale],
        interval_header(effects[0].confidence), "p (Holm)", "verdict",
    )  # fmt: skip
    lacking = grouped((effect for effect in effects if effect.estimate is None), lambda effect: effect.reason)
    notes = [*step_note(effects[0].mode)]
    for reason, those in lacking.items():
        names = [f"{effect.kind} of {effect.level}" if several else effect.level for effect in those]
        notes.append(f"Not estimated: {', '.join(names)} ({reason}).")
    return Table(f"{title}: effects{'' if several else f', {kinds[0]}'}", headers, rows, tuple(notes))
