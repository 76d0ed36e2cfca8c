"""The effects of an ablation design as forest plots, one for each block and mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness import designs
from harness.builtin.figures import DECIDED, Plot, file_name
from harness.builtin.forest import Forest, Row
from harness.effects import Effect
from harness.report import Report, block_title

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
    """What factors do to step time."""
    findings = report.findings
    for block in findings.plan.blocks:
        for mode in block.measures.speed.of if block.measures.speed else ():
            effects = [effect for effect in findings.effects_in(block, mode) if effect.estimate is not None]
            if effects:
                forest = forest_of(f"{block_title(block, mode)}: effects on step time", effects)
                yield Plot(file_name("effects", block.name, mode), forest.title, forest.size, forest.draw)


def forest_of(title: str, effects: Sequence[Effect]) -> Forest:
    """The effects of one block, mode and metric, grouped by factor and coloured by estimand."""
    ratio, speed = effects[0].scale == "ratio", effects[0].block.measures.speed
    margin = None
    if ratio and speed:
        margin = f"within the margin of {100 * speed.margin:.3g} %", 1 / (1 + speed.margin), 1 + speed.margin
    metric = effects[0].metric.replace("_", " ")
    rows = [
        Row(effect.level, effect.kind, effect.ratio, effect.interval, effect.verdict in DECIDED)
        for effect in effects
        if effect.ratio is not None
    ]
    unit = f"{metric}, on over off (ratio; below 1 is faster)" if ratio else f"{metric}, on minus off"
    return Forest(title, rows, COLOURS, ratio, unit, margin, ("{:.3f}" if ratio else "{:+.3g}").format)
