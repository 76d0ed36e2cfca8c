"""The effects of an ablation design as forest plots, one for each of their tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.effects import Effect
from harness.records import designs
from harness.records.plan import LEARNING
from harness.report.cells import block_title, in_words
from harness.report.plots.figures import Plot, margin_in_words
from harness.report.plots.forest import Forest, ForestRow
from harness.report.report import Report
from harness.report.tables.effects import with_effects

#: Colours of estimands that people with any kind of colour vision can distinguish (Okabe and Ito 2008).
COLOURS = {
    designs.AVERAGE: "#0072B2",
    designs.INTERACTION: "#D55E00",
    designs.ADDED: "#E69F00",
    designs.REMOVED: "#0072B2",
    designs.BOTH: "#000000",
    designs.REST: "#D55E00",
}


def effect_plots(report: Report) -> Iterator[Plot]:
    """What factors do to step time, and to what is learned."""
    for block, mode, metric in with_effects(report.findings.plan):
        effects = [e for e in report.findings.effects_in(block, mode, metric) if e.size is not None]
        if effects:
            title = f"{block_title(block, mode)}: effects on {in_words(metric)}"
            yield Plot.of(forest_of(title, effects), "Effects", "effects", block.name, mode)


def forest_of(title: str, effects: Sequence[Effect]) -> Forest:
    """The effects of one block, mode and metric, grouped by factor and coloured by estimand."""
    first, margin = effects[0], None
    learned, speed = first.mode == LEARNING, first.block.measures.speed
    if speed and not learned:
        margin = margin_in_words(speed.margin), 1 / (1 + speed.margin), 1 + speed.margin
    rows = [ForestRow.of(effect, effect.level, effect.kind) for effect in effects]
    unit = f"{in_words(first.metric)}, on minus off (points)"
    if first.scale == "ratio":
        unit = f"{in_words(first.metric)}, on over off (ratio{'' if learned else '; below 1 takes less time'})"
    return Forest(title, rows, COLOURS, first.scale, unit, margin)
