"""Sphinx: Markdown in, HTML out."""

project = "harness"
author = "the harness authors"
extensions = ["myst_parser"]
html_theme = "alabaster"
html_theme_options = {"page_width": "64rem", "description": "Does this choice help my recurrent model?"}
exclude_patterns = ["_build"]
