"""The documented import paths work, and each package says what it is for."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import harness

PUBLIC = {
    "harness": [
        "Batch", "Command", "Data", "Dataset", "Executor", "MeasureKind", "Metric", "Model", "Optimization", "Promise", "Quantity",
        "Recipe", "Reporter", "Result", "Samples", "Score", "Settings", "Skip", "Stage", "UserError", "hookimpl", "open", "resume",
        "run",
    ],
    "harness.api": ["Result", "open", "resume", "run"],
    "harness.cli": ["main"],
    "harness.plan": ["make_plan"],
    "harness.plugins": ["Catalog", "Plugins", "SEAMS", "load_plugins"],
    "harness.records": ["Block", "Claim", "Plan", "Record", "Store", "Trial"],
    "harness.report": ["Report", "Section", "Table", "make_report", "report_of", "to_json"],
    "harness.suite": ["Suite", "load_suite", "parse_suite"],
    "harness.testing": ["Broken", "assert_promises", "cases", "verify_level", "verify_levels"],
}  # fmt: skip
PACKAGES = sorted(path.parent for path in Path(harness.__file__).parent.glob("*/__init__.py"))


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in PUBLIC.items() for name in names])
def test_a_public_name_can_be_imported(module, name):
    assert getattr(import_module(module), name) is not None


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_says_what_goes_in_what_comes_out_and_who_may_import_it(package):
    words = " ".join((ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or "").split())
    assert "In: " in words
    assert "Out: " in words
    assert "import" in words.split("Out: ")[1]
