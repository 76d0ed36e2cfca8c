"""What is found before a run: mistakes of data and trials in child processes, and the times of a rehearsal."""

from __future__ import annotations

from math import inf

import pytest
from toy_suite import SUITE, TOY, read, toy_catalog

from harness.measure import examination
from harness.measure.examination import examine, spread_out
from harness.measure.runtime.warm import warm
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import read_text


@pytest.fixture(autouse=True, scope="module")
def optimizer_imported():
    """The first optimizer of a process imports for a second, which the child processes here then need not."""
    warm(0)


def examined(*settings: str, text: str = SUITE, timed: bool = False, jobs: int = 1):
    plan = make_plan(read(text, *settings), toy_catalog())
    found, start = examine(plan.blocks, toy_catalog(), timed=timed, jobs=jobs)
    assert start > 0
    return found


def problems(*settings: str, text: str = SUITE):
    return [tuple(problem) for block in examined(*settings, text=text) for problem in block.problems]


def test_a_sound_suite_has_no_problems():
    (block,) = examined()
    assert (block.problems, block.remarks, block.rehearsal) == ([], [], None)
    assert block.load > 0


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("base.dataset.size=60", "the work set needs 8 x 8 = 64 examples and the training set has 60"),
        ("base.dataset.size=0", "the training set is empty"),
        ("base.dataset.size=-1", "the training set is empty"),
    ],
)
def test_a_work_set_that_is_too_large(setting, text):
    ((level, found),) = problems(setting)
    assert level == ""
    assert text in found


LEARNING = """
question: Does the toy learn?
base:
  model: linear
  dataset: {name: cloud, batch_size: 8}
  use: [descent]
axes: {what: {plain: {}, other: {use: [shuffled]}}}
compare: {axis: what, baseline: plain}
measure: {learning: {seeds: 2, steps: 4, evaluations: 2}}
"""


def test_what_learning_needs_of_a_dataset():
    assert problems(text=LEARNING) == []
    assert "the test set is empty" in problems("base.dataset.held_out=0", text=LEARNING)[0][1]
    (problem,) = problems("base.dataset.name=boastful", text=LEARNING)
    assert problem == ("", "it declares the score far but does not compute it; for these data it computes close")
    ((_, remark),) = examined(
        "measure.learning.steps=~", "measure.learning.epochs=1", "measure.learning.evaluations=20", text=LEARNING
    )[0].remarks
    assert remark == "a run has 6 steps, so it is evaluated only 6 times"


@pytest.mark.parametrize(
    ("use", "text"),
    [
        ("{name: adaptive, lr: -1}", "building the model: ValueError: Invalid learning rate: -1"),
        ("forgetful", "cutting the examples into batches: ValueError: its order does not contain each example exactly"),
    ],
)
def test_a_trial_that_cannot_be_built(use, text):
    drop = "drop: [descent], " if "adaptive" in use else ""
    ((level, found),) = problems(text=SUITE.replace("{use: [reverse]}", f"{{{drop}use: [{use}]}}"))
    assert level == "backwards"
    assert found.startswith(text)


FAULTS = """
import os, signal, time, torch, toy, harness

def points(*, how: str = ""):
    print("a plugin prints")
    if how == "raises":
        raise OSError("no such archive")
    if how == "hangs":
        time.sleep(3600)
    if how == "ends":
        os._exit(0)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "list":
        return []
    return toy.points()

def linear(features, *, how: str = ""):
    if how == "killed":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "hangs":
        time.sleep(3600)
    if how == "meddles":
        torch.set_default_dtype(torch.float64)
    if how == "leaves" and not os.fork():
        time.sleep(600)
        os._exit(0)
    return toy.linear(features)

@harness.hookimpl
def provide_datasets():
    yield harness.Dataset("faulty_points", points)

@harness.hookimpl
def provide_models():
    yield harness.Model("faulty", linear)
"""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    file = tmp_path_factory.mktemp("faults") / "faulty_parts.py"
    file.write_text(FAULTS)
    return Catalog(load_plugins([TOY, file]))


def faulty_problems(catalog, text: str):
    plan = make_plan(parse_suite(read_text(text, "suite.yaml"), "suite", text, catalog), catalog)
    found, _ = examine(plan.blocks, catalog, timed=False)
    return [[tuple(problem) for problem in block.problems] for block in found]


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("raises", "no such archive"),
        ("list", "returns a list, not harness.Data"),
        ("hangs", "took longer than its limit of 2 s while loading the data"),
        ("ends", "the process ended with exit code 0 while loading the data"),
        ("killed", "the process was killed by SIGSEGV while loading the data"),
    ],
)
def test_a_dataset_that_cannot_be_loaded_does_not_hide_the_other_blocks(faulty, how, text, capfd):
    suite = SUITE.replace(
        "axes:", f"axes:\n  data: {{bad: {{dataset: {{name: faulty_points, how: {how}}}}}, good: {{}}}}"
    )
    bad, good = faulty_problems(faulty, suite.replace("measure:", "measure:\n  limit: 2 s"))
    ((level, found),) = bad
    assert level == ""
    assert text in found
    assert good == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("killed", "the process was killed by SIGSEGV while building the model"),
        ("hangs", "took longer than its limit of 2 s while building the model"),
        ("meddles", "it changes torch's default dtype, which all trials share"),
    ],
)
def test_a_model_that_fails_does_not_hide_the_other_levels(faulty, how, text):
    levels = f"{{plain: {{}}, bad: {{model: {{name: faulty, how: {how}}}}}, bent: {{use: [forgetful]}}}}"
    suite = SUITE.replace("\n    plain: {}\n    backwards: {use: [reverse]}", f" {levels}")
    ((bad, bent),) = faulty_problems(faulty, suite.replace("measure:", "measure:\n  limit: 2 s"))
    assert bad == ("bad", text)
    assert bent[0] == "bent"


