"""Modules as source text: their statements, and where the names come from that these use."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.plugins.catalog import Catalog, Entry
from harness.tools.export.names import (
    Function,
    Import,
    Imported,
    Piece,
    Use,
    bound_in,
    imports_of,
    module_of,
    pieces_of,
    walk_scope,
)


@dataclass(frozen=True)
class Definition:
    """A name that a statement at the top of an included module defines."""

    module: str
    name: str


#: Where a name comes from: included code, or an import of other code.
Origin = Definition | Imported


class Statement:
    """One statement at the top of a module, with the span of its text in the bytes of the module."""

    def __init__(self, source: Source, node: ast.stmt, start: int, stop: int) -> None:
        self.source, self.node, self.start, self.stop = source, node, start, stop
        self.defines = frozenset(bound_in([node]))

    @cached_property
    def pieces(self) -> dict[str, Piece]:
        """See `pieces_of`."""
        return pieces_of(self.node, self.source.package, self.source.is_included)

    @property
    def is_code(self) -> bool:
        """Whether it is a function or a class. Other statements may define types for annotations."""
        return isinstance(self.node, (Function, ast.ClassDef))

    def imports_included_code(self) -> bool:
        """Whether a statement such as ``try`` imports included code. Which of its branches ran is not known."""
        nodes = [] if self.is_code else walk_scope([self.node])
        imports = [node for node in nodes if isinstance(node, Import)]
        targets = (to for node in imports for _, to in imports_of(node, self.source.package))
        return any(self.source.is_included(target.module) for target in targets)


class Source:
    """One module: its text, the statements at its top in order, and what its imports bind."""

    def __init__(self, name: str, text: str, package: str, is_included: Callable[[str], bool]) -> None:
        self.name, self.package, self.is_included = name, package, is_included
        self.bytes = text.encode()
        self.lines = self.bytes.splitlines(keepends=True)
        self.offsets = [0, *accumulate(map(len, self.lines))]
        self.statements: list[Statement] = []
        self.definitions: dict[str, list[Statement]] = {}
        self.imported: dict[str, Imported] = {}
        #: The modules from which it imports everything, and all that it imports at its top, in order.
        self.stars: list[str] = []
        self.requires: list[str] = []
        body = parsed(text)
        for before, node, after in zip([None, *body], body, [*body[1:], None], strict=False):
            if isinstance(node, Import):
                self._add_import(node)
            elif not (is_text(node) or is_typing_only(node) or is_main(node)):
                self._add_statement(before, node, after)

    def _add_statement(self, before: ast.stmt | None, node: ast.stmt, after: ast.stmt | None) -> None:
        """Add a statement with its comment, its decorators, and the text below an assignment that describes it. If
        another statement is on the same line, only the statement itself is added."""
        start, stop = self.span(node)
        if before is None or before.end_lineno != node.lineno:
            start = self.position(self.first_line(node))
        if after is None or after.lineno != node.end_lineno:
            described = isinstance(node, (ast.Assign, ast.AnnAssign)) and after is not None and is_text(after)
            last = after if described and after is not None else node
            stop = self.position((last.end_lineno or last.lineno) + 1)
        statement = Statement(self, node, start, stop)
        self.statements.append(statement)
        for name in statement.defines:
            self.definitions.setdefault(name, []).append(statement)

    def _add_import(self, node: Import) -> None:
        if isinstance(node, ast.Import):
            self.requires += [alias.name for alias in node.names]
        else:
            module = module_of(node, self.package)
            if module == "__future__":
                return
            self.requires += [module, *(f"{module}.{alias.name}" for alias in node.names)]
            self.stars += [module for alias in node.names if alias.name == "*"]
        for name, target in imports_of(node, self.package):
            submodules = target.submodules
            if (earlier := self.imported.get(name)) == target:
                submodules |= earlier.submodules
            self.imported[name] = replace(target, submodules=submodules)

    def position(self, line: int, column: int = 0) -> int:
        """Where a line (from 1) and column are in the bytes of the module."""
        return self.offsets[min(line, len(self.offsets)) - 1] + column

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Where a node begins and ends in the bytes of the module."""
        end = self.position(node.end_lineno or node.lineno, node.end_col_offset or 0)
        return self.position(node.lineno, node.col_offset), end

    def first_line(self, node: ast.stmt) -> int:
        """The line on which a statement begins, with its decorators and the comment above."""
        line: int = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
        while line > 1 and self.lines[line - 2].lstrip().startswith(b"#"):
            line -= 1
        return line


@cache
def parsed(text: str) -> list[ast.stmt]:
    """The statements of a module. A second script of the same process does not parse them again."""
    return ast.parse(text).body


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is only a constant, such as a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_typing_only(node: ast.stmt) -> bool:
    """Whether a statement is only for type checkers."""
    return isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING"


def is_main(node: ast.stmt) -> bool:
    """Whether a statement is only for running the module as a program."""
    return isinstance(node, ast.If) and "__name__" in {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}


