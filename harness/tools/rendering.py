"""Render the templates of a package: the files in its folder ``templates``, which have the ending .j2."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

ENDING = ".j2"


@cache
def environment(package: str) -> Environment:
    """The templates of a package. Nothing is escaped, since none of the files is a web page."""
    made = Environment(
        loader=PackageLoader(package), autoescape=False, undefined=StrictUndefined,
        keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters["quoted"] = quoted
    made.filters["literal"] = literal
    return made


def quoted(text: str) -> str:
    """A string that TOML, YAML, JSON and Python read in the same way."""
    return json.dumps(text, ensure_ascii=False)


def literal(text: str) -> str:
    """A text as a Python literal, in double quotes if all of it can be printed."""
    return quoted(text) if text.isprintable() else repr(text)


def rendered(package: str, template: str, **values: Any) -> str:
    """The text of one template."""
    return environment(package).get_template(template + ENDING).render(values)
