"""A new plugin: a package that installs, keeps its promises and has a suite, to be changed from there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
from harness.errors import UserError
from harness.plugins.catalog import Catalog
from harness.tools.scaffold.names import Names, check_free, names_of
from harness.tools.scaffold.rendering import files_of
from harness.tools.scaffold.suite import SCHEMA_FILE, schema_text

#: "Ada Lovelace <ada@example.org>", or a name alone.
AUTHOR = re.compile(r"(?P<name>[^<>]+?)\s*(<(?P<email>[^<>\s@]+@[^<>\s@]+)>)?")


@dataclass(frozen=True)
class Kind:
    """What a plugin of one kind is made of: the example that it begins with, and what its code and its tests import
    beside the harness."""

    example: str
    imports: tuple[str, ...] = ()
    tests_import: tuple[str, ...] = ()


_RNN = f"rnn-harness-plugins>={harness.__version__}"
_TORCH = "torch>=2.6"
KINDS: Mapping[str, Kind] = {
    "model": Kind("a recurrent cell with one gate, and the model around it", (_RNN, _TORCH)),
    "dataset": Kind("sequences whose class is whether their two ends are the same", (_RNN, _TORCH)),
    "optimization": Kind("noise on every gradient before the update", (_TORCH,), (_RNN,)),
    "metric": Kind("how unsteady a trial's steps are", ("numpy>=1.26",), (_RNN,)),
    "reporter": Kind("each claim and comparison of a run as a line of text", (), (_RNN,)),
    "executor": Kind("blocks measured here, one at a time however many runs were started", (), (_RNN,)),
}


@dataclass(frozen=True)
class Author:
    """Who writes a plugin."""

    name: str
    email: str | None = None

    @classmethod
    def of(cls, text: str) -> Author:
        """From "Name" or "Name <address>"."""
        found = AUTHOR.fullmatch(text.strip())
        if found is None or not text.isprintable():
            fix = 'For example --author "Ada Lovelace <ada@example.org>".'
            raise UserError("it takes a name, or a name and an address.", where=f"--author {text}", fix=fix)
        return cls(found["name"], found["email"])


@dataclass(frozen=True)
class NewPlugin:
    """A plugin that has not been written yet: its folder, and the text of each file by its path in there."""

    names: Names
    kind: str
    folder: Path
    files: Mapping[str, str]

    def write(self) -> None:
        """Write every file. Raises UserError where the folder is there already, or cannot be written."""
        if self.folder.exists() or self.folder.is_symlink():
            fix = "Choose another name, or another place with --into."
            raise UserError("is there already, and nothing is overwritten.", where=str(self.folder), fix=fix)
        try:
            for path, text in self.files.items():
                file = self.folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror}.", where=str(self.folder)) from error


def new_plugin(
    name: str, kind: str, catalog: Catalog, into: Path = Path(), part: str | None = None, author: str | None = None
) -> NewPlugin:
    """The files of a new plugin of this kind; raises UserError where a name will not do or is taken."""
    names = names_of(name, part)
    check_free(names, catalog)
    files = plugin_files(names, kind, Author.of(author) if author else None)
    return NewPlugin(names, kind, into / names.distribution, files)


def plugin_files(names: Names, kind: str, author: Author | None = None) -> dict[str, str]:
    """Path and text of every file."""
    made = KINDS[kind]
    values: dict[str, Any] = {
        "distribution": names.distribution,
        "module": names.module,
        "part": names.part,
        "stem": names.stem,
        "kind": kind,
        "a_kind": f"an {kind}" if kind[0] in "aeiou" else f"a {kind}",
        "example": made.example,
        "version": harness.__version__,
        "imports": made.imports,
        "tests_import": made.tests_import,
        "author": author,
    }
    places = {"_module_": names.module, "_part_": names.part, "_name_": names.distribution}
    files = dict(files_of("plugin", places, values)) | dict(files_of(kind, places, values))
    files[f"suites/{SCHEMA_FILE}"] = schema_text()
    return dict(sorted(files.items()))
