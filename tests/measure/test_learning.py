"""Training one trial under one seed: pairs, reproducibility, checkpoints, divergence, curves."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from tasks import task

from harness.measure.kinds import learning as train
from harness.measure.kinds.learning import TrainingRun, built_under, learn, split
from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.failure import TrialFailed
from harness.plugins.parts import Data
from harness.records.plan import Block

TEXT = """
question: Which learns?
base:
  model: linear
  dataset: {name: cloud, batch_size: 8}
  use: [{name: descent, lr: 0.05}]
axes: {what: {plain: {}, other: OTHER}}
compare: {axis: what, baseline: plain}
measure: {learning: {steps: 12, evaluations: 4}}
"""


@pytest.fixture
def block(planned) -> Callable[..., Block]:
    """The block of a baseline and one other level."""

    def plan(other: str = "{use: [shuffled]}", *settings: str) -> Block:
        (one,) = planned("", *settings, text=TEXT.replace("OTHER", other)).blocks
        return one

    return plan


@pytest.fixture
def builder(catalog) -> TrialBuilder:
    return TrialBuilder(catalog)


def learnt(
    block: Block, level: str, seed: int, builder: TrialBuilder, checkpoint: Path | None = None
) -> dict[str, Any]:
    """The run without values read from a clock, and without the scores of a constant answer, which only the baseline
    has."""
    found = learn(task(block, level, builder, seed=seed, checkpoint=checkpoint))
    json.dumps(found, allow_nan=False)  # records are strict JSON
    return {name: value for name, value in found.items() if name not in ("elapsed", "constant")}


def begun(block: Block, level: str, seed: int, builder: TrialBuilder, checkpoint: Path | None = None) -> TrainingRun:
    settings = block.measures.learning
    assert settings is not None
    return TrainingRun(task(block, level, builder), seed, settings, checkpoint)


def ids(examples) -> list[int]:
    return [example[0] for example in examples]


def test_trials_under_one_seed_are_a_pair(block, builder):
    one = block('{use: ["null"]}')
    plain, other = begun(one, "plain", 3, builder), begun(one, "other", 3, builder)
    assert ids(plain.train_set) == ids(other.train_set)
    assert ids(plain.test_set) == ids(other.test_set)
    first, second = (run.batches(0) for run in (plain, other))
    assert [ids(next(first)) for _ in range(15)] == [ids(next(second)) for _ in range(15)]
    same_weights(plain.built.model, other.built.model)
    assert learnt(one, "plain", 3, builder) == learnt(one, "other", 3, builder)


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> None:
    theirs: Mapping[str, torch.Tensor] = other.state_dict()
    assert one.state_dict().keys() == theirs.keys()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


def test_seeds_differ_in_split_order_and_weights(block, builder):
    one, other = (begun(block(), "plain", seed, builder) for seed in (0, 1))
    assert ids(one.test_set) != ids(other.test_set)
    assert ids(next(one.batches(0))) != ids(next(other.batches(0)))
    assert not torch.equal(one.built.model.layers[0].weight, other.built.model.layers[0].weight)


def test_a_larger_model_gets_the_same_examples_and_dropout(block, builder):
    """It draws more numbers for its weights; the generator is set anew after that. Its weights are its own."""
    one = block("{model: {name: mlp, hidden_size: 64}}", "base.model=mlp")
    for level in ("plain", "other"):
        built_under(one, level, 5, builder)
        assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(5))), level
    plain, other = (begun(one, level, 5, builder) for level in ("plain", "other"))
    assert ids(plain.train_set) == ids(other.train_set)
    assert not torch.equal(plain.built.model.layers[3].bias, other.built.model.layers[3].bias)
    assert learnt(one, "other", 5, builder)["shared"] == []


def test_each_seed_splits_exchangeable_examples_differently(block, builder):
    data = builder.data(block().baseline.dataset)
    parts = [split(data, seed) for seed in range(4)]
    for train_set, test_set in parts:
        assert (len(train_set), len(test_set)) == (48, 24)
        assert sorted(ids(train_set) + ids(test_set)) == list(range(72))
    assert len({tuple(ids(test_set)) for _, test_set in parts}) == 4
    assert ids(parts[0][1][3:6]) == ids(parts[0][1])[3:6], "slices too"
    fixed = Data(data.train, data.test, data.collate)
    assert split(fixed, 0) == split(fixed, 1) == (data.train, data.test)


def test_each_epoch_has_every_example_once_in_another_order(block, builder):
    run = begun(block(), "plain", 0, builder)
    batches = run.batches(0)
    epochs = [[ids(next(batches)) for _ in range(6)] for _ in range(3)]
    for epoch in epochs:
        assert sorted(itertools.chain(*epoch)) == sorted(ids(run.train_set))
    assert epochs[0] != epochs[1] != epochs[2]
    late = run.batches(8)
    assert [ids(next(late)) for _ in range(4)] == epochs[1][2:]


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_the_same_seed_gives_the_same_bits(block, builder, model):
    one = block("{use: [harmful]}", f"base.model={model}")
    for level in ("plain", "other"):
        assert learnt(one, level, 1, builder) == learnt(one, level, 1, builder)
    assert learnt(one, "plain", 1, builder)["loss"] != learnt(one, "plain", 2, builder)["loss"]
    assert learnt(one, "plain", 1, builder)["loss"] != learnt(one, "other", 1, builder)["loss"]


def test_lengths_of_curves(block, builder):
    found = learnt(block(), "plain", 0, builder)
    assert len(found["loss"]) == len(found["gradient_norm"]) == 12
    assert found["evaluated"] == [0, 3, 6, 9, 12]
    assert set(found["scores"]) == {"loss", "close"}
    assert all(len(series) == 5 for series in found["scores"].values())
    assert found["learning_rate"] == [0.05], "once, where it never changes"
    assert {name: found[name] for name in ("steps", "planned_steps", "train", "test", "diverged_at", "why")} == {
        "steps": 12, "planned_steps": 12, "train": 48, "test": 24, "diverged_at": None, "why": "",
    }  # fmt: skip
    assert found["scores"]["loss"][-1] < found["scores"]["loss"][0]
    assert found["scores"]["close"][-1] > found["scores"]["close"][0]


@pytest.mark.parametrize(
    ("settings", "evaluated"),
    [
        ("{epochs: 1.5, evaluations: 3}", [0, 3, 6, 9]),
        ("{epochs: 0.5, evaluations: 20}", [0, 1, 2, 3]),
        ("{steps: 7, evaluations: 2}", [0, 4, 7]),
        ("{steps: 2, evaluations: 20}", [0, 1, 2]),
        ("{steps: 20, evaluations: 1}", [0, 20]),
    ],
)
def test_steps_at_which_a_run_is_evaluated(block, builder, settings, evaluated):
    found = learnt(block("{use: [shuffled]}", f"measure.learning={settings}"), "plain", 0, builder)
    assert found["evaluated"] == evaluated
    assert found["steps"] == found["planned_steps"] == len(found["loss"]) == evaluated[-1]


def test_a_run_of_fixed_duration_is_evaluated_evenly_in_time(block, builder):
    one = block("{use: [shuffled]}", "measure.learning={seconds: 100 ms, evaluations: 4}")
    found = learn(task(one, "plain", builder))
    assert found["planned_steps"] == 0
    assert found["steps"] == len(found["loss"]) == found["evaluated"][-1]
    assert found["elapsed"][-1] >= 0.1
    assert len(found["evaluated"]) == len(found["elapsed"]) <= 5
    assert found["elapsed"] == sorted(found["elapsed"])


def test_held_out_examples_are_evaluated(block, builder):
    """The last scores are those of the trained model on all of the test examples, in batches or at once."""
    run = begun(block("{}", "base.dataset.batch_size=7"), "plain", 0, builder)
    run.train()
    built = run.built
    batch = built.batch(run.test_set[:])
    with torch.no_grad():
        assert run.curve.scores["loss"][-1] == pytest.approx(float(built.model.loss(batch)), rel=1e-5)
        away = (built.model.predict(batch)[:, 0] - batch.y).abs()
    assert run.curve.scores["close"][-1] == pytest.approx(float((away < 0.5).float().mean()))


def test_evaluation_changes_nothing(block, builder):
    """Evaluated after every step or at the end alone, a run with dropout is the same, and dropout is off meanwhile."""
    often, seldom = (
        learnt(block("{use: [shuffled]}", "base.model=mlp", f"measure.learning.evaluations={n}"), "plain", 0, builder)
        for n in (12, 1)
    )
    assert often["loss"] == seldom["loss"]
    assert often["scores"]["loss"][-1] == seldom["scores"]["loss"][-1]
    run = begun(block("{}", "base.model=mlp"), "plain", 0, builder)
    run.evaluate()
    run.evaluate()
    assert run.curve.scores["loss"][0] == run.curve.scores["loss"][1]
    assert run.built.model.training


def test_the_gradient_norm_is_taken_before_clipping(block, builder):
    one = block("{use: [{name: shorten, max_norm: 0.1}]}")
    plain, clipped = (learnt(one, level, 0, builder) for level in ("plain", "other"))
    assert clipped["gradient_norm"][0] == plain["gradient_norm"][0] > 0.1
    assert clipped["loss"][0] == plain["loss"][0]
    assert clipped["loss"][1:] != plain["loss"][1:], "and it does clip"


def test_the_learning_rate_of_each_step_is_recorded(block, builder):
    found = learnt(block("{use: [{name: fade, gamma: 0.5}]}", "measure.learning.steps=4"), "other", 0, builder)
    assert found["learning_rate"] == pytest.approx([0.05, 0.025, 0.0125, 0.00625])


@pytest.mark.parametrize(("length", "steps"), [("{steps: 5}", 5), ("{epochs: 1.5, evaluations: 3}", 9)])
def test_a_part_knows_the_length_of_a_run(block, builder, length, steps):
    """OneCycleLR raises after its last step. It rises and falls once."""
    found = learnt(block("{use: [one_cycle]}", f"measure.learning={length}"), "other", 0, builder)
    assert found["steps"] == len(found["learning_rate"]) == steps
    assert max(found["learning_rate"]) > 0.09
    assert found["learning_rate"][-1] < 0.02


def test_a_trial_without_an_optimizer_cannot_train(planned, builder):
    text = TEXT.replace("OTHER", "{}").replace("learning: {steps: 12, evaluations: 4}", "speed: {of: inference}")
    (one,) = planned("", text=text.replace("use: [{name: descent, lr: 0.05}]", "use: []")).blocks
    with pytest.raises(ValueError, match="it has no optimizer"):
        built_under(one, "plain", 0, builder)


# Divergence


@pytest.mark.parametrize(
    ("how", "step", "why"),
    [
        ("nan", 3, "the loss is nan"),
        ("gradient", 3, "the gradient's norm is inf"),
        ("weights", 4, "the loss is nan"),
    ],
)
def test_a_run_that_diverges_ends_with_a_reason(block, builder, how, step, why):
    one = block(f"{{use: [{{name: spoil, how: {how}, at: 3}}]}}", "measure.learning.evaluations=1")
    found = learnt(one, "other", 0, builder)
    assert (found["diverged_at"], found["why"]) == (step, why)
    assert found["steps"] == len(found["loss"]) == len(found["gradient_norm"]) == step + 1
    assert found["planned_steps"] == 12
    assert found["evaluated"] == [0]
    plain = learnt(one, "plain", 0, builder)
    assert found["loss"][:3] == plain["loss"][:3]
    if why == "the loss is nan":
        assert found["loss"][-1] is None, "JSON has no word for it"


def test_a_run_diverges_if_an_evaluation_is_not_finite(block, builder):
    """The step's own loss is fine; the weights after it are not, and an evaluation comes first to see it."""
    found = learnt(block("{use: [{name: spoil, how: weights, at: 5}]}"), "other", 0, builder)
    assert (found["diverged_at"], found["why"]) == (6, "a score of the test examples is not finite: loss nan")
    assert found["evaluated"] == [0, 3]
    assert found["steps"] == len(found["loss"]) == 6


