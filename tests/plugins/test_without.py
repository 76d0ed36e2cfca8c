"""Excluded plugins are not imported: neither here, nor in measuring processes, nor when a run is reported."""

from __future__ import annotations

import json
import os
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from commands import call
from toy_suite import SUITE, TOY

from harness.api import python as python
from harness.errors import UserError
from harness.measure.servers import Servers
from harness.plugins.catalog import Catalog
from harness.plugins.manager import installed, load_plugins
from harness.plugins.parts import Model


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution with one module: on the path of this process and of new processes."""
    folder = tmp_path / "site"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))))

    def put(name: str, body: str, version: str = "1", entry_points: tuple[str, ...] = ("entry_point",)) -> Path:
        module = name.replace("-", "_")
        info = folder / f"{module}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = "".join(f"{entry_point} = {module}\n" for entry_point in entry_points)
        (info / "entry_points.txt").write_text(f"[harness]\n{lines}")
        said = tmp_path / f"{name}.said"
        (folder / f"{module}.py").write_text(f"import harness\nopen({str(said)!r}, 'a').write('imported ')\n{body}")
        return said

    yield put
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


ONE = """
@harness.hookimpl
def provide_models():
    yield harness.Model("mine", lambda facts: None)
"""


def harness(*arguments: object, cwd: Path) -> tuple[int, str, str]:
    done = call(*arguments, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


def test_excluded_plugin_is_not_imported(install):
    said = install("package-one", ONE)
    plugins = load_plugins(without=["Package_One"])
    assert plugins.without == ("package-one",)
    assert "package-one" not in plugins.versions
    assert plugins.manager.is_blocked("package-one")
    assert not said.exists()
    assert load_plugins().versions["package-one"] == "1"
    assert said.read_text() == "imported "


def test_without_resolves_a_clash(install):
    install("package-one", ONE, entry_points=("a",))
    install("package-two", ONE, entry_points=("b",))
    with pytest.raises(UserError) as caught:
        Catalog(load_plugins()).find(Model, "mine")
    assert str(caught.value) == (
        "two plugins provide a model named 'mine': package-one and package-two. "
        "Uninstall one of them, or use --without NAME."
    )
    assert Catalog(load_plugins(without=["package-two"])).find(Model, "mine").plugin == "package-one"


def test_environment_variable_excludes_plugins(install, monkeypatch):
    said = [install(name, ONE) for name in ("package-one", "package-two")]
    monkeypatch.setenv("HARNESS_WITHOUT", " package.one, package-two,")
    assert load_plugins(without=["package-one"]).without == ("package-one", "package-two")
    assert not any(path.exists() for path in said)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("package-on", "no plugin named 'package-on' is installed. Did you mean package-one?"),
        ("rnn_harness", "rnn-harness is the core itself"),
    ],
)
def test_core_cannot_be_excluded(install, monkeypatch, name, message):
    install("package-one", ONE)
    with pytest.raises(UserError, match=f"^--without {name}: {message[:20]}") as caught:
        load_plugins(without=[name])
    assert message in str(caught.value)
    monkeypatch.setenv("HARNESS_WITHOUT", name)
    with pytest.raises(UserError, match=r"^HARNESS_WITHOUT: "):
        load_plugins()


def test_distribution_with_several_entry_points(install):
    install("package-one", ONE, entry_points=("first", "second"))
    assert {"package-one:first", "package-one:second"} <= set(installed())
    assert not {name for name in load_plugins(without=["package-one"]).versions if name.startswith("package")}


def test_a_distribution_whose_version_is_a_command(install):
    install("package-one", ONE, version="1\x1b[2J<script>")
    assert load_plugins().versions["package-one"] == r"1\x1b[2J<script>"


def test_entry_point_that_fails_to_load_is_reported(install):
    install("package-one", "raise SystemExit(0)")
    plugins = load_plugins()
    assert [str(problem) for problem in plugins.problems] == ["plugin package-one: import failed: SystemExit: 0"]
    assert "rnn-harness" in plugins.versions


def test_list_shows_excluded_plugins(install, tmp_path):
    install("package-one", ONE)
    install("package-two", ONE)
    code, output, errors = harness("--without", "package-one", "list", "--without", "package-two", cwd=tmp_path)
    assert code == 0, errors
    assert "left out: plugin package-one\nleft out: plugin package-two\n" in output
    listed = json.loads(harness("list", "--without", "package-one", "--json", cwd=tmp_path)[1])
    assert listed["without"] == ["package-one"]
    code, _, errors = harness("list", "--without", "package-on", cwd=tmp_path)
    assert (code, errors.partition(".")[0]) == (
        2,
        "Error: --without package-on: no plugin named 'package-on' is installed",
    )


def test_exclusion_applies_in_the_measuring_process(install, tmp_path):
    said = install("package-one", ONE)
    with Servers(tmp_path, Catalog(load_plugins([], ["package-one"]))) as servers:
        facts = servers.get({}).facts
    assert not said.exists()
    assert "package-one" not in facts["plugins"]


def test_exclusion_is_stored_with_the_run(install, tmp_path):
    said = install("package-one", ONE)
    (tmp_path / "toy.yaml").write_text(SUITE)
    code, _, errors = harness("-p", TOY, "run", "toy.yaml", "--without", "package-one", cwd=tmp_path)
    assert code == 0, errors
    (folder,) = (tmp_path / "results" / "toy").iterdir()
    assert json.loads((folder / "plan.json").read_text())["overrides"]["without"] == ["package-one"]
    for command in (
        ("report", folder),
        ("report", folder, "--as", "json"),
        ("run", "--resume", folder),
        ("plot", folder, "--list"),
        ("export", "plain", folder, "--script", "--no-check"),
    ):
        code, _, errors = harness(*command, cwd=tmp_path)
        assert code == 0, errors
        assert "package-one" not in errors
    assert not said.exists()
    assert json.loads((folder / "plan.json").read_text())["overrides"]["without"] == ["package-one"]
    assert "--without package-one run toy.yaml" in (folder / "report.html").read_text()
    # A distribution that was uninstalled since is still excluded.
    for path in (tmp_path / "site").glob("*.dist-info/*"):
        path.unlink()
    assert harness("report", folder, cwd=tmp_path)[0] == 0


def test_exclusion_is_stored_with_a_suite_batch(install, tmp_path):
    said = install("package-one", ONE)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "toy.yaml").write_text(SUITE)
    code, _, errors = harness("-p", TOY, "run", "suites", "--without", "package-one", cwd=tmp_path)
    assert code == 0, errors
    (page,) = (tmp_path / "results" / "pages").iterdir()
    code, _, errors = harness("-p", TOY, "run", "--resume", page, cwd=tmp_path)
    assert code == 0, errors
    assert harness("report", page, cwd=tmp_path)[0] == 0
    assert not said.exists()


def test_python_interface_excludes_plugins(install, tmp_path):
    said = install("package-one", ONE)
    (tmp_path / "toy.yaml").write_text(SUITE)
    with chdir(tmp_path):
        result = python.run("toy.yaml", plugins=[TOY], without=["package-one"])
        again = python.open(result.folder)
        python.resume(result.folder)
    assert again.summary == result.summary
    assert not said.exists()
