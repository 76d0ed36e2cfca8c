"""`harness vary`: the suite that it makes, what it prints, and mistakes in its arguments."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from commands import call

from harness.api.vary import Variation, parse_change, parse_context, vary
from harness.errors import UserError

#: A small training script. Its parameter `extra` adds layers, and `noise` changes the examples.
SCRIPT = """
import harness, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def build(extra: int = 0, rate=0.1, noise=False, batch_size=8):
    x = torch.randn(80, 4)
    data = TensorDataset(x, x.sum(1) + noise * torch.randn(80))
    layers = [layer for _ in range(extra) for layer in (nn.Linear(64, 64), nn.Tanh())]
    model = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), *layers, nn.Linear(64, 1))
    loader = DataLoader(data, batch_size, shuffle=True)
    return harness.Experiment(
        model, torch.optim.SGD(model.parameters(), rate), loader, loader,
        lambda model, batch: (model(batch[0])[:, 0] - batch[1]).square().mean(),
        scores={"error": lambda model, batch: (model(batch[0])[:, 0] - batch[1]).abs()},
    )
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vary")
    (folder / "script.py").write_text(SCRIPT)
    return folder


def run(here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return call("vary", *arguments, cwd=here)


@pytest.fixture(scope="module")
def done(here: Path) -> subprocess.CompletedProcess[str]:
    learning = ("--seeds", "2", "--steps", "8", "--metric", "error", "--better", "lower")
    return run(here, "script.py:build", "extra=6", "use=flush_denormal", *learning, "--quick")


def test_verdicts_come_last(done):
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[0].startswith("A first look with one process: it gives no verdicts.")
    *_, last = (line for line in lines if " takes " in line)
    assert last.startswith("all together takes ")
    assert any(line.startswith("extra=6 takes ") and line.endswith("slower") for line in lines)
    assert any("differs in error by" in line for line in lines)


def test_a_run_is_stored_and_can_be_resumed(done, here):
    (folder,) = (here / "results" / "vary-build").iterdir()
    suite = yaml.safe_load((folder / "suite.yaml").read_text())
    assert suite["base"]["experiment"] == {"from": "script.py:build"}
    assert suite["axes"]["change"]["all together"] == {
        "experiment": {"extra": 6}, "use": [{"name": "flush_denormal"}],
    }  # fmt: skip
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["blocks"][0]["trials"][1]["model"]["parameters"] == {
        "from": "script.py:build", "extra": 6, "rate": 0.1, "noise": False, "batch_size": 8,
    }  # fmt: skip
    assert plan["blocks"][0]["trials"][0]["model"]["plugin"] == "script.py"
    again = call("run", "--resume", str(folder), cwd=here)
    assert again.returncode == 0, again.stderr
    assert "at most 8 batches from script.py:build" in (folder / "report.txt").read_text()


def test_a_script_is_not_exported(done, here):
    (folder,) = (here / "results" / "vary-build").iterdir()
    exported = call("export", "extra=6", str(folder), "--script", cwd=here)
    assert exported.returncode == 2
    assert "script.py:build is a script already, so its trials are not exported." in exported.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("script.py:build", "extr=3"), "extr=3: script.py:build has no parameter 'extr'. Did you mean extra?"),
        (("script.py:build", "extra=much"), "extra=much: script.py:build.extra: expected a valid integer, got 'much'."),
        (("script.py:build", "extra"), "'extra' is no change. Write NAME=VALUE"),
        (("script.py:biuld", "extra=1"), "script.py has no function 'biuld'. Did you mean build?"),
        (("scrpt.py:build", "extra=1"), "scrpt.py: file not found."),
        (("build", "extra=1"), "'build' does not name a function."),
        (("script.py:build", "extra=1", "--seeds", "3"), "training needs a number of seeds, and the length of a run."),
        (("script.py:build", "extra=1", "--expect", "good"), "--expect: "),
        (("script.py:build", "extra=1", "--context", "rate"), "'rate' is no context. Write NAME=VALUE,VALUE."),
        (("script.py:build", "use=no_such"), "there is no optimization named 'no_such'."),
        (("script.py:build", "extra=1", "--quick", "--expect", "faster"), "a first look (--quick) decides no claim."),
    ],
)
def test_mistakes(here, arguments, says):
    done = run(here, *arguments)
    assert done.returncode == 2
    assert says in done.stderr


def test_other_examples_are_refused(here):
    """The message says that the parameter can be a context."""
    done = run(here, "script.py:build", "noise=true", "batch_size=4", "--quick")
    assert done.returncode == 3
    text = " ".join(done.stdout.split())
    assert "its training examples are not those of the baseline, so they cannot be compared" in text
    assert "its batches have 4 examples, and those of the baseline 8" in text
    assert "Vary this parameter as a context" in text


def suite_of(here: Path, changes: list[str], monkeypatch: pytest.MonkeyPatch, **options: object) -> dict:
    monkeypatch.chdir(here)
    return dict(Variation("script.py:build", [*map(parse_change, changes)], **options).suite().values)  # type: ignore[arg-type]


def test_several_values_of_a_parameter(here, monkeypatch):
    """They are levels of their own, and there is nothing like all of them together."""
    suite = suite_of(here, ["extra=1", "extra=2"], monkeypatch)
    assert list(suite["axes"]["change"]) == ["baseline", "extra=1", "extra=2"]


def test_parameters_of_optimizations(here, monkeypatch):
    suite = suite_of(here, ["use.threads.count=2", "rate=1"], monkeypatch)
    assert suite["axes"]["change"]["use.threads.count=2"] == {"use": [{"name": "threads", "count": 2}]}
    assert suite["axes"]["change"]["rate=1"] == {"experiment": {"rate": 1}}


def test_contexts_and_base(here, monkeypatch):
    contexts = dict([parse_context("batch_size=4,8")])
    suite = suite_of(here, ["extra=1"], monkeypatch, contexts=contexts, base={"rate": 0.2}, also=["memory"])
    assert suite["base"]["experiment"] == {"from": "script.py:build", "rate": 0.2}
    assert suite["axes"]["batch_size"] == {"path": "experiment.batch_size", "values": [4, 8]}
    assert list(suite["measure"]) == ["speed", "memory"]


def test_claims(here, monkeypatch):
    suite = suite_of(here, ["extra=1"], monkeypatch, expect="at most 5% slower")
    (claim,) = suite["claims"]
    assert claim == {
        "says": "extra=1 is at most 5% slower", "level": "extra=1", "of": "train", "expect": "at most 5% slower",
    }  # fmt: skip


@pytest.mark.slow
def test_python(here, monkeypatch):
    monkeypatch.chdir(here)
    result = vary("script.py:build", {"extra": [4, 5]}, quick=True)
    assert result.ok
    assert {row["level"] for row in result.comparisons} == {"extra=4", "extra=5"}
    with pytest.raises(UserError, match="there is nothing to vary"):
        vary("script.py:build", {})