def test_a_finite_explosion_is_divergence(block, builder):
    one = block("{use: [{name: descent, lr: 5.0}]}", "measure.learning.evaluations=1")
    found = learnt(one, "other", 0, builder)
    at, loss = found["diverged_at"], found["loss"]
    assert loss[at] > 100 * loss[0] >= max(loss[:at])
    assert found["why"] == f"the loss is {loss[at]:.3g}, more than 100 times the first"
    assert found["steps"] == len(loss) == at + 1
    later = block("{use: [{name: descent, lr: 5.0}]}", "measure.learning.explodes=1e5")
    assert learnt(later, "other", 0, builder)["diverged_at"] > at


def test_the_curve_of_the_learning_rate_ends_with_the_run(block, builder):
    found = learnt(block("{use: [{name: descent, lr: 5.0}, fade]}"), "other", 0, builder)
    assert found["diverged_at"] is not None
    assert len(found["learning_rate"]) == found["steps"]


def test_a_model_that_is_not_finite_before_its_first_step_fails(block, builder):
    """That is no divergence: nothing was learned, and no other seed would do better."""
    one = block("{model: {name: broken, how: nan}}")
    with pytest.raises(
        TrialFailed,
        match="under seed 0: ValueError: before the first step, a score of the test examples is not finite: lo",
    ):
        learnt(one, "other", 0, builder)


