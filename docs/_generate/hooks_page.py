"""The hook reference. It is made from harness/plugins/hookspecs.py and harness/plugins/parts.py."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import harness
from _generate import markdown as md
from harness import errors
from harness.plugins import hookspecs, parts
from harness.plugins.catalog import KINDS
from harness.plugins.parts import CHANGES, Part
from harness.plugins.recipe import SEAMS


def page() -> str:
    """The page."""
    providing = set(KINDS.values())
    hooks = hooks_of()
    around = [name for name in hooks if name not in providing]
    others = [vars(harness)[name] for name in harness.__all__ if is_ours(vars(harness).get(name))]
    return md.page(
        "Hook reference",
        "harness/plugins/",
        "Every hook that a plugin may implement, and every part that it may provide. [Plugins](../plugins.md) shows "
        "how to use them. Hooks are never removed or changed incompatibly. No hook runs inside the timed region. An "
        "implementation may leave out arguments that it does not use.",
        "## Hooks that provide parts",
        "They are called once in each process that loads the plugins: the process of the command, and those that "
        "measure. Every plugin is called, and each yields its parts.",
        *(block for name in hooks if name in providing for block in of_hook(name, hooks[name])),
        "## Hooks around a run",
        *(block for name in around for block in of_hook(name, hooks[name])),
        "## Parts",
        md.from_docstring((inspect.getdoc(parts) or "").partition("\n\n")[2]),
        *of_class(Part, heading="Every part"),
        *(block for kind in KINDS for block in of_class(kind)),
        "## Other classes",
        "The types that parts use, and the exceptions that they raise. All of them are in `harness`.",
        *(block for one in others for block in of_class(one)),
        "## Seams",
        "A seam is a function of the training step that an optimization may wrap or replace in a recipe. In addition "
        "to these, `model.<method>` names a method of the built model.",
        md.table(["seam", "arguments", "returns"], (of_seam(name, text) for name, text in SEAMS.items())),
        "## Promises",
        "What an optimization may change, from the strongest promise to no promise: "
        f"{md.listed([md.code(word) for word in CHANGES], 'and')}. "
        "[An optimization](../plugins.md#an-optimization) explains how each is checked.",
    )


def hooks_of() -> dict[str, Callable[..., Any]]:
    """Every specified hook, in the order of the file."""
    return {name: found for name, found in vars(hookspecs).items() if hasattr(found, "harness_spec")}


def of_hook(name: str, hook: Any) -> Iterator[str]:
    """A hook under its own heading: signature, purpose, which plugins are called, an example."""
    text, example = split_example(inspect.getdoc(hook) or "")
    yield f"### {md.code(name)}"
    yield signature(name, hook)
    if hook.harness_spec.get("firstresult"):
        called = "*Plugins are called until one returns a result that is not `None`. Wrappers run around all others.* "
    else:
        called = "" if name in KINDS.values() else "*Every plugin is called.* "
    yield called + md.from_docstring(text)
    if example:
        yield md.fence("python", f"import harness\n\n\n{example}")


def split_example(text: str) -> tuple[str, str]:
    """The text of a docstring, and its example, which begins at the first decorator."""
    before, mark, after = text.partition("@harness.hookimpl")
    example = inspect.cleandoc(" " * (len(before) - len(before.rstrip(" "))) + mark + after) if mark else ""
    return before.strip(), example


def signature(name: str, function: Callable[..., Any], *, method: bool = False) -> str:
    """A signature as source code, on several lines if it is long."""
    found = inspect.signature(function)
    arguments = [str(argument) for argument in list(found.parameters.values())[1 if method else 0 :]]
    arguments = [re.sub(r"'([^']*)'", r"\1", argument) for argument in arguments]
    returned = "" if found.return_annotation is found.empty else f" -> {found.return_annotation}"
    line = f"def {name}({', '.join(arguments)}){returned}: ..."
    if len(line) > 100:
        line = f"def {name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){returned}: ..."
    return md.fence("py", line)


def is_ours(found: Any) -> bool:
    """Whether it is a class of the core's that is no kind of part."""
    return inspect.isclass(found) and found.__module__ in (parts.__name__, errors.__name__) and found not in KINDS


def of_class(found: type, heading: str = "") -> Iterator[str]:
    """A class under its own heading: its docstring, its own fields, its methods."""
    yield f"### {heading or md.code(found.__name__)}"
    yield md.from_docstring(inspect.getdoc(found) or "")
    if dataclasses.is_dataclass(found):
        own = {field.name: field for field in dataclasses.fields(found) if field.name in found.__annotations__}
        meanings = comments_in(found)
        rows = [
            (md.code(name), type_cell(field), default_cell(field), meanings.get(name, ""))
            for name, field in own.items()
        ]
        if rows:
            yield md.table(["field", "type", "default", "meaning"], rows)
    if not issubclass(found, Part):
        for name, method in vars(found).items():
            if inspect.isfunction(method) and not name.startswith("_") and method.__doc__:
                yield signature(f"{found.__name__}.{name}", method, method=True).replace("def ", "", 1)
                yield md.from_docstring(inspect.getdoc(method) or "")


def comments_in(found: type) -> dict[str, str]:
    """The meaning of each field of a class, from the comment above it that begins with ``#:``."""
    lines = inspect.getsource(found).splitlines()
    tree = ast.parse(inspect.cleandoc("\n".join(lines))).body[0]
    assert isinstance(tree, ast.ClassDef)
    meanings = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            above: list[str] = []
            for line in reversed(lines[: node.lineno - 1]):
                if not line.strip().startswith("#:"):
                    break
                above.insert(0, line.strip().removeprefix("#:").strip())
            meanings[node.target.id] = md.from_docstring(" ".join(above))
    return meanings


def type_cell(field: dataclasses.Field[Any]) -> str:
    """The type of a field, as in the source."""
    return md.code(str(field.type))


def default_cell(field: dataclasses.Field[Any]) -> str:
    """The default of a field, as in the source."""
    if field.default is not dataclasses.MISSING:
        return md.code(repr(field.default).replace("frozenset()", "set()")).replace("'", '"')
    if field.default_factory is not dataclasses.MISSING:
        return md.code(repr(field.default_factory()))
    return "required"


def of_seam(name: str, text: str) -> tuple[str, str, str]:
    """A seam as a row."""
    arguments, _, gives = text.partition(" -> ")
    return md.code(name), md.code(arguments), gives
