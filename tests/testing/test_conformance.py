"""The conformance kit: each promise is kept by what is right, and broken by a part made to break it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

import pytest
from commands import harness

from harness.errors import UserError
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Promise
from harness.testing import Broken, cases

TESTS = Path(__file__).parents[1]
FILES = [TESTS / "toy.py", TESTS / "faults.py"]
sys.path.insert(0, str(TESTS))  # where the kit's fresh processes are told to look by PYTHONPATH

import faults  # noqa: E402

#: Datasets choose their own company; all others get points as they should be.
DATASETS = {part.name for part in faults.provide_datasets()}
SLOW = {"piecemeal", "repeater"}
EACH_FAULT = [
    # An executor starts processes: of its faults one is enough, day by day.
    pytest.param(promise, part, words, id=f"{promise}-{part}", marks=[pytest.mark.slow] if part in SLOW else [])
    for promise, parts in faults.FAULTS.items()
    for part, words in parts
]


def looking_in(folder: Path) -> str:
    """PYTHONPATH with one more folder."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(scope="module")
def catalog():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", looking_in(TESTS))
        yield Catalog(load_plugins(FILES))


@pytest.mark.parametrize(("promise", "part", "words"), EACH_FAULT)
def test_each_fault_is_caught(catalog, promise, part, words):
    (case,) = cases(part, catalog=catalog, only=[promise], using=[] if part in DATASETS else ["apart"])
    seen = case.look()
    assert seen.outcome == "broken", seen
    assert words in seen.what
    with pytest.raises(Broken, match="does not keep"):
        case.check()


def test_every_promise_of_the_core_has_its_fault(catalog):
    ours = {name for name, entry in catalog.entries(Promise).items() if entry.plugin == "rnn-harness"}
    assert ours - faults.FAULTS.keys() == {"door-without-torch"}  # whose fault is a package: see below
    assert not faults.FAULTS.keys() - ours


@pytest.mark.parametrize("part", ["linear", "apart", "shorten", "adaptive", "step_time", "local", "csv"])
def test_what_is_right_keeps_all_its_promises(catalog, part):
    found = cases(part, catalog=catalog, using=[] if part in DATASETS else ["apart"])
    assert len(found) > 3
    seen = {str(case): case.look() for case in found}
    assert not {name: one for name, one in seen.items() if one.outcome == "broken"}
    assert sum(one.outcome == "kept" for one in seen.values()) > len(seen) / 2


def package(folder: Path, name: str, text: str) -> None:
    """An installed distribution, as far as Python can tell."""
    (folder / f"{name}.py").write_text(text)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[harness]\n{name} = {name}\n")


DOOR = """
import harness
{more}
@harness.hookimpl
def provide_metrics():
    yield harness.Metric("at_{name}", "harness.analysis.metrics:step_time", "a step", per="sample")
"""


def test_a_door_that_imports_torch_is_caught(tmp_path, monkeypatch):
    package(tmp_path, "light_door", DOOR.format(name="light_door", more=""))
    package(tmp_path, "heavy_door", DOOR.format(name="heavy_door", more="import torch"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", looking_in(tmp_path))
    catalog = Catalog(load_plugins())
    (light,) = cases("light_door", catalog=catalog, only=["door-without-torch"])  # a plugin's name: all its parts
    (heavy,) = cases("heavy_door", catalog=catalog, only=["door-without-torch"])
    assert light.look().outcome == "kept"
    assert "imports torch" in heavy.look().what


def test_what_cannot_be_told_is_no_failure(catalog):
    (case,) = cases("linear", catalog=catalog, only=["door-without-torch"])
    with pytest.raises(unittest.SkipTest, match="in one file"):
        case.check()


def test_a_slip_is_named(catalog):
    with pytest.raises(UserError, match="Did you mean gradients"):
        cases("linear", catalog=catalog, only=["gradient"])
    with pytest.raises(UserError, match="linear"):
        cases("liner", catalog=catalog)
    with pytest.raises(UserError, match="points"):
        cases("linear", catalog=catalog, using=["pints"])


def test_conform_says_what_was_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", looking_in(TESTS))

    def conform(*arguments: str) -> subprocess.CompletedProcess[str]:
        return harness("-p", TESTS / "faults.py", "conform", *arguments, cwd=tmp_path)

    done = conform("cut_off", "--using", "{name: apart}", "--only", "gradients", "--only", "shapes")
    assert done.returncode == 3
    assert "  passed    shapes" in done.stdout
    assert "  FAILED    gradients: In float64 the gradient of every parameter agrees" in done.stdout
    assert "1 passed, 1 failed, 0 not testable on this machine." in done.stdout
    done = conform("apart", "--only", "batches", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["outcome"] == "kept"
    assert conform("apart", "--only", "gradients").returncode == 2  # which are no dataset's


def test_the_kit_under_pytest(tmp_path):
    """As in anybody's repository: what is kept passes, what is broken fails with its sentence, the rest is skipped."""
    (tmp_path / "test_mine.py").write_text(
        f"""
import pytest
from harness.testing import cases

FOUND = cases("sociable", plugins={[str(file) for file in FILES]!r}, using=["apart"],
              only=["alone-as-in-company", "batch-of-one", "door-without-torch"])

@pytest.mark.parametrize("case", FOUND, ids=str)
def test_keeps_its_promises(case):
    case.check()
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path, text=True, capture_output=True, env={**os.environ, "PYTHONPATH": looking_in(TESTS)},
    )  # fmt: skip
    assert "1 failed, 1 passed, 1 skipped" in done.stdout, done.stdout
    assert "In evaluation an example gets the same answer alone as in a batch of others." in done.stdout
