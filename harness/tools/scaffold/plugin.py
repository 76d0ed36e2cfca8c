"""A new plugin package: a working example of one kind of part, with tests and a suite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.cli.options import write_text
from harness.cli.schema import NAME as SCHEMA_FILE
from harness.errors import UserError
from harness.plugins import catalog
from harness.tools.rendering import ENDING, environment, rendered
from harness.tools.scaffold.names import Names, check_unused, names_of
from harness.tools.scaffold.suite import check_is_new, schema_text

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
class NewPlugin:
    """A plugin that is not written yet: its folder, and the text of each file by its path in there."""

    names: Names
    kind: str
    folder: Path
    files: Mapping[str, str]

    def write(self) -> None:
        """Write all files. Raises UserError if the folder exists, or if it cannot be written."""
        check_is_new(self.folder)
        for path, text in self.files.items():
            write_text(self.folder / path, text)


def new_plugin(
    name: str, kind: str, installed: catalog.Catalog, into: Path = Path(), part: str | None = None, author: str = ""
) -> NewPlugin:
    """A new plugin with a part of this kind. Raises UserError for a name that is invalid or in use."""
    names = names_of(name, part)
    check_unused(names, installed)
    return NewPlugin(names, kind, into / names.distribution, plugin_files(names, kind, author))


def noun_of(kind: str) -> str:
    """A kind of part in words."""
    return "kind of measurement" if kind == "measure" else kind


def plugin_files(names: Names, kind: str, author: str = "") -> dict[str, str]:
    """The text of every file by its path. Templates of the kind replace the general ones of the same path. Raises
    UserError for an author that is not written as "Name" or "Name <address>"."""
    by = AUTHOR.fullmatch(author.strip())
    if author and (by is None or not author.isprintable()):
        fix = 'For example: --author "Ada Lovelace <ada@example.org>".'
        raise UserError("expected a name, or a name and an address.", where=f"--author {author}", fix=fix)
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
        "author": by and by.groupdict(),
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
