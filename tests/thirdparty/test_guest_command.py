"""An installed package brings a command: it is listed under its group, runs, and can be left out."""

from __future__ import annotations

import re
import zipfile

import pytest
from commands import call
from made_runs import store


def archive_group(text: str) -> str:
    """The lines under the heading of the package's group; empty without the heading."""
    found = re.search(r"^Archive:\n((?:  .*\n)+)", text, re.MULTILINE)
    return found[1] if found else ""


def test_the_help_lists_it_under_its_group(tmp_path):
    assert re.fullmatch(
        r"  bundle +Pack a run into one zip file\.\n", archive_group(call("--help", cwd=tmp_path).stdout)
    )
    assert "Usage: harness bundle [OPTIONS] [RUN]" in call("bundle", "--help", cwd=tmp_path).stdout


def test_it_runs(tmp_path):
    store(tmp_path / "results", "run0", 1.1, 0)
    done = call("bundle", "made", "--output", "made.zip", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "made.zip: 3 files of run0\n"), done.stderr
    names = zipfile.ZipFile(tmp_path / "made.zip").namelist()
    assert names == ["run0/machine.json", "run0/plan.json", "run0/records.jsonl"]
    assert "there is no run of 'mad' in it. Did you mean made?" in call("bundle", "mad", cwd=tmp_path).stderr


def test_a_slip_in_its_name_is_answered(tmp_path):
    done = call("bundel", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: there is no command named 'bundel'. Did you mean bundle?")


@pytest.mark.parametrize("name", ["guest-command", "Guest_Command"])
def test_left_out_it_is_gone(tmp_path, name):
    text = call("--without", name, "--help", cwd=tmp_path).stdout
    assert "Usage: harness" in text
    assert not archive_group(text)
    done = call("--without", name, "bundle", cwd=tmp_path)
    assert (done.returncode, "there is no command named 'bundle'" in done.stderr) == (2, True)