def test_a_step_that_raises_fails_and_names_the_seed(block, builder):
    with pytest.raises(TrialFailed, match=r"training under seed 2: RuntimeError: the step is broken \(toy.py:"):
        learnt(block("{use: [{name: spoil, how: raises}]}"), "other", 2, builder)


def test_a_declared_score_that_is_not_computed_fails(block, builder):
    """Here, and not with a KeyError when the report is written."""
    one = block("{use: [shuffled]}", "base.dataset.name=boastful")
    with pytest.raises(
        TrialFailed, match="boastful declares the score far but does not compute it; for these data it computes close"
    ):
        learnt(one, "plain", 0, builder)


# Checkpoints

PARTS = {
    "plain descent": ("{}", ()),
    "dropout and Adam": ("{use: [adaptive], drop: [descent], model: {name: mlp, hidden_size: 8}}", ()),
    "a schedule": ("{use: [fade]}", ()),
    "updates drawn at random": ("{use: [harmful, fade]}", ()),
    "epochs": ("{use: [shuffled]}", ("measure.learning={epochs: 6.5, evaluations: 5}",)),
}


class Stopped(Exception):
    """An exception that ends the process in the middle of a run."""


@pytest.mark.parametrize("parts", PARTS)
def test_a_resumed_run_gives_the_same_result(block, builder, tmp_path, monkeypatch, parts):
    """It is stopped in its third epoch, a few steps after it was last saved."""
    other, settings = PARTS[parts]
    one = block(other, *(settings or ("measure.learning={steps: 39, evaluations: 5, checkpoint: 1 h}",)))
    whole = learnt(one, "other", 0, builder)
    file = tmp_path / "checkpoints" / "one.pt"
    run = begun(one, "other", 0, builder, file)
    step = run.built.step

    def stopping(*given: Any) -> torch.Tensor:
        if run.step == 20:
            raise Stopped
        return step(*given)

    run.built.step = stopping
    # each reading of the clock is one hour later
    monkeypatch.setattr(train, "monotonic", iter(range(0, 1_000_000, 4000)).__next__)
    with pytest.raises(Stopped):
        run.train()
    assert file.is_file()
    assert not list(file.parent.glob("*.part"))
    torch.manual_seed(99)
    again = begun(one, "other", 0, builder, file)
    again.resume()
    assert 12 <= again.step <= 20
    assert learnt(one, "other", 0, builder, file) == whole


