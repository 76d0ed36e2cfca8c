"""Shell completion: the script of each shell, and the offered names."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ZshComplete
from commands import call
from toy_suite import SUITE, TOY

from harness.cli.app import cli
from harness.cli.completion import INSTALL
from harness.records.store import Store


def items(*words: str):
    *before, typed = words
    return ZshComplete(cli, {}, "harness", "_HARNESS_COMPLETE").get_completions(["-p", str(TOY), *before], typed)


def offered(*words: str) -> list[str]:
    """The completions of the last word."""
    return [item.value for item in items(*words)]


@pytest.fixture
def runs(here: Path, planned, monkeypatch) -> list[str]:
    """Two runs, the latest first."""
    monkeypatch.chdir(here)
    folders = [Store.create(Path("results"), planned(), SUITE).folder for _ in range(2)]
    return [str(folder) for folder in reversed(folders)]


def test_commands_options_and_choices():
    assert offered("re") == ["report"]
    assert [item.help for item in items("doc")] == [
        "Check whether this machine is suitable for benchmarking, and suggest fixes."
    ]
    assert offered("run", "--qu") == ["--quick"]
    assert offered("plot", "--format", "p") == ["png", "pdf"]
    assert [item.type for item in items("run", "sui")] == ["file"]


def test_names_of_parts():
    assert "linear" in offered("describe", "lin")
    assert [item.help for item in items("describe", "mlp")] == ["model: two linear maps"]
    assert offered("report", "--as", "j") == ["json", "junit"]
    assert offered("run", "--executor", "") == ["local"]
    assert offered("compare", "--metric", "step") == ["step_time"]
    assert offered("conform", "mlp", "--only", "grad") == ["gradients"]


def test_runs(runs):
    for words in (["report"], ["explain"], ["plot"], ["run", "--resume"], ["compare", "latest"]):
        assert offered(*words, "") == ["latest", "suite", *runs]
        assert offered(*words, "results/") == runs
    assert [item.type for item in items("report", "elsewhere")] == ["dir"]


def test_presets_of_the_suite(here):
    suite = here / "toy.yaml"
    suite.write_text(SUITE + "presets:\n  full: {measure.speed.seconds: 1 s}\n  fast: {measure.speed.seconds: 10 ms}\n")
    assert offered("run", str(suite), "--preset", "f") == ["full", "fast"]
    assert offered("check", "--preset", "fa") == [], "no suite is named yet"
    suite.write_text("presets: [")
    assert offered("run", str(suite), "--preset", "f") == []


def test_errors_complete_nothing_and_print_nothing(here, capfd):
    (here / "broken.py").write_text("print('hello')\nimport no_such_module\n")
    assert offered("-p", str(here / "broken.py"), "describe", "lin") == []
    assert capfd.readouterr() == ("", "")
    assert "run" in offered("-p", str(here / "broken.py"), "r")


@pytest.mark.parametrize("shell", list(INSTALL))
def test_completion_script_explains_its_installation(here, monkeypatch, shell):
    done = call("completion", shell, cwd=here)
    first, _, script = done.stdout.partition("\n")
    assert first == f"# To complete in every new {shell}, {INSTALL[shell]}"
    assert f"_HARNESS_COMPLETE={shell}_complete" in script
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert call("completion", cwd=here).stdout == done.stdout


def test_unsupported_shell_is_an_error(here, monkeypatch):
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    done = call("completion", cwd=here)
    assert done.stderr == "Error: no completion for the shell in SHELL='/bin/tcsh'. Name one: harness completion bash\n"
    assert call("completion", "tcsh", cwd=here).returncode == 2
