"""Experiments: what a wrong one says, and how batches, predictions and schedules are held."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import experiment_scripts as scripts
import faulty_experiments as faulty
import pytest
import torch
from tried import LITTLE, tried

from harness.errors import UserError, UserErrors
from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.experiments.batches import Predictions, data_of
from harness.measure.runtime.experiments.call import load_data
from harness.measure.runtime.experiments.identity import identity_of
from harness.measure.runtime.experiments.model import ExperimentModel, Optimizers
from harness.plugins.catalog import Catalog
from harness.plugins.experiment import located_reference, parameters_of_experiment
from harness.plugins.file_paths import stored_path
from harness.plugins.manager import load_plugins
from harness.plugins.recipe import Recipe
from harness.records.plan import Spec
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import Source

FAULTY = Path(faulty.__file__)
TRAIN = {"learning": {"seeds": 1, "steps": 2, "evaluations": 1}}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog(load_plugins())


def base(name: str, **parameters: Any) -> dict[str, Any]:
    return {"experiment": {"from": f"{FAULTY}:{name}", **parameters}}


#: What is wrong with each function whose result is refused before any batch is made.
REFUSED = {
    "nothing": "returns nothing; expected a harness.Experiment. Return harness.Experiment(",
    "no_experiment": "returns a value of type Sequential; expected a harness.Experiment.",
    "no_module": "the model of the experiment is a function; expected a torch.nn.Module.",
    "no_loss": "the loss of the experiment is a str; expected a function. Give loss(model, batch)",
    "foreign_optimizer": "AdamW has no parameter of the model that the function returns. Make the optimizer from",
    "strange_parameters": "SGD has 2 parameters that are not in the model. Put the model and the module",
    "several_optimizers": "the experiment has 2 optimizers and no step. Give step(model, optimizer, batch)",
    "bad_clip": "clip is -1. Give the largest norm",
    "clip_and_step": "the experiment has an own step, which does not use clip. Do it in step.",
    "plateau": "ReduceLROnPlateau needs a score at each of its steps.",
    "bad_score": "'loss' is no score of an experiment. Give a name other than loss",
    "criterion_alone": "the experiment has a criterion, which needs predictions. Give predict(model, batch) too.",
    "bad_state": "state has a int, which has no state_dict and load_state_dict.",
    "empty_loader": "train has no examples. Give data with at least one batch.",
    "exhausted": "train is an iterator that is exhausted. Make it inside the function",
    "endless": "train yields more than 100,000 items, which would be read at once. Give fewer",
    "no_batch_size": "train is a Rows, and the experiment has no batch_size. Give batch_size",
    "several_sets": "train is a dict. It has 'train', 'test': give one of these.",
    "text": "test is a str. Give a DataLoader, a dataset with batch_size, or an iterable of batches.",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(catalog, name):
    """The message has the file and line of the function, what was expected, and what to do."""
    with pytest.raises(UserError) as error:
        TrialBuilder(catalog).data(Spec("experiment", {"from": f"{FAULTY}:{name}"}, "", ""))
    line = getattr(faulty, name).__code__.co_firstlineno
    assert f"{stored_path(FAULTY, Path())}:{line}: " in str(error.value)
    assert REFUSED[name].removesuffix(".") in str(error.value)


def test_exception_inside(catalog):
    """An exception in the function has the line that raised it."""
    with pytest.raises(UserError, match=r"NameError: name 'undefined' is not defined \(faulty_experiments.py:\d+\)"):
        TrialBuilder(catalog).data(Spec("experiment", {"from": f"{FAULTY}:raises"}, "", ""))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vector_loss", "loss returns a tensor of shape (8,); expected a scalar tensor. Return the mean loss"),
        ("loss_of_nothing", "loss returns nothing; expected a scalar tensor."),
        ("loss_raises", "(faulty_experiments.py:"),
        ("collate_raises", "KeyError: 'y' (faulty_experiments.py:"),
        ("reseeds", "building it sets the seed of torch's random generator"),
        ("changes_threads", "it changes the number of threads, which all trials share"),
    ],
)
def test_fails_in_verification(catalog, name, says):
    reason = tried(catalog, base(name), None, TRAIN)["base"]["failed"]
    assert says in reason
    assert "UserError" not in reason


@pytest.mark.parametrize(
    ("name", "measure", "says"),
    [
        ("step_of_nothing", {"speed": LITTLE["speed"]}, "step returns nothing; expected a scalar tensor."),
        ("words_as_score", {"learning": {**TRAIN["learning"], "metric": "words"}}, "words returns a str; expected"),
        ("words_evaluated", TRAIN, "evaluate must return numbers by name (could not convert string"),
        ("words_as_score", {"learning": {**TRAIN["learning"], "metric": "f1"}}, "for these data it computes words"),
    ],
)
def test_fails_in_measurement(catalog, name, measure, says):
    assert says in tried(catalog, base(name), None, measure)["base"]["failed"]


def planned(catalog: Catalog, first: dict[str, Any], level: dict[str, Any], **more: Any) -> Any:
    from harness.plan.planner import make_plan

    document = {
        "question": "?", "base": first, "axes": {"a": {"one": {}, "two": level}, **more},
        "compare": {"axis": "a", "baseline": "one"}, "measure": {"speed": {}},
    }  # fmt: skip
    return make_plan(parse_suite(Source("suite.yaml", document), "suite", "", catalog), catalog)


PAIRS = f"{scripts.__file__}:pairs"


@pytest.mark.parametrize(
    ("first", "level", "says"),
    [
        ({"experiment": {"hidden": 3}}, {}, "the experiment lacks its function. Add from: FILE.py:NAME"),
        ({}, {}, "base lacks the name of a model."),
        ({"experiment": PAIRS}, {"model": "lstm"}, "the base has an experiment, so there is no model to set."),
        ({"experiment": PAIRS, "model": "lstm"}, {}, "the base has an experiment, so there is no model to set."),
        ({"model": "lstm", "dataset": "reviews"}, {"experiment": PAIRS}, "so there is no experiment to set."),
        (
            {"experiment": PAIRS},
            {"experiment": {"hiden": 3}},
            "has no parameter 'hiden' (in a two). Did you mean hidden?",
        ),
        ({"experiment": PAIRS}, {"experiment": {"hidden": "x"}}, "pairs.hidden: expected a valid integer, got 'x'"),
        ({"experiment": f"{FAULTY}:no_such"}, {}, "faulty_experiments.py has no function 'no_such'."),
        ({"experiment": "no_file.py:build"}, {}, "no_file.py: file not found."),
        ({"experiment": "build"}, {}, "'build' does not name a function. Write file.py:name"),
        ({"experiment": f"{FAULTY}:positional"}, {}, "parameter 'pooling' is positional-only."),
        ({"experiment": f"{FAULTY}:required"}, {}, "required needs a value for pooling (in a one)."),
        ({"model": "experiment", "dataset": "experiment"}, {}, "experiment is not the name of a model."),
    ],
)
def test_wrong_suite(catalog, first, level, says):
    with pytest.raises(UserErrors) as error:
        planned(catalog, first, level)
    assert says in str(error.value)


def test_paths_as_axes(catalog):
    """An axis may vary a parameter; its levels are then contexts."""
    axis = {"path": "experiment.hidden", "values": [4, 8]}
    plan = planned(catalog, {"experiment": PAIRS}, {"experiment": {"clip": 2}}, hidden=axis)
    assert [block.baseline.model.parameters["hidden"] for block in plan.blocks] == [4, 8]
    assert all(block.baseline.changes == "rounding" for block in plan.blocks)
    assert [block.trials[1].changes for block in plan.blocks] == ["model", "model"]


def test_id_of_a_trial_depends_on_the_file(catalog, tmp_path):
    """Another content of the file is another trial."""
    ids = []
    for hidden in (3, 4):
        file = tmp_path / str(hidden) / "train.py"
        file.parent.mkdir()
        file.write_text(f"def build(x=1):\n    return {hidden}\n")
        plan = planned(catalog, {"experiment": f"{file}:build"}, {"experiment": {"x": 2}})
        ids.append(plan.blocks[0].baseline.model.version)
    assert ids[0] != ids[1]
    assert ids[0].startswith("sha256:")


def test_references_are_relative_to_the_suite(tmp_path, monkeypatch):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "train.py").touch()
    monkeypatch.chdir(tmp_path)
    assert located_reference("train.py:build", Path("suites"), None) == "suites/train.py:build"
    assert located_reference("package.train:build", Path("suites"), None) == "package.train:build"


def test_parameters():
    found = parameters_of_experiment(f"{scripts.__file__}:typed")
    types = {name: parameter.type_name for name, parameter in found.items()}
    assert types == {
        "from": "str", "rate": "float", "name": "str", "flag": "bool", "count": "int", "shape": "Any", "free": "Any",
    }  # fmt: skip


def test_batches_that_came_as_such_are_evaluated_together():
    data = data_of(scripts.generator(), "train.py:1")
    batch = data.collate([data.test[0], data.test[1]])
    assert batch.ids.tolist() == [6, 7]
    assert batch.sizes == (1, 1)
    model = ExperimentModel(scripts.generator(), "train.py:1").eval()
    losses = [scripts.loss_of_pair(model.model, part).item() for part in batch.parts]
    assert model.loss(batch).item() == pytest.approx(sum(losses) / 2)
    predictions = model.predict(batch)
    assert isinstance(predictions, Predictions)
    assert data.scores["accuracy"](predictions, batch).shape == (16,)


def test_a_mean_counts_for_each_example():
    """A score may return the mean of a batch. It then counts for each of its examples."""
    data = data_of(scripts.dataclasses(), "train.py:1")
    model = ExperimentModel(scripts.dataclasses(), "train.py:1")
    batch = data.collate([data.train[position] for position in range(5)])
    assert data.scores["error"](model.predict(batch), batch).shape == (5,)


def test_several_optimizers_are_one():
    experiment = scripts.two_optimizers()
    optimizers = Optimizers(experiment.optimizer)
    assert len(optimizers.param_groups) == 2
    model = ExperimentModel(experiment, "train.py:1")
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizers.step()
    optimizers.zero_grad()
    assert all(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())
    saved = optimizers.state_dict()
    optimizers.load_state_dict(saved)
    assert list(saved) == ["0", "1"]


def test_schedule_is_part_of_the_state():
    model = ExperimentModel(scripts.each_epoch(), "train.py:1")
    seams = model.default_seams(Recipe(steps=20))
    optimizer = seams["optimizer"](model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    rates = []
    for _ in range(13):
        seams["update"](model, optimizer)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.01] * 5 + [0.001] * 6 + [0.0001] * 2)

    class Built:
        pass

    built: Any = Built()
    built.model, built.optimizer = model, optimizer
    schedule = seams["state"](built)[-1]
    state = schedule.state_dict()
    assert state["updates"] == 13
    schedule.load_state_dict(state)


def test_identity_of_a_loss():
    """Two losses are the same function if their code and the constants around it are the same."""

    def made(smoothing: float) -> Any:
        return lambda model, batch: model(batch) * smoothing

    assert identity_of(made(0.1)) == identity_of(made(0.1))
    assert identity_of(made(0.1)) != identity_of(made(0.2))
    assert identity_of(torch.nn.Linear(1, 1)) is None
    assert identity_of(made(torch.ones(2))) == identity_of(made(torch.ones(2))) != identity_of(made(torch.zeros(2)))
    assert identity_of(made(torch.nn.NLLLoss())) == identity_of(made(torch.nn.NLLLoss()))
    assert identity_of(made(torch.nn.NLLLoss(reduction="sum"))) != identity_of(made(torch.nn.NLLLoss()))
    assert identity_of(partial(scripts.loss_of_pair, object())) is None
    assert identity_of(made([1, made(2)])) == identity_of(made([1, made(2)])) != identity_of(made([1, made(3)]))


def test_data_are_the_same_under_any_seed():
    """The examples are made under one seed, and the model under that of the trial."""
    reference = f"{scripts.__file__}:split"
    torch.manual_seed(0)
    first = load_data(**{"from": reference})
    torch.manual_seed(0)
    second = load_data(**{"from": reference})
    assert [int(one.item[1]) for one in first.train] == [int(one.item[1]) for one in second.train]


def test_a_level_makes_its_own_batches():
    """The examples are those of the baseline. The level collates them itself, and takes batches that came as such from
    its own data."""
    ours, theirs = (data_of(scripts.in_two_forms(form), "train.py:1") for form in ("double", "plain"))
    examples = [theirs.train[position] for position in range(3)]
    assert torch.equal(ours.collate(examples).parts[0][0], 2 * theirs.collate(examples).parts[0][0])
    ours, theirs = (data_of(scripts.batches_in_two_forms(form), "train.py:1") for form in ("double", "plain"))
    (part,) = ours.collate([theirs.train[2]]).parts
    assert torch.equal(part[0], 2 * theirs.collate([theirs.train[2]]).parts[0][0])


def test_batches_in_another_form_are_noted(catalog):
    """Only the number of batches can be compared where they have another form. The report says so."""
    base = {"experiment": f"{scripts.__file__}:batches_in_two_forms"}
    found = tried(catalog, base, {"double": {"experiment": {"form": "double"}}, "same": {"experiment": {"unused": 1}}})
    assert found["double"]["verify"]["unseen_batches"] is True
    assert "unseen_batches" not in found["same"]["verify"]
    assert not [level for level, data in found.items() if "failed" in data]
