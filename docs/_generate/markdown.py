"""Markdown as both GitHub and Sphinx read it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def page(title: str, made_from: str, *blocks: str) -> str:
    """A page of blocks with an empty line between them."""
    note = f"<!-- Made by docs/generate.py from {made_from}. Change those and run it again. -->"
    return "\n\n".join(block.strip("\n") for block in (f"# {title}", note, *blocks) if block.strip()) + "\n"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without padding, so that one longer cell does not change every line."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cell(text) for text in line)} |" for line in lines)


def cell(text: str) -> str:
    """Text on one line that does not end its cell."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


def code(text: str) -> str:
    """Text as code within a line."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def fence(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.strip(chr(10))}\n```"


def sentence(text: str) -> str:
    """A phrase as a sentence: a capital, unless it begins with a name in code, and a full stop."""
    text = " ".join(text.split())
    if not text:
        return ""
    return f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.?!:' else '.'}"


def coded(text: str) -> str:
    """A phrase with what is a name in it as code: options, paths with dots, words with underscores."""
    name = r"(?<![\w`.-])(--[a-z][\w-]*|[a-z]\w*(?:\.[a-z]\w*)+|[a-z]+_\w+)"
    return re.sub(name, r"`\1`", text)


def listed(words: Sequence[str], last: str = "or") -> str:
    """Words with commas, and `last` before the last one."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def from_docstring(text: str) -> str:
    """A docstring, in which double backticks are the same as single ones."""
    return re.sub(r"``([^`]+)``", r"`\1`", text)
