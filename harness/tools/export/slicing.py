"""Source slicing: one text with some functions and classes, all that they use, and nothing else.

Statements at the top of modules are included or left out as a whole. Classes lose the methods that nothing mentions.
The text has the order in which Python would run it. If two modules define the same name, the later one is renamed.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.errors import UserError
from harness.tools.export.modules import Definition, Modules, Origin, Source, Statement, in_import_order
from harness.tools.export.names import Function, Imported, Use

#: Decorators that only change how a method is called. A method with another one is always included: it may be
#: registered somewhere.
PLAIN_DECORATORS = {
    "abstractmethod", "staticmethod", "classmethod", "property", "cached_property", "setter", "getter", "deleter",
    "no_grad", "enable_grad", "inference_mode", "contextmanager", "lru_cache", "cache", "overload", "override",
}  # fmt: skip
#: Comments for the tools of the plugin's own repository.
TOOL_COMMENT = re.compile(rb"[ \t]*# (type: ignore(\[[^\]\n]*\])?|fmt: skip|noqa\b[^#\n]*)(?=[ \t]*(#|\r?\n|$))")

#: A change of the text: start, stop, and the new bytes.
Edit = tuple[int, int, bytes]


@dataclass(frozen=True)
class Slice:
    """The included code: import statements, code with a heading for each module, and the name of each origin in it."""

    imports: str
    code: str
    names: Mapping[Origin, str]


@dataclass
class Slicer:
    """Collects code by following names. The text around the slice already has the `provided` names, and uses the
    `reserved` ones for itself. A method is left out if its name is neither `mentioned` nor occurs in the included code;
    `whole` keeps all methods."""

    modules: Modules
    provided: Mapping[Origin, str] = field(default_factory=dict)
    reserved: frozenset[str] = frozenset()
    mentioned: set[str] = field(default_factory=set)
    whole: bool = False

    def __post_init__(self) -> None:
        #: The included statements, each with the names of its included pieces.
        self.included: dict[Statement, set[str]] = {}
        #: The names by which included code imports other code, and the submodules that it imports.
        self.aliases: defaultdict[Imported, set[str]] = defaultdict(set)
        self.submodules: set[str] = set()
        self.builtins: set[str] = set()
        #: Local names that are visible where an origin is used.
        self.hidden: defaultdict[Origin, set[str]] = defaultdict(set)
        self.names: dict[Origin, str] = {}

    def slice(self, wanted: Iterable[Origin]) -> Slice:
        """The text of everything that the wanted origins need. Raises UserError if it cannot be found in the source."""
        for origin in wanted:
            self.include(origin)
        while self.include_methods() or self.include_effects():
            pass
        modules = in_import_order(self.modules, {statement.source.name for statement in self.included})
        sources = [self.modules.source(name) for name in modules]
        self.names = self.choose_names(sources)
        return Slice(self.import_text(), "\n\n\n".join(map(self.module_text, sources)), self.names)

    # What is included

    def include(self, origin: Origin, alias: str = "") -> None:
        """Include what a name means."""
        if isinstance(origin, Imported):
            self.aliases[origin].add(alias or origin.path.rpartition(".")[2])
            self.submodules |= origin.submodules
        elif origin not in self.provided:
            for statement in self.modules.statements(origin):
                self.include_statement(statement)

    def include_statement(self, statement: Statement) -> None:
        """Include a statement and what it uses, of a class without the methods that nothing mentions yet."""
        if statement in self.included:
            return
        if statement.imports_included_code():
            raise UserError(
                "code of a plugin that is imported conditionally cannot be exported.",
                where=f"{statement.source.name}, line {statement.node.lineno}",
                fix="Import it at the top of the module.",
            )
        self.included[statement] = set()
        inherited = inherited_names(statement)
        for name, piece in statement.pieces.items():
            if not name or self.whole or name in inherited or any(map(is_called_by_others, piece.nodes)):
                self.include_piece(statement, name)

    def include_piece(self, statement: Statement, name: str) -> None:
        """Include a method of a class, or with "" what is not in its methods."""
        if name not in self.included[statement]:
            self.included[statement].add(name)
            piece = statement.pieces[name]
            self.mentioned |= piece.mentioned
            for use in piece.uses:
                self.follow(statement.source, use)

    def follow(self, source: Source, use: Use) -> None:
        """Include what a use means. An annotation includes imports and types, but no functions or classes."""
        origin, depth = self.modules.resolve(source, use)
        if origin is None:
            if hasattr(builtins, use.words[0]):
                self.builtins.add(use.words[0])
            return
        self.hidden[origin] |= use.hidden
        if isinstance(origin, Imported) or not use.in_annotation:
            self.include(origin, use.words[depth])
        elif origin not in self.provided:
            for statement in self.modules.statements(origin):
                if not statement.is_code:
                    self.include_statement(statement)

    def include_methods(self) -> bool:
        """Include the methods whose names are mentioned by now. Returns whether there were any."""
        found = [
            (statement, name)
            for statement, included in self.included.items()
            for name in statement.pieces
            if name not in included and name in self.mentioned
        ]
        for statement, name in found:
            self.include_piece(statement, name)
        return bool(found)

    def include_effects(self) -> bool:
        """Include the statements that define nothing and act on included code, or only on other code. Returns whether
        there were any."""
        sources = {statement.source for statement in self.included}
        found = [
            statement
            for source in sources
            for statement in source.statements
            if statement not in self.included and not statement.defines and self.acts_on_included(statement)
        ]
        for statement in found:
            self.include_statement(statement)
        return bool(found)

    def acts_on_included(self, statement: Statement) -> bool:
        """Whether all code of plugins that a statement uses is included, or its first name is, and is no function."""
        uses = sorted(statement.pieces[""].uses, key=lambda use: (use.nodes[0].lineno, use.nodes[0].col_offset))
        origins = [self.modules.resolve(statement.source, use)[0] for use in uses]
        included = [self.is_included(origin) for origin in origins if isinstance(origin, Definition)]
        first = origins[0] if origins else None
        is_of_function = isinstance(first, Definition) and any(
            isinstance(each.node, Function) for each in self.modules.statements(first)
        )
        return all(included) or (isinstance(first, Definition) and included[0] and not is_of_function)

    def is_included(self, definition: Definition) -> bool:
        """Whether the code of a name is included."""
        return definition in self.provided or any(s in self.included for s in self.modules.statements(definition))

    # Its names

    def choose_names(self, sources: list[Source]) -> dict[Origin, str]:
        """The name of each origin: its own, or a longer one if something else has that name."""
        names = dict(self.provided)
        taken = self.reserved | self.builtins  # no name may hide a builtin that is used

        def choose(origin: Origin, name: str, prefix: str) -> None:
            nonlocal taken
            while name in taken or name in self.hidden[origin]:
                name = prefix + name
            names[origin] = name
            taken |= {name}

        for origin, aliases in sorted(self.aliases.items(), key=lambda item: item[0].path):
            own = origin.path.rpartition(".")[2]
            best = min(aliases, key=lambda name: (name in taken, name != own, name))
            choose(origin, best, f"{origin.path.partition('.')[0]}_")
        for statement in (each for source in sources for each in source.statements if each in self.included):
            for name in sorted(statement.defines):
                definition = Definition(statement.source.name, name)
                if definition not in names:
                    choose(definition, name, f"{statement.source.name.rpartition('.')[2]}_")
        return names

    # Its text

    def import_text(self) -> str:
        """The import statements, those of the standard library first."""
        plain = {f"import {module}" for module in self.submodules}
        members: defaultdict[str, set[str]] = defaultdict(set)
        for origin in self.aliases:
            name, own = self.names[origin], origin.attribute or origin.module
            text = own if own == name else f"{own} as {name}"
            if origin.attribute:
                members[origin.module].add(text)
            else:
                plain.add(f"import {text}")
        froms = {f"from {module} import {', '.join(sorted(texts))}" for module, texts in members.items()}
        lines = sorted(plain, key=str.lower) + sorted(froms, key=str.lower)
        own_lines = [line for line in lines if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
        others = [line for line in lines if line not in own_lines]
        return "\n\n".join("\n".join(group) for group in (own_lines, others) if group)

    def module_text(self, source: Source) -> str:
        """The included statements of a module under a heading."""
        text, after_code = f"# From {source.name}\n", True
        for index, statement in enumerate(each for each in source.statements if each in self.included):
            text += "\n" * (1 if not index else 3 if statement.is_code or after_code else 1)
            text += self.statement_text(statement)
            after_code = statement.is_code
        return text

    def statement_text(self, statement: Statement) -> str:
        """The text of a statement with its comment, with names changed and unused methods taken out."""
        source, included = statement.source, self.included[statement]
        edits: list[Edit] = []
        left_out: list[ast.AST] = []
        if isinstance(statement.node, (Function, ast.ClassDef)):
            edits += self.name_edits(source, statement.node, [statement.node.name], rb"\b(?:def|class)\s+(%s)\b")
        for name, piece in statement.pieces.items():
            if name in included:
                edits += [edit for use in piece.uses for edit in self.use_edits(source, use)]
                edits += [edit for each in piece.globals for edit in self.name_edits(source, each, each.names)]
                edits += [(*source.span(node), b"pass") for node in piece.inner_imports]
            else:
                left_out += piece.nodes
        for node in left_out:
            assert isinstance(node, ast.stmt)
            begin, end = source.first_line(node), (node.end_lineno or node.lineno) + 1
            edits.append((source.position(begin), source.position(end), b""))
        text, stop = source.bytes, statement.stop
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
            stop += len(new) - (end - start)
        result = TOOL_COMMENT.sub(b"", text[statement.start : stop]).decode().strip("\n")
        if left_out:
            result = re.sub(r"\n{3,}", "\n\n", result)
            if isinstance(statement.node, ast.ClassDef) and len(left_out) == len(statement.node.body):
                result += "\n    pass"
        return result.rstrip()

    def use_edits(self, source: Source, use: Use) -> list[Edit]:
        """The change of a use whose origin has another name here."""
        origin, depth = self.modules.resolve(source, use)
        node = use.nodes[depth]
        written = ast.unparse(node)
        name = written if origin is None else self.names.get(origin, written)
        if name == written:
            return []
        start, stop = source.span(node)
        if re.sub(r"\s", "", source.bytes[start:stop].decode()) != written:
            raise UserError(
                f"{written} must be renamed to {name}, but it is inside a string, so the code cannot be exported.",
                where=f"{source.name}, line {node.lineno}",
            )
        return [(start, stop, name.encode())]

    def name_edits(
        self, source: Source, node: ast.stmt, names: Iterable[str], pattern: bytes = rb"\b(%s)\b"
    ) -> list[Edit]:
        """The changes of names that a statement has as text: those of functions, of classes and after ``global``."""
        edits = []
        for old in names:
            new = self.names.get(Definition(source.name, old), old)
            match = re.compile(pattern % old.encode()).search(source.bytes, source.span(node)[0])
            if new != old and match:
                edits.append((match.start(1), match.end(1), new.encode()))
        return edits


def is_called_by_others(node: ast.AST) -> bool:
    """Whether Python or a registry may call a method that nothing mentions."""
    if not isinstance(node, Function):
        return False
    names = {ast.unparse(d.func if isinstance(d, ast.Call) else d).rpartition(".")[2] for d in node.decorator_list}
    return (node.name.startswith("__") and node.name.endswith("__")) or bool(names - PLAIN_DECORATORS)


def inherited_names(statement: Statement) -> set[str]:
    """The attributes of the bases of a class that are not included. Their code may call what nothing mentions, as
    torch calls ``forward``."""
    found = getattr(sys.modules.get(statement.source.name), getattr(statement.node, "name", ""), None)
    bases = found.__mro__[1:] if isinstance(found, type) else ()
    return {name for base in bases if not statement.source.is_included(base.__module__) for name in vars(base)}
