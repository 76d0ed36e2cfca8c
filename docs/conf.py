"""Sphinx: Markdown in, HTML out. Generated pages are committed (see docs/generate.py): nothing of ours is imported."""

import os
import re
from html import escape
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from docutils import nodes
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
# _findings has the sources of docs/findings/.
exclude_patterns = ["_build", "_findings"]

html_title = "harness"
# The address of the published site, which the workflow gives. Cards of social networks need whole addresses.
html_baseurl = os.environ["SITE_URL"].rstrip("/") + "/" if os.environ.get("SITE_URL") else ""
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_search_scorer = str(Path(__file__).parent / "_static" / "search_scorer.js")
html_show_sphinx = False
html_copy_source = False
# Without Furo the pages build all the same, to look at a change where it is not installed.
html_theme = "furo" if find_spec("furo") else "alabaster"
if html_theme == "furo":
    html_theme_options = {
        "light_css_variables": {"color-brand-primary": "#1a5f7a", "color-brand-content": "#1a6e8e"},
        "dark_css_variables": {"color-brand-primary": "#6cc5e0", "color-brand-content": "#7fd0e8"},
    }

#: The image of a link in social networks, 1200 x 630 pixels; docs/pictures.py makes it.
CARD = "_static/card.png"
#: So many characters of a page describe it.
LONGEST = 200


def add_meta_tags(app, pagename, templatename, context, doctree):
    """The title and the description of a page for search engines and social networks (Open Graph)."""
    title = context.get("title", "")
    if pagename == "index":
        title = "harness: compare variants of recurrent networks in PyTorch"
    elif title:
        title += " - harness findings" if re.match("findings/(?!index)", pagename) else " - harness"
    # Without a title of the whole site, the theme takes this one alone, and the name of the project above the sidebar.
    context |= {"title": title, "docstitle": ""}
    if doctree is None:
        return
    tags = {"og:title": title, "og:type": "website", "og:site_name": "harness", "og:description": description(doctree)}
    if html_baseurl:
        tags |= {"og:url": f"{html_baseurl}{pagename}.html", "og:image": f"{html_baseurl}{CARD}"}
    lines = [f'<meta property="{name}" content="{escape(text)}">' for name, text in tags.items()]
    lines.append(f'<meta name="description" content="{escape(tags["og:description"])}">')
    lines.append('<meta name="twitter:card" content="summary_large_image">')
    context["metatags"] = "\n".join([context.get("metatags", ""), *lines])


def description(doctree):
    """The first two paragraphs of a page outside of lists, shortened at a word."""
    paragraphs = (one for one in doctree.findall(nodes.paragraph) if not isinstance(one.parent, nodes.list_item))
    text = " ".join(" ".join(one.astext().split()) for one in islice(paragraphs, 2))
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(" ")[0] + " …"


def setup(app):
    """Connects the tags to the pages."""
    app.connect("html-page-context", add_meta_tags)
