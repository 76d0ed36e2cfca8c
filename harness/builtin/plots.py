"""A run's plots, as PNG and SVG. Each is a function that draws data on a figure it is given.

matplotlib is an extra and is imported only where something is drawn; figures are made without pyplot, so that nothing
outlives them.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import designs
from harness.effects import Effect
from harness.report import Report, block_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours of estimands that people with any kind of colour vision tell apart (Okabe and Ito 2008).
COLOURS = {
    designs.AVERAGE: "#0072B2",
    designs.INTERACTION: "#D55E00",
    designs.ADDED: "#E69F00",
    designs.REMOVED: "#0072B2",
    designs.BOTH: "#000000",
    designs.REST: "#D55E00",
}


#: Verdicts that say something; a point of any other is hollow.
DECIDED = ("faster", "slower", "better", "worse", "equivalent")


@dataclass(frozen=True)
class Plot:
    """A file's name without its ending, what it shows, its width and height in inches, and how to draw it."""

    name: str
    title: str
    size: tuple[float, float]
    draw: Callable[[Figure], None]


def plots_of(report: Report) -> list[Plot]:
    """What there is to draw of a run."""
    return list(_effects(report))


def how_to_get_them(report: Report) -> str:
    """A line where there is something to draw and nothing to draw it with; empty otherwise."""
    if not plots_of(report) or find_spec("matplotlib"):
        return ""
    return 'There are plots of this run where matplotlib is: pip install "rnn-harness[plot]", then harness report.'


def write(report: Report, folder: Path) -> list[Path]:
    """Write plots/NAME.png and plots/NAME.svg for each plot; nothing where matplotlib is not installed."""
    plots = plots_of(report)
    if not plots or not find_spec("matplotlib"):
        return []
    import matplotlib
    from matplotlib.figure import Figure

    folder = folder / "plots"
    folder.mkdir(exist_ok=True)
    written = []
    # The same data give the same file: no date, and ids in the SVG that are not drawn by chance.
    with matplotlib.rc_context({"svg.hashsalt": "harness", "font.size": 9.0, "axes.axisbelow": True}):
        for plot in plots:
            figure = Figure(figsize=plot.size, layout="constrained", facecolor="white")
            plot.draw(figure)
            for path, metadata in (
                (folder / f"{plot.name}.png", {"Software": None}), (folder / f"{plot.name}.svg", {"Date": None})
            ):  # fmt: skip
                figure.savefig(path, dpi=150, metadata=metadata)
                written.append(path)
    return written


def _effects(report: Report) -> Iterator[Plot]:
    names: set[str] = set()
    findings = report.findings
    for block in findings.plan.blocks:
        for mode in block.measures.speed.of if block.measures.speed else ():
            effects = [effect for effect in findings.effects_in(block, mode) if effect.estimate is not None]
            if not effects:
                continue
            name = "-".join(["effects", *re.findall(r"[\w.]+", block.name), mode])
            name = f"{name}-{block.id}" if name in names else name
            names.add(name)
            title = f"{block_title(block, mode)}: effects on step time"

            def draw(figure: Figure, title: str = title, effects: Sequence[Effect] = effects) -> None:
                draw_effects(figure, title, effects)

            yield Plot(name, title, size_of(effects), draw)


def size_of(effects: Sequence[Effect]) -> tuple[float, float]:
    """Width and height in inches: rows have a height of their own, so that twenty are as easy to read as one."""
    return 8.0, 1.5 + 0.27 * len(effects) + 0.15 * len({effect.factors for effect in effects})


