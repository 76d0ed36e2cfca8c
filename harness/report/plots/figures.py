"""What all plots share: the plot itself, colours, axes, legends, and labels beside lines and points.

matplotlib is an extra and is imported only where something is drawn.
"""

from __future__ import annotations

import math
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.analysis.stats import Array
from harness.records.plan import Plan, digest

# Of matplotlib, which is not imported here.
Figure: TypeAlias = Any
Axes: TypeAlias = Any
Entry: TypeAlias = Any
#: How matplotlib draws all plots: dollar signs are text, and ids in an SVG are not random, so that the same data give
#: the same file.
DRAWN: dict[str, Any] = {
    "svg.hashsalt": "harness", "font.size": 9.0, "axes.axisbelow": True, "text.parse_math": False,
}  # fmt: skip
#: Colours that people with any kind of colour vision can distinguish (Okabe and Ito 2008), without yellow, which is too
#: faint for a line.
BLACK, BLUE, VERMILION, GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
#: The colours of levels; black is the baseline's.
LEVELS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
#: The margin, and what is common to all levels; lines of reference; grids; the bands of every other group.
GREY, DARK, GRID, BAND = "#777777", "#444444", "#e4e4e4", "#f4f4f4"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
MARKERS = "osD^vPX<>"
#: Where the text of a point may be, the preferred place first: the offset to the right and up in points, and the
#: alignment of the text.
LABEL_OFFSETS = (
    (7, 5, "left", "bottom"), (7, -5, "left", "top"), (-7, 5, "right", "bottom"), (-7, -5, "right", "top"),
    (0, 9, "center", "bottom"), (0, -9, "center", "top"), (9, 0, "left", "center"), (-9, 0, "right", "center"),
    (7, 16, "left", "bottom"), (7, -16, "left", "top"), (-7, 16, "right", "bottom"), (-7, -16, "right", "top"),
)  # fmt: skip


#: The most bytes of a file's name, without its ending, a digest and a number.
MOST_BYTES = 200


class Drawing:
    """What a plot shows: its title, its width and height in inches, and how it is drawn."""

    title: str
    size: tuple[float, float]

    def draw(self, figure: Figure) -> None:
        """Draw on a figure of this size."""
        raise NotImplementedError

    def narrowed(self) -> Drawing | None:
        """The same for the screen of a phone; None where it cannot be drawn so narrow."""
        return None


@dataclass(frozen=True)
class Plot:
    """A plot that can be drawn on a figure of its size: width and height in inches. `name` is the file's name without
    its ending, `section` the title of the report's section that it belongs to, `narrow` the same plot for a phone."""

    name: str
    title: str
    size: tuple[float, float]
    draw: Callable[[Figure], None]
    section: str
    narrow: Plot | None = None

    @classmethod
    def of(cls, drawing: Drawing, section: str, *words: str) -> Plot:
        """A drawing under a name that is made of words."""
        narrow, name = drawing.narrowed(), file_name(*words)
        small = cls(f"{name}-narrow", narrow.title, narrow.size, narrow.draw, section) if narrow else None
        return cls(name, drawing.title, drawing.size, drawing.draw, section, small)


@dataclass(frozen=True)
class Style:
    """How a level looks in every plot of a report."""

    colour: str
    dashes: Any
    marker: str


#: What belongs to no single level.
NEUTRAL = Style(GREY, "-", "o")


def styles_in(plan: Plan) -> dict[str, Style]:
    """The style of each level of a run. A factor of an ablation design looks as the level that has only this factor."""
    levels = [trial.level for block in plan.blocks for trial in block.trials]
    return styles_of(dict.fromkeys([*levels[:1], *plan.factors, *levels]))


def styles_of(levels: Iterable[str]) -> dict[str, Style]:
    """The styles of levels, of which the first is the baseline: black. After six others the colours repeat, with other
    markers and dashes."""
    found = {}
    for index, level in enumerate(levels):
        turn, colour = divmod(index - 1, len(LEVELS))
        marker = MARKERS[index % len(MARKERS)]
        found[level] = Style(LEVELS[colour], DASHES[turn % len(DASHES)], marker) if index else Style(BLACK, "-", "o")
    return found


def file_name(*words: str) -> str:
    """Words as a file's name. A file system allows 255 bytes, and without a UTF-8 locale only some characters. What is
    left out is replaced by a digest."""
    name = "-".join(part for word in words for part in re.findall(r"[\w.]+", word))
    encoding = sys.getfilesystemencoding()
    shown = name.encode(encoding, "ignore")[:MOST_BYTES].decode(encoding, "ignore")
    return name if shown == name else f"{shown}-{digest(words)}"


