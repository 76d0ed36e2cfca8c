"""Sphinx: Markdown in, HTML out. Generated pages are committed (see docs/generate.py): nothing of ours is imported."""

from importlib.util import find_spec

from pygments.lexers.special import TextLexer
from sphinx.highlighting import lexers

project = "harness"
author = "the harness authors"
extensions = ["myst_parser"]
myst_heading_anchors = 4
# GitHub draws these diagrams. Here they are text: a renderer would be loaded from elsewhere.
lexers["mermaid"] = TextLexer()
# Quotes are curled, and two dashes stay what they are: the beginning of an option.
smartquotes_action = "qe"
exclude_patterns = ["_build"]

html_title = "harness"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
# Without Furo the pages build all the same, to look at a change where it is not installed.
html_theme = "furo" if find_spec("furo") else "alabaster"
if html_theme == "furo":
    html_theme_options = {
        "light_css_variables": {"color-brand-primary": "#1a5f7a", "color-brand-content": "#1a6e8e"},
        "dark_css_variables": {"color-brand-primary": "#6cc5e0", "color-brand-content": "#7fd0e8"},
    }
