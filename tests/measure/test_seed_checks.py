"""The seed of a trial sets every shared generator. A generator that no seed sets is found before a run."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tasks import task
from toy_suite import TOY, read

from harness.measure.kinds.learning import built_under, learn
from harness.measure.kinds.verify import verify_block
from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.generators import (
    generator_states,
    kept_generators,
    seed_generators,
    set_generator_states,
)
from harness.measure.runtime.watchdog import Watchdog
from harness.measure.servers import Servers
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.plan import Block

TEXT = """
question: What do the seeds set?
base: {model: linear, dataset: {name: cloud, batch_size: 8}, use: [descent]}
axes: {what: {plain: {}, other: {model: OTHER}}}
compare: {axis: what, baseline: plain}
measure: MEASURE
"""
LEARNING = "{learning: {steps: 4, evaluations: 1, seeds: 2}}"
SPEED = "{speed: {batches: 2}}"


@pytest.fixture(scope="module")
def builder() -> TrialBuilder:
    return TrialBuilder(Catalog(load_plugins([TOY, Path(__file__).parent.parent / "odd_models.py"])))


def block_of(builder: TrialBuilder, other: str, measure: str = LEARNING) -> Block:
    text = TEXT.replace("OTHER", other).replace("MEASURE", measure)
    (block,) = make_plan(read(text, catalog=builder.catalog), builder.catalog).blocks
    return block


@pytest.mark.parametrize("by", ["numpy", "python", "from_torch"])
def test_each_seed_draws_other_numbers_and_the_same_in_every_run(builder, by):
    block = block_of(builder, f"{{name: drawn, by: {by}}}")
    built = [built_under(block, "other", seed, builder).model.layers[0].weight for seed in (0, 1, 0)]
    assert torch.equal(built[0], built[2])
    assert not torch.equal(built[0], built[1])
    scores = [learn(task(block, "other", builder, seed=seed))["scores"] for seed in (0, 1, 0)]
    assert scores[0] == scores[2] != scores[1]


def test_noise_in_training_follows_the_seed(builder):
    block = block_of(builder, "noisy")
    losses = [learn(task(block, "other", builder, seed=seed))["loss"] for seed in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("{name: drawn, by: own}", "two builds under one seed have different values of layers.0.weight: they come"),
        ("{name: drawn, by: own_python}", "two builds under one seed have different values of layers.0.weight"),
        ("{name: drawn, by: system}", "two builds under one seed have different values of layers.0.weight"),
        ("{name: noisy, by: own}", "the forward pass draws from a generator that no seed sets"),
        ("{name: drawn, by: seeds_numpy}", "building it sets the seed of NumPy's random generator, so runs under all"),
        ("{name: drawn, by: seeds_torch}", "building it sets the seed of torch's random generator"),
    ],
)
def test_numbers_that_no_seed_sets_are_named_before_anything_trains(builder, model, reason):
    baseline, other = verify_block(block_of(builder, model), builder, Watchdog(0.0))
    assert (baseline["outcome"], other["outcome"]) == ("ok", "failed")
    assert reason in other["reason"]


@pytest.mark.parametrize("by", ["torch", "numpy", "python", "from_torch", "fixed"])
def test_numbers_that_the_seed_sets_pass(builder, by):
    findings = verify_block(block_of(builder, f"{{name: drawn, by: {by}}}"), builder, Watchdog(0.0))
    assert [finding["reason"] for finding in findings] == ["", ""]


def test_times_do_not_need_seeds(builder):
    findings = verify_block(block_of(builder, "{name: drawn, by: own}", SPEED), builder, Watchdog(0.0))
    assert [finding["outcome"] for finding in findings] == ["ok", "ok"]


def test_states_are_restored_and_survive_a_file(tmp_path):
    def numbers() -> list[float]:
        return [float(torch.rand(())), float(np.random.random()), random.random()]

    with kept_generators():
        seed_generators(-3)
        torch.save(generator_states(), tmp_path / "states.pt")
        first = numbers()
        assert numbers() != first
        set_generator_states(torch.load(tmp_path / "states.pt", weights_only=True))
        assert numbers() == first
        with kept_generators():
            drawn = numbers()
        assert numbers() == drawn


SETS = """
import harness

@harness.hookimpl
def describe_machine():
    return {"order": list({f"word {number}" for number in range(50)})}
"""


def test_sets_of_texts_have_the_same_order_in_every_run(tmp_path):
    (tmp_path / "sets.py").write_text(SETS)
    orders = []
    for run in ("one", "other"):
        (tmp_path / run).mkdir()
        with Servers(tmp_path / run, Catalog(load_plugins([tmp_path / "sets.py"]))) as servers:
            orders.append(servers.get({}).facts["order"])
    assert orders[0] == orders[1]


DRAWN = """
import random, numpy, torch, toy, harness

def drawn():
    data = toy.points(size=64)
    numbers = torch.rand(()), numpy.random.random(), random.random()
    rows = [(index, [float(sum(numbers))] * 8) for index, _ in data.train]
    return harness.Data(rows, rows[:8], data.collate, data.facts, toy.count)

@harness.hookimpl
def provide_datasets():
    yield harness.Dataset("drawn", drawn, "draws its points", fingerprint=lambda: "1")
"""


def test_a_dataset_that_draws_is_the_same_for_every_process_and_seed(tmp_path):
    (tmp_path / "drawn.py").write_text(DRAWN)
    catalog = Catalog(load_plugins([TOY, tmp_path / "drawn.py"]))
    text = TEXT.replace("cloud", "drawn").replace("OTHER", "linear").replace("MEASURE", SPEED)
    (block,) = make_plan(read(text, catalog=catalog), catalog).blocks
    seed_generators(5)
    rows = [TrialBuilder(catalog).data(block.baseline.dataset).train for _ in range(2)]
    assert rows[0] == rows[1]