def heading(axes: Axes, title: str, width: int = 90, pad: float = 6.0) -> None:
    """The title above the first axes of a figure, on the left, in lines of this many characters; `pad` points above
    the axes."""
    axes.set_title(textwrap.fill(title, width), loc="left", fontsize=10.5, pad=pad)


def per_cent(value: float, _: Any = None) -> str:
    """A share as text."""
    return f"{100 * value:.4g}%"


def bare(axes: Axes, *sides: str) -> None:
    """Remove the frame on these sides."""
    axes.spines[list(sides)].set_visible(False)


def panels(figure: Figure, heights: Sequence[float] = (1.0,)) -> list[Axes]:
    """Axes one below the other with a common x axis, heights in inches."""
    found = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0])
    for axes in found:
        bare(axes, "top", "right")
        axes.grid(color=GRID, linewidth=0.6)
    return found


def panel_height(levels: int) -> float:
    """Inches for a panel whose lines are labelled at their ends."""
    return max(3.6, 0.3 * levels)


def line_height(panel: float) -> float:
    """The height of a line of text as a share of a panel of this many inches, some of which surround the axes."""
    return 0.17 / (panel - 0.4)


def ticks_between(low: float, high: float) -> list[float]:
    """Round numbers in 0 < low < high for a logarithmic axis: a few per decade, or whole decades."""
    from matplotlib.ticker import MaxNLocator

    if high / low <= 2.5:
        return [float(t) for t in MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= t <= high]
    span = math.log10(high / low)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1, math.ceil(span / 8))
    steps = (1,) if span > 3 else (1, 2, 5) if span > 1 else (1, 1.5, 2, 3, 4, 5, 6, 8)
    return [t for t in (step * 10.0**decade for decade in decades for step in steps) if low <= t <= high]


def thinned(ticks: Sequence[float], most: int = 5) -> list[float]:
    """The ticks of a narrow logarithmic axis that leave room for their labels; 1 is always one of them."""
    if len(ticks) < 2:
        return list(ticks)
    apart = math.log(max(ticks) / min(ticks)) / most
    kept = [tick for tick in ticks if tick == 1]
    for tick in ticks:
        if all(abs(math.log(tick / other)) >= apart for other in kept):
            kept.append(float(tick))
    return sorted(kept)


