"""Training of one trial with one seed: pairing, reproducibility, checkpoints, divergence and curves."""

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
    """The run without values read from a clock."""
    found = learn(task(block, level, builder, seed=seed, checkpoint=checkpoint))
    json.dumps(found, allow_nan=False)  # records are strict JSON
    return {name: value for name, value in found.items() if name != "elapsed"}


def begun(block: Block, level: str, seed: int, builder: TrialBuilder, checkpoint: Path | None = None) -> TrainingRun:
    settings = block.measures.learning
    assert settings is not None
    return TrainingRun(task(block, level, builder), seed, settings, checkpoint)


def ids(examples) -> list[int]:
    return [example[0] for example in examples]


def test_one_seed_is_one_pair(block, builder):
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


def test_larger_model_gets_the_same_examples_and_dropout(block, builder):
    """The larger model draws more numbers for its weights. The generator is seeded again afterwards."""
    one = block("{model: {name: mlp, hidden_size: 64}}", "base.model=mlp")
    for level in ("plain", "other"):
        built_under(one, level, 5, builder)
        assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(5))), level
    plain, other = (begun(one, level, 5, builder) for level in ("plain", "other"))
    assert ids(plain.train_set) == ids(other.train_set)
    assert torch.equal(plain.built.model.layers[3].bias, other.built.model.layers[3].bias), (
        "the one that fits is copied"
    )


def test_each_seed_has_its_own_split_of_exchangeable_examples(block, builder):
    data = builder.data(block().baseline.dataset)
    parts = [split(data, seed) for seed in range(4)]
    for train_set, test_set in parts:
        assert (len(train_set), len(test_set)) == (48, 24)
        assert sorted(ids(train_set) + ids(test_set)) == list(range(72))
    assert len({tuple(ids(test_set)) for _, test_set in parts}) == 4
    assert ids(parts[0][1][3:6]) == ids(parts[0][1])[3:6], "slices too"
    fixed = Data(data.train, data.test, data.collate)
    assert split(fixed, 0) == split(fixed, 1) == (data.train, data.test)


def test_epoch_has_each_example_once_in_its_own_order(block, builder):
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


def test_curve_lengths_follow_the_settings(block, builder):
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
def test_evaluation_steps(block, builder, settings, evaluated):
    found = learnt(block("{use: [shuffled]}", f"measure.learning={settings}"), "plain", 0, builder)
    assert found["evaluated"] == evaluated
    assert found["steps"] == found["planned_steps"] == len(found["loss"]) == evaluated[-1]


def test_run_limited_by_time_is_evaluated_evenly(block, builder):
    one = block("{use: [shuffled]}", "measure.learning={seconds: 100 ms, evaluations: 4}")
    found = learn(task(one, "plain", builder))
    assert found["planned_steps"] == 0
    assert found["steps"] == len(found["loss"]) == found["evaluated"][-1]
    assert found["elapsed"][-1] >= 0.1
    assert len(found["evaluated"]) == len(found["elapsed"]) <= 5
    assert found["elapsed"] == sorted(found["elapsed"])


def test_scores_are_computed_on_test_examples(block, builder):
    """The last scores are those of the trained model on all test examples, in batches or at once."""
    run = begun(block("{}", "base.dataset.batch_size=7"), "plain", 0, builder)
    run.train()
    built = run.built
    batch = built.batch(run.test_set[:])
    with torch.no_grad():
        assert run.curve.scores["loss"][-1] == pytest.approx(float(built.model.loss(batch)), rel=1e-5)
        away = (built.model.predict(batch)[:, 0] - batch.y).abs()
    assert run.curve.scores["close"][-1] == pytest.approx(float((away < 0.5).float().mean()))


def test_evaluation_does_not_change_training(block, builder):
    """A run with dropout that is evaluated after every step equals one that is evaluated at the end only. Dropout is
    off during evaluation."""
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


def test_the_gradient_s_norm_is_the_one_before_clipping(block, builder):
    one = block("{use: [{name: shorten, max_norm: 0.1}]}")
    plain, clipped = (learnt(one, level, 0, builder) for level in ("plain", "other"))
    assert clipped["gradient_norm"][0] == plain["gradient_norm"][0] > 0.1
    assert clipped["loss"][0] == plain["loss"][0]
    assert clipped["loss"][1:] != plain["loss"][1:], "and it does clip"


def test_learning_rate_of_each_step_is_stored(block, builder):
    found = learnt(block("{use: [{name: fade, gamma: 0.5}]}", "measure.learning.steps=4"), "other", 0, builder)
    assert found["learning_rate"] == pytest.approx([0.05, 0.025, 0.0125, 0.00625])


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
def test_divergence_ends_the_run_with_a_reason(block, builder, how, step, why):
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


def test_nan_score_is_a_divergence(block, builder):
    """The loss of the step is finite, but the weights after it are not. The evaluation finds this."""
    found = learnt(block("{use: [{name: spoil, how: weights, at: 5}]}"), "other", 0, builder)
    assert (found["diverged_at"], found["why"]) == (6, "the test examples give loss nan")
    assert found["evaluated"] == [0, 3]
    assert found["steps"] == len(found["loss"]) == 6


def test_large_loss_is_a_divergence(block, builder):
    one = block("{use: [{name: descent, lr: 5.0}]}", "measure.learning.evaluations=1")
    found = learnt(one, "other", 0, builder)
    at, loss = found["diverged_at"], found["loss"]
    assert loss[at] > 100 * loss[0] >= max(loss[:at])
    assert found["why"] == f"the loss is {loss[at]:.3g}, more than 100 times the first"
    assert found["steps"] == len(loss) == at + 1
    later = block("{use: [{name: descent, lr: 5.0}]}", "measure.learning.explodes=1e5")
    assert learnt(later, "other", 0, builder)["diverged_at"] > at


def test_learning_rates_end_with_the_run(block, builder):
    found = learnt(block("{use: [{name: descent, lr: 5.0}, fade]}"), "other", 0, builder)
    assert found["diverged_at"] is not None
    assert len(found["learning_rate"]) == found["steps"]


def test_nan_before_the_first_step_is_a_failure(block, builder):
    """This is not a divergence: nothing was learned, and other seeds would fail in the same way."""
    one = block("{model: {name: broken, how: nan}}")
    with pytest.raises(TrialFailed, match="under seed 0: ValueError: before the first step the test examples give lo"):
        learnt(one, "other", 0, builder)


def test_a_step_that_raises_fails_and_names_the_seed(block, builder):
    with pytest.raises(TrialFailed, match=r"training under seed 2: RuntimeError: the step is broken \(toy.py:"):
        learnt(block("{use: [{name: spoil, how: raises}]}"), "other", 2, builder)


def test_declared_score_that_is_not_computed_is_a_failure(block, builder):
    """The error occurs here, not as a KeyError in the report."""
    one = block("{use: [shuffled]}", "base.dataset.name=boastful")
    with pytest.raises(TrialFailed, match="boastful says it has a score far, and does not compute it"):
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
def test_resumed_run_gives_the_same_result(block, builder, tmp_path, monkeypatch, parts):
    """The run is stopped in its third epoch, a few steps after its last checkpoint."""
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
def test_checkpoint_of_another_run_is_ignored(block, builder, tmp_path, what):
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
def test_damaged_checkpoint_is_ignored(block, builder, tmp_path, damage):
    """A checkpoint only saves time: a run can always start again."""
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
