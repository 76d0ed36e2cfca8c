"""An installed package adds a command: its group in the help, its run, errors, and --without."""

from __future__ import annotations

import re
import sys
import zipfile

import pytest
from commands import call
from made_runs import store


def archive_group(text: str) -> str:
    """The lines under the heading of the package's group; empty without the heading."""
    found = re.search(r"^Archive:\n((?:  .*\n)+)", text, re.MULTILINE)
    return found[1] if found else ""


def test_help_lists_the_command_under_its_group(tmp_path):
    assert re.fullmatch(
        r"  bundle +Pack a run into one zip file\.\n", archive_group(call("--help", cwd=tmp_path).stdout)
    )
    assert "Usage: harness bundle [OPTIONS] [RUN]" in call("bundle", "--help", cwd=tmp_path).stdout


def test_command_runs(tmp_path):
    store(tmp_path / "results", "run0", 1.1, 0)
    done = call("bundle", "made", "--output", "made.zip", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "made.zip: 3 files of run0\n"), done.stderr
    names = zipfile.ZipFile(tmp_path / "made.zip").namelist()
    assert names == ["run0/machine.json", "run0/plan.json", "run0/records.jsonl"]
    assert "there is no run of 'mad' in it. Did you mean made?" in call("bundle", "mad", cwd=tmp_path).stderr


def test_list_and_describe_name_the_command(tmp_path):
    assert "  bundle " in call("list", "commands", cwd=tmp_path).stdout
    described = call("describe", "bundle", cwd=tmp_path).stdout
    assert described.startswith("command bundle: Pack a run into one zip file.  (guest-command 1.2.3)\n")


def test_misspelled_command_gets_a_suggestion(tmp_path):
    done = call("bundel", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: there is no command named 'bundel'. Did you mean bundle?")


@pytest.mark.parametrize("name", ["guest-command", "Guest_Command"])
def test_command_is_absent_without_its_package(tmp_path, name):
    text = call("--without", name, "--help", cwd=tmp_path).stdout
    assert "Usage: harness" in text
    assert not archive_group(text)
    done = call("--without", name, "bundle", cwd=tmp_path)
    assert (done.returncode, "there is no command named 'bundle'" in done.stderr) == (2, True)


@pytest.fixture
def broken_import(monkeypatch):
    """Makes the import of a module of the package fail."""

    def make(module: str) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "guest_command"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, module, None)

    return make


def test_failing_import_of_the_code_breaks_only_the_command(tmp_path, broken_import):
    store(tmp_path / "results", "run0", 1.1, 0)
    broken_import("guest_command.bundle")
    for arguments in (["bundle", "made"], ["bundle", "--help"]):
        done = call(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(
            "Error: command bundle (plugin guest-command): importing guest_command.bundle failed: ModuleNotFoundError"
        )
    assert archive_group(call("--help", cwd=tmp_path).stdout).startswith("  bundle ")
    assert call("report", "results/made/run0", cwd=tmp_path).returncode == 0


def test_failing_import_of_the_package_breaks_only_its_command(tmp_path, broken_import):
    store(tmp_path / "results", "run0", 1.1, 0)
    broken_import("guest_command")
    done = call("bundle", "made", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: there is no command named 'bundle'.")
    assert "plugin guest-command: import failed: ModuleNotFoundError" in done.stderr
    shown = call("--help", cwd=tmp_path).stdout
    assert not archive_group(shown)
    assert "plugin guest-command: import failed: ModuleNotFoundError" in " ".join(shown.split())
    assert call("report", "results/made/run0", cwd=tmp_path).returncode == 0
