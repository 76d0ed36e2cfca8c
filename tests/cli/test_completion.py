"""What TAB offers, asked of click's own shell classes and once of a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ZshComplete
from click.testing import CliRunner
from toy_suite import SUITE, TOY

from harness.cli.app import cli
from harness.cli.completion import INSTALL, VARIABLE, Bash
from harness.records.store import Store

RICH = """
question: Which?
base:
  model: {name: linear, bias: true}
  dataset: {name: points, batch_size: 8}
  use: [{name: descent, lr: 0.5}]
axes:
  what: {plain: {}, backwards: {use: [reverse]}, other: {model: {bias: false}}}
  size: {path: dataset.batch_size, values: [8, 16]}
compare: {axis: what, baseline: plain}
measure:
  speed: {of: train, cache: cold}
presets:
  full: {measure.speed.seconds: 1 s}
  fast: {measure.speed.seconds: 10 ms}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path = tmp_path / "work"
    for name, text in {
        "one.yaml": SUITE,
        "services.yaml": "services: {}\n",
        "suites/packing.yaml": SUITE,
        "suites/padding.yaml": RICH,
        "suites/ports.yaml": "ports: []\n",
        "suites/full/all.yaml": SUITE,
        "docs/index.md": "# Docs\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def runs(here: Path, planned) -> list[str]:
    """Two runs, the newest first; of a plan with a context."""
    plan = planned(text=RICH)
    folders = [Store.create(Path("results"), plan, RICH).folder for _ in range(2)]
    for age, folder in enumerate(folders):
        os.utime(folder / "plan.json", (1e9 + age, 1e9 + age))
    return [str(folder) for folder in reversed(folders)]


def offered(*words: str) -> list[str]:
    """What is offered for the last word, after the others."""
    *before, incomplete = words
    return [item.value for item in items(before, incomplete)]


def items(before: list[str], incomplete: str):
    return ZshComplete(cli, {}, "harness", VARIABLE).get_completions(["-p", str(TOY), *before], incomplete)


@pytest.mark.parametrize("verb", [["run"], ["check"], ["plan"], ["run", "--quick"]])
def test_suites(here, verb):
    assert offered(*verb, "") == ["one.yaml", "suites/", "suites/packing.yaml", "suites/padding.yaml"]
    assert offered(*verb, "sui") == ["suites/", "suites/packing.yaml", "suites/padding.yaml"]
    assert offered(*verb, "suites/pa") == ["suites/packing.yaml", "suites/padding.yaml"]
    assert offered(*verb, "suites/f") == ["suites/full/", "suites/full/all.yaml"]
    assert offered(*verb, "suites/full/") == ["suites/full/all.yaml"]
    assert offered(*verb, "./suites/pac") == ["./suites/packing.yaml"]
    assert offered(*verb, "../") == [f"../{here.name}/", f"../{here.name}/one.yaml"]


def test_suites_at_home_and_at_the_root(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    assert offered("run", "~/suites/pac") == ["~/suites/packing.yaml"]
    assert offered("run", f"{here}/suites/pac") == [f"{here}/suites/packing.yaml"]


@pytest.mark.parametrize("path", ["services", "docs/", "nowhere/", "~nobody/"])
def test_where_no_suite_is_the_shell_offers_its_files(here, path):
    (item,) = items(["run"], path)
    assert (item.type, item.value) == ("file", path)


def test_names_of_parts(here):
    assert set(offered("describe", "ad")) >= {"adaptive"}
    assert {"linear", "points", "descent", "step_time", "csv", "local"} <= set(offered("describe", ""))
    helps = {item.value: item.help for item in items(["describe"], "m")}
    assert helps["mlp"] == "model: two linear maps"
    assert offered("list", "mo") == ["models"]
    assert offered("list", "model") == ["models"]
    assert {"mlp", "toy.py", "rnn-harness"} <= set(offered("conform", ""))
    assert offered("conform", "mlp", "--only", "grad") == ["gradients"]
    assert "points" in offered("conform", "mlp", "--using", "po")
    assert offered("report", "--as", "j") == ["json", "junit"]
    assert offered("run", "--executor", "") == ["local"]
    assert offered("compare", "--metric", "step") == ["step_time"]
    assert offered("run", "--device", "") == ["cpu", "cuda"]


def test_presets_and_levels_of_the_suite(here):
    suite = "suites/padding.yaml"
    assert offered("run", suite, "--preset", "f") == ["full", "fast"]
    assert offered("run", suite, "--preset", "x") == []
    assert offered("run", suite, "--only", "") == [
        "what=plain", "what=backwards", "what=other", "size=8", "size=16",
    ]  # fmt: skip
    assert offered("run", suite, "--quick", "--only", "what=b") == ["what=backwards"]
    assert offered("run", suite, "--only=what=b") == ["what=backwards"]
    assert offered("plan", suite, "--only", "what=other,") == ["what=other,plain", "what=other,backwards"]
    assert offered("check", suite, "--only", "size=8,1") == ["size=8,16"]
    assert offered("run", "--only", "what") == [], "no suite is named yet"


def test_fields_of_the_suite_and_of_its_form(here):
    def settings(text: str) -> list[str]:
        return offered("run", "suites/padding.yaml", "--set", text)

    every = settings("")
    assert all(path.endswith("=") for path in every)
    assert len(set(every)) == len(every)
    assert every.index("base.model.bias=") < every.index("base.device="), "what the suite has comes first"
    assert {"base.use.descent.lr=", "measure.speed.half_width=", "measure.learning.seeds=", "measure.limit="} <= set(
        every
    )
    assert not [path for path in every if path.startswith(("axes", "claims", "presets", "base.use.name"))]
    assert settings("base.model.b") == ["base.model.bias="]
    assert settings("base.model.bias=") == ["base.model.bias=true"]
    assert settings("measure.speed.cache=") == ["measure.speed.cache=cold", "measure.speed.cache=warm"]
    assert settings("measure.speed.of=i") == ["measure.speed.of=inference"]
    assert "base.model=mlp" in settings("base.model=")
    assert settings("base.dataset.name=po") == ["base.dataset.name=points"]
    assert settings("nothing=") == []


def test_runs(runs):
    newest, older = runs
    for verb in (["report"], ["explain"], ["plot"], ["run", "--resume"], ["export", "plain"]):
        found = [one for one in offered(*verb, "") if not one.endswith(".yaml") and one != "suites/"]
        assert found == ["latest", newest, older]
        assert offered(*verb, "results/suite") == [newest, older]
    assert offered("report", "results/") == [newest, older, "results/suite/"]
    assert offered("compare", "suit") == ["suite", "suite~1"]
    assert offered("compare", "suite", "res") == [newest, older]
    assert offered("history", "s") == ["suite"]
    assert "suites/padding.yaml" in offered("export", "plain", "sui")


def test_runs_elsewhere(runs, here):
    shutil.move("results", "kept")
    assert offered("report", "--results", "kept", "lat") == ["latest"]
    assert offered("report", "--results", "kept", "kept/suite/") == [one.replace("results", "kept") for one in runs]
    assert sorted(offered("report", "kept/suite/")) == sorted(one.replace("results", "kept") for one in runs)
    assert offered("report", "kept/") == ["kept/suite/"]
    (item,) = items(["report"], "do")
    assert (item.type, item.value) == ("dir", "do")


def test_pages_can_be_gone_on_with(runs, here):
    page = here / "results" / "pages" / "2026-01-01T000000"
    page.mkdir(parents=True)
    (page / "page.json").write_text("{}")
    assert offered("run", "--resume", "results/p") == ["results/pages/2026-01-01T000000"]


def test_levels_of_a_run(runs):
    newest, _ = runs
    for run in (newest, "latest"):
        assert offered("explain", run, "") == ["plain", "backwards", "other"]
        assert offered("explain", run, "plain", "") == ["backwards", "other"]
        assert offered("explain", run, "--only", "size") == ["size=8", "size=16"]
    assert offered("compare", "suite~1", "suite", "--only", "s") == ["size=8", "size=16"]
    assert set(offered("export", "")) >= {"plain", "8/plain", "16/other"}


@pytest.mark.parametrize("text", ["", "axes: [", "- a\n", "axes: 3\n", "axes: {a: 3, b: {path: x, values: 4}}\n", "\0"])
def test_a_half_written_suite_offers_nothing_and_complains_of_nothing(here, text, capsys):
    (here / "half.yaml").write_text(text)
    for option in ("--only", "--preset"):
        assert offered("run", "half.yaml", option, "x") == []
    offered("run", "half.yaml", "--set", "")
    assert offered("run", "missing.yaml", "--set", "b") == []
    assert offered("explain", "latest", "") == []
    assert capsys.readouterr() == ("", "")


def test_a_plugin_that_prints_or_fails_spoils_nothing(here, capsys):
    (here / "loud.py").write_text("print('hello')\n")
    (here / "broken.py").write_text("import no_such_module\n")
    assert offered("-p", "loud.py", "list", "exec") == ["executors"]
    assert "linear" in offered("-p", "loud.py", "describe", "lin")
    assert offered("-p", "broken.py", "describe", "lin") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "at", "before", "incomplete", "cut"),
    [
        (["run", "s.yaml"], 2, ["run"], "s.yaml", 0),
        (["run"], 2, ["run"], "", 0),
        (["run", "--only", "a", "=", "b"], 5, ["run", "--only"], "a=b", 2),
        (["run", "--only", "a", "="], 4, ["run", "--only"], "a=", 2),
        (["run", "--only", "a", "=", "b,c"], 5, ["run", "--only"], "a=b,c", 2),
        (["run", "--only", "=", "a", "=", "b"], 6, ["run"], "--only=a=b", 2),
        (["run", "--only", "a=b"], 3, ["run", "--only"], "a=b", 0),
        (["run", "--device", "cuda", ":", "1"], 5, ["run", "--device"], "cuda:1", 5),
        (["run", "--set", "a", "=", "b", "--set", "c"], 7, ["run", "--set", "a=b", "--set"], "c", 0),
        (["run", "--set", "a", "=", "b", "more"], 3, ["run", "--set"], "a", 0),
        (["run", "--set", "a", "=", "b"], 6, ["run", "--set", "a=b"], "", 0),
    ],
)  # fmt: skip
def test_bash_takes_words_apart_and_they_are_put_together(monkeypatch, words, at, before, incomplete, cut):
    monkeypatch.setenv("COMP_WORDS", "\n".join(["harness", *words]))
    monkeypatch.setenv("COMP_CWORD", str(at))
    shell = Bash(cli, {}, "harness", VARIABLE)
    assert shell.get_completion_args() == (before, incomplete)
    assert shell.cut == cut


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "suites/pa"], ["suites/packing.yaml", "suites/padding.yaml"]),
        (["run", "suites/padding.yaml", "--only", "what", "=", "b"], ["backwards"]),
        (["run", "suites/padding.yaml", "--only", "=", "what", "=", "b"], ["backwards"]),
        (["run", "suites/padding.yaml", "--set", "measure.speed.cache", "="], ["cold", "warm"]),
        (["describe", "step_"], ["step_time"]),
        (["run", "broken'quote"], []),
    ],
)
@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_a_real_bash(here, words, expected):
    command = here / "bin" / "harness"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m harness "$@"\n')
    command.chmod(0o755)
    (here / "words").write_text("\n".join(["harness", *words]))
    script = (
        'eval "$(harness completion bash)"\n'
        "mapfile -t COMP_WORDS < words; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
        "compopt() { :; }\n_harness_completion harness\n"
        'for one in "${COMPREPLY[@]}"; do echo "$one"; done\n'
    )
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.split() == expected


