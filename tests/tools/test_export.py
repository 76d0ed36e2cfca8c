"""Export of trials of the toy: what a script contains, that it repeats the trial, and the messages if it cannot."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from commands import harness
from exported import HERE, run_forked, values_of
from toy_suite import SUITE, TOY

from harness.errors import UserError
from harness.measure.runtime import replay as replays
from harness.measure.runtime.replay import Replay
from harness.plugins.catalog import Entry
from harness.plugins.parts import Model, Skip
from harness.tools.export import check
from harness.tools.export import script as scripts
from harness.tools.export.check import RUNNER, find_difference
from harness.tools.export.modules import included_modules, origin_of, origin_of_part
from harness.tools.export.script import ExportedTrial, make_script, mode_of
from harness.tools.export.trials import find_trial, trial_path


@pytest.mark.parametrize("mode", ["train", "inference"])
@pytest.mark.parametrize("level", ["plain", "adaptive", "backwards", "lazy", "deep", "spun"])
def test_a_script_repeats_the_trial(catalog, exported, level, mode):
    made = make_script(catalog, exported(level, mode))
    assert not made.replay.failure
    assert len(made.replay.values) == 8
    assert values_of(made.text) == pytest.approx(made.replay.values, rel=1e-6)
    assert made.needs == "torch"
    assert "import harness" not in made.text
    assert "provide_models" not in made.text


def test_script_contains_only_the_code_that_the_trial_uses(catalog, exported):
    text = make_script(catalog, exported("adaptive")).text
    assert "def adaptive(recipe: Recipe" in text
    assert 'recipe = shorten(recipe.as_used_by("shorten"), max_norm=1.0)' in text
    assert "class Points(NamedTuple):" in text
    for gone in ("descent", "def mlp", "def points", "class WithHealth", "def observe"):
        assert gone not in text
    inference = make_script(catalog, exported("adaptive", "inference")).text
    assert "def adaptive" not in inference
    assert "# Note      adaptive is left out: it does not change an inference step." in inference
    turned = make_script(catalog, exported("backwards")).text
    assert "# Note      reverse is left out: it only shapes the batches." in turned


def test_a_script_runs_by_itself_and_prints_its_environment_and_times(here):
    done = harness("export", "backwards", "toy.yaml", "--script", "--output", "trial.py", cwd=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Checked: the script was run and repeats the 8 steps of the trial." in done.stderr
    code = RUNNER.replace("{packages}", repr(HERE))
    code += "assert not any(name.split('.')[0] == 'harness' for name in sys.modules)\n"
    ran = run_forked([sys.executable, "-I", "-c", code, "trial.py", "--steps", "9", "--time", "2"], cwd=here)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0].startswith(f"torch {torch.__version__}, Python ")
    assert lines[1].startswith("device cpu, threads 1, ")
    assert lines[2].startswith("step 1: loss ")
    assert "(expected " in lines[9]
    assert "(expected " not in lines[10]
    assert lines[11].startswith("agrees with what the harness computed")
    assert "ms for a training step (median" in lines[12]


@pytest.mark.parametrize(("mode", "calls"), [("call", 2), ("fresh", 1)])
def test_script_of_calls_times_the_prediction_alone(catalog, exported, mode, calls, tmp_path):
    """In the mode call, an untimed call precedes each timed one."""
    made = make_script(catalog, exported("plain", mode))
    assert values_of(made.text) == pytest.approx(made.replay.values, rel=1e-6)
    (tmp_path / "trial.py").write_text(made.text)
    count = (
        "import runpy, sys; sys.argv = ['trial.py']; names = runpy.run_path('trial.py'); batches = names['embedded_batches']()\n"
        "built, seen = names['build_trial'](names['torch'].device('cpu')), []\n"
        "predict = built.evaluate; built.evaluate = lambda model, batch: seen.append(id(batch)) or predict(model, batch)\n"
        "assert names['time_steps'](built, batches, 1) > 0\n"
        "print(len(seen), len(set(seen)), len(batches))"
    )
    done = run_forked([sys.executable, "-I", "-c", count], cwd=tmp_path)
    assert done.stdout.split() == [str(8 * calls), "8", "8"], done.stderr


def test_check_reports_how_a_script_differs_from_its_trial():
    seen = Replay((0.5, 0.25))
    steps = "print('step 1: loss 0.5 (expected 0.5)')\nprint('step 2: loss 0.250001 (expected 0.25)')\n"
    assert find_difference(steps, seen, {}, 60) == ""
    assert find_difference(steps.replace("0.250001", "0.2501"), seen, {}, 60) == (
        "its step 2 gives 0.2501, the trial's gives 0.25"
    )
    assert find_difference(f"{steps}unknown", seen, {}, 60) == (
        "it fails with NameError: name 'unknown' is not defined, the trial does not fail"
    )
    assert find_difference("", seen, {}, 60) == "it takes 0 steps, the trial takes 2"
    failed = Replay(failure="train step 1: RuntimeError: no (toy.py:3)")
    assert find_difference("", failed, {}, 60) == f"it does not fail, the trial fails with {failed.failure}"
    assert find_difference("raise RuntimeError('no,\\nand why')", failed, {}, 60) == ""
    assert find_difference("unknown", failed, {}, 60).startswith(
        "it fails with NameError: name 'unknown' is not defined, the trial fails with train"
    )
    assert find_difference(f"{steps}raise RuntimeError", failed, {}, 60) == "it takes 2 steps, the trial takes 0"
    assert find_difference("import time; time.sleep(60)", Replay(failure="took longer than its limit"), {}, 0.5) == ""
    assert find_difference("import toy", seen, {}, 60, ["toy"]) == (
        "it fails with ModuleNotFoundError: the script must not import toy, the trial does not fail"
    )
    assert find_difference("import os; 1 / (os.environ['A'] == 'b')", Replay(), {"A": "b"}, 60) == ""


def test_a_trial_that_fails_is_exported_with_its_failure(catalog, exported):
    made = make_script(catalog, exported("broken"))
    assert "RuntimeError: the toy is broken" in made.replay.failure
    assert "# Expect    a failure. In the harness it was: train step 1: RuntimeError: the toy is broken" in made.text
    assert made.failure == made.replay.failure
    with pytest.raises(RuntimeError, match="the toy is broken"):
        values_of(made.text)


def test_a_trial_that_crashes_is_exported_too(catalog, exported, monkeypatch):
    monkeypatch.setattr(check.subprocess, "run", run_forked)
    made = make_script(catalog, exported("crash"))
    assert made.replay.failure == "the process was killed by SIGSEGV"
    assert len(made.replay.values) == 2
    assert find_difference(made.text, made.replay, {}, 60) == ""
    assert find_difference(made.text.replace("SIGSEGV)", "SIGBUS)"), made.replay, {}, 60).startswith(
        "it fails with exit"
    )


def test_a_step_that_hangs_is_stopped(catalog, exported):
    one = exported("hangs", "train", "measure.limit=0.3 s")
    assert make_script(catalog, one).replay.failure == "took longer than its limit of 0.3 s"


def test_an_optimization_of_the_environment_is_in_the_header_only(catalog, exported):
    text = make_script(catalog, exported("apart")).text
    assert "THREADS, SEED, DEVICE = 2, 0" in text
    assert "# Run       TOY=1 python THIS_FILE" in text
    assert "elsewhere is left out: it acts before the process starts" in text
    assert 'os.environ.get("TOY") != "1"' in text


# Which trial


def test_trials_are_found_by_id_level_or_path(planned):
    text = SUITE.replace("axes:", "axes:\n  size: {few: {dataset: {size: 128}}, many: {}}")
    plan = planned(text=text)
    block, trial = find_trial(plan, "few/backwards")
    assert trial_path(block, trial) == "few/backwards"
    assert find_trial(plan, trial.id) == (block, trial)
    assert find_trial(plan, trial.id[:8]) == (block, trial)
    with pytest.raises(UserError) as caught:
        find_trial(plan, "backwards")
    assert "'backwards' matches several trials of suite:" in str(caught.value)
    assert f"\n  {trial.id}  few/backwards\n" in str(caught.value)
    with pytest.raises(UserError, match=r"no trial 'fw/backwards'\. Did you mean few/backwards"):
        find_trial(plan, "fw/backwards")
    with pytest.raises(UserError, match="no trial 'abc'"):
        find_trial(plan, "abc")


def test_default_mode_is_the_first_measured_one(planned, catalog):
    plan = planned("", "measure.speed.of=[inference, train]")
    block, trial = find_trial(plan, "plain")
    assert mode_of(block, trial, catalog, None) == "inference"
    assert mode_of(block, trial, catalog, "train") == "train"
    plan = planned("", "measure.speed.of=inference", "base.use=[]")
    block, trial = find_trial(plan, "plain")
    with pytest.raises(UserError, match=r"has no optimizer, so it does not train\. Try --mode inference"):
        mode_of(block, trial, catalog, "train")


def test_only_the_batches_that_fit_are_embedded(catalog, exported):
    made = make_script(catalog, exported("plain"), characters=1500)
    assert 1 <= len(made.replay.values) < 8
    assert "only the first of the 8 batches of the work set are here" in made.text
    assert values_of(made.text) == pytest.approx(made.replay.values, rel=1e-6)


def test_numbers_of_a_large_batch_are_replaced_by_random_ones(catalog, exported, monkeypatch):
    monkeypatch.setattr(scripts, "MAX_CHARACTERS", 4000)
    one = exported("plain", "train", "base.dataset.features=700")
    made = make_script(catalog, one)
    assert "Large tensors in the batches have random numbers instead of those of the dataset." in made.text
    assert "def random_tensor(" in made.text
    assert len(made.text) < 12_000
    assert values_of(made.text) == pytest.approx(made.replay.values, rel=1e-6)
    monkeypatch.setattr(scripts, "MAX_CHARACTERS", 100)
    with pytest.raises(UserError, match=r"one batch of plain takes \d+ KB, which is too much for a script"):
        make_script(catalog, one)


def test_a_small_training_set_gives_fewer_batches(catalog, planned):
    text = SUITE.replace("name: points", "name: cloud, size: 20").partition("  speed:")[0]
    plan = planned(text=text + "  learning: {seeds: 2, steps: 2, metric: close}\n")
    block, trial = find_trial(plan, "plain")
    made = make_script(catalog, ExportedTrial(plan, block, trial, mode_of(block, trial, catalog, None)))
    assert len(made.replay.values) == 2


# What cannot be exported


def test_code_without_a_name_is_refused(catalog):
    modules = included_modules(catalog, [])
    with pytest.raises(UserError, match=r"model x: its code \(.*<lambda>\) has no name at the top of a module"):
        origin_of(modules, lambda facts: None, "model x")
    entry = Entry(Model("x", "toy:nowhere"), "toy.py", "0")
    with pytest.raises(UserError, match=r"model x \(plugin toy\.py\): toy does not define nowhere"):
        origin_of_part(modules, entry)


def test_batches_that_cannot_be_made_are_reported(catalog, exported):
    with pytest.raises(UserError, match=r"the batches of backwards cannot be made: .*"):
        make_script(catalog, exported("backwards", "train", "base.dataset.size=0"))


def test_trial_that_skips_this_machine_is_reported(catalog, exported, monkeypatch):
    monkeypatch.setattr(scripts, "replay", lambda *rest: Replay(skipped="no such unit"))
    with pytest.raises(UserError, match="plain cannot run here: no such unit"):
        make_script(catalog, exported("plain"))

    def skip(*rest: Any) -> None:
        raise Skip("no compiler")

    monkeypatch.setattr(scripts, "work_batches", skip)
    with pytest.raises(UserError, match="plain cannot run here: no compiler"):
        make_script(catalog, exported("plain"))


def test_a_trial_is_exported_without_its_gpu(catalog, exported):
    one = exported("plain")
    one = replace(one, trial=replace(one.trial, device="cuda"))
    made = make_script(catalog, one)
    assert made.replay is None
    assert 'DEVICE = 1, 0, "cuda"' in made.text
    assert "# Expect    not known, since there was no cuda where it was exported" in made.text


# The command


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plain", "toy.yaml"], "expected --script or --issue. Add one of them."),
        (["plain", "--script"], "there is no run in it yet"),
        (["plain", "nowhere", "--script"], "results: there is no run of 'nowhere' in it."),
        (["plain", "no/where", "--script"], "no/where: is not the folder of a run"),
        (["plian", "toy.yaml", "--script"], "toy has no trial 'plian'. Did you mean plain?"),
        (
            ["plain", ".", "--script", "--set", "base.seed=1"],
            "a trial of a run is exported as it was planned. Leave out --preset, --set",
        ),
        (
            ["plain", "toy.yaml", "--script", "--no-check", "--output", "toy.yaml/where.py"],
            "cannot be written: File exists",
        ),
    ],
)
def test_wrong_arguments_are_refused(here, arguments, says):
    done = harness("export", *arguments, cwd=here)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_a_script_that_does_not_repeat_the_trial_is_not_written(here):
    with patch("harness.tools.export.check.find_difference", lambda *rest: "it differs"):
        done = harness("export", "plain", "toy.yaml", "--script", cwd=here)
    assert done.returncode == 2
    assert "the script of plain does not repeat the trial: it differs. Add --no-check" in done.stderr
    done = harness("export", "plain", "toy.yaml", "--script", "--no-check", cwd=here)
    assert done.returncode == 0
    assert "Not checked: the script was not run." in done.stderr
    assert done.stdout.startswith("# One trial of a benchmark in one file.")


def test_all_methods_are_included_if_the_script_fails_otherwise(here):
    found = iter(["AttributeError: no predict", ""])
    with patch("harness.tools.export.check.find_difference", lambda *rest: next(found)):
        done = harness("export", "plain", "toy.yaml", "--script", cwd=here)
    assert done.returncode == 0
    assert "def observe" in done.stdout


def test_a_run_of_another_version_is_refused(here, tmp_path):
    from harness.plan.planner import make_plan
    from harness.plugins.catalog import Catalog
    from harness.plugins.manager import load_plugins
    from harness.suite.loader import load_suite
    from harness.tools.export.trials import check_unchanged

    catalog = Catalog(load_plugins([TOY]))
    plan = make_plan(load_suite(here / "toy.yaml", catalog), catalog)
    trial = plan.blocks[0].trials[0]
    check_unchanged(plan, trial, catalog)
    old = replace(trial, model=replace(trial.model, version="sha256:old"))
    with pytest.raises(
        UserError, match=r"toy was planned with linear from toy.py sha256:old, but the installed version is sha256:"
    ):
        check_unchanged(plan, old, catalog)
    with pytest.raises(UserError, match="the data of points changed since toy was planned"):
        check_unchanged(plan, replace(trial, fingerprint="points 0"), catalog)


def test_the_mean_magnitude_of_predictions_of_any_form():
    one = torch.tensor([-1.0, 3.0])
    assert replays.mean_magnitude(one) == 2
    assert replays.mean_magnitude({"a": one, "b": (one * 2, [one])}) == 2.5


@pytest.mark.slow
def test_the_output_of_plugins_is_not_in_the_script(here):
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
