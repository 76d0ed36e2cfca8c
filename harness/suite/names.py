"""Names of axes and levels: which texts are names, and which name a text means.

A name is text as the user wrote it, with composed accents (NFC). Numbers are compared by their value, since `1e-4` and
`0.0001` are the same learning rate.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from harness.suite.yaml_source import Path_, Source, read_scalar

#: The most characters of a name. Tables, plots and names of files repeat it.
LONGEST = 100
#: Unicode categories without a visible form: control characters, formats, line separators.
INVISIBLE = ("Cc", "Cf", "Zl", "Zp")
#: The joiners, which emoji and several scripts need inside words.
JOINERS = "\u200c\u200d"
#: Where a suite refers to axes and levels. None stands for any key or index.
REFERENCES: tuple[Path_ | tuple[str | None, ...], ...] = (
    ("compare", None),
    ("design", "factors", None),
    ("claims", None, "level"),
    ("claims", None, "effect"),
    ("claims", None, "along"),
    ("claims", None, "where", None),
    ("claims", None, "where", None, None),
    ("skip", None, None),
    ("skip", None, None, None),
)


def composed(text: str) -> str:
    """The text with composed accents (NFC)."""
    return unicodedata.normalize("NFC", text)


def level_name(value: str | bool | float) -> str:
    """The name of the level that sets a value."""
    return str(value).lower() if isinstance(value, bool) else composed(str(value))


def why_no_name(text: str) -> str:
    """Why a text cannot be the name of an axis, a level or a suite; empty if it can."""
    if not appearance(text):
        return "it is empty"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "it is not text in the encoding of this system"
    for character in text:
        if unicodedata.category(character) in INVISIBLE and character not in JOINERS:
            called = unicodedata.name(character, "a control character").lower()
            return f"it contains U+{ord(character):04X} ({called}), which is not visible"
    if text != text.strip():
        return "it begins or ends with white space"
    return f"it has {len(text)} characters, and at most {LONGEST} are allowed" if len(text) > LONGEST else ""


def appearance(name: str) -> str:
    """What a reader sees of a name: without joiners and variation selectors, and with single spaces."""
    seen = "".join(c for c in name if c not in JOINERS and not "\ufe00" <= c <= "\ufe0f")
    return " ".join(seen.split())


def same_value(one: Any, other: Any) -> bool:
    """Whether two scalars are the same text, the same truth value, or equal numbers."""
    kinds = [bool if isinstance(value, bool) else str if isinstance(value, str) else float for value in (one, other)]
    return kinds[0] is kinds[1] and bool(one == other)


def find_name(text: str, names: Iterable[str]) -> str | None:
    """The name that a text means: the same text, or the only name that is the same number or truth value."""
    known = list(names)
    if text in known:
        return text
    same = [name for name in known if composed(name) == composed(text)]
    value = read_scalar(text.strip())
    if not same and isinstance(value, (bool, int, float)):
        same = [name for name in known if same_value(read_scalar(name), value)]
    return same[0] if len(same) == 1 else None


def keep_names_as_written(source: Source) -> None:
    """Replace the values by their texts wherever the suite refers to axes and levels, so that `baseline: 1.10` is a
    text."""
    for path, text in source.texts.items():
        if any(_fits(path, reference) for reference in REFERENCES):
            holder: Any = source.value
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = text


def _fits(path: Path_, pattern: tuple[str | int | None, ...]) -> bool:
    return len(path) == len(pattern) and all(want in (None, key) for key, want in zip(path, pattern, strict=True))
