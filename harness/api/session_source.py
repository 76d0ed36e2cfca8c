"""The source of a function or class that was defined in a notebook or an interactive session, as a module of its own:
the function, and everything it uses from the session.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import symtable
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

#: Values of these types are written as they are printed.
PLAIN = (int, float, complex, str, bytes, bool, type(None), tuple, list, dict, set)


class UnusableName(Exception):
    """Why a function cannot be written to a module."""


@dataclass(frozen=True)
class Source:
    """The source of one function or class, and the session's names that it may use."""

    name: str
    text: str
    names: dict[str, Any]

    @classmethod
    def of(cls, code: FunctionType | type) -> Source:
        """The source of a function or class. Raises UnusableName if Python does not know it."""
        function = code if isinstance(code, FunctionType) else _a_method(code)
        text = _definition(code.__name__, function.__code__, is_class=isinstance(code, type))
        return cls(code.__name__, text, function.__globals__)

    def used(self) -> Iterator[str]:
        """The names of the session that it uses, in alphabetical order."""
        table = symtable.symtable(self.text, "<session>", "exec")
        found = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
        inner = list(table.get_children())
        while inner:
            scope = inner.pop()
            found |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
            inner += scope.get_children()
        yield from sorted(name for name in found if name != self.name and name in self.names)


def module_of(source: Source) -> str:
    """The text of a module with the definition and all that it uses. Raises UnusableName for a value that exists only
    in the session."""
    imports: dict[str, str] = {}
    definitions: dict[str, str] = {source.name: ""}
    _add(source, imports, definitions)
    head = "# Written by harness from the cells of an interactive session.\nfrom __future__ import annotations\n"
    parts = [head, "\n".join(sorted(imports.values())), *definitions.values()]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts if part)


def _add(source: Source, imports: dict[str, str], definitions: dict[str, str]) -> None:
    """Add what a definition uses, then the definition itself."""
    for name in source.used():
        value = source.names[name]
        if name in imports or name in definitions or value is getattr(builtins, name, source):
            continue
        if isinstance(value, ModuleType):
            imports[name] = f"import {value.__name__} as {name}"
        elif isinstance(value, FunctionType | type) and value.__module__ == "__main__":
            if value.__name__ != name:
                raise UnusableName(f"it uses {name}, which is another name of {value.__name__}.")
            definitions[name] = ""
            _add(Source.of(value), imports, definitions)
        elif isinstance(value, PLAIN) and _reads_back(value):
            definitions[name] = f"{name} = {value!r}\n"
        elif home := _home(value, name):
            imports[name] = f"from {home[0]} import {home[1]} as {name}"
        else:
            what = f"it uses {name}, a value of class {type(value).__name__} that exists only in this session."
            raise UnusableName(f"{what} Make it inside the function, or take it as an argument.")
    # A name was entered before what it uses. Its text comes after that: a decorator or a base class must exist first.
    definitions.pop(source.name)
    definitions[source.name] = source.text


def _home(value: Any, name: str) -> tuple[str, str] | None:
    """The loaded module that has this very value, and its name there. Of several modules, the one with the shortest
    name: torch, and not torch._C."""
    own = (name, getattr(value, "__name__", None), str(value).rpartition(".")[2])  # the last one is for torch.float32
    for module in sorted(sys.modules, key=lambda module: (len(module), module)):
        for attribute in own if module != "__main__" else ():
            if isinstance(attribute, str) and getattr(sys.modules[module], "__dict__", {}).get(attribute) is value:
                return module, attribute
    return None


def _reads_back(value: Any) -> bool:
    """Whether the printed form of a value gives the value."""
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError, RecursionError):
        return False


def _a_method(code: type) -> FunctionType:
    """A function of the body of a class, which knows where the class is defined."""
    for value in vars(code).values():
        if isinstance(value, FunctionType) and value.__qualname__ == f"{code.__qualname__}.{value.__name__}":
            return value
    raise UnusableName(f"it uses the class {code.__name__}, whose source is not known, since it has no methods.")


def _definition(name: str, code: CodeType, *, is_class: bool) -> str:
    """The source of the definition, with its decorators, from the cell that contains the line of the code."""
    lines = linecache.getlines(code.co_filename)
    cell = "".join(lines)
    if not lines:
        raise UnusableName(f"Python does not keep the source of {name} here.")
    # The text may be newer than the code: a file was edited since, or the cell was.
    nodes = ast.parse(cell).body if _compiles_to(cell, code) else []
    for node in nodes:
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
        kinds = (ast.ClassDef,) if is_class else (ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, kinds) and node.name == name and first <= code.co_firstlineno <= (node.end_lineno or first):
            return "".join(lines[first - 1 : node.end_lineno])
    raise UnusableName(f"the source of {name} at the top level of a cell was not found.")


def _compiles_to(cell: str, code: CodeType) -> bool:
    """Whether the text of a cell has this very code at its line."""
    try:
        inner = [compile(cell, "<session>", "exec", dont_inherit=True)]
    except SyntaxError:
        return False
    while inner:
        one = inner.pop()
        if one.co_firstlineno == code.co_firstlineno and one.co_code == code.co_code:
            return True
        inner += [each for each in one.co_consts if isinstance(each, CodeType)]
    return False
