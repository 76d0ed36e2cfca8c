"""From the functions and classes that a trial names to one text with all they use and nothing else.

Statements at the top of modules are kept or left out whole, classes lose the methods that nothing mentions, and what is
kept stands in the order in which Python would have run it. Where two modules mean different things by one name, the
later one's is renamed.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from harness.errors import UserError
from harness.tools.export.modules import Modules, Outside, Source, Statement, Unit, conditional_imports, in_order
from harness.tools.export.names import Imported, Use, imports_of

Meaning = Unit | Outside

#: Decorators that only change how a method is called. One with another may be registered somewhere, and is kept.
PLAIN = {
    "abstractmethod", "staticmethod", "classmethod", "property", "cached_property", "setter", "getter", "deleter",
    "no_grad", "enable_grad", "inference_mode", "contextmanager", "lru_cache", "cache", "overload", "override",
}  # fmt: skip
#: What only the tools of a plugin's own repository read.
NOISE = re.compile(rb"[ \t]*# (type: ignore(\[[^\]\n]*\])?|fmt: skip|noqa\b[^#\n]*)(?=[ \t]*(#|\r?\n|$))")


@dataclass(frozen=True)
class Shaken:
    """The code that was kept: `imports` to stand at the top, `code` with a heading for each module, the names that
    what was asked for has in it."""

    imports: str
    code: str
    names: Mapping[Meaning, str]


@dataclass
class Import:
    """How kept code imports something of other people's: by which names, as part of its module, and with which modules
    below it."""

    names: set[str] = field(default_factory=set)
    from_module: bool = False
    below: set[str] = field(default_factory=set)


@dataclass
class Shaker:
    """Follows names from the `wanted` ones. `provided` are names that the text around already has; the names in
    `reserved` are taken there. A method is left out if neither `mentioned` nor the kept code has its name, unless
    `whole` keeps all classes whole."""

    modules: Modules
    provided: Mapping[Meaning, str] = field(default_factory=dict)
    reserved: frozenset[str] = frozenset()
    mentioned: set[str] = field(default_factory=set)
    whole: bool = False

    def __post_init__(self) -> None:
        self.kept: dict[Statement, set[str]] = {}
        self.imports: dict[str, Import] = {}
        self.avoid: dict[Meaning, set[str]] = {}

    def shake(self, wanted: Iterable[Meaning]) -> Shaken:
        """The text of everything that the wanted names need. Raises UserError where that cannot be told from source."""
        wanted = list(wanted)
        for meaning in wanted:
            self.want(meaning)
        while self.more_methods() or self.more_effects():
            pass
        sources = [self.modules.source(name) for name in in_order(self.modules, {s.source.name for s in self.kept})]
        self.choose_names(sources)
        code = "\n\n\n".join(text for source in sources if (text := self.text_of(source)))
        return Shaken(self.import_text(), code, self.names)

    # What is kept

    def want(self, meaning: Meaning | None) -> None:
        """Keep what a name means."""
        if isinstance(meaning, Unit) and meaning not in self.provided:
            for statement in self.modules.source(meaning.module).binding(meaning.name):
                self.keep(statement)
        elif isinstance(meaning, Outside):
            kept = self.imports.setdefault(meaning.path, Import())
            kept.names.add(meaning.path.rpartition(".")[2])
            kept.from_module |= "." in meaning.path

    def keep(self, statement: Statement) -> None:
        """Keep a statement with what it uses, methods apart."""
        if statement in self.kept:
            return
        if conditional_imports(statement):
            line = statement.node.lineno
            raise UserError(
                f"{statement.source.name} imports its own code conditionally (line {line}), so it cannot be exported."
            )
        self.kept[statement] = set()
        self.keep_piece(statement, "")
        for name, methods in statement.methods.items():
            if self.whole or any(map(is_essential, methods)) or name in inherited(statement):
                self.keep_piece(statement, name)

    def keep_piece(self, statement: Statement, piece: str) -> None:
        """Keep a method of a class, or with "" what is not in its methods."""
        if piece in self.kept[statement]:
            return
        self.kept[statement].add(piece)
        self.mentioned |= statement.mentioned.get(piece, set())
        for use in statement.uses:
            if use.piece == piece:
                self.follow(statement.source, use)

    def follow(self, source: Source, use: Use) -> None:
        """Keep what a use means. An annotation takes along imports and names for types, but no functions or classes."""
        meaning, _ = self.modules.resolve_use(source, use)
        if meaning is None:
            return
        self.avoid.setdefault(meaning, set()).update(use.beside)
        if isinstance(meaning, Outside):
            # Those that only make sure that a submodule is there come along with the name.
            home = self.home_of(source, use)
            for node in home.import_lines.get(use.name if home is source else self.alias_in(home, meaning), []):
                self.keep_import(home, node, meaning)
        elif not use.weak:
            self.want(meaning)
        elif meaning not in self.provided:
            for statement in self.modules.source(meaning.module).binding(meaning.name):
                if statement.is_alias:
                    self.keep(statement)

    def home_of(self, source: Source, use: Use) -> Source:
        """The module whose import statement says where an outside name comes from: its own, or one it imports from."""
        imported = use.imported or source.imported.get(use.name)
        while imported is not None and self.modules.follow(imported):
            found = self.modules.find(imported.module)
            if found is None:
                break
            source, imported = found, found.imported.get(imported.attribute)
        return source

    def alias_in(self, source: Source, meaning: Outside) -> str:
        """The name by which a module imports something."""
        return next((name for name, imported in source.imported.items() if imported.path == meaning.path), "")

    def keep_import(self, source: Source, node: ast.Import | ast.ImportFrom, meaning: Outside) -> None:
        """Keep an import of other people's code."""
        kept = self.imports.setdefault(meaning.path, Import())
        for alias, (name, imported) in zip(node.names, named_imports(node, source.package), strict=True):
            if imported.path == meaning.path:
                kept.names.add(name)
                kept.from_module |= isinstance(node, ast.ImportFrom)
                if isinstance(node, ast.Import) and not alias.asname:
                    kept.below.add(alias.name)

    def more_methods(self) -> bool:
        """Keep the methods whose names are mentioned by now; whether there were any."""
        found = False
        for statement, pieces in list(self.kept.items()):
            for name in statement.methods:
                if name not in pieces and name in self.mentioned:
                    self.keep_piece(statement, name)
                    found = True
        return found

    def more_effects(self) -> bool:
        """Keep the statements that bind nothing and act on what is kept, or on other people's code alone."""
        found = False
        for name in {statement.source.name for statement in self.kept}:
            for statement in self.modules.source(name).statements:
                if statement not in self.kept and not statement.binds and self.acts_on_kept(statement):
                    self.keep(statement)
                    found = True
        return found

    def acts_on_kept(self, statement: Statement) -> bool:
        """Whether a statement's first name, or everything that it uses of ours, is kept."""
        meanings = [self.modules.resolve_use(statement.source, use)[0] for use in statement.uses]
        there = [self.is_kept(meaning) for meaning in meanings if isinstance(meaning, Unit)]
        first = min(statement.uses, key=lambda use: (use.nodes[0].lineno, use.nodes[0].col_offset), default=None)
        acted = self.modules.resolve_use(statement.source, first)[0] if first else None
        return all(there) or (isinstance(acted, Unit) and self.is_kept(acted) and not self.is_function(acted))

    def is_kept(self, unit: Unit) -> bool:
        """Whether a name's statement is kept."""
        return unit in self.provided or any(s in self.kept for s in self.modules.source(unit.module).binding(unit.name))

    def is_function(self, unit: Unit) -> bool:
        """Whether a name is that of a function."""
        bindings = self.modules.source(unit.module).binding(unit.name)
        return any(isinstance(s.node, (ast.FunctionDef, ast.AsyncFunctionDef)) for s in bindings)

    # What it is called

    def choose_names(self, sources: list[Source]) -> None:
        """Give every kept name the one it has, or another where that is taken by something else."""
        taken = set(self.reserved) | self.builtins_used()
        self.names = dict(self.provided)
        for path, kept in sorted(self.imports.items()):
            meaning, own = Outside(path), path.rpartition(".")[2]
            wanted = min(kept.names, key=lambda name: (name in taken, name != own, name))
            self.names[meaning] = free(wanted, f"{path.partition('.')[0]}_", taken | self.avoid.get(meaning, set()))
            taken.add(self.names[meaning])
        for source in sources:
            for statement in source.statements:
                for name in sorted(statement.binds) if statement in self.kept else ():
                    unit = Unit(source.name, name)
                    if unit not in self.names:
                        tail = source.name.rpartition(".")[2]
                        self.names[unit] = free(name, f"{tail}_", taken | self.avoid.get(unit, set()))
                        taken.add(self.names[unit])

    def builtins_used(self) -> set[str]:
        """The builtins that kept code uses: no name of a module may hide one from another module."""
        return {
            use.name
            for source, use in self.kept_uses()
            if hasattr(builtins, use.name) and self.modules.resolve_use(source, use)[0] is None
        }

    def kept_uses(self) -> Iterator[tuple[Source, Use]]:
        """Every use in the kept code."""
        for statement, pieces in self.kept.items():
            for use in statement.uses:
                if use.piece in pieces:
                    yield statement.source, use

    # Its text

    def import_text(self) -> str:
        """The import statements, the standard library's first."""
        plain: set[str] = set()
        by_module: dict[str, set[str]] = {}
        for path, kept in self.imports.items():
            name = self.names[Outside(path)]
            module, _, attribute = path.rpartition(".")
            if kept.from_module and module:
                by_module.setdefault(module, set()).add(attribute if attribute == name else f"{attribute} as {name}")
            else:
                plain |= {f"import {path}" if name == path else f"import {path} as {name}"}
                plain |= {f"import {below}" for below in kept.below}
        froms = {f"from {module} import {', '.join(sorted(names))}" for module, names in by_module.items()}
        lines = sorted(plain, key=str.lower) + sorted(froms, key=str.lower)
        own = [line for line in lines if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
        return "\n".join([*own, *([""] if own and len(own) < len(lines) else []), *(x for x in lines if x not in own)])

    def text_of(self, source: Source) -> str:
        """The kept statements of a module under a heading."""
        text, before = f"# From {source.name}", False
        for statement in source.statements:
            if statement in self.kept:
                large = not statement.is_alias
                first = text.count("\n") == 0
                text += ("\n\n" if first else "\n\n\n" if large or before else "\n") + self.statement_text(statement)
                before = large
        return text

    def statement_text(self, statement: Statement) -> str:
        """A statement's own text with its comment, names changed and unused methods taken out."""
        source, pieces = statement.source, self.kept[statement]
        edits = [
            edit for use in statement.uses if use.piece in pieces for edit in self.edits_of(source, use)
        ] + self.edits_of_name(statement)
        edits += [
            (position(source, node.lineno, node.col_offset), end_of(source, node), b"pass")
            for node, piece in statement.inner_imports if piece in pieces
        ]  # fmt: skip
        dropped = [node for name, nodes in statement.methods.items() if name not in pieces for node in nodes]
        for node in dropped:
            start = position(source, first_line(source, node), 0)
            edits.append((start, position(source, (node.end_lineno or node.lineno) + 1, 0), b""))
        begin, end = begin_of_statement(statement), end_of_statement(statement)
        gone = [(start, stop) for start, stop, new in edits if not new]
        edits = [one for one in edits if not one[2] or not any(a <= one[0] < b for a, b in gone)]
        text = source.bytes
        for start, stop, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[stop:]
            end += len(new) - (stop - start)
        kept = NOISE.sub(b"", text[begin:end]).decode().strip("\n")
        if dropped:
            kept = re.sub(r"\n{3,}", "\n\n", kept)
            body = statement.node.body if isinstance(statement.node, ast.ClassDef) else []
            if len(dropped) == len(body):
                kept += "\n    pass"
        return kept.rstrip()

    def edits_of(self, source: Source, use: Use) -> list[tuple[int, int, bytes]]:
        """How a use is written where what it means has another name here."""
        meaning, taken = self.modules.resolve_use(source, use)
        name = self.names.get(meaning) if meaning is not None else None
        node = use.nodes[taken]
        if name is None or ast.unparse(node) == name:
            return []
        start, stop = position(source, node.lineno, node.col_offset), end_of(source, node)
        written = source.bytes[start:stop].decode()
        if re.sub(r"\s", "", written) != ast.unparse(node):
            raise UserError(
                f"{source.name}, line {node.lineno}: {ast.unparse(node)} would have to be renamed to {name} in a text, "
                "so its code cannot be exported."
            )
        return [(start, stop, name.encode())]

    def edits_of_name(self, statement: Statement) -> list[tuple[int, int, bytes]]:
        """The new name of a renamed function or class where it is defined, and in statements ``global``."""
        source, edits = statement.source, []
        for node in ast.walk(statement.node):
            if node is statement.node and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                old, pattern = [node.name], rb"\b(?:def|class)\s+(%s)\b"
            elif isinstance(node, ast.Global):
                old, pattern = node.names, rb"\b(%s)\b"
            else:
                continue
            for name in old:
                new = self.names.get(Unit(source.name, name), name)
                start = position(source, node.lineno, node.col_offset)
                match = re.compile(pattern % name.encode()).search(source.bytes, start)
                if new != name and match:
                    edits.append((match.start(1), match.end(1), new.encode()))
        return edits


def is_essential(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether Python or a registry may call a method that nobody mentions."""
    names = {ast.unparse(d.func if isinstance(d, ast.Call) else d).rpartition(".")[2] for d in method.decorator_list}
    return (method.name.startswith("__") and method.name.endswith("__")) or bool(names - PLAIN)


def inherited(statement: Statement) -> set[str]:
    """The attributes that a class overrides of classes that are not taken along: those may call what nobody mentions,
    as torch calls ``forward``."""
    found = getattr(sys.modules.get(statement.source.name), getattr(statement.node, "name", ""), None)
    if not isinstance(found, type):
        return set()
    outside = (one for one in found.__mro__[1:] if not statement.source.follow(Imported(one.__module__)))
    return {name for one in outside for name in vars(one)}


def named_imports(node: ast.Import | ast.ImportFrom, package: str) -> list[tuple[str, Imported]]:
    """What each part of an import statement binds, in order."""
    return [next(iter(imports_of(one, package).items()), ("", Imported(""))) for one in parts_of(node)]


def parts_of(node: ast.Import | ast.ImportFrom) -> list[ast.Import | ast.ImportFrom]:
    """An import statement for each name of one that has several."""
    if isinstance(node, ast.Import):
        return [ast.Import([alias]) for alias in node.names]
    return [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]


def free(name: str, prefix: str, taken: set[str]) -> str:
    """The name, with a prefix before it, or more than one, where it is taken."""
    while name in taken:
        name = prefix + name
    return name


def position(source: Source, line: int, column: int) -> int:
    """Where in the module's bytes a line and column are."""
    offset: int = source.offsets[min(line, len(source.offsets)) - 1]
    return offset + column


def end_of(source: Source, node: ast.expr | ast.stmt) -> int:
    """Where in the module's bytes a node ends."""
    return position(source, node.end_lineno or node.lineno, node.end_col_offset or 0)


def begin_of_statement(statement: Statement) -> int:
    """Where a statement begins, with decorators and the comment above; just itself where another ends on that line."""
    source, node = statement.source, statement.node
    if any(other.end_lineno == node.lineno for other in source.body if other is not node):
        return position(source, node.lineno, node.col_offset)
    return position(source, first_line(source, node), 0)


def end_of_statement(statement: Statement) -> int:
    """Where a statement ends, a comment on its last line included; just itself where another begins on that line."""
    source, node = statement.source, statement.node
    if any(other.lineno == node.end_lineno for other in source.body if other is not node):
        return end_of(source, node)
    return position(source, statement.last_line + 1, 0)


def first_line(source: Source, node: ast.stmt) -> int:
    """The line a statement begins on, with its decorators and the comment above."""
    decorators = getattr(node, "decorator_list", [])
    line: int = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    while line > 1 and source.lines[line - 2].lstrip().startswith(b"#"):
        line -= 1
    return line
