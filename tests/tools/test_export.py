"""Exporting trials of the toy: what a script holds, that it repeats the trial, and what is said where it cannot."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import torch
from commands import harness
from exported import numbers_of
from toy_suite import SUITE, TOY

from harness.errors import UserError
from harness.measure.runtime.replay import Replay, mean_size
from harness.plugins.catalog import Entry
from harness.plugins.parts import Model, Skip
from harness.report.table import Section, Table
from harness.tools.export import script as scripts
from harness.tools.export.check import complaint
from harness.tools.export.choose import choose, place
from harness.tools.export.issue import facts_rows, fenced, tables_of
from harness.tools.export.literals import Writer, quoted
from harness.tools.export.parts import locate, locate_part, modules_of
from harness.tools.export.script import Subject, make_script, mode_of

LEVELS = """\
adaptive: {drop: [descent], use: [adaptive, shorten]}
    backwards: {use: [reverse]}
    lazy: {use: [lazy]}
    deep: {model: mlp}
    broken: {model: broken}
    hangs: {model: {name: broken, how: hangs}}
    crash: {model: {name: broken, how: killed, at: 2}}
    spun: {use: [spin]}
    apart: {use: [{name: elsewhere, threads: 2}]}"""


@pytest.fixture
def subject(planned):
    """Makes the subject of a level of the toy suite."""

    def make(level: str, mode: str = "train", *settings: str) -> Subject:
        plan = planned(LEVELS, *settings)
        return Subject(plan, *choose(plan, level), mode)

    return make


@pytest.mark.parametrize("mode", ["train", "inference"])
@pytest.mark.parametrize("level", ["plain", "adaptive", "backwards", "lazy", "deep", "spun"])
def test_a_script_repeats_the_trial(catalog, subject, level, mode):
    made = make_script(catalog, subject(level, mode))
    assert not made.rehearsal.failure
    assert len(made.rehearsal.numbers) == 8
    assert numbers_of(made.text) == pytest.approx(made.rehearsal.numbers, rel=1e-6)
    assert made.needs == "torch"
    assert "import harness" not in made.text
    assert "provide_models" not in made.text


def test_it_holds_what_the_trial_uses_and_nothing_else(catalog, subject):
    text = make_script(catalog, subject("adaptive")).text
    assert "def adaptive(recipe: Recipe" in text
    assert 'recipe = shorten(recipe.used_by("shorten"), max_norm=1.0)' in text
    assert "class Points(NamedTuple):" in text
    for gone in ("descent", "def mlp", "def points", "class Frank", "def observe"):
        assert gone not in text
    inference = make_script(catalog, subject("adaptive", "inference")).text
    assert "def adaptive" not in inference
    assert "# Note      adaptive is left out: it has no hand on a step of inference." in inference
    turned = make_script(catalog, subject("backwards")).text
    assert "# Note      reverse is left out: it has made the batches what they are." in turned


def test_it_runs_by_itself_says_what_it_runs_on_and_times(here):
    done = harness("export", "backwards", "toy.yaml", "--script", "--output", "trial.py", cwd=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Checked by running it: the script takes 8 steps to the same numbers as the trial." in done.stderr
    blocker = (
        "import sys, runpy\n"
        "class Blocker:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.split('.')[0] in ('harness', 'harness_rnn', 'toy'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Blocker())\n"
        "sys.argv = ['trial.py', '--steps', '9', '--time', '2']\n"
        "runpy.run_path('trial.py', run_name='__main__')\n"
        "assert not any(name.split('.')[0] == 'harness' for name in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", blocker], cwd=here, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0].startswith(f"torch {torch.__version__}, Python ")
    assert lines[1].startswith("device cpu, threads 1, ")
    assert lines[2].startswith("step 1: loss ")
    assert "(expected " in lines[9]
    assert "(expected " not in lines[10]
    assert lines[11].startswith("agrees with what the harness computed")
    assert "ms a step, the median" in lines[12]


def test_a_script_that_does_something_else_is_noticed():
    seen = Replay((0.5, 0.25))
    steps = "print('step 1: loss 0.5 (expected 0.5)')\nprint('step 2: loss 0.250001 (expected 0.25)')\n"
    assert complaint(steps, seen, {}, 60) == ""
    assert complaint(steps.replace("0.250001", "0.2501"), seen, {}, 60) == (
        "its step 2 comes to 0.2501, and the trial's to 0.25"
    )
    assert complaint(f"{steps}unknown", seen, {}, 60) == (
        "it fails, and the trial does not: NameError: name 'unknown' is not defined"
    )
    assert complaint("", seen, {}, 60) == "it takes 0 steps and not 2"
    failed = Replay(failure="train step 1: RuntimeError: no (toy.py:3)")
    assert complaint("", failed, {}, 60) == f"it runs, and the trial failed: {failed.failure}"
    assert complaint("raise RuntimeError('no,\\nand why')", failed, {}, 60) == ""
    assert complaint("unknown", failed, {}, 60).startswith(
        "it fails with NameError: name 'unknown' is not defined, and"
    )
    assert complaint(f"{steps}raise RuntimeError", failed, {}, 60) == "it takes 2 steps and not 0"
    assert complaint("import time; time.sleep(60)", Replay(failure="took longer than its limit"), {}, 0.5) == ""
    assert complaint("import toy", seen, {}, 60, ["toy"]) == (
        "it fails, and the trial does not: ModuleNotFoundError: toy is not to be imported"
    )
    assert complaint("import os; 1 / (os.environ['A'] == 'b')", Replay(), {"A": "b"}, 60) == ""


def test_a_trial_that_fails_is_exported_with_its_failure(catalog, subject):
    made = make_script(catalog, subject("broken"))
    assert "RuntimeError: the toy is broken" in made.rehearsal.failure
    assert "# Expect    a failure. There it was: train step 1: RuntimeError: the toy is broken" in made.text
    assert made.outcome == "fails, as the trial does"
    with pytest.raises(RuntimeError, match="the toy is broken"):
        numbers_of(made.text)


def test_a_trial_that_crashes_is_exported_too(catalog, subject):
    made = make_script(catalog, subject("crash"))
    assert made.rehearsal.failure == "the process was killed by SIGSEGV"
    assert len(made.rehearsal.numbers) == 2
    assert complaint(made.text, made.rehearsal, {}, 60) == ""
    assert complaint(made.text.replace("SIGSEGV)", "SIGBUS)"), made.rehearsal, {}, 60).startswith("it fails with exit")


def test_a_step_that_hangs_is_ended(catalog, subject):
    one = subject("hangs", "train", "measure.limit=1 s")
    assert make_script(catalog, one).rehearsal.failure == "took longer than its limit of 1 s"


def test_what_the_environment_does_is_in_the_header_and_not_in_the_code(catalog, subject):
    text = make_script(catalog, subject("apart")).text
    assert "THREADS, SEED, DEVICE = 2, 0" in text
    assert "# Run       TOY=1 python THIS_FILE" in text
    assert "elsewhere is left out: it acts before the process begins" in text
    assert 'os.environ.get("TOY") != "1"' in text


# Which trial


def test_trials_are_named_by_id_level_or_place(planned):
    text = SUITE.replace("axes:", "axes:\n  size: {few: {dataset: {size: 128}}, many: {}}")
    plan = planned(text=text)
    block, trial = choose(plan, "few/backwards")
    assert place(block, trial) == "few/backwards"
    assert choose(plan, trial.id) == (block, trial)
    assert choose(plan, trial.id[:8]) == (block, trial)
    with pytest.raises(UserError) as caught:
        choose(plan, "backwards")
    assert "'backwards' may be any of these trials of suite:" in str(caught.value)
    assert f"\n  {trial.id}  few/backwards\n" in str(caught.value)
    with pytest.raises(UserError, match=r"no trial 'fw/backwards'\. Did you mean few/backwards"):
        choose(plan, "fw/backwards")
    with pytest.raises(UserError, match="no trial 'abc'"):
        choose(plan, "abc")


def test_the_mode_is_the_first_measured_and_training_wants_an_optimizer(planned, catalog):
    plan = planned("", "measure.speed.of=[inference, train]")
    block, trial = choose(plan, "plain")
    assert mode_of(block, trial, catalog, None) == "inference"
    assert mode_of(block, trial, catalog, "train") == "train"
    plan = planned("", "measure.speed.of=inference", "base.use=[]")
    block, trial = choose(plan, "plain")
    with pytest.raises(UserError, match=r"has no optimizer, so it does not train\. Try --mode inference"):
        mode_of(block, trial, catalog, "train")


# Values as code


class Facts(NamedTuple):
    many: int
    weights: torch.Tensor


def test_values_are_written_as_code():
    writer = Writer(lambda kind, what: kind.__name__)
    value = {"a": [1, 2.5, True, None], ("b",): {3}, "inf": float("inf"), "f": Facts(2, torch.tensor([[1, -1]]))}
    code = writer.write(value, "it")
    assert code == (
        '{"a": [1, 2.5, True, None], ("b",): set([3]), "inf": float("inf"), "f": Facts(many=2, weights=unpack(0))}'
    )
    (tensor,) = writer.tensors
    assert (tensor.dtype, tensor.stored, tensor.shape, tensor.content) == ("int64", "int16", (1, 2), b"\1\0\xff\xff")
    with pytest.raises(UserError, match="it holds a object, which cannot be written as code"):
        writer.write([object()], "it")
    assert [quoted(text) for text in ("a", "it's", 'say "a"', "a\nb")] == ['"a"', '"it\'s"', "'say \"a\"'", "'a\\nb'"]


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6).reshape(2, 3), torch.tensor(7), torch.tensor([70_000]), torch.tensor([2**40]), torch.zeros(0, 3),
        torch.tensor([True, False]), torch.randn(2, 2, dtype=torch.float64), torch.tensor([1.5], dtype=torch.bfloat16),
        torch.tensor([1 + 2j]), torch.arange(8).reshape(4, 2).T, torch.tensor([200], dtype=torch.uint8),
    ],
)  # fmt: skip
def test_tensors_come_back_as_they_were(tensor):
    writer = Writer(lambda kind, what: "")
    writer.write(tensor, "it")
    from harness.tools.export import template

    text = (
        f"import base64, math, torch, zlib\nTENSORS = (\n{writer.table()}\n)\n"
        f'DATA = """{writer.text()}"""\n{template.UNPACK}'
    )
    names: dict[str, Any] = {}
    exec(text, names)
    back = names["unpack"](0)
    assert back.dtype == tensor.dtype
    assert back.shape == tensor.shape
    assert torch.equal(back, tensor)


def test_few_batches_are_embedded_where_there_is_little_room(catalog, subject):
    made = make_script(catalog, subject("plain"), room=1500)
    assert 1 <= len(made.rehearsal.numbers) < 8
    assert "Only the first of the 8 batches of the work set are here" in made.text
    assert numbers_of(made.text) == pytest.approx(made.rehearsal.numbers, rel=1e-6)


def test_a_batch_too_large_is_drawn_anew_and_still_repeats(catalog, subject, monkeypatch):
    monkeypatch.setattr(scripts, "MOST", 4000)
    one = subject("plain", "train", "base.dataset.features=700")
    made = make_script(catalog, one)
    assert "Numbers in the batches are random ones in place of the data set's" in made.text
    assert "def draw(" in made.text
    assert len(made.text) < 12_000
    assert numbers_of(made.text) == pytest.approx(made.rehearsal.numbers, rel=1e-6)
    monkeypatch.setattr(scripts, "MOST", 100)
    with pytest.raises(UserError, match=r"one batch of plain takes \d+ KB, too much for a script"):
        make_script(catalog, one)


def test_a_learning_suite_with_little_data_has_the_batches_it_can(catalog, planned):
    text = SUITE.replace("name: points", "name: cloud, size: 20").partition("  speed:")[0]
    plan = planned(text=text + "  learning: {seeds: 2, steps: 2, metric: close}\n")
    block, trial = choose(plan, "plain")
    made = make_script(catalog, Subject(plan, block, trial, mode_of(block, trial, catalog, None)))
    assert len(made.rehearsal.numbers) == 2


# Where code has no place that it could be taken from


def test_code_without_a_name_is_refused(catalog):
    modules = modules_of(catalog, [])
    with pytest.raises(UserError, match=r"model x: its code \(.*<lambda>\) has no name at the top of a module"):
        locate(modules, lambda facts: None, "model x")
    entry = Entry(Model("x", "toy:nowhere"), "toy.py", "0")
    with pytest.raises(UserError, match="no statement of toy binds nowhere"):
        locate_part(modules, entry)


def test_batches_that_cannot_be_made_are_reported(catalog, subject):
    with pytest.raises(UserError, match=r"the batches of backwards cannot be made: .*"):
        make_script(catalog, subject("backwards", "train", "base.dataset.size=0"))


def test_a_machine_that_a_trial_skips_is_named(catalog, subject, monkeypatch):
    monkeypatch.setattr(scripts, "replay", lambda *rest: Replay(skipped="no such unit"))
    with pytest.raises(UserError, match="plain cannot run here: no such unit"):
        make_script(catalog, subject("plain"))

    def skip(*rest: Any) -> None:
        raise Skip("no compiler")

    monkeypatch.setattr(scripts, "work_batches", skip)
    with pytest.raises(UserError, match="plain cannot run here: no compiler"):
        make_script(catalog, subject("plain"))


def test_without_its_gpu_a_trial_is_exported_unseen(catalog, subject):
    one = subject("plain")
    one = replace(one, trial=replace(one.trial, device="cuda"))
    made = make_script(catalog, one)
    assert not made.was_run
    assert 'DEVICE = 1, 0, "cuda"' in made.text
    assert "# Expect    nothing: there was no cuda where it was exported" in made.text


# The command


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plain", "toy.yaml"], "the form of the export is missing. Add --script or --issue."),
        (["plain", "--script"], "there is no run in it yet"),
        (["plain", "nowhere", "--script"], "is not the folder of a run"),
        (["plian", "toy.yaml", "--script"], "toy has no trial 'plian'. Did you mean plain?"),
        (
            ["plain", ".", "--script", "--set", "base.seed=1"],
            "a run is exported as it was planned. Leave out --preset, --set",
        ),
        (
            ["plain", "toy.yaml", "--script", "--no-check", "--output", "toy.yaml/where.py"],
            "cannot be written: File exists",
        ),
    ],
)
def test_mistakes_are_named(here, arguments, says):
    done = harness("export", *arguments, cwd=here)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_a_script_that_is_wrong_is_not_handed_out(here):
    with patch("harness.tools.export.check.complaint", lambda *rest: "it sulks"):
        done = harness("export", "plain", "toy.yaml", "--script", cwd=here)
    assert done.returncode == 2
    assert "the script of plain does not repeat the trial: it sulks. Add --no-check" in done.stderr
    done = harness("export", "plain", "toy.yaml", "--script", "--no-check", cwd=here)
    assert done.returncode == 0
    assert "Not checked" in done.stderr
    assert done.stdout.startswith("# One trial of a benchmark as a file of its own")


def test_where_methods_were_left_out_too_boldly_classes_are_kept_whole(here):
    found = iter(["AttributeError: no predict", ""])
    with patch("harness.tools.export.check.complaint", lambda *rest: next(found)):
        done = harness("export", "plain", "toy.yaml", "--script", cwd=here)
    assert done.returncode == 0
    assert "def observe" in done.stdout


@pytest.mark.slow  # the page on exporting runs through the same, but for the failure
def test_an_issue_of_a_run_has_its_rows_its_failure_and_the_script(here):
    text = SUITE.replace("Does the toy work?", "Is a | b <i>faster</i>?")
    (here / "toy.yaml").write_text(text.replace("    backwards:", "    broken: {model: broken}\n    backwards:"))
    assert harness("run", "toy.yaml", "--quick", cwd=here).returncode == 3
    done = harness("export", "backwards", "--issue", "--no-check", cwd=here)
    assert done.returncode == 0, done.stderr
    issue = done.stdout
    assert "Question: Is a | b &lt;i&gt;faster&lt;/i&gt;?" in issue
    assert "A first look, in one process: no verdicts yet." in issue
    rows = [line for line in issue.splitlines() if line.startswith("| ")]
    assert any(row.startswith("| plain | 1 |") for row in rows)
    assert any(row.startswith("| backwards |") and "first look" in row for row in rows)
    assert not any(row.startswith("| broken") for row in rows)
    assert f"| torch | {torch.__version__} (CPU capability" in issue
    assert "PyTorch built with:" in issue
    assert "<summary>trial.py</summary>\n\n```python\n# One trial of a benchmark" in issue
    assert "# Measured" in issue
    failed = harness("export", "broken", "--issue", "--no-check", cwd=here).stdout
    assert "### It fails\n\n```text\n" in failed
    assert "RuntimeError: the toy is broken" in failed
    whole = harness("export", "plain", "--issue", "--no-check", cwd=here).stdout
    assert "| backwards |" in whole


def test_an_issue_takes_the_rows_and_operators_of_its_trial(planned):
    plan = planned(LEVELS)
    block, trial = choose(plan, "adaptive")

    def section(title: str, why: bool, *tables: tuple[str, str]) -> Section:
        rows = tuple((level, "1") for level in ("plain", "adaptive", "lazy"))
        return Section(title, f"{title}.", tuple(Table(name, (first, "x"), rows) for name, first in tables), why=why)

    sections = (
        section("Comparisons", False, ("all · train", "what"), ("others · train", "what")),
        section("Effects", False, ("all · train: effects", "what")),
        section("Why", True, ("all · train: adaptive against plain", "phase"), ("all · train: lazy against plain", "phase"),
                ("all · train · adaptive: operators", "phase"), ("all · train: memory", "what")),
    )  # fmt: skip
    report: Any = SimpleNamespace(sections=sections, findings=SimpleNamespace(plan=plan))
    words, answers, why = tables_of(report, block, trial)
    assert words == ["Comparisons."]
    assert [(table.title, [row[0] for row in table.rows]) for table in answers] == [
        ("all · train", ["plain", "adaptive"])
    ]
    assert [(table.title, len(table.rows)) for table in why] == [
        ("all · train: adaptive against plain", 3), ("all · train · adaptive: operators", 3), ("all · train: memory", 2)
    ]  # fmt: skip
    _, answers, _ = tables_of(report, block, block.baseline)
    assert [len(table.rows) for table in answers] == [3]


def test_an_issue_names_the_cards(subject):
    facts = {"cuda_build": "12.8", "cudnn": 91002, "gpus": 2, "gpu_models": ["A", "B", "A"], "gpu_driver": "570"}
    assert facts_rows(subject("plain"), facts)["CUDA"] == "12.8, cuDNN 91002, 2 x A, 1 x B, driver 570"
    assert facts_rows(subject("plain"), {"cuda_build": "12.8", "gpus": 0})["CUDA"] == "12.8, cuDNN None, 0 GPUs"
    assert facts_rows(subject("plain"), {})["CUDA"] == "none in this build"


def test_a_run_of_another_version_is_refused(here, tmp_path):
    from harness.plan.planner import make_plan
    from harness.plugins.catalog import Catalog
    from harness.plugins.manager import load_plugins
    from harness.suite.loader import load_suite
    from harness.tools.export.choose import check_unchanged

    catalog = Catalog(load_plugins([TOY]))
    plan = make_plan(load_suite(here / "toy.yaml", catalog), catalog)
    trial = plan.blocks[0].trials[0]
    check_unchanged(plan, trial, catalog)
    old = replace(trial, model=replace(trial.model, version="sha256:old"))
    with pytest.raises(UserError, match=r"toy was planned with linear from toy.py sha256:old, and here it is sha256:"):
        check_unchanged(plan, old, catalog)
    with pytest.raises(UserError, match="the data of points have changed since toy was planned"):
        check_unchanged(plan, replace(trial, fingerprint="points 0"), catalog)


def test_sizes_of_predictions_of_any_form():
    one = torch.tensor([-1.0, 3.0])
    assert mean_size(one) == 2
    assert mean_size({"a": one, "b": (one * 2, [one])}) == 2.5


@pytest.mark.slow
def test_what_plugins_print_is_not_in_the_script(here):
    (here / "loud_toy.py").write_text(
        "import harness\nfrom toy import linear, points as quiet\n\n"
        "def points(*, size: int = 64) -> harness.Data:\n    print('loading')\n    return quiet(size=size)\n\n"
        "def loud(features: int) -> object:\n    print('building')\n    return linear(features)\n\n"
        "@harness.hookimpl\ndef provide_datasets():\n    yield harness.Dataset('loud_points', points)\n\n"
        "@harness.hookimpl\ndef provide_models():\n    yield harness.Model('loud', loud)\n"
    )
    text = SUITE.replace("name: points", "name: loud_points").replace("model: linear", "model: loud")
    (here / "toy.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "harness", "-p", TOY, "-p", "loud_toy.py", "export", "plain", "toy.yaml", "--script"],
        cwd=here, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# One trial of a benchmark")
    assert "loading" in done.stderr
    assert "building" in done.stderr
    assert "# From toy" in done.stdout


def test_a_fence_is_longer_than_any_inside():
    assert fenced("a ```` b", "text") == ["`````text", "a ```` b", "`````"]
