"""Templates to text. They are files beside this module, so that they read like what they make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

#: The ending of a template, which what it makes does not have.
ENDING = ".j2"


@cache
def environment() -> Environment:
    """Jinja's, without any escaping: what is made are no web pages. A name that is not given is an error."""
    made = Environment(
        loader=PackageLoader("harness.tools.scaffold"), autoescape=False, undefined=StrictUndefined,
        keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters["quoted"] = quoted
    return made


def quoted(text: str) -> str:
    """A string as TOML, YAML, JSON and Python alike read it."""
    return json.dumps(text, ensure_ascii=False)


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """One template's text."""
    return environment().get_template(template).render(values)


def files_of(folder: str, places: Mapping[str, str], values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and text of every file that the templates of a folder make; `places` says what stands for what in paths."""
    for template in environment().list_templates():
        if template.startswith(f"{folder}/"):
            path = template.removeprefix(f"{folder}/").removesuffix(ENDING)
            for placeholder, name in places.items():
                path = path.replace(placeholder, name)
            yield path, rendered(template, values)
