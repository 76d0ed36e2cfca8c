"""A run's plots as PNG and SVG files.

matplotlib is an extra and is imported only where something is drawn; figures are made without pyplot, so that none of
them stays in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from harness.analysis.grouping import grouped
from harness.report.plots.explain_plots import explain_plots
from harness.report.plots.figures import DRAWN, Plot
from harness.report.plots.forest import effect_plots
from harness.report.plots.learning_plots import learning_plots
from harness.report.plots.speed_plots import break_even_plots, speed_plots
from harness.report.report import Report

#: This many plots are drawn: each takes part of a second, and a run may have hundreds.
MOST = 30


def plots_of(report: Report) -> list[Plot]:
    """The plots of a run; of very many, the first of each section."""
    every = all_plots(report)
    chosen = {plot.name for plot in by_turns(every)[:MOST]}
    return [plot for plot in every if plot.name in chosen]


def all_plots(report: Report) -> list[Plot]:
    """Every plot of a run; those of the same name get numbers."""
    found: list[Plot] = []
    names: dict[str, int] = {}
    kinds = (speed_plots, break_even_plots, learning_plots, effect_plots, explain_plots)
    for plot in (plot for kind in kinds for plot in kind(report)):
        again = names[plot.name] = names.get(plot.name, 0) + 1
        found.append(replace(plot, name=f"{plot.name}-{again}") if again > 1 else plot)
    return found


def by_turns(plots: Sequence[Plot]) -> list[Plot]:
    """The first plot of each section, then the second of each, and so on."""
    sections = grouped(plots, lambda plot: plot.section)
    turns = max(map(len, sections.values()), default=0)
    return [those[turn] for turn in range(turns) for those in sections.values() if turn < len(those)]


def not_drawn(report: Report) -> str:
    """A line where a run has more plots than are drawn; empty otherwise."""
    every = len(all_plots(report))
    words = f"{MOST} of {every} plots are drawn, the first of each section; harness plot draws any of them."
    return words if every > MOST else ""


def how_to_get_them(report: Report) -> str:
    """A line where there are plots and matplotlib is not installed; empty otherwise."""
    if find_spec("matplotlib") or not plots_of(report):
        return ""
    return 'For plots of this run: pip install "rnn-harness[plot]", then harness report.'


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
    """Draw one plot into files of the kinds that their endings say."""
    import matplotlib
    from matplotlib.figure import Figure

    # No date, so that the same data give the same file.
    same = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context(DRAWN):
        figure = Figure(figsize=plot.size, layout="constrained", facecolor="white")
        plot.draw(figure)
        for path in paths:
            figure.savefig(path, dpi=dpi, metadata=same[path.suffix])
