"""Promises about what a part declares: imports, texts and parameters."""

from __future__ import annotations

import inspect
from functools import cache

from harness.plugins.catalog import Catalog
from harness.plugins.file_paths import holds_paths
from harness.plugins.parts import Skip
from harness.plugins.signature import REQUIRED, check_values
from harness.testing.part_under_test import Broken, PartUnderTest
from harness.testing.subprocess_checks import ask


@cache  # the result is the same for all parts of a plugin
def imports_torch(check: str, catalog: Catalog, **details: str) -> bool:
    """Whether this check imports torch in a fresh process."""
    return bool(ask(check, catalog, **details))


def torch_free_plugin(part: PartUnderTest) -> None:
    """A fresh process lists all parts of the plugin without importing torch."""
    if part.entry.version.startswith("sha256:"):
        raise Skip("a plugin in one file may import torch")
    if imports_torch("list_parts", part.catalog, plugin=part.entry.plugin):
        raise Broken('listing its parts imports torch; refer to their code as "module:attribute"')


def torch_free_code(part: PartUnderTest) -> None:
    """A fresh process imports the part's code without importing torch, because reports are made without torch."""
    reference = part.declared.build
    if not isinstance(reference, str):
        raise Skip("its code is in a plugin of one file")
    if imports_torch("import_code", part.catalog, reference=reference):
        raise Broken(f"importing {reference} imports torch")


def documented(part: PartUnderTest) -> None:
    """`harness list` shows the summary, `harness describe` the docstring."""
    if len(part.declared.summary.strip().splitlines()) != 1:
        raise Broken(f"its summary is not one line: {part.declared.summary!r}")
    if not inspect.getdoc(part.code):
        raise Broken(f"{part.code.__module__}:{part.code.__qualname__} has no docstring")


def parameters_have_defaults(part: PartUnderTest) -> None:
    """A suite accepts the default of each parameter."""
    for name, parameter in part.schema.items():
        if parameter.default is not REQUIRED:
            _, errors = check_values({name: parameter}, {name: parameter.default}, part.owner)
            if errors:
                raise Broken(f"a suite would reject the default of {name}: {errors[0].what}")
        elif not holds_paths(parameter.annotation):
            raise Broken(f"{name} has no default; only a path (harness.FilePath) may lack one")


def invalid_parameters_are_rejected(part: PartUnderTest) -> str:
    """Each parameter rejects an object, a mapping and a list, unless its type is a mapping or a list."""
    for name, parameter in part.schema.items():
        for value in (object(), {"no": "such"}, [["no"]]):
            kind = type(value).__name__
            _, errors = check_values({name: parameter}, {name: value}, part.owner)
            if not errors and (kind == "object" or kind not in parameter.type_name.lower()):
                raise Broken(f"{name} accepts {kind} {value!r}: its type {parameter.type_name} rejects nothing")
    return f"{len(part.schema)} parameters"
