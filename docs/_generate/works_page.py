"""The page of models and data that work: the docstrings of the tests that try them."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from _generate import markdown

#: The folder of these tests.
TESTS = "tests/works"


def page(root: Path) -> str:
    """docs/what-works.md."""
    words = (
        "Each sentence is tested: it is the docstring of a test that tries such a model, dataset or suite. What cannot "
        "work is refused with the reason and with what to do instead."
    )
    groups = [group(path, root) for path in sorted((root / TESTS).glob("test_*.py"))]
    made_from = f"the docstrings of the tests in {TESTS}/"
    return markdown.page("Models and data that work", made_from, words, *groups)


def group(path: Path, root: Path) -> str:
    """The section of one file of tests: its docstring, and an item for each test. Raises ValueError if a test, or the
    file, has no docstring."""
    place = path.relative_to(root)
    module = ast.parse(path.read_text(encoding="utf-8"), str(place))
    heading, about = parts(module, str(place))
    items = []
    for test in tests(module):
        sentence, more = parts(test, f"{place}:{test.lineno}: {test.name}")
        items.append(f"- **{sentence}** {more}".rstrip())
    return "\n\n".join(block for block in (f"## {heading.rstrip('.')}", about, "\n".join(items)) if block)


def tests(module: ast.Module) -> Iterator[ast.FunctionDef]:
    """The test functions of a module, in order."""
    return (node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def parts(node: ast.Module | ast.FunctionDef, place: str) -> tuple[str, str]:
    """The first line of a docstring, and the rest, each on one line."""
    text = ast.get_docstring(node)
    if not text:
        raise ValueError(f"{place} has no docstring")
    first, _, rest = markdown.from_docstring(inspect.cleandoc(text)).partition("\n")
    return first.strip(), " ".join(rest.split())
