"""The names of a new plugin: its distribution, its module and its part."""

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

#: The names of distributions (PEP 508) in their normal form.
DISTRIBUTION = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
#: The names of modules and parts. They appear unchanged in suites, tables and file names.
WORD = re.compile(r"[a-z][a-z0-9_]*")
#: Longer names do not fit into tables and lines of code.
MAX_LENGTH = 30
#: Folders beside the module of a plugin, and modules that its code imports.
USED_MODULES = frozenset({"click", "harness", "harness_rnn", "numpy", "pydantic", "pytest", "suites", "tests", "torch"})
#: Words that the code of the templates uses.
USED_WORDS = USED_MODULES | {
    "analyse", "annotations", "contextmanager", "coordinator", "execute", "false", "fingerprint", "last_valid", "lines",
    "lock_path", "measure", "nn", "np", "null", "plain", "sequence_data", "true", "write",
}  # fmt: skip


@dataclass(frozen=True)
class Names:
    """The names of a plugin, as in `my-cells`, `my_cells` and `my_cell`."""

    distribution: str
    module: str
    part: str

    @property
    def stem(self) -> str:
        """The beginning of the part's class names, as in MyCell."""
        return "".join(word.capitalize() for word in self.part.split("_"))


def names_of(name: str, part: str | None = None) -> Names:
    """The names that follow from one. Raises UserError if a package or a part cannot have them."""
    distribution = re.sub(r"[-_.]+", "-", name).lower()
    where = f"harness new plugin {name}"
    if not DISTRIBUTION.fullmatch(distribution):
        what = f"{name!r} is not a valid name for a package."
        raise UserError(what, where=where, fix="Use letters, digits and hyphens, as in my-cells.")
    module = distribution.replace("-", "_")
    check_word(module, where, "module", "Choose a name that begins with a letter, as in my-cells.")
    if module in sys.stdlib_module_names or module in USED_MODULES:
        owner = "of the standard library" if module in sys.stdlib_module_names else "or folder that a plugin needs"
        raise UserError(f"{module} is the name of a module {owner}.", where=where, fix="Choose another name.")
    names = Names(distribution, module, part or singular(module))
    where = where if part is None else f"--part {part}"
    check_word(names.part, where, "part", "Choose one with --part, as in --part my_cell.")
    if names.part in USED_WORDS or names.part in sys.stdlib_module_names or hasattr(builtins, names.part):
        what = f"the name {names.part!r} has another meaning in the code of the part."
        raise UserError(what, where=where, fix="Choose another with --part.")
    return names


def singular(plural: str) -> str:
    """A name without its last s: my_cells has a my_cell."""
    return plural[:-1] if len(plural) > 2 and plural.endswith("s") and not plural.endswith("ss") else plural


def check_word(word: str, where: str, what: str, fix: str) -> None:
    """Raise UserError for a name that is too long, or not a Python identifier in lower case."""
    if not WORD.fullmatch(word) or keyword.iskeyword(word):
        raise UserError(f"{word!r} is not a valid name for a {what}.", where=where, fix=fix)
    if len(word) > MAX_LENGTH:
        raise UserError(f"a name of {len(word)} characters is too long.", where=where, fix=f"Use at most {MAX_LENGTH}.")


def check_unused(names: Names, catalog: Catalog) -> None:
    """Raise UserError if something that is installed has one of the names."""
    where, fix = f"harness new plugin {names.distribution}", "Choose another name."
    try:
        version = importlib.metadata.version(names.distribution)
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        raise UserError(f"{names.distribution} {version} is already installed.", where=where, fix=fix)
    spec = importlib.util.find_spec(names.module)
    if spec is not None and spec.origin is not None:  # a folder without code has a spec, but no origin
        raise UserError(f"there is already a module {names.module}.", where=where, fix=fix)
    try:
        used = catalog.named(names.part)[0]
    except UserError:
        return  # no part has this name
    what = f"plugin {used.plugin} already provides the {used.part.kind} {names.part}."
    raise UserError(what, where=where, fix="Choose another with --part.")