def asked(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command as a shell's script calls it."""
    given = {VARIABLE: "bash_complete", "COMP_WORDS": "\n".join(["harness", *words]), "COMP_CWORD": str(len(words))}
    command = [sys.executable, "-X", "importtime", "-m", "harness"]
    environment = {**os.environ, **given, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "sui"],
        ["describe", "st"],
        ["run", "suites/padding.yaml", "--only", "what"],
        ["run", "suites/padding.yaml", "--set", "base.model.name=m"],
        ["explain", "latest", ""],
        ["report", "--as", "j"],
    ],
    ids=" ".join,
)
def test_it_imports_nothing_heavy(runs, words):
    done = asked(*words)
    assert done.returncode == 0
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "harness.cli.completing" in modules
    assert not {"torch", "numpy", "jinja2", "matplotlib", "harness.report.report", "harness.plan.planner"} & modules
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("variables", [{"COMP_CWORD": "many"}, {VARIABLE: "tcsh_complete"}, {VARIABLE: "nonsense"}])
def test_nonsense_is_no_traceback(here, variables):
    done = asked("run", "", **variables)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.returncode != 0


def completion(*arguments: str, **variables: str):
    return CliRunner().invoke(cli, ["completion", *arguments], env=variables)


@pytest.mark.parametrize("shell", list(INSTALL))
def test_the_script_says_how_it_is_installed(shell):
    done = completion(shell)
    first, _, script = done.output.partition("\n")
    assert first == f"# To complete in every new {shell}, {INSTALL[shell]}"
    assert f"{VARIABLE}={shell}_complete" in script
    assert completion(SHELL=f"/usr/bin/{shell}").output == done.output


def test_after_a_beginning_bash_leaves_no_blank():
    assert "[[ $value == *[=/] ]] && compopt -o nospace" in completion("bash").output


def test_a_shell_that_cannot_be_told(here):
    done = completion(SHELL="/bin/tcsh")
    assert "cannot tell the shell from SHELL='/bin/tcsh'. Name one: harness completion bash" in str(done.exception)
    assert completion("tcsh").exit_code == 2