def log_scale(axes: Axes, which: str, low: float, high: float, space: float = 0.06) -> None:
    """Make the axis `which` ("x" or "y") logarithmic from `low` to `high`, both above 0, with space at the ends."""
    from matplotlib.ticker import FixedLocator, NullLocator

    room = max(space * math.log(high / low), 0.002)
    low, high = low * math.exp(-room), high * math.exp(room)
    getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(low, high)
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(FixedLocator(ticks_between(low, high)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:.4g}")


def number_axis(panels: Sequence[Axes], numbers: Sequence[float], *, log: bool, show: Callable[[float], str]) -> None:
    """The x axis of panels that share it, for numbers with the smallest first: ticks are the numbers themselves where
    they are few whole ones, or else round numbers."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    first, last = numbers[0], numbers[-1]
    if log:
        log_scale(panels[0], "x", first, last)
    else:
        panels[0].set_xlim(first - 0.04 * (last - first), last + 0.04 * (last - first))
    ticks: Sequence[float] | None = None
    if len(numbers) <= 8 and not any(number % 1 for number in numbers):
        ticks = numbers
    elif not log:
        ticks = MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(first, last)
    for panel in panels:
        if ticks is not None:
            panel.xaxis.set_major_locator(FixedLocator(ticks))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(lambda value, _: show(value))


def points(axes: Axes, x: Array, y: Array, low: Array, high: Array, style: Style, filled: NDArray[np.bool_]) -> None:
    """A level's values with their intervals, (n,) each; hollow where nothing is decided."""
    axes.vlines(x, low, high, color=style.colour, linewidth=1.4, zorder=2)
    for which, inside in ((filled, style.colour), (~filled, "white")):
        axes.plot(
            x[which], y[which], style.marker, color=style.colour, markersize=5.5, markeredgewidth=1.3,
            markerfacecolor=inside, linestyle="none", zorder=3,
        )  # fmt: skip


def entry(label: str, **looks: Any) -> Entry:
    """A line of the legend; grey where nothing else is said."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **{"color": GREY, **looks})


def hollow(label: str) -> Entry:
    """The line of the legend for what is not decided."""
    return entry(label, marker="o", markerfacecolor="white")


def legend(figure: Figure, entries: Sequence[Entry], columns: int = 2, **looks: Any) -> None:
    """The legend below the axes."""
    figure.legend(handles=entries, loc="outside lower center", ncols=columns, frameon=False, fontsize=8, **looks)


def margin_range(margin: float, scale: str) -> tuple[str, float, float]:
    """The label of what counts as equal, and its lowest and highest size; the margin is a share."""
    if scale == "number":
        return f"within the margin of {margin:.3g}", -margin, margin
    label = f"within the margin of {100 * margin:.3g}"
    if scale == "ratio":
        return f"{label} %", 1 / (1 + margin), 1 + margin
    return f"{label} {'point' if margin == 0.01 else 'points'}", -margin, margin


def spread(wanted: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Centres on a line from 0 to 1 for things of these sizes, in the order of the wanted centres and as close to them
    as possible without overlap: least squares, by pooling adjacent violators."""
    order = np.argsort(wanted, kind="stable")
    heights = np.array(sizes, dtype=float)[order]
    above = np.concatenate([[0.0], np.cumsum((heights[1:] + heights[:-1]) / 2)])  # the distance of each from the first
    groups: list[tuple[float, int]] = []  # where the first of all would be by each group, and its size
    for mean in np.array(wanted, dtype=float)[order] - above:
        size = 1
        while groups and groups[-1][0] >= mean:
            other, count = groups.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        groups.append((mean, size))
    firsts = np.repeat([mean for mean, _ in groups], [size for _, size in groups])
    places = np.empty(len(order))
    places[order] = np.clip(firsts, 0.0, max(0.0, 1.0 - above[-1])) + above
    return [float(place) for place in places]


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, Style]], line: float) -> None:
    """Write each text to the right of the axes at its height (in data units) and in its colour, moved where it would
    overlap others. `line` is the height of a line as a share of the axes. The limits and scale of y must be set."""
    twin = axes.twinx()
    to_display, to_axes = axes.transData, axes.transAxes.inverted()
    heights = [float(to_axes.transform(to_display.transform((1.0, y)))[1]) for _, y, _ in ends]
    places = spread(heights, [line * (1 + text.count("\n")) for text, _, _ in ends])
    twin.set_yticks(places, [text for text, _, _ in ends])
    twin.set_ylim(0, 1)
    twin.tick_params(axis="y", length=0, pad=17)
    for shown, (_, _, style), height, place in zip(twin.get_yticklabels(), ends, heights, places, strict=True):
        shown.set_color(style.colour)
        x, y = (1.005, 1.012, 1.03, 1.037), (height, height, place, place)
        twin.plot(x, y, color=style.colour, linewidth=0.7, transform=twin.transAxes, clip_on=False, in_layout=False)
    bare(twin, "top", "left", "right", "bottom")


def label_points(
    figure: Figure, axes: Axes, points: Sequence[tuple[float, float, str, str]], taken: list[Array]
) -> None:
    """Write the text of each point (x, y, text, colour) beside it, where it covers least of points, other texts and the
    lines `taken`, a (corners, 2) array of data units each."""
    figure.draw_without_rendering()  # positions in pixels are known after this
    scale = figure.dpi / 72
    frame = axes.get_window_extent()
    full = [axes.transData.transform(line) for line in taken]
    boxes = [(*line.min(axis=0) - scale, *line.max(axis=0) + scale) for line in full]
    for x, y, _, _ in points:
        centre = axes.transData.transform((x, y))
        boxes.append((*centre - 5 * scale, *centre + 5 * scale))
    for x, y, text, colour in points:
        best: tuple[float, Any, Any] | None = None
        for right, up, ha, va in LABEL_OFFSETS:
            shown = axes.annotate(
                text, (x, y), (right, up), textcoords="offset points", ha=ha, va=va, color=colour, fontsize=9
            )
            shown.set_in_layout(False)
            box = shown.get_window_extent()
            corners = (box.x0, box.y0, box.x1, box.y1)
            outside = box.width * box.height - _common(corners, (frame.x0, frame.y0, frame.x1, frame.y1))
            cost = sum(_common(corners, other) for other in boxes) + 10 * outside
            if best is None or cost < best[0] - 0.5:
                if best is not None:
                    best[1].remove()
                best = cost, shown, corners
            else:
                shown.remove()
        assert best is not None
        boxes.append(best[2])


def _common(one: Sequence[float], other: Sequence[float]) -> float:
    """The area that two boxes (left, bottom, right, top) share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
