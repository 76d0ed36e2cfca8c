"""What a new plugin is called: its distribution, its module, its part; and which names will not do."""

from __future__ import annotations

import builtins
import importlib.metadata
import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass

from harness.errors import UserError
from harness.plugins.catalog import Catalog

#: As distributions may be called (PEP 508), in the form that indexes compare them by.
DISTRIBUTION = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
#: As a module or a part may be called: suites, tables and file names take it as it is.
WORD = re.compile(r"[a-z][a-z0-9_]*")
#: Names in tables and in lines of code; longer ones burst both.
LONGEST = 30
#: Folders and modules that stand beside a plugin's module, or that its code imports.
TAKEN_MODULES = frozenset({"harness", "harness_rnn", "numpy", "pytest", "suites", "tests", "torch"})
#: What the templates' own code calls things by.
TAKEN_WORDS = TAKEN_MODULES | {
    "annotations", "contextmanager", "execute", "false", "fingerprint", "last_valid", "lines", "local", "lock_path",
    "nn", "np", "null", "plain", "sequence_data", "true", "write",
}  # fmt: skip


@dataclass(frozen=True)
class Names:
    """A plugin's names: `my-cells`, `my_cells`, `my_cell`."""

    distribution: str
    module: str
    part: str

    @property
    def stem(self) -> str:
        """The part's name as classes are named: MyCell."""
        return "".join(word.capitalize() for word in self.part.split("_"))


def names_of(name: str, part: str | None = None) -> Names:
    """The names that follow from one; raises UserError where a package or a part cannot have them."""
    distribution = re.sub(r"[-_.]+", "-", name).lower()
    where = f"harness new plugin {name}"
    if not DISTRIBUTION.fullmatch(distribution):
        raise UserError(
            f"a package cannot be called {name!r}.",
            where=where,
            fix="A name is made of letters, digits and hyphens, as in my-cells.",
        )
    module = distribution.replace("-", "_")
    check_word(module, where, "module", "Choose a name that begins with a letter, as in my-cells.")
    if module in sys.stdlib_module_names:
        raise UserError(f"Python has a module {module} of its own.", where=where, fix="Choose another name.")
    if module in TAKEN_MODULES:
        raise UserError(
            f"the name {module} is taken by what stands beside it.", where=where, fix="Choose another name."
        )
    names = Names(distribution, module, part or one_of(module))
    if part is not None:
        where = f"--part {part}"
    check_word(names.part, where, "part", "Choose one with --part, as in --part my_cell.")
    if names.part in TAKEN_WORDS or names.part in sys.stdlib_module_names or hasattr(builtins, names.part):
        what = f"code cannot call a part {names.part!r}: that name means something else there."
        raise UserError(what, where=where, fix="Choose another with --part.")
    return names


def one_of(plural: str) -> str:
    """One of these, as far as an s tells: my_cells are made of a my_cell."""
    return plural[:-1] if len(plural) > 2 and plural.endswith("s") and not plural.endswith("ss") else plural


def check_word(word: str, where: str, what: str, fix: str) -> None:
    """Raise UserError where a name is no Python identifier in plain lower case, or too long."""
    if not WORD.fullmatch(word) or keyword.iskeyword(word):
        raise UserError(f"{word!r} is no name for a {what}.", where=where, fix=fix)
    if len(word) > LONGEST:
        raise UserError(f"a name of {len(word)} characters is too long.", where=where, fix=f"Keep to {LONGEST}.")


def check_free(names: Names, catalog: Catalog) -> None:
    """Raise UserError where something installed has one of these names already."""
    where = f"harness new plugin {names.distribution}"
    try:
        version = importlib.metadata.version(names.distribution)
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        what = f"{names.distribution} {version} is installed already."
        raise UserError(what, where=where, fix="Choose another name, or uninstall it.")
    if is_module(names.module):
        raise UserError(f"there is a module {names.module} already.", where=where, fix="Choose another name.")
    try:
        taken = catalog.named(names.part)[0]
    except UserError:
        return  # no part is named so
    what = f"plugin {taken.plugin} brings the {taken.part.kind} {names.part} already."
    raise UserError(what, where=where, fix="Choose another with --part.")


def is_module(name: str) -> bool:
    """Whether an import would find it. A folder without code in the working directory is none."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None
