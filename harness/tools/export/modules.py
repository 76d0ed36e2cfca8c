"""Modules as source text: statements that bind names, and where a name that one of them uses comes from."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, zip_longest
from pathlib import Path

from harness.errors import UserError
from harness.tools.export.names import Finder, Imported, Use, absolute, bound_in, imports_of, mentions, walk_scope


@dataclass(frozen=True)
class Unit:
    """A name that some statement at the top of a module to be taken along binds."""

    module: str
    name: str


@dataclass(frozen=True)
class Outside:
    """A name that an import of other people's code binds: what it means as a dotted path."""

    path: str


class Statement:
    """One statement at the top of a module."""

    def __init__(self, source: Source, node: ast.stmt, last_line: int) -> None:
        self.source, self.node = source, node
        #: The last line that belongs to it: a text under an assignment describes what is assigned.
        self.last_line = last_line
        self.binds = frozenset(bound_in([node]))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.binds = frozenset([node.name])

    @cached_property
    def _found(self) -> Finder:
        finder = Finder(self.source.follow, self.source.package)
        finder.visit(self.node)
        return finder

    @property
    def uses(self) -> list[Use]:
        """The names of the module that it uses."""
        return self._found.uses

    @property
    def inner_imports(self) -> list[tuple[ast.stmt, str]]:
        """Imports inside functions of code to be taken along, and the method they are in."""
        return self._found.inner_imports

    @cached_property
    def methods(self) -> dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]]:
        """Of a class, its methods by name (a property and its setter have one name)."""
        found: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = {}
        if isinstance(self.node, ast.ClassDef):
            for inner in self.node.body:
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found.setdefault(inner.name, []).append(inner)
        return found

    @cached_property
    def mentioned(self) -> dict[str, set[str]]:
        """The attributes that it mentions, by method; under "" those outside methods."""
        found: dict[str, set[str]] = {"": set()}
        if not isinstance(self.node, ast.ClassDef):
            return {"": mentions(self.node)}
        for outer in (*self.node.decorator_list, *self.node.bases, *self.node.keywords):
            found[""] |= mentions(outer)
        for inner in self.node.body:
            name = inner.name if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) else ""
            found.setdefault(name, set())
            found[name] |= mentions(inner)
        return found

    @property
    def is_alias(self) -> bool:
        """Whether it only gives a name to something: what annotations may take along."""
        return not isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


@dataclass
class Source:
    """One module: its text and what stands at its top, in order."""

    name: str
    text: str
    package: str
    follow: Callable[[Imported], bool]
    statements: list[Statement] = field(default_factory=list)
    #: What names imported at the top mean, and the statements that import them.
    imported: dict[str, Imported] = field(default_factory=dict)
    import_lines: dict[str, list[ast.Import | ast.ImportFrom]] = field(default_factory=dict)
    #: Modules of which everything is imported.
    stars: list[str] = field(default_factory=list)
    #: The modules it imports at its top, in order.
    requires: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bytes = self.text.encode()
        self.lines = self.bytes.splitlines(keepends=True)
        self.offsets: list[int] = [0, *accumulate(map(len, self.lines))]
        self.body = ast.parse(self.text).body
        for node, after in zip_longest(self.body, self.body[1:]):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._import(node)
            elif not (is_text(node) or is_typing_only(node) or is_main(node)):
                described = isinstance(node, (ast.Assign, ast.AnnAssign)) and after is not None and is_text(after)
                last = after if described and after is not None else node
                self.statements.append(Statement(self, node, last.end_lineno or last.lineno))

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            self.requires += [alias.name for alias in node.names]
        else:
            module = absolute(node, self.package)
            if module == "__future__":
                return
            self.requires += [module, *(f"{module}.{alias.name}" for alias in node.names)]
            if any(alias.name == "*" for alias in node.names):
                self.stars.append(module)
        for name, target in imports_of(node, self.package).items():
            self.imported[name] = target
            self.import_lines.setdefault(name, []).append(node)

    def binding(self, name: str) -> list[Statement]:
        """The statements that bind a name."""
        return [statement for statement in self.statements if name in statement.binds]


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is a bare text (or another constant)."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_typing_only(node: ast.stmt) -> bool:
    """Whether a statement is for type checkers alone."""
    return isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING"


def is_main(node: ast.stmt) -> bool:
    """Whether a statement is for running the module as a program."""
    return isinstance(node, ast.If) and "__name__" in {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}


