"""Training scripts.

A function of a script returns a `harness.Experiment`: any model, optimizer, data and loss. The core derives everything
else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import experiment_scripts
import pytest
from tried import LITTLE, OTHERS, block_of, tried, works

from harness.measure.runtime.builder import TrialBuilder
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins

FILE = Path(experiment_scripts.__file__)
KINDS = {**LITTLE, **{kind: OTHERS[kind] for kind in ("memory", "cost")}}
TRAIN = {"learning": {"seeds": 1, "steps": 4, "evaluations": 1}}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog(load_plugins())


def base(name: str, **parameters: Any) -> dict[str, Any]:
    return {"experiment": {"from": f"{FILE}:{name}", **parameters}}


def learning(metric: str, **more: Any) -> dict[str, Any]:
    return {"learning": {**TRAIN["learning"], "metric": metric, **more}}


@pytest.mark.parametrize("name", ["pairs", "dictionaries", "dataclasses", "packed", "nested"])
def test_batches(catalog, name):
    """Batches may be tuples, dictionaries, dataclasses, a PackedSequence, and nested in each other.

    They come from the dataset and the `collate_fn` of a DataLoader, and may hold arrays and texts beside tensors.
    """
    works(catalog, base(name), None, KINDS)


def test_dataset_without_loader(catalog):
    """A dataset of torch or Hugging Face, or a list of examples, works with `batch_size` and `collate`, without a
    DataLoader."""
    found = works(catalog, base("rows_without_loader"))
    assert found["base"]["verify"]["dataset_counts"] == {"examples": 48.0}


@pytest.mark.parametrize("name", ["generator", "stream"])
def test_iterables(catalog, name):
    """A generator or a list of batches works, and so does an IterableDataset. They are read once into memory."""
    works(catalog, base(name), None, {"speed": LITTLE["speed"]})


def test_batches_are_not_split(catalog):
    """Where the data come as batches, a batch stays as it is. One batch is what one example is elsewhere."""
    found = works(catalog, base("generator"), None, learning("accuracy"))
    assert found["base"]["learning"]["train"] == 6


@pytest.mark.parametrize("name", ["weighted", "buckets"])
def test_samplers(catalog, name):
    """A sampler of your own draws one epoch under a fixed seed: these examples, or batches, are the training set.

    A plain shuffle is not drawn. The harness shuffles itself, in another order under each seed.
    """
    found = works(catalog, base(name))
    assert found["base"]["learning"]["train"] == {"weighted": 40, "buckets": 7}[name]


def test_split_without_a_generator(catalog):
    """`random_split` and shuffling without a generator are allowed: the data are made under a fixed seed.

    All processes, levels and seeds have the same examples.
    """
    works(catalog, base("split"), {"same": {"use": ["deterministic"]}})


@pytest.mark.parametrize("name", ["accumulation", "two_optimizers"])
def test_own_step(catalog, name):
    """A step of your own may accumulate gradients, or use several optimizers. All of its time counts as update."""
    works(catalog, base(name), None, {**KINDS, "profile": {"of": "train"}})


def test_own_evaluation(catalog):
    """An evaluation of your own gets the model and all test batches, and returns numbers by name."""
    found = works(catalog, base("own_evaluate"), None, learning("accuracy", also=["batches"]))
    assert found["base"]["learning"]["scores"]["batches"] == [2.0, 2.0]
    reason = tried(catalog, base("own_evaluate"), None, learning("f1"))["base"]["failed"]
    assert reason.endswith("there is no score f1; evaluate returns accuracy, batches, loss")


def test_normalization_and_dropped_batches(catalog):
    """Batch normalization and dropout work. A last batch of one example is left out if the loader has `drop_last`."""
    found = works(catalog, base("normalized"), None, {"learning": {"seeds": 1, "epochs": 2, "evaluations": 1}})
    assert found["base"]["learning"]["steps"] == 10
    failed = tried(
        catalog, base("normalized", drop_last=False), None, TRAIN | {"learning": {**TRAIN["learning"], "steps": 9}}
    )
    assert "Expected more than 1 value per channel" in failed["base"]["failed"]


def test_schedulers(catalog):
    """A scheduler steps after each update, or after as many as you say, and its state is saved and restored.

    Give a function of the optimizer and the number of steps, as for OneCycleLR: the length of a run is chosen in the
    suite. A scheduler that ends too early is an error that says so.
    """
    found = works(catalog, base("one_cycle"))
    rates = found["base"]["learning"]["learning_rate"]
    assert len(set(rates)) == len(rates)
    assert len(works(catalog, base("each_epoch"))["base"]["learning"]["learning_rate"]) == 1
    reason = tried(catalog, base("one_cycle", total=2), None, TRAIN)["base"]["failed"]
    assert "the scheduler ends before the run: Tried to step 3 times" in reason


def test_predictions_of_any_form(catalog):
    """Predictions may be anything. If they are one tensor with a row for each example, verification compares them."""
    works(catalog, base("sequence_labels"), None, learning("right"))


def test_random_examples(catalog):
    """Examples may be drawn at random whenever they are read, as with augmentation."""
    works(catalog, base("augmented"), {"other": {"use": ["deterministic"]}})


def test_parameters_as_levels(catalog):
    """Levels differ in parameters of the function. Each is built under the same seed, and trained on the same examples.

    Nothing is promised of such a level but finite numbers, since only its author knows what it changes.
    """
    found = works(catalog, base("pairs"), {"wide": {"experiment": {"hidden": 32}}}, learning("accuracy"))
    assert found["wide"]["learning"]["shared"] == []
    assert "own_objective" not in found["wide"]["learning"]


def test_losses_of_other_parameters(catalog):
    """A level whose loss has another constant, such as label smoothing, is scored by another function.

    The report does not compare such losses. A criterion, or another score, compares them.
    """
    found = works(catalog, base("pairs"), {"smooth": {"experiment": {"smoothing": 0.1}}}, TRAIN)
    assert found["smooth"]["learning"]["own_objective"].startswith("given the same predictions, its loss differs")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"count": 40}, "it has 40 training examples, and the baseline 48"),
        ({"shift": 1.0}, "its training examples are not those of the baseline"),
        ({"batch_size": 4}, "its batches have 4 examples, and those of the baseline 8"),
    ],
)
def test_other_examples(catalog, parameters, says):
    """A level with other examples or another batch size than the baseline is refused. It can be a context."""
    found = tried(catalog, base("other_examples"), {"other": {"experiment": parameters}})
    assert says in found["other"]["failed"]
    assert "vary" in found["other"]["failed"].lower()


def test_modifiers(catalog):
    """Optimizations that need only the training step apply with `use`: clipping, precision, threads, allocator,
    subnormal numbers, determinism and compilation."""
    names = ["clip", "flush_denormal", "deterministic", "threads", "allocator", "adam"]
    found = tried(catalog, base("pairs"), {name: {"use": [name]} for name in names}, {"speed": LITTLE["speed"]})
    failed = {level: data["failed"] for level, data in found.items() if "failed" in data}
    assert not failed


def test_modifiers_without_effect(catalog):
    """An optimization that an own step would not use is refused, and one that would take the optimizer away from its
    scheduler."""
    found = tried(catalog, base("accumulation"), {"clipped": {"use": ["clip"]}})
    assert "clip changes update, which the experiment's own step does not call" in found["clipped"]["failed"]
    found = tried(catalog, base("one_cycle"), {"adam": {"use": ["adam"]}})
    assert "adam changes the optimizer, which the experiment's scheduler belongs to" in found["adam"]["failed"]


def test_seed_parameter(catalog):
    """A parameter named `seed` gets the seed of the run. A function that sets another seed itself is refused."""
    block_measure = {"learning": {"seeds": 2, "steps": 2, "evaluations": 1}}
    works(catalog, base("seeded"), None, block_measure)


def test_types_of_parameters(catalog):
    """A parameter without an annotation has the type of its default. One that a plan cannot store keeps its default."""
    block = block_of(catalog, base("typed", rate=1, free=[1, 2]), {"same": {}}, {"speed": {}})
    parameters = block.baseline.model.parameters
    assert "hook" not in parameters
    model = TrialBuilder(catalog).bare(block.baseline)
    assert model.model.given == {
        "rate": 1.0, "name": "a", "flag": False, "count": 3, "shape": (2, 3), "free": [1, 2],
    }  # fmt: skip
