"""Which names of its module a statement uses, and where: what is local to a function or a class is left out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

#: What may carry names of its own.
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Imported:
    """What an import binds a name to: a module, or where `attribute` is given what that is in it."""

    module: str
    attribute: str = ""

    @property
    def path(self) -> str:
        """The same as one dotted path."""
        return f"{self.module}.{self.attribute}" if self.attribute else self.module


@dataclass(frozen=True)
class Use:
    """A name of the module that is used, with the attributes taken of it: `nodes` are the name and each longer part of
    ``name.attribute.attribute``. It is `weak` in an annotation, which nothing evaluates. `piece` is the method of a
    class at the top of the module that it stands in. `beside` are the local names that it can see. Where a function
    imports the name itself, `imported` says what."""

    name: str
    nodes: tuple[ast.expr, ...]
    weak: bool
    piece: str
    beside: frozenset[str]
    imported: Imported | None = None

    @property
    def attributes(self) -> list[str]:
        """The attributes taken of the name, one of another."""
        return [node.attr for node in self.nodes if isinstance(node, ast.Attribute)]


Scope = dict[str, Imported | None]


class Finder(ast.NodeVisitor):
    """Collects the `uses` of one statement at the top of a module, and the imports inside functions of which `follow`
    says that they are of code to be taken along."""

    def __init__(self, follow: Callable[[Imported], bool], package: str) -> None:
        self.follow, self.package = follow, package
        self.uses: list[Use] = []
        self.inner_imports: list[tuple[ast.stmt, str]] = []
        self._scopes: list[tuple[Scope, bool]] = []
        self._weak = 0
        self._piece = ""

    def visit_Name(self, node: ast.Name) -> None:
        """A name by itself."""
        self._use(node, (node,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """A name with attributes, or an attribute of something else."""
        nodes: list[ast.expr] = [node]
        while isinstance(nodes[-1], ast.Attribute):
            nodes.append(nodes[-1].value)
        if isinstance(nodes[-1], ast.Name):
            self._use(nodes[-1], tuple(reversed(nodes)))
        else:
            self.visit(nodes[-1])

    def _use(self, name: ast.Name, nodes: tuple[ast.expr, ...]) -> None:
        imported: Imported | None = None
        for index in range(len(self._scopes) - 1, -1, -1):
            scope, of_class = self._scopes[index]
            if of_class and index < len(self._scopes) - 1:
                continue  # a method does not see the names of its class
            if name.id in scope:
                imported = scope[name.id]
                if imported is None:
                    return
                break
        beside = frozenset(
            local for scope, of_class in self._scopes for local, what in scope.items() if not of_class and not what
        )
        self.uses.append(Use(name.id, nodes, self._weak > 0, self._piece, beside, imported))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Decorators and defaults belong to the outer scope, the body to its own."""
        outer = self._piece
        if len(self._scopes) == 1 and self._scopes[0][1]:
            self._piece = node.name
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._arguments(node.args)
        self._annotation(node.returns)
        self._inside(node, node.body)
        self._piece = outer

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As any function."""
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """As any function."""
        self._arguments(node.args)
        self._inside(node, [node.body])

    def _arguments(self, arguments: ast.arguments) -> None:
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.visit(default)
        for argument in parameters(arguments):
            self._annotation(argument.annotation)

    def _annotation(self, annotation: ast.expr | None) -> None:
        if annotation is not None:
            self._weak += 1
            self.visit(annotation)
            self._weak -= 1

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """The annotation is weak, the value is not."""
        self._annotation(node.annotation)
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Bases belong to the outer scope."""
        for outer in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(outer)
        self._scopes.append((bound_in(node.body), True))
        for statement in node.body:
            self.visit(statement)
        self._scopes.pop()

    def generic_visit(self, node: ast.AST) -> None:
        """Comprehensions have a scope of their own; everything else is looked through."""
        if isinstance(node, COMPREHENSIONS):
            targets: Scope = {name: None for generator in node.generators for name in stored(generator.target)}
            of_class = bool(self._scopes) and self._scopes[-1][1]
            if of_class:  # what its class names is seen by the outermost iterable alone: near enough
                targets |= dict.fromkeys(self._scopes[-1][0])
            self._scopes.append((targets, False))
            super().generic_visit(node)
            self._scopes.pop()
        else:
            super().generic_visit(node)

    def _inside(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, body: Sequence[ast.AST]) -> None:
        scope: Scope = {argument.arg: None for argument in parameters(node.args)}
        scope |= bound_in(body)
        for inner in walk_scope(body):
            if isinstance(inner, (ast.Import, ast.ImportFrom)):
                targets = imports_of(inner, self.package)
                followed = {name: target for name, target in targets.items() if self.follow(target)}
                if followed:
                    self.inner_imports.append((inner, self._piece))
                    scope |= followed
            if isinstance(inner, ast.Global):
                for name in inner.names:
                    scope.pop(name, None)
        self._scopes.append((scope, False))
        for statement in body:
            self.visit(statement)
        self._scopes.pop()


def parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    """Every parameter of a function."""
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (one for one in (arguments.vararg, arguments.kwarg) if one)


def walk_scope(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Everything in these statements that is not inside a function or class of its own; those themselves are."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)


def stored(target: ast.AST) -> set[str]:
    """The names that an assignment to this target binds."""
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def bound_in(body: Sequence[ast.AST]) -> Scope:
    """The names that these statements bind in their own scope."""
    names: Scope = {}
    comprehended: set[int] = set()
    for node in walk_scope(body):
        if isinstance(node, COMPREHENSIONS):
            comprehended |= {id(inner) for each in node.generators for inner in ast.walk(each.target)}
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names[node.name] = None
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and id(node) not in comprehended:
            names[node.id] = None
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            names[node.name] = None
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names[node.rest] = None
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= dict.fromkeys((alias.asname or alias.name.partition(".")[0]) for alias in node.names)
    return names


def imports_of(node: ast.Import | ast.ImportFrom, package: str) -> dict[str, Imported]:
    """What an import statement binds; relative ones are of this package. A star binds nothing here."""
    if isinstance(node, ast.Import):
        return {
            alias.asname or alias.name.partition(".")[0]: Imported(
                alias.name if alias.asname else alias.name.partition(".")[0]
            )
            for alias in node.names
        }
    module = absolute(node, package)
    return {alias.asname or alias.name: Imported(module, alias.name) for alias in node.names if alias.name != "*"}


def absolute(node: ast.ImportFrom, package: str) -> str:
    """The module that a ``from`` import names, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    base = package.split(".")
    base = base[: len(base) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def mentions(node: ast.AST) -> set[str]:
    """The names of attributes that code reads, also as text: ``x.name``, ``"name"``, ``"model.name"``."""
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute):
            found.add(inner.attr)
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str) and len(inner.value) < 100:
            found.add(inner.value.rpartition(".")[2])
        elif isinstance(inner, ast.keyword) and inner.arg:
            found.add(inner.arg)
    return found