class Modules:
    """The modules that may be taken along: those of the packages `inside`, and those in the `folders`, which hold
    plugins in one file. Everything else is imported by whoever needs it."""

    def __init__(self, inside: frozenset[str], folders: frozenset[Path] = frozenset()) -> None:
        self.inside, self.folders = inside, folders
        self._sources: dict[str, Source | None] = {}

    def is_inside(self, module: str) -> bool:
        """Whether a module's code is to be taken along."""
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names:
            return False
        if top in self.inside:
            return True
        file = getattr(sys.modules.get(top), "__file__", None)
        return file is not None and Path(file).parent in self.folders

    def follow(self, imported: Imported) -> bool:
        """Whether what is imported is code to be taken along."""
        return self.is_inside(imported.module)

    def find(self, name: str) -> Source | None:
        """A module's source; None where there is no such module, or none in Python."""
        if name not in self._sources:
            self._sources[name] = self._read(name)
        return self._sources[name]

    def source(self, name: str) -> Source:
        """A module's source; raises UserError where there is none."""
        found = self.find(name)
        if found is None:
            raise UserError(f"there is no Python source of a module {name}, so its code cannot be exported.")
        return found

    def _read(self, name: str) -> Source | None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            spec = None
        if spec is None or spec.loader is None:
            return None
        text = spec.loader.get_source(name) if hasattr(spec.loader, "get_source") else None
        if text is None:
            return None
        package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        return Source(name, text, package, self.follow)

    def resolve_use(self, source: Source, use: Use) -> tuple[Unit | Outside | None, int]:
        """What a use means, and how many of its attributes that takes. None for a builtin, or for what is not known."""
        if use.imported is not None:
            return self._imported(use.imported, use.attributes, source)
        return self.resolve(source, use.name, use.attributes)

    def resolve(self, source: Source, name: str, attributes: list[str]) -> tuple[Unit | Outside | None, int]:
        """What a name at the top of a module means, with attributes taken of it; see `resolve_use`."""
        if source.binding(name):
            return Unit(source.name, name), 0
        if name in source.imported:
            imported = source.imported[name]
            if not self.follow(imported):
                return Outside(imported.path), 0
            return self._imported(imported, attributes, source)
        for module in source.stars:
            if self.is_inside(module) and not name.startswith("_"):
                found = self.resolve(self.source(module), name, attributes)
                if found[0] is not None:
                    return found
        if not hasattr(builtins, name) and any(not self.is_inside(star) for star in source.stars):
            raise UserError(
                f"{source.name} imports everything from {', '.join(source.stars)}, so where its {name} comes from "
                "cannot be said, and its code cannot be exported.",
                fix="Import it by name.",
            )
        return None, 0

    def _imported(self, imported: Imported, attributes: list[str], by: Source) -> tuple[Unit | Outside | None, int]:
        """What an imported name means: a unit of the module, or where it is a module itself, one of its attributes."""
        module, wanted, taken = imported.module, imported.attribute, 0
        while True:
            source = self.find(module)
            if wanted and source is not None:
                found, more = self.resolve(source, wanted, attributes[taken:])
                if found is not None:
                    return found, taken + more
            if wanted:
                module = f"{module}.{wanted}"
                if self.find(module) is None:
                    raise UserError(
                        f"{by.name} uses {module}, which no statement binds, so its code cannot be exported."
                    )
            if taken == len(attributes):
                raise UserError(
                    f"{by.name} uses the module {module} as a value, so its code cannot be exported.",
                    fix="Import what is used of it by name.",
                )
            wanted, taken = attributes[taken], taken + 1


def in_order(modules: Modules, wanted: set[str]) -> list[str]:
    """Modules in the order in which Python would have run them: what is imported at the top comes first."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if not modules.is_inside(name):
            return
        if "." in name:  # a package is imported before what is in it
            visit(name.rpartition(".")[0])
        if name in seen:
            return
        seen.add(name)
        source = modules.find(name)
        if source is not None:
            for required in source.requires:
                visit(required)
            order.append(name)

    for name in sorted(wanted):
        visit(name)
    return [name for name in order if name in wanted]


def conditional_imports(statement: Statement) -> bool:
    """Whether a statement such as ``try`` imports code to be taken along: which branch was run is not known."""
    if not isinstance(statement.node, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
        return False
    for node in walk_scope([statement.node]):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            targets = imports_of(node, statement.source.package).values()
            if any(statement.source.follow(target) for target in targets):
                return True
    return False
