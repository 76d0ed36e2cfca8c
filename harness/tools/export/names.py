"""Find the names that code takes from its module. Names that are local to a function or a class are left out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import resolve_name

Function = ast.FunctionDef | ast.AsyncFunctionDef
Import = ast.Import | ast.ImportFrom
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Imported:
    """What an import binds a name to: a module, or an `attribute` of it. ``import os.path`` binds a name to os, and
    imports the submodule os.path with it."""

    module: str
    attribute: str = ""
    submodules: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def path(self) -> str:
        """The module and the attribute as one dotted path."""
        return f"{self.module}.{self.attribute}" if self.attribute else self.module


@dataclass(frozen=True)
class Use:
    """A use of a name of the module, as in ``name.first.second``: `nodes` are the name and each longer part of the
    expression. `hidden` are the local names that are visible there. If a function imports the name itself, `imported`
    says what it is. An annotation is not evaluated."""

    nodes: tuple[ast.expr, ...]
    in_annotation: bool
    hidden: frozenset[str]
    imported: Imported | None = None

    @property
    def words(self) -> list[str]:
        """The name and the attributes after it."""
        return [ast.unparse(self.nodes[0]), *(node.attr for node in self.nodes if isinstance(node, ast.Attribute))]


@dataclass
class Piece:
    """A part of a statement that a slice can include by itself: a method of a class, or all that is not in methods.
    `mentioned` are the attributes that occur in it, also as text. `inner_imports` import included code in functions."""

    nodes: list[ast.AST] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    mentioned: set[str] = field(default_factory=set)
    inner_imports: list[ast.stmt] = field(default_factory=list)
    globals: list[ast.Global] = field(default_factory=list)


#: The names that a scope binds: None for a local value, or the target of an import of included code.
Names = dict[str, Imported | None]


def pieces_of(statement: ast.stmt, package: str, is_included: Callable[[str], bool]) -> dict[str, Piece]:
    """The methods of a class by name (a property and its setter have one), and under "" everything else."""
    pieces = {"": Piece()}
    if not isinstance(statement, ast.ClassDef):
        _Finder(pieces[""], package, is_included).read(statement)
        return pieces
    for node in (*statement.decorator_list, *statement.bases, *statement.keywords):
        _Finder(pieces[""], package, is_included).read(node)
    scope = (bound_in(statement.body), True)
    for inner in statement.body:
        piece = pieces.setdefault(inner.name if isinstance(inner, Function) else "", Piece())
        _Finder(piece, package, is_included, scope).read(inner)
    return pieces


class _Finder(ast.NodeVisitor):
    """Adds to a piece what a node uses. A scope has its names, and whether it is that of a class."""

    def __init__(
        self, piece: Piece, package: str, is_included: Callable[[str], bool], *scopes: tuple[Names, bool]
    ) -> None:
        self.piece, self.package, self.is_included = piece, package, is_included
        self.scopes = list(scopes)
        self.annotations = 0

    def read(self, node: ast.AST) -> None:
        self.piece.nodes.append(node)
        self.piece.mentioned |= mentions(node)
        self.visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self._use(node, (node,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        nodes: list[ast.expr] = [node]
        while isinstance(nodes[-1], ast.Attribute):
            nodes.append(nodes[-1].value)
        if isinstance(nodes[-1], ast.Name):
            self._use(nodes[-1], tuple(reversed(nodes)))
        else:
            self.visit(nodes[-1])

    def _use(self, name: ast.Name, nodes: tuple[ast.expr, ...]) -> None:
        visible: Names = {}
        for index, (names, of_class) in enumerate(self.scopes, 1):
            if not of_class or index == len(self.scopes):  # methods do not see the names of their class
                visible |= names
        imported = visible.get(name.id)
        if imported is not None or name.id not in visible:
            hidden = frozenset(local for local, target in visible.items() if target is None)
            self.piece.uses.append(Use(nodes, self.annotations > 0, hidden, imported))

    def visit_FunctionDef(self, node: Function) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._annotation(node.returns)
        self._function(node.args, node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node.args, [node.body])

    def _function(self, arguments: ast.arguments, body: Sequence[ast.AST]) -> None:
        names: Names = {}
        for child in ast.iter_child_nodes(arguments):
            if isinstance(child, ast.arg):
                self._annotation(child.annotation)
                names[child.arg] = None
            else:  # a default
                self.visit(child)
        names |= bound_in(body)
        for inner in walk_scope(body):
            if isinstance(inner, Import):
                targets = {name: to for name, to in imports_of(inner, self.package) if self.is_included(to.module)}
                if targets:
                    self.piece.inner_imports.append(inner)
                    names |= targets
            elif isinstance(inner, ast.Global):
                self.piece.globals.append(inner)
                for name in inner.names:
                    names.pop(name, None)
        self._in_scope((names, False), body)

    def _in_scope(self, scope: tuple[Names, bool], nodes: Sequence[ast.AST]) -> None:
        self.scopes.append(scope)
        for node in nodes:
            self.visit(node)
        self.scopes.pop()

    def _annotation(self, annotation: ast.expr | None) -> None:
        if annotation is not None:
            self.annotations += 1
            self.visit(annotation)
            self.annotations -= 1

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._annotation(node.annotation)
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outer in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(outer)
        self._in_scope((bound_in(node.body), True), node.body)

    def generic_visit(self, node: ast.AST) -> None:
        if not isinstance(node, COMPREHENSIONS):
            super().generic_visit(node)
            return
        first, *others = node.generators
        self.visit(first.iter)  # Python evaluates it outside
        names: Names = dict.fromkeys(name for each in node.generators for name in stored(each.target))
        results = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.comprehension)]
        self._in_scope((names, False), [first.target, *first.ifs, *others, *results])


def walk_scope(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of these statements, without what is inside nested functions and classes."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, (Function, ast.Lambda, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)


def stored(target: ast.AST) -> set[str]:
    """The names that an assignment to this target binds."""
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def bound_in(body: Sequence[ast.AST]) -> Names:
    """The names that these statements bind in their own scope."""
    names: set[object] = set()
    in_comprehensions: set[int] = set()
    for node in walk_scope(body):
        if isinstance(node, COMPREHENSIONS):
            in_comprehensions |= {id(inner) for each in node.generators for inner in ast.walk(each.target)}
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load) and id(node) not in in_comprehensions:
                names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
        else:  # functions, classes, exception handlers and patterns
            names |= {getattr(node, "name", None), getattr(node, "rest", None)}
    return {name: None for name in names if isinstance(name, str)}


def imports_of(node: Import, package: str) -> Iterator[tuple[str, Imported]]:
    """Each name that an import statement in this package binds, with its target. A star binds none here."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            if alias.name != "*":
                yield alias.asname or alias.name, Imported(module_of(node, package), alias.name)
        elif alias.asname:
            yield alias.asname, Imported(alias.name)
        else:
            top, dot, _ = alias.name.partition(".")
            yield top, Imported(top, submodules=frozenset({alias.name} if dot else ()))


def module_of(node: ast.ImportFrom, package: str) -> str:
    """The module that a ``from`` import names."""
    return resolve_name("." * node.level + (node.module or ""), package)


def mentions(node: ast.AST) -> set[str]:
    """The names of attributes that code may read, also as text: ``x.name``, ``"name"``, ``"model.name"``."""
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute):
            found.add(inner.attr)
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str) and len(inner.value) < 100:
            found.add(inner.value.rpartition(".")[2])
        elif isinstance(inner, ast.keyword) and inner.arg:
            found.add(inner.arg)
    return found
