"""A run's plots as PNG and SVG files.

matplotlib is an extra and is imported only where something is drawn; figures are made without pyplot, so that none of
them stays in memory.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import chain, count, zip_longest
from pathlib import Path

from harness.analysis.grouping import grouped
from harness.records.store import replace_file
from harness.report.answer import leading_claim
from harness.report.plots.amount_plots import amount_plots
from harness.report.plots.explain_plots import explain_plots
from harness.report.plots.figures import DRAWN, Plot
from harness.report.plots.forest import effect_plots
from harness.report.plots.learning_plots import learning_plots
from harness.report.plots.speed_plots import break_even_plots, speed_plots
from harness.report.report import Report

#: The beginnings of the names of plots that show what is asked about a time or a score, the best first.
BY_TIME = ("amount", "effects", "speed", "break-even", "comparisons", "score", "curves")
BY_SCORE = ("amount", "effects", "comparisons", "score", "curves", "speed", "break-even")
#: This many plots are drawn: each takes part of a second, and a run may have hundreds.
MOST = 30


def plots_of(report: Report) -> list[Plot]:
    """The plots of a run that are drawn: of very many, the first of each section; none without matplotlib."""
    every = all_plots(report) if find_spec("matplotlib") else []
    chosen = {plot.name for plot in by_turns(every)[:MOST]}
    return [plot for plot in every if plot.name in chosen]


def missing_plots(report: Report) -> str:
    """A line where matplotlib is not installed, or where a run has more plots than are drawn; empty otherwise."""
    every = len(all_plots(report))
    if every and not find_spec("matplotlib"):
        return 'For plots of this run: pip install "rnn-harness[plot]", then harness report.'
    words = f"{MOST} of {every} plots are drawn, the first of each section; harness plot draws any of them."
    return words if every > MOST else ""


def all_plots(report: Report) -> list[Plot]:
    """Every plot of a run; those of the same name get numbers. Some file systems ignore case."""
    findings, found, taken = report.findings, list[Plot](), set[str]()
    for plots, data in (
        (speed_plots, findings.comparisons),
        (break_even_plots, findings.break_evens),
        (amount_plots, findings.quantities),
        (learning_plots, findings.learning.learned),
        (effect_plots, findings.effects),
        (explain_plots, findings.explained),
    ):
        for plot in plots(report) if data else ():
            names = chain([plot.name], (f"{plot.name}-{number}" for number in count(2)))
            name = next(name for name in names if name.casefold() not in taken)
            taken.add(name.casefold())
            found.append(replace(plot, name=name))
    return found


def main_plot(report: Report, plots: Sequence[Plot]) -> Plot | None:
    """The plot that shows what the leading claim is about, or else the first comparison."""
    leading = leading_claim(report.findings)
    about_time = leading.claim.about_time if leading else bool(report.findings.measured)
    for beginning in BY_TIME if about_time else BY_SCORE:
        for plot in plots:
            if plot.name.startswith(f"{beginning}-"):
                return plot
    return None


def by_turns(plots: Sequence[Plot]) -> list[Plot]:
    """The first plot of each section, then the second of each, and so on."""
    sections = grouped(plots, lambda plot: plot.section).values()
    return [plot for turn in zip_longest(*sections) for plot in turn if plot]


def write(report: Report, folder: Path) -> list[Path]:
    """Write plots/NAME.png and plots/NAME.svg for each plot; nothing where matplotlib is not installed."""
    folder, written = folder / "plots", list[Path]()
    for plot in plots_of(report):
        folder.mkdir(exist_ok=True)
        paths = [folder / f"{plot.name}.{ending}" for ending in ("png", "svg")]
        save(plot, *paths)
        written += paths
    return written


def save(plot: Plot, *paths: Path, dpi: int = 150) -> None:
    """Draw one plot into files of the kinds that their endings say."""
    for path, content in zip(paths, drawn_as(plot, *(path.suffix[1:] for path in paths), dpi=dpi), strict=True):
        replace_file(path, content)


def drawn_as(plot: Plot, *kinds: str, dpi: int = 150) -> list[bytes]:
    """The content of a file of each kind, such as png, svg or pdf."""
    import matplotlib
    from matplotlib.figure import Figure

    # No date, so that the same data give the same file.
    same = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    found = []
    with matplotlib.rc_context(DRAWN), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # it is drawn as a box
        figure = Figure(figsize=plot.size, layout="constrained", facecolor="white")
        plot.draw(figure)
        for kind in kinds:
            content = io.BytesIO()
            figure.savefig(content, format=kind, dpi=dpi, metadata=same[kind])
            found.append(content.getvalue())
            figure.set_layout_engine("none")  # all files have the layout of the first
    return found
