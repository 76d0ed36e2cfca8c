"""Checks of figures that the tests of plots share."""

from __future__ import annotations


def figure_of(plot):
    from matplotlib.figure import Figure

    figure = Figure(figsize=plot.size, layout="constrained")
    plot.draw(figure)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y1 <= height + 0.01
    return figure


def check_labels(figure):
    """No label of an axis and no text covers another one."""
    for axes in figure.axes:
        for labels in (axes.get_yticklabels(), axes.get_xticklabels(), axes.texts):
            boxes = [label.get_window_extent() for label in labels if label.get_text()]
            assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
