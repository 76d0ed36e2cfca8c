"""A run's plots, as PNG and SVG. Each is a function that draws data on a figure it is given.

matplotlib is an extra and is imported only where something is drawn; figures are made without pyplot, so that nothing
outlives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from harness.report.plots.break_even_plot import break_even_plots
from harness.report.plots.difference_plots import difference_plots
from harness.report.plots.effect_plots import effect_plots
from harness.report.plots.figures import DRAWN, Plot
from harness.report.plots.learning_plots import learning_plots
from harness.report.plots.speed_plots import speed_plots
from harness.report.report import Report

#: A run of hundreds of blocks has more plots than anybody looks at, and each takes a part of a second.
MOST = 30


def plots_of(report: Report) -> list[Plot]:
    """What is drawn of a run: all there is, or of very much the first plots of each section."""
    every = all_plots(report)
    chosen = {plot.name for plot in by_turns(every)[:MOST]}
    return [plot for plot in every if plot.name in chosen]


def all_plots(report: Report) -> list[Plot]:
    """What there is to draw of a run; blocks of the same name get numbers."""
    found: list[Plot] = []
    names: dict[str, int] = {}
    kinds = (speed_plots, break_even_plots, learning_plots, effect_plots, difference_plots)
    for plot in (plot for kind in kinds for plot in kind(report)):
        again = names[plot.name] = names.get(plot.name, 0) + 1
        found.append(replace(plot, name=f"{plot.name}-{again}") if again > 1 else plot)
    return found


def by_turns(plots: Sequence[Plot]) -> list[Plot]:
    """The first plot of each section, then the second of each, and so on: none crowds out the others."""
    sections: dict[str, list[Plot]] = {}
    for plot in plots:
        sections.setdefault(plot.section, []).append(plot)
    turns = max(map(len, sections.values()), default=0)
    return [those[turn] for turn in range(turns) for those in sections.values() if turn < len(those)]


def not_drawn(report: Report) -> str:
    """A line where a run has more to draw than is drawn; empty otherwise."""
    every = len(all_plots(report))
    words = f"Of {every} plots {MOST} are drawn, the first ones of each section; harness plot draws any of them."
    return words if every > MOST else ""


def how_to_get_them(report: Report) -> str:
    """A line where there is something to draw and nothing to draw it with; empty otherwise."""
    if find_spec("matplotlib") or not plots_of(report):
        return ""
    return 'There are plots of this run where matplotlib is: pip install "rnn-harness[plot]", then harness report.'


def write(report: Report, folder: Path) -> list[Path]:
    """Write plots/NAME.png and plots/NAME.svg for each plot; nothing where matplotlib is not installed."""
    if not find_spec("matplotlib") or not (plots := plots_of(report)):
        return []
    folder = folder / "plots"
    folder.mkdir(exist_ok=True)
    written = []
    for plot in plots:
        paths = [folder / f"{plot.name}.{ending}" for ending in ("png", "svg")]
        save(plot, *paths)
        written += paths
    return written


def save(plot: Plot, *paths: Path, dpi: int = 150) -> None:
    """Draw one plot into files, whose endings say of which kinds they are."""
    import matplotlib
    from matplotlib.figure import Figure

    # The same data give the same file: no date.
    same = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context(DRAWN):
        figure = Figure(figsize=plot.size, layout="constrained", facecolor="white")
        plot.draw(figure)
        for path in paths:
            figure.savefig(path, dpi=dpi, metadata=same[path.suffix])
