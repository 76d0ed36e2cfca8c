"""A run's plots, as PNG and SVG. Each is a function that draws data on a figure it is given.

matplotlib is an extra and is imported only where something is drawn; figures are made without pyplot, so that nothing
outlives them.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from harness.builtin.break_even_plot import break_even_plots
from harness.builtin.difference_plots import difference_plots
from harness.builtin.effect_plots import effect_plots
from harness.builtin.figures import DRAWN, Plot
from harness.builtin.learning_plots import learning_plots
from harness.builtin.speed_plots import speed_plots
from harness.report import Report


def plots_of(report: Report) -> list[Plot]:
    """What there is to draw of a run; blocks of the same name get numbers."""
    found: list[Plot] = []
    names: dict[str, int] = {}
    kinds = (speed_plots, break_even_plots, learning_plots, effect_plots, difference_plots)
    for plot in (plot for kind in kinds for plot in kind(report)):
        again = names[plot.name] = names.get(plot.name, 0) + 1
        found.append(replace(plot, name=f"{plot.name}-{again}") if again > 1 else plot)
    return found


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
    paths = [folder / f"{plot.name}.{ending}" for plot in plots for ending in ("png", "svg")]
    for plot, path in zip((plot for plot in plots for _ in range(2)), paths, strict=True):
        save(plot, path)
    return paths


def save(plot: Plot, path: Path, *, dpi: int = 150) -> None:
    """Draw one plot into a file, whose ending says of which kind."""
    import matplotlib
    from matplotlib.figure import Figure

    # The same data give the same file: no date.
    same = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context(DRAWN):
        figure = Figure(figsize=plot.size, layout="constrained", facecolor="white")
        plot.draw(figure)
        figure.savefig(path, dpi=dpi, metadata=same[path.suffix])
