"""A new plugin package: a working example of one kind of part, with tests and a suite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.errors import UserError
from harness.plugins import catalog
from harness.tools.rendering import ENDING, environment, rendered
from harness.tools.scaffold.names import Names, check_unused, names_of
from harness.tools.scaffold.suite import SCHEMA_FILE, schema_text

#: "Ada Lovelace <ada@example.org>", or only a name.
AUTHOR = re.compile(r"(?P<name>[^<>]+?)\s*(<(?P<email>[^<>\s@]+@[^<>\s@]+)>)?")


@dataclass(frozen=True)
class Kind:
    """A kind of part: its example, what the code of the package and of its tests needs beside the harness, and the name
    of the example's function if it is not that of the part. The harness tests promises of most kinds."""

    example: str
    imports: tuple[str, ...] = ()
    tests_import: tuple[str, ...] = ()
    function: str = ""
    has_promises: bool = True


_RNN = f"rnn-harness-plugins>={harness.__version__}"
_TORCH = "torch>=2.6"
KINDS: Mapping[str, Kind] = {
    "model": Kind("a recurrent cell with one gate, and the layers around it", (_RNN, _TORCH)),
    "dataset": Kind("sequences to classify by whether their two ends are equal", (_RNN, _TORCH)),
    "optimization": Kind("noise on every gradient before the update", (_TORCH,), (_RNN,)),
    "metric": Kind("the spread of step times", ("numpy>=1.26",), (_RNN,)),
    "reporter": Kind("one line of text for each claim and comparison of a run", (), (_RNN,), "write"),
    "executor": Kind("one block at a time on this machine, even if several runs are started", (), (_RNN,), "execute"),
    "measure": Kind(
        "the share of gradients that are zero before training", ("pydantic>=2.9",), (_RNN, _TORCH), "measure", False
    ),
    "command": Kind("the levels of a run from the fastest to the slowest", ("click>=8.2",), (_RNN,), "", False),
}


@dataclass(frozen=True)
class Author:
    """The author of a plugin."""

    name: str
    email: str | None = None

    @classmethod
    def of(cls, text: str) -> Author:
        """The author in "Name" or "Name <address>". Raises UserError for other texts."""
        found = AUTHOR.fullmatch(text.strip())
        if found is None or not text.isprintable():
            fix = 'For example: --author "Ada Lovelace <ada@example.org>".'
            raise UserError("expected a name, or a name and an address.", where=f"--author {text}", fix=fix)
        return cls(found["name"], found["email"])


@dataclass(frozen=True)
class NewPlugin:
    """A plugin that is not written yet: its folder, and the text of each file by its path in there."""

    names: Names
    kind: str
    folder: Path
    files: Mapping[str, str]

    def write(self) -> None:
        """Write all files. Raises UserError if the folder exists, or if it cannot be written."""
        if self.folder.exists() or self.folder.is_symlink():
            fix = "Choose another name, or another place with --into."
            raise UserError("already exists and is not overwritten.", where=str(self.folder), fix=fix)
        try:
            for path, text in self.files.items():
                file = self.folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror}.", where=str(self.folder)) from error


def new_plugin(
    name: str,
    kind: str,
    installed: catalog.Catalog,
    into: Path = Path(),
    part: str | None = None,
    author: str | None = None,
) -> NewPlugin:
    """A new plugin with a part of this kind. Raises UserError for a name that is invalid or in use."""
    names = names_of(name, part)
    check_unused(names, installed)
    files = plugin_files(names, kind, Author.of(author) if author else None)
    return NewPlugin(names, kind, into / names.distribution, files)


def noun_of(kind: str) -> str:
    """A kind of part in words."""
    return "kind of measurement" if kind == "measure" else kind


def plugin_files(names: Names, kind: str, author: Author | None = None) -> dict[str, str]:
    """The text of every file by its path. Templates of the kind replace the general ones of the same path."""
    (part,) = (part for part in catalog.KINDS if part.kind == kind)
    made = KINDS[kind]
    values = vars(names) | vars(made) | {
        "stem": names.stem,
        "kind": kind,
        "noun": noun_of(kind),
        "class_name": part.__name__,
        "hook": catalog.KINDS[part],
        "function": made.function or names.part,
        "version": harness.__version__,
        "author": author,
    }  # fmt: skip
    files = {f"suites/{SCHEMA_FILE}": schema_text()}
    templates = environment(__package__).list_templates()
    for folder in ("plugin/", f"kinds/{kind}/"):
        for template in (name.removesuffix(ENDING) for name in templates if name.startswith(folder)):
            path = template.removeprefix(folder).replace("_name_", names.distribution)
            path = path.replace("_module_", names.module).replace("_part_", names.part)
            files[path] = rendered(__package__, template, **values)
    if not made.has_promises:
        del files["tests/test_conformance.py"]
    return dict(sorted(files.items()))
