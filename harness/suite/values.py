"""A suite that is given as plain values, as from Python, and not as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import Place, UserError
from harness.suite.yaml_source import Path_, Source, scalar_text, yaml_text

SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class SuiteValues:
    """The values of a suite, and the name under which its runs are stored. Paths in it are relative to `folder`."""

    name: str
    values: Mapping[str, Any]
    folder: Path = Path()

    def read(self) -> tuple[str, Source]:
        """The suite as YAML text, and its values. The place of a mistake is the path of a value, as in base.model.
        Raises UserError if a value is not of a type that YAML has."""
        source = Source(f"suite {self.name}")
        source.value = plain(self.values, (), source)
        for path, value in leaves(source.value):
            if isinstance(value, (bool, int, float)):
                source.texts[path] = scalar_text(value)
        return yaml_text(source.value), source


def plain(value: Any, path: Path_, source: Source) -> Any:
    """The value made of plain dictionaries, lists and scalars. The place of each value and key goes into the source."""
    where = Place(f"{source.name}: {'.'.join(map(str, path))}") if path else Place(source.name)
    source.places[path] = source.keys[path] = where
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise UserError(f"expected text as a key, found {key!r}.", where=where, fix="Put it in quotes.")
        return {key: plain(each, (*path, key), source) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, (*path, index), source) for index, each in enumerate(value)]
    if type(value) not in SCALARS:
        fix = "A suite holds texts, numbers, truth values, lists and dictionaries."
        if callable(value):
            fix = "Name a function as a text, such as 'bench.py:softmax'."
        raise UserError(f"a suite cannot hold a value of type {type(value).__name__}.", where=where, fix=fix)
    return value


def leaves(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Each scalar with its path."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, (*path, index))
    else:
        yield path, value
