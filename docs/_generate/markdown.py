"""Markdown for both GitHub and Sphinx."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def page(title: str, made_from: str, *blocks: str) -> str:
    """A page of blocks, with an empty line between them."""
    note = f"<!-- docs/generate.py makes this page from {made_from}. Do not edit it here. -->"
    return "\n\n".join(block.strip("\n") for block in (f"# {title}", note, *blocks) if block.strip()) + "\n"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without padding, so that a longer cell changes only its own line."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cell(text) for text in line)} |" for line in lines)


def cell(text: str) -> str:
    """Text on one line, with escaped bars, for a cell of a table."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


def code(text: str) -> str:
    """Text as inline code."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def fence(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.strip(chr(10))}\n```"


def sentence(text: str) -> str:
    """A phrase as a sentence: with a capital (unless it begins with code) and a full stop."""
    text = " ".join(text.split())
    if not text:
        return ""
    return f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.?!:' else '.'}"


def coded(text: str) -> str:
    """A phrase with its names as code: options, paths with dots, words with underscores."""
    name = r"(?<![\w`.-])(--[a-z][\w-]*|[a-z]\w*(?:\.[a-z]\w*)+|[a-z]+_\w+)"
    return re.sub(name, r"`\1`", text)


def listed(words: Sequence[str], last: str = "or") -> str:
    """Words with commas between them, and `last` before the last one."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def from_docstring(text: str) -> str:
    """A docstring with single backticks in place of double ones."""
    return re.sub(r"``([^`]+)``", r"`\1`", text)
