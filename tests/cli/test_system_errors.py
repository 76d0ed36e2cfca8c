"""Errors of the system: full disks, closed pipes, wrong variables, and encodings that lack characters."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMAND, harness, lines_of, the_run
from toy_suite import SUITE

TURTLE = "\U0001f422"
NAMED = SUITE.replace("backwards: {use: [reverse]}", f"'é {TURTLE}': {{use: [reverse]}}")


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A folder with a complete run of a level that few encodings can show."""
    here = tmp_path_factory.mktemp("stored")
    (here / "toy.yaml").write_text(NAMED, encoding="utf-8")
    assert harness("run", "toy.yaml", cwd=here).returncode == 0
    return here


def process(here: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """A process of the command line. Only `run` and `plan` need the parts of the toy, which import torch."""
    command = COMMAND if arguments[0] in ("run", "plan") else [sys.executable, "-m", "harness"]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([*command, *arguments], cwd=here, **given)  # type: ignore[call-overload]


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "100000", "", "\u0663"])
def test_a_wrong_number_of_threads_is_refused_before_anything_starts(stored, monkeypatch, value):
    monkeypatch.setenv("HARNESS_THREADS", value)
    for arguments in (["check", "toy.yaml"], ["run", "--resume", the_run(stored)]):
        done = harness(*arguments, cwd=stored)
        assert done.returncode == 2
        assert f"HARNESS_THREADS: expected a number of threads from 1 to 1024, found {value!r}" in done.stderr
    assert the_run(stored)


def test_a_disk_that_becomes_full_ends_a_run_that_can_be_resumed(tmp_path):
    (tmp_path / "toy.yaml").write_text(NAMED, encoding="utf-8")

    def little_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, 6_000))

    done = process(tmp_path, "run", "toy.yaml", preexec_fn=little_space)
    folder = the_run(tmp_path)
    records = lines_of(folder)
    assert done.returncode == 2, done.stderr
    assert records
    last = done.stderr.decode().splitlines()[-1]
    relative = folder.relative_to(tmp_path)
    assert last == (
        f"Error: {relative}/records.jsonl: the system reports: File too large. Everything measured before is stored. "
        f"Continue with: harness run --resume {relative}"
    )
    again = harness("run", "--resume", folder, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert lines_of(folder)[: len(records)] == records


def test_a_full_disk_is_not_the_fault_of_a_reporter(stored, tmp_path):
    here = shutil.copytree(stored, tmp_path / "copy")
    old = (the_run(here) / "report.html").read_bytes()

    def little_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))

    done = process(here, "report", preexec_fn=little_space)
    assert done.returncode == 3
    assert b"report.html cannot be written, the system reports: File too large" in b" ".join(done.stdout.split())
    assert b"reporter html" not in done.stdout
    assert (the_run(here) / "report.html").read_bytes() == old
    assert not list(the_run(here).rglob("*.part"))


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_full_output_and_a_closed_one_never_say_that_a_claim_is_false(stored, stream):
    arguments = {"stdout": ["report"], "stderr": ["check", "nothing.yaml"]}[stream]
    with Path("/dev/full").open("wb") as full:
        assert process(stored, *arguments, **{stream: full}).returncode == 2
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert process(stored, "--help", stdout=writing).returncode == 141
        assert process(stored, *arguments, **{stream: writing}).returncode in (2, 141)
    finally:
        os.close(writing)
    command = [sys.executable, "-m", "harness", *arguments]
    shell = f'exec "$@" {"1" if stream == "stdout" else "2"}>&-'
    done = subprocess.run(["sh", "-c", shell, "sh", *command], cwd=stored, capture_output=True)
    assert done.returncode == (0 if stream == "stdout" else 2)


def test_characters_that_the_output_lacks_are_escaped(stored):
    """If only ASCII is declared, click writes UTF-8."""
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = process(stored, "report", env=environment)
    assert done.returncode == 0, done.stderr
    assert b"\\U0001f422" in done.stdout
    for arguments in (["report", "--json"], ["history", "--json"]):
        printed = process(stored, *arguments, env=environment)
        assert printed.returncode == 0, printed.stderr
        assert f"é {TURTLE}" in str(json.loads(printed.stdout.decode("latin-1")))
    error = process(stored, "check", f"no-{TURTLE}.yaml", env=environment)
    assert error.returncode == 2
    assert b"file not found" in error.stderr


@pytest.mark.slow
def test_files_are_utf_8_in_every_locale(stored, tmp_path):
    here = shutil.copytree(stored, tmp_path / "copy")
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for arguments in (["report"], ["run", "toy.yaml"]):
        done = process(here, *arguments, env={**os.environ, **plain})
        assert done.returncode == 0, done.stderr
    texts = [path for path in the_run_folders(here) for path in path.rglob("*") if is_text(path)]
    assert len(texts) > 20
    assert sum(TURTLE in path.read_text(encoding="utf-8") for path in texts) > 8


def the_run_folders(here: Path) -> list[Path]:
    return list((here / "results" / "toy").iterdir())


def is_text(path: Path) -> bool:
    return bool(re.fullmatch(r"\.(json|jsonl|md|html|csv|txt|xml|tex|yaml)", path.suffix))
