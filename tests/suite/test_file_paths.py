"""Paths in a suite are relative to the suite, and those of options to the working folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from toy_suite import SUITE, TOY

from harness import FilePath
from harness.api.lookup import PluginChoice
from harness.api.session import Session, SuiteOverrides, plan_of
from harness.errors import UserError
from harness.plugins.file_paths import holds_paths
from harness.records.store import Store

PLUGIN = """
from pathlib import Path
import harness

def counted(*, path: harness.FilePath, others: list[harness.FilePath] | None = None) -> harness.Data:
    "As many points as the file says."
    import toy
    return toy.points(size=int(Path(path).read_text()))

def fingerprint(*, path, others):
    return Path(path).read_text()

@harness.hookimpl
def provide_datasets():
    yield harness.Dataset("counted", counted, fingerprint=fingerprint)
"""


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    (tmp_path / "suites").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "size.txt").write_text("16")
    (tmp_path / "suites" / "near.txt").write_text("24")
    (tmp_path / "counted_plugin.py").write_text(PLUGIN)
    write(tmp_path, "{name: counted, path: ../data/size.txt}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "counted_plugin", raising=False)  # that of another test
    return tmp_path


def write(home: Path, dataset: str) -> None:
    text = SUITE.replace("{name: points, batch_size: 8}", dataset)
    (home / "suites" / "own.yaml").write_text(text + "presets:\n  near: {base.dataset.path: near.txt}\n")


PLUGINS = PluginChoice((TOY, Path("counted_plugin.py")))


def path_in_plan(*settings: str, preset: str | None = None, suite: str = "suites/own.yaml") -> str:
    plan = plan_of(Path(suite), SuiteOverrides(settings, preset=preset), PLUGINS)[-1]
    return plan.blocks[0].baseline.dataset.parameters["path"]


def test_a_path_in_a_suite_is_relative_to_the_suite(home):
    assert path_in_plan() == "data/size.txt"
    assert path_in_plan(preset="near") == "suites/near.txt"
    assert path_in_plan("base.model=linear") == "data/size.txt"


def test_a_path_of_an_option_is_relative_to_the_working_folder(home):
    assert path_in_plan("base.dataset.path=data/size.txt") == "data/size.txt"
    assert path_in_plan("base.dataset={name: counted, path: suites/near.txt}") == "suites/near.txt"


def test_a_path_outside_the_working_folder_is_stored_whole(home, monkeypatch):
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    choice = PluginChoice((TOY, home / "counted_plugin.py"))
    plan = plan_of(home / "suites" / "own.yaml", SuiteOverrides(), choice)[-1]
    assert plan.blocks[0].baseline.dataset.parameters["path"] == str(home / "data" / "size.txt")
    assert plan.overrides["folder"] == str(home / "suites")


def test_each_path_of_a_list_is_located(home):
    write(home, "{name: counted, path: near.txt, others: [near.txt, ../data/size.txt]}")
    plan = plan_of(Path("suites/own.yaml"), SuiteOverrides(), PLUGINS)[-1]
    assert plan.blocks[0].baseline.dataset.parameters["others"] == ["suites/near.txt", "data/size.txt"]


def test_a_path_relative_to_the_working_folder_is_explained(home):
    write(home, "{name: counted, path: data/size.txt}")
    with pytest.raises(UserError) as caught:
        path_in_plan()
    assert str(caught.value) == (
        "suites/own.yaml:5:28: there is no data/size.txt in suites, the folder of the suite, to which paths in a suite are "
        "relative. data/size.txt is in the working folder: write ../data/size.txt."
    )


def test_a_missing_file_is_named_with_its_whole_place(home):
    write(home, "{name: counted, path: nowhere.txt}")
    with pytest.raises(UserError, match=r"suites/nowhere\.txt"):
        path_in_plan()


def test_a_run_is_resumed_with_the_same_paths(home):
    begun = SuiteOverrides(["measure.speed.seconds=5 ms"])
    plan = plan_of(Path("suites/own.yaml"), begun, PLUGINS)[-1]
    assert plan.overrides["folder"] == "suites"
    store = Store.create(Path("results"), plan, Path("suites/own.yaml").read_text())
    assert Session.resume(store.folder, PLUGINS).plan == store.plan() == plan


def test_which_annotations_hold_paths():
    assert all(map(holds_paths, (FilePath, FilePath | None, list[FilePath], dict[str, FilePath | None])))
    assert not any(map(holds_paths, (str, str | None, list[str], int)))
