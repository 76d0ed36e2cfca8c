"""The effects of an ablation design as forest plots, one for each of their tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.effects import Effect
from harness.records import designs
from harness.records.plan import LEARNING
from harness.report.plots.figures import DECIDED, Plot, file_name
from harness.report.plots.forest import Forest, Row
from harness.report.report import Report, block_title, with_effects

#: Colours of estimands that people with any kind of colour vision tell apart (Okabe and Ito 2008).
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
    findings = report.findings
    for block, mode, metric in with_effects(findings.plan):
        effects = [effect for effect in findings.effects_in(block, mode, metric) if effect.estimate is not None]
        if effects:
            title = f"{block_title(block, mode)}: effects on {metric.replace('_', ' ')}"
            forest = forest_of(title, effects)
            yield Plot(file_name("effects", block.name, mode), title, forest.size, forest.draw, "Effects")


def forest_of(title: str, effects: Sequence[Effect]) -> Forest:
    """The effects of one block, mode and metric, grouped by factor and coloured by estimand."""
    ratio, learned = effects[0].scale == "ratio", effects[0].mode == LEARNING
    speed = None if learned else effects[0].block.measures.speed
    margin = None
    if speed:
        margin = f"within the margin of {100 * speed.margin:.3g} %", 1 / (1 + speed.margin), 1 + speed.margin
    metric = effects[0].metric.replace("_", " ")
    rows = [
        Row(effect.level, effect.kind, effect.ratio, effect.interval, effect.verdict in DECIDED)
        for effect in effects
        if effect.ratio is not None
    ]
    below = "better" if learned else "faster"
    unit = f"{metric}, on over off (ratio; below 1 is {below})" if ratio else f"{metric}, on minus off"
    return Forest(title, rows, COLOURS, ratio, unit, margin, ("{:.3f}" if ratio else "{:+.3g}").format)