class Modules:
    """The modules whose code may be included: those of some packages, and plugin files in some folders. Code of all
    other modules is imported by the script."""

    def __init__(self, packages: frozenset[str], folders: frozenset[Path] = frozenset()) -> None:
        self.packages, self.folders = packages, folders
        self._sources: dict[str, Source | None] = {}

    def is_included(self, module: str) -> bool:
        """Whether the code of a module may be included."""
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names:
            return False
        file = getattr(sys.modules.get(top), "__file__", None)
        return top in self.packages or (file is not None and Path(file).parent in self.folders)

    def find(self, name: str) -> Source | None:
        """The source of a module; None if there is no such module, or if it is not written in Python."""
        if name not in self._sources:
            self._sources[name] = self._read(name)
        return self._sources[name]

    def source(self, name: str) -> Source:
        """The source of a module. Raises UserError if there is none."""
        found = self.find(name)
        if found is None:
            raise UserError(f"the module {name} has no Python source, so its code cannot be exported.")
        return found

    def _read(self, name: str) -> Source | None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
        if spec is None:
            return None
        get_source = getattr(spec.loader, "get_source", None)
        text = get_source(name) if get_source else None
        if text is None and spec.has_location and str(spec.origin).endswith(".py"):  # pytest has a loader of its own
            text = importlib.util.decode_source(Path(str(spec.origin)).read_bytes())
        if text is None:
            return None
        package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        return Source(name, text, package, self.is_included)

    def statements(self, definition: Definition) -> list[Statement]:
        """The statements that define a name. Raises UserError if the module has no source."""
        return self.source(definition.module).definitions.get(definition.name, [])

    def resolve(self, source: Source, use: Use) -> tuple[Origin | None, int]:
        """The origin of a name that a module uses, and how many of the attributes after it belong to that. The origin
        is None for built-in and unknown names. Raises UserError if the source does not say it."""
        name, *attributes = use.words
        if use.imported is not None:
            return self._resolve_import(use.imported, attributes, source)
        return self.resolve_name(source, name, attributes)

    def resolve_name(self, source: Source, name: str, attributes: list[str]) -> tuple[Origin | None, int]:
        """The same for a name at the top of a module."""
        if name in source.definitions:
            return Definition(source.name, name), 0
        if name in source.imported:
            imported = source.imported[name]
            if not self.is_included(imported.module):
                return imported, 0
            return self._resolve_import(imported, attributes, source)
        for module in source.stars:
            if self.is_included(module) and not name.startswith("_"):
                found = self.resolve_name(self.source(module), name, attributes)
                if found[0] is not None:
                    return found
        unknown = [module for module in source.stars if not self.is_included(module)]
        if unknown and not hasattr(builtins, name):
            raise UserError(
                f"everything is imported from {', '.join(unknown)}, so the origin of {name} is not known and the code "
                "cannot be exported.",
                where=source.name,
                fix=f"Import {name} by its name.",
            )
        return None, 0

    def _resolve_import(self, imported: Imported, attributes: list[str], by: Source) -> tuple[Origin | None, int]:
        """What an import of included code means: a name that the module defines, or if the import is of a module, the
        first of the attributes that it defines."""
        module, wanted, taken = imported.module, imported.attribute, 0
        while True:
            source = self.find(module)
            if wanted and source is not None:
                found, more = self.resolve_name(source, wanted, attributes[taken:])
                if found is not None:
                    return found, taken + more
            if wanted:
                module = f"{module}.{wanted}"
                if self.find(module) is None:
                    raise UserError(f"{module} is not defined, so the code cannot be exported.", where=by.name)
            if taken == len(attributes):
                raise UserError(
                    f"the module {module} is used as a value, so the code cannot be exported.",
                    where=by.name,
                    fix="Import the names that are used from it.",
                )
            wanted, taken = attributes[taken], taken + 1


def in_import_order(modules: Modules, wanted: set[str]) -> list[str]:
    """Modules in the order in which Python runs them: those that a module imports at its top come before it."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if not modules.is_included(name):
            return
        if "." in name:  # a package is imported before its modules
            visit(name.rpartition(".")[0])
        if name not in seen:
            seen.add(name)
            source = modules.find(name)
            for required in source.requires if source else ():
                visit(required)
            order.append(name)

    for name in sorted(wanted):
        visit(name)
    return [name for name in order if name in wanted]


def included_modules(catalog: Catalog, entries: Iterable[Entry]) -> Modules:
    """The modules whose code may be included: those of the core, of plugin packages and of plugin files."""
    names = {"harness"} | {str(getattr(plugin, "__name__", "")) for plugin in catalog.plugins.manager.get_plugins()}
    names |= {entry.part.build.partition(":")[0] for entry in entries if isinstance(entry.part.build, str)}
    packages = frozenset(name.partition(".")[0] for name in names if name)
    return Modules(packages, frozenset(file.parent for file in catalog.plugins.files))


def origin_of_part(modules: Modules, entry: Entry) -> Origin:
    """The origin of the code of a part. Raises UserError if its module does not define it."""
    if not isinstance(entry.part.build, str):
        return origin_of(modules, entry.part.build, entry.owner)
    module, _, attribute = entry.part.build.partition(":")
    if not modules.is_included(module):
        return Imported(module, attribute)
    found, _ = modules.resolve_name(modules.source(module), attribute, [])
    if found is None:
        raise UserError(f"{module} does not define {attribute}, so its code cannot be exported.", where=entry.owner)
    return found


def origin_of(modules: Modules, code: Callable[..., Any] | type, owner: str) -> Origin:
    """The origin of a function or class. Raises UserError if no name at the top of its module means it."""
    module, name = str(getattr(code, "__module__", "")), str(getattr(code, "__qualname__", ""))
    home = sys.modules.get(module)
    for known in [name, *(other for other, value in vars(home).items() if value is code)] if home else []:
        there = getattr(home, known, None)
        # A plugin file that was loaded twice has two objects for one definition.
        same_name = (getattr(there, "__module__", ""), getattr(there, "__qualname__", "")) == (module, known)
        if there is not code and not same_name:
            continue
        if not modules.is_included(module):
            return Imported(module, known)
        if modules.statements(Definition(module, known)):
            return Definition(module, known)
    raise UserError(
        f"its code ({name or type(code).__name__}) has no name at the top of a module, so it cannot be exported.",
        where=owner,
        fix="Define it there with def or class.",
    )