def saved(block: Block, level: str, seed: int, builder: TrialBuilder, file: Path) -> Path:
    """A checkpoint of a run's end."""
    run = begun(block, level, seed, builder, file)
    run.train()
    run.save()
    return file


def test_finished_checkpoint_is_not_trained_further(block, builder, tmp_path):
    file = saved(block(), "other", 0, builder, tmp_path / "one.pt")
    assert learnt(block(), "other", 0, builder, file) == learnt(block(), "other", 0, builder)


@pytest.mark.parametrize("what", ["level", "seed", "settings", "block"])
def test_the_checkpoint_of_another_run_is_not_loaded(block, builder, tmp_path, what):
    file = saved(block(), "other", 0, builder, tmp_path / "one.pt")
    level, seed, one = "other", 0, block()
    if what == "level":
        level = "plain"
    elif what == "seed":
        seed = 1
    elif what == "settings":
        one = block("{use: [shuffled]}", "measure.learning.steps=10")
    else:
        one = block("{use: [reverse]}")
    run = begun(one, level, seed, builder, file)
    run.resume()
    assert run.step == 0
    assert run.curve == train.Curve()


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "other"])
def test_a_damaged_checkpoint_is_ignored(block, builder, tmp_path, damage):
    """It saves time at best, and a run can always begin anew."""
    file = saved(block(), "other", 0, builder, tmp_path / "one.pt")
    whole = file.read_bytes()
    if damage == "other":
        torch.save([1, 2], file)
    else:
        file.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "garbage": b"garbage"}[damage])
    assert learnt(block(), "other", 0, builder, file) == learnt(block(), "other", 0, builder)


def test_a_checkpoint_runs_no_code(block, builder, tmp_path):
    file = tmp_path / "one.pt"
    torch.save({"key": Random(0)}, file)  # an object of a class, which pickle would construct by a call
    assert learnt(block(), "other", 0, builder, file) == learnt(block(), "other", 0, builder)
