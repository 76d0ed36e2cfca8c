"""The conformance kit: parts without a fault keep all promises, and each promise has a part that breaks it."""

from __future__ import annotations

import json
import os
import sys
import unittest
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from commands import harness
from inner_pytest import run_pytest

from harness.errors import UserError
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Model, Promise
from harness.testing import Broken, Case, PartUnderTest, cases

TESTS = Path(__file__).parents[1]
FILES = [TESTS / "toy.py", TESTS / "faults.py"]
sys.path.insert(0, str(TESTS))  # fresh processes of the kit find the modules in PYTHONPATH

import faults  # noqa: E402

#: Datasets need no other dataset. All other parts get one without a fault.
DATASETS = {part.name for part in faults.provide_datasets()}
EACH_FAULT = [
    pytest.param(promise, part, words, id=f"{promise}-{part}")
    for promise, parts in faults.FAULTS.items()
    for part, words in parts
]


def with_path(folder: Path) -> str:
    """PYTHONPATH with one more folder."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(scope="module")
def catalog():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", with_path(TESTS))
        yield Catalog(load_plugins(FILES))


@pytest.mark.parametrize(("promise", "part", "words"), EACH_FAULT)
def test_each_fault_is_found(catalog, promise, part, words):
    (case,) = cases(part, catalog=catalog, only=[promise], using=[] if part in DATASETS else ["apart"])
    result = case.run()
    assert result.outcome == "failed", result
    assert words in result.found
    with patch.object(Case, "run", return_value=result), pytest.raises(Broken, match=f"breaks the promise '{promise}'"):
        case.check()


def test_every_promise_of_the_core_has_its_fault(catalog):
    core = {name for name, entry in catalog.entries(Promise).items() if entry.plugin == "rnn-harness"}
    # The faults of these two are packages, see below.
    assert core - faults.FAULTS.keys() == {"torch-free-plugin", "torch-free-code"}
    assert not faults.FAULTS.keys() - core


def test_an_empty_summary_is_found(catalog):
    entry = catalog.find(Model, "linear")
    part = PartUnderTest(catalog, replace(entry, part=replace(entry.part, summary="")))
    case = Case(catalog.find(Promise, "documented").part, part)
    assert case.run().found == "its summary is not one line: ''"


@pytest.mark.parametrize("part", ["linear", "apart", "shorten", "adaptive", "step_time", "local", "csv"])
def test_parts_without_a_fault_keep_all_promises(catalog, part):
    found = cases(part, catalog=catalog, using=[] if part in DATASETS else ["apart"])
    assert len(found) > 3
    results = {str(case): case.run() for case in found}
    assert not {name: one for name, one in results.items() if one.outcome == "failed"}
    assert sum(one.outcome == "passed" for one in results.values()) > len(results) / 2


def package(folder: Path, name: str, text: str) -> None:
    """A distribution that looks installed."""
    (folder / f"{name}.py").write_text(text)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[harness]\n{name} = {name}\n")


PLUGIN = """
{imports}
import harness

@harness.hookimpl
def provide_metrics():
    yield harness.Metric("metric_of_{name}", "{module}:step_time", "a step", per="sample")
"""


def test_imports_of_torch_are_found(tmp_path, monkeypatch):
    package(tmp_path, "light", PLUGIN.format(name="light", imports="", module="harness.analysis.samples"))
    package(tmp_path, "heavy", PLUGIN.format(name="heavy", imports="import torch", module="heavy_code"))
    (tmp_path / "heavy_code.py").write_text("import torch\nfrom harness.analysis.samples import step_time\n")
    (tmp_path / "torch.py").write_text("")  # fresh processes import this empty module instead of torch
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", with_path(tmp_path))
    catalog = Catalog(load_plugins())
    promises = ["torch-free-plugin", "torch-free-code"]
    light = cases("light", catalog=catalog, only=promises)  # the name of a plugin: all its parts
    heavy = cases("heavy", catalog=catalog, only=promises)
    assert [case.run().outcome for case in light] == ["passed", "passed"]
    assert "listing its parts imports torch" in heavy[0].run().found
    assert heavy[1].run().found == "importing heavy_code:step_time imports torch"


def test_a_promise_that_cannot_be_tested_does_not_fail(catalog):
    (case,) = cases("linear", catalog=catalog, only=["torch-free-plugin"])
    with pytest.raises(unittest.SkipTest, match="in one file"):
        case.check()


def test_unknown_name_is_reported(catalog):
    with pytest.raises(UserError, match="Did you mean gradients"):
        cases("linear", catalog=catalog, only=["gradient"])
    with pytest.raises(UserError, match="linear"):
        cases("liner", catalog=catalog)
    with pytest.raises(UserError, match="points"):
        cases("linear", catalog=catalog, using=["pints"])


def test_conform_prints_each_result(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", with_path(TESTS))

    def conform(*arguments: str):
        return harness("-p", TESTS / "faults.py", "conform", *arguments, cwd=tmp_path)

    done = conform("cut_off", "--using", "{name: apart}", "--only", "gradients", "--only", "shapes")
    assert done.returncode == 3
    assert "  passed    shapes" in done.stdout
    assert "  FAILED    gradients: In float64, the gradient of every parameter agrees" in done.stdout
    assert "1 passed, 1 failed, 0 not tested." in done.stdout
    done = conform("apart", "--only", "batches", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["outcome"] == "passed"
    assert conform("apart", "--only", "gradients").returncode == 2  # this is not a promise of datasets


def test_the_kit_under_pytest(tmp_path):
    """In the tests of a plugin, a promise that is kept passes, a broken one fails with its sentence, others are skipped."""
    (tmp_path / "test_mine.py").write_text(
        f"""
import pytest
from harness.testing import cases

FOUND = cases("sociable", plugins={[str(file) for file in FILES]!r}, using=["apart"],
              only=["batch-invariance", "batch-of-one", "torch-free-plugin"])

@pytest.mark.parametrize("case", FOUND, ids=str)
def test_keeps_its_promises(case):
    case.check()
"""
    )
    _, shown = run_pytest(tmp_path, "test_mine.py")
    assert "1 failed, 1 passed, 1 skipped" in shown, shown
    assert "In evaluation mode, the prediction for an example does not depend on the other examples" in shown