def test_a_process_that_a_model_leaves_is_ended(faulty):
    suite = SUITE.replace("{use: [reverse]}", "{model: {name: faulty, how: leaves}}")
    assert faulty_problems(faulty, suite) == [[]]


def test_the_times_of_a_rehearsal():
    text = SUITE.replace("measure:", "measure:\n  profile: {}\n  memory: {}").replace(
        "speed: {", "speed: {of: [train, inference], "
    )
    (block,) = examined(text=text, timed=True)
    found = block.rehearsal
    assert (block.problems, block.remarks) == ([], [])
    assert list(found.levels) == ["plain", "backwards"]
    for times in found.levels.values():
        assert set(times.step) == set(times.first) == set(times.profiled) == {"train", "inference"}
        assert 0 < times.step["inference"] < 1
        assert times.profiled["train"] > times.step["train"]
        assert (times.training, times.evaluation) == (0, 0)
    assert found.verify > 0
    assert found.steps is None


def test_training_and_evaluation_are_rehearsed():
    (block,) = examined("measure.learning.steps=~", "measure.learning.epochs=3", text=LEARNING, timed=True, jobs=2)
    assert block.rehearsal.steps == 18
    for times in block.rehearsal.levels.values():
        assert times.training > 0
        assert times.evaluation > 0


@pytest.mark.parametrize(
    ("level", "text"),
    [
        ("{model: {name: broken, how: raises}}", "one train step: RuntimeError: the toy is broken (toy.py:"),
        ("{model: {name: broken, how: nan}}", "its loss is not finite after a few train steps"),
        ("{model: {name: broken, how: killed}}", "the process was killed by SIGSEGV while"),
        ("{model: {name: broken, how: meddles}}", "one train step: RuntimeError: mat1 and mat2 must have the"),
        ("{model: other}", "promises the same computation, but "),
        ("{use: [halved]}", "promises the same computation, but the same gradients move"),
        ("{use: [{name: spoil, how: raises, at: 1}]}", "one train step: RuntimeError: the step is broken"),
        ("{use: [{name: elsewhere, preload: /nowhere/lib.so}]}", "LD_PRELOAD names /nowhere/lib.so, which the system"),
    ],
)
def test_a_level_that_a_run_would_find_failed_or_invalid(level, text):
    ((found_level, found),) = problems(text=SUITE.replace("{use: [reverse]}", level))
    assert found_level == "backwards"
    assert found.startswith(text)


def test_a_device_that_is_not_here_is_named_once():
    assert problems("base.device=cuda:7") == [("plain", "there is no cuda:7 here; --device cpu uses the processor")]


@pytest.mark.parametrize(
    ("level", "settings", "text"),
    [
        ("{model: {name: broken, how: nan}}", (), "evaluating the untrained model: ValueError: before the first step"),
        ("{use: [{name: spoil, how: raises, at: 1}]}", (), "one training step: RuntimeError: the step is broken"),
        ("{use: [needs_two]}", ("base.dataset.size=49",), "one training step on a single example, a batch of each"),
    ],
)
def test_a_level_that_would_fail_in_training(level, settings, text):
    steps = "measure.learning.steps=9"
    ((found_level, found),) = problems(steps, *settings, text=LEARNING.replace("{use: [shuffled]}", level))
    assert found_level == "other"
    assert found.startswith(text)


def test_a_batch_of_one_that_no_run_reaches_is_no_problem():
    text = LEARNING.replace("{use: [shuffled]}", "{use: [needs_two]}")
    assert problems("measure.learning.steps=6", "base.dataset.size=49", text=text) == []


def test_blocks_are_rehearsed_from_everywhere():
    assert spread_out(0) == []
    assert spread_out(1) == [0]
    assert spread_out(5) == [0, 4, 2, 1, 3]
    assert sorted(spread_out(20)) == list(range(20))


def test_a_dataset_that_draws_other_examples_each_time_is_named(monkeypatch):
    monkeypatch.setattr(examination, "RELOAD", inf)
    (block,) = examined("base.dataset.name=fickle")
    ((level, text),) = block.remarks
    assert level == ""
    assert text.startswith("loading it a second time gives other examples")
    assert block.problems == []


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize(
    "measure",
    [
        "{}",
        "{learning: {seeds: 2, seconds: 1 s, evaluations: 2}}",
        "{health: {steps: 2, looks: 1}}",
        "{memory: {of: inference}, speed: {of: inference, batches: 2}}",
    ],
)
def test_a_suite_without_a_number_of_steps_is_tried_too(measure, timed):
    text = LEARNING.replace("{learning: {seeds: 2, steps: 4, evaluations: 2}}", measure)
    (block,) = examined(text=text, timed=timed)
    assert (block.problems, block.remarks) == ([], [])
