"""Plots as SVG inside an HTML page: text is text, colours follow the page's, and ids are the plot's own."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any
from xml.etree import ElementTree

from harness.report.plots.figures import DRAWN, Plot

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
#: The colours of a plot as variables of the page, which has two values for each: one for light, one for dark.
VARIABLES = {
    "#000000": "ink", "#444444": "ink", "#777777": "muted", "#999999": "muted", "#dddddd": "grid", "#e4e4e4": "grid",
    "#f4f4f4": "band", "#f5f5f5": "band", "#ffffff": "paper",
    "#0072b2": "blue", "#d55e00": "vermilion", "#009e73": "green", "#cc79a7": "purple", "#e69f00": "orange",
    "#56b4e9": "sky",
}  # fmt: skip
COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
#: The family of a text, by itself or in the short form of all its properties, where it follows the size.
FAMILY = re.compile(r"(font-family:|font:[^;]*?\dpx)\s*[^;]*")
REFERENCE = re.compile(r"url\(#([^)]*)\)")


def svg_of(plot: Plot) -> str:
    """The plot as one `svg` element. Two calls give the same text; no id in it is in that of a plot of another name."""
    import matplotlib
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with matplotlib.rc_context({**DRAWN, "svg.fonttype": "none", "svg.hashsalt": plot.name}):
        figure = Figure(figsize=plot.size, layout="constrained", facecolor="none")
        plot.draw(figure)
        for axes in figure.axes:
            axes.patch.set_alpha(0.0)  # the page's paper shows
        with warnings.catch_warnings():
            # A browser has fonts for what is missing from matplotlib's.
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return adapted(buffer.getvalue(), plot.name, plot.title)


def adapted(svg: bytes, name: str, label: str) -> str:
    """A whole SVG document as an element of a page: named for those who do not see it, without styles and metadata
    that would reach beyond it."""
    root = ElementTree.fromstring(svg)
    prefix = "".join(re.findall(r"[A-Za-z0-9]+", name)) + "-"
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    used: set[str] = set()
    for element in root.iter():
        used |= references(element)
    for element in root.iter():
        _adapt(element, prefix, used)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    box = root.get("viewBox", "0 0 0 0").split()
    root.attrib.pop("version", None)
    root.set("class", "plot")
    root.set("role", "img")
    root.set("aria-label", label)
    root.set("style", f"--width: {float(box[2]) * 96 / 72:.0f}px")
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode")


def references(element: ElementTree.Element) -> set[str]:
    """The ids that an element refers to."""
    found = {value[1:] for name, value in element.attrib.items() if name.endswith("href") and value.startswith("#")}
    return found.union(*(REFERENCE.findall(value) for value in element.attrib.values()))


def _adapt(element: ElementTree.Element, prefix: str, used: set[str]) -> None:
    attributes: dict[str, Any] = {}
    for name, value in element.attrib.items():
        if name == "id":
            if value in used:
                attributes["id"] = prefix + value
        elif name.endswith("href"):
            attributes["href"] = "#" + prefix + value.removeprefix("#")
        elif name != f"{{{XLINK}}}type":
            attributes[name] = REFERENCE.sub(lambda found: f"url(#{prefix}{found[1]})", value)
    for name in ("style", "fill", "stroke"):
        if name in attributes:
            attributes[name] = COLOUR.sub(_variable, attributes[name])
    if "style" in attributes:
        attributes["style"] = FAMILY.sub(r"\1 var(--sans)", attributes["style"])
    element.attrib.clear()
    element.attrib.update(attributes)


def _variable(found: re.Match[str]) -> str:
    name = VARIABLES.get(found[0].lower())
    return f"var(--{name})" if name else found[0]
