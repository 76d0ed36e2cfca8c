"""Reads a YAML file into plain values and keeps the position of each.

Plain scalars follow the core schema of YAML 1.2: `on` and `no` are text, `010` is 10, `1e-3` is a number. Duplicate
keys, unknown tags, merge keys and too many values are refused. Nothing in a file can run code: only PyYAML's parser is
used, and the values are built here.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import Place, UserError, did_you_mean

Path_ = tuple[str | int, ...]

_CORE = "tag:yaml.org,2002:"
_PLAIN = "plain"
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,1000}")  # Python refuses to read or write many more digits
_OCTAL = re.compile(r"0o[0-7]{1,100}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,100}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")
#: Half of a surrogate pair without the other half.
_HALF = re.compile("[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]")

#: The most values in one suite, with aliases expanded. More are a mistake or an attack.
MOST_VALUES = 10_000


@dataclass
class Source:
    """The values of a file, and the position of each by its path of keys and indices."""

    name: str
    value: Any = None
    places: dict[Path_, Place] = field(default_factory=dict)
    #: The positions of keys, for errors about a key and not about its value.
    keys: dict[Path_, Place] = field(default_factory=dict)
    #: The texts of numbers and truth values as they were written.
    texts: dict[Path_, str] = field(default_factory=dict)

    def place(self, path: Path_, *, key: bool = False) -> Place:
        """The position of the value at `path`, or with `key` of its key; else that of the nearest value around it."""
        path = tuple(path)
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(self.name))


def is_yaml(path: Path) -> bool:
    """Whether a path has the ending of a YAML file."""
    return path.suffix.lower() in (".yaml", ".yml")


def read_file(path: Path) -> tuple[str, Source]:
    """The text of a YAML file and its values. Raises UserError for anything that is wrong with it."""
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = sorted(filter(is_yaml, path.parent.glob("*"))) if path.parent.is_dir() else []
        here = "There are no suites in this folder; create one with `harness new suite NAME`."
        raise UserError(
            "file not found.", where=name, fix=did_you_mean(name, map(str, near)) if near else here
        ) from None
    except IsADirectoryError:
        raise UserError("expected a suite, found a folder.", where=name, fix="Name a YAML file in it.") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"this is not UTF-8 text (byte {error.start}).", where=name, fix="A suite is a YAML file."
        ) from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}.", where=name) from None
    return text, read_text(text, name)


def read_text(text: str, name: str) -> Source:
    """The values of YAML text. Raises UserError with file, line and column."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
        raise UserError(f"this is not valid YAML: {error.problem or error.context}.", where=where) from None
    except yaml.reader.ReaderError as error:
        lines = text[: error.position].split("\n")
        what = f"this is not valid YAML: the character U+{ord(text[error.position]):04X} is not allowed."
        where = Place(name, len(lines), len(lines[-1]) + 1)
        raise UserError(what, where=where, fix="Remove it, or write it as an escape in double quotes.") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(f"this is not valid YAML: {str(error).splitlines()[0]}.", where=Place(name)) from None
    source = Source(name)
    if node is None:
        raise UserError("this file is empty.", where=Place(name), fix="docs/suites.md explains what a suite contains.")
    source.value = _Builder(source).build(node, (), ())
    return source


def read_scalar(text: str) -> Any:
    """The value of a plain scalar, by the core schema of YAML 1.2."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEX.fullmatch(text):
        return int(text[2:], 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", "").lower())
    if _NAN.fullmatch(text):
        return float("nan")
    return text


def yaml_text(value: Any) -> str:
    """A value as YAML text that `read_text` reads as the same value. Short mappings and lists are on one line."""
    return yaml.dump(value, Dumper=_Dumper, default_flow_style=None, sort_keys=False, allow_unicode=True, width=110)


def scalar_text(value: Any) -> str:
    """A scalar as YAML text, for a mapping or a list on one line. It is quoted if it would be read as another value."""
    return yaml.dump([value], Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=math.inf).strip()[1:-1]


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.2 would read as another value; PyYAML does so for YAML 1.1."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar(f"{_CORE}str", text, style=None if read_scalar(text) == text else '"')


_Dumper.add_representer(str, _represent_text)


class _Loader(yaml.BaseLoader):
    """Only parses. It marks which scalars are plain, so that `!!str 5` and `5` stay distinct."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]


class _Builder:
    """Builds values from nodes, records their positions, and counts them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.count = 0

    def build(self, node: yaml.Node, path: Path_, around: tuple[int, ...]) -> Any:
        where = self.at(node)
        self.count += 1
        if self.count > MOST_VALUES:
            raise UserError(f"there are more than {MOST_VALUES} values, with aliases expanded.", where=where)
        if id(node) in around:
            raise UserError("this alias contains itself.", where=where)
        self.source.places.setdefault(path, where)
        around = (*around, id(node))
        if isinstance(node, yaml.ScalarNode):
            value = self.scalar(node, where)
            if isinstance(value, (bool, int, float)):
                self.source.texts[path] = node.value
            return value
        if isinstance(node, yaml.SequenceNode):
            self.expect_tag(node, "seq", where)
            return [self.build(child, (*path, index), around) for index, child in enumerate(node.value)]
        self.expect_tag(node, "map", where)
        values: dict[str, Any] = {}
        for key_node, child in node.value:
            key_where = self.at(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise UserError("expected text as a key.", where=key_where)
            key = unicodedata.normalize("NFC", whole_text(key_node.value, key_where))
            if key == "<<" and not key_node.style:
                raise UserError(
                    "YAML 1.2 has no merge keys.", where=key_where, fix="Put shared values in base; levels patch it."
                )
            if key in values:
                first = self.source.keys[(*path, key)]
                raise UserError(f"the key {key!r} occurs twice (first in line {first.line}).", where=key_where)
            self.source.keys[(*path, key)] = key_where
            values[key] = self.build(child, (*path, key), around)
        return values

    def scalar(self, node: yaml.ScalarNode, where: Place) -> Any:
        tag = node.tag
        if tag == _CORE + "str" or (tag == _PLAIN and isinstance(read_scalar(node.value), str)):
            return whole_text(node.value, where)
        if tag == _PLAIN:
            return read_scalar(node.value)
        kinds = {"null": type(None), "bool": bool, "int": int, "float": float}
        kind = kinds.get(tag.removeprefix(_CORE))
        value = read_scalar(node.value)
        if kind is float and type(value) is int:
            value = float(value)
        if kind is None or type(value) is not kind:
            raise UserError(f"the tag {_short(tag)} is not allowed here.", where=where, fix="Remove it.")
        return value

    def expect_tag(self, node: yaml.Node, kind: str, where: Place) -> None:
        if node.tag != _CORE + kind:
            raise UserError(f"the tag {_short(node.tag)} is not allowed here.", where=where, fix="Remove it.")

    def at(self, node: yaml.Node) -> Place:
        return Place(self.source.name, node.start_mark.line + 1, node.start_mark.column + 1)


def whole_text(text: str, where: Place) -> str:
    """The text with both halves of each surrogate pair combined: JSON writes an emoji as two escapes. Raises UserError
    for half of a pair."""
    if half := _HALF.search(text):
        what = f"this text contains \\u{ord(half[0]):04x}, which is only half of a character."
        raise UserError(what, where=where, fix="Write the character itself, or both of its escapes.")
    return text.encode("utf-16", "surrogatepass").decode("utf-16")


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