def draw_effects(figure: Figure, title: str, effects: Sequence[Effect]) -> None:
    """A forest plot of the effects of one block, mode and metric: a point and an interval each, grouped by factor,
    coloured by estimand, hollow where nothing is decided; numbers to the right."""
    from matplotlib.lines import Line2D

    axes = figure.add_subplot()
    legend: list[Any] = [
        Line2D([], [], color=COLOURS[kind], marker="o", linewidth=1.8, label=kind)
        for kind in dict.fromkeys(effect.kind for effect in effects)
    ]
    if any(effect.verdict not in DECIDED for effect in effects):
        grey = "#777777"
        legend.append(
            Line2D([], [], color=grey, marker="o", markerfacecolor="white", linewidth=1.8, label="no verdict")
        )
    places, bands = _rows(effects)
    bottom, top = bands[-1][1], bands[0][0]
    for low, high in bands[1::2]:
        axes.axhspan(high, low, color="#f4f4f4", linewidth=0)
    ratio = effects[0].scale == "ratio"
    reference, speed = (1.0 if ratio else 0.0), effects[0].block.measures.speed
    if ratio and speed:
        margin = axes.axvspan(1 / (1 + speed.margin), 1 + speed.margin, color="#009E73", alpha=0.12, linewidth=0)
        margin.set_label(f"within the margin of {100 * speed.margin:.3g} %")
        legend.append(margin)
    axes.axvline(reference, color="#444444", linewidth=1)
    for effect, y in zip(effects, places, strict=True):
        assert effect.ratio is not None
        colour = COLOURS[effect.kind]
        if effect.interval:
            axes.hlines(y, *effect.interval, color=colour, linewidth=1.8)
        inside = colour if effect.verdict in DECIDED else "white"
        axes.plot(effect.ratio, y, "o", color=colour, markersize=6, markeredgewidth=1.5, markerfacecolor=inside)
    axes.set_ylim(bottom, top)
    names = list(dict.fromkeys(effect.level for effect in effects))
    axes.set_yticks([(low + high) / 2 for low, high in bands], [textwrap.fill(name, 32) for name in names])
    axes.tick_params(axis="y", length=0)
    _scale(axes, effects, reference)
    numbers = axes.twinx()
    numbers.set_ylim(bottom, top)
    numbers.set_yticks(places, [_number(effect) for effect in effects])
    numbers.tick_params(axis="y", length=0, labelsize=8)
    for each in (axes, numbers):
        each.spines[["top", "left", "right"]].set_visible(False)
    axes.set_title(textwrap.fill(title, 90), loc="left", fontsize=10.5)
    figure.legend(handles=legend, loc="outside lower center", ncols=3, frameon=False, fontsize=8)


def _rows(effects: Sequence[Effect]) -> tuple[list[float], list[tuple[float, float]]]:
    """The height of each effect, and the top and bottom of the band of each factor, from the top down."""
    places, bands = [], []
    y = 0.0
    for factors in dict.fromkeys(effect.factors for effect in effects):
        begin = y
        y -= 0.3
        for _ in range(sum(effect.factors == factors for effect in effects)):
            places.append(y - 0.5)
            y -= 1.0
        y -= 0.3
        bands.append((begin, y))
    return places, bands


def _number(effect: Effect) -> str:
    form = "{:.3f}" if effect.scale == "ratio" else "{:+.3g}"
    size, interval = form.format(effect.ratio), effect.interval
    return f"{size}  [{', '.join(map(form.format, interval))}]" if interval else size


def _scale(axes: Any, effects: Sequence[Effect], reference: float) -> None:
    """The axis of sizes: wide enough for every interval; ratios are spaced by their logs, and ticks are ratios."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    ends = [x for effect in effects for x in (effect.ratio, *(effect.interval or ())) if x is not None]
    low, high = min(reference, *ends), max(reference, *ends)
    metric = effects[0].metric.replace("_", " ")
    if effects[0].scale == "difference":
        space = 0.06 * (high - low) or 0.01
        axes.set_xlim(low - space, high + space)
        axes.set_xlabel(f"{metric}, on minus off")
    else:
        space = max(0.06 * math.log(high / low), 0.002)
        low, high = low * math.exp(-space), high * math.exp(space)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        ticks = [t for t in MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= t <= high]
        if high / low > 2.5:
            span = math.log10(high / low)
            decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1, math.ceil(span / 8))
            steps = (1,) if span > 3 else (1, 2, 5) if span > 1 else (1, 1.5, 2, 3, 4, 5, 6, 8)
            ticks = [t for t in (step * 10.0**decade for decade in decades for step in steps) if low <= t <= high]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.4g}")
        axes.set_xlabel(f"{metric}, on over off (ratio; below 1 is faster)")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
