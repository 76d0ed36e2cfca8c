"""Builds a trial: its model, its optimizer and the functions of a step."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import torch

from harness.errors import UserError, did_you_mean
from harness.measure.runtime.dtypes import floats_as, input_dtype, to_float64
from harness.measure.runtime.experiments.model import ExperimentModel
from harness.measure.runtime.failure import reason_of
from harness.measure.runtime.generators import seed_generators
from harness.measure.runtime.model_checks import check_model, check_optimizer, check_replaceable
from harness.measure.runtime.subset import with_slices
from harness.plugins.catalog import Catalog, resolve
from harness.plugins.parts import Data, Dataset, Model, Optimization
from harness.plugins.recipe import Recipe
from harness.records.plan import Spec, Trial

Mark = Callable[[str], None]

#: What a trial `changes` if it promises the same function of the same weights as its baseline.
SAME_FUNCTION = frozenset({"rounding", "order", "update"})


def no_mark(phase: str) -> None:
    """A `mark` for steps whose phases are not timed."""


@dataclass
class BuiltTrial:
    """A trial that is ready to run: the model, the optimizer and the functions of the recipe (see `recipe.SEAMS`)."""

    trial: Trial
    device: torch.device
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer | None
    order: Callable[..., list[list[int]]]
    collate: Callable[..., Any]
    forward: Callable[..., torch.Tensor]
    backward: Callable[..., None]
    update: Callable[..., None]
    step: Callable[..., torch.Tensor]
    evaluate: Callable[..., Any]
    observe: Callable[..., Mapping[str, torch.Tensor]]
    count: Callable[..., Mapping[str, float]]
    state: Callable[[BuiltTrial], Sequence[Any]]
    #: The dtype of floating-point inputs that the model wants; None if it does not say. See `dtypes.input_dtype`.
    input_dtype: torch.dtype | None = None

    def batch(self, examples: Sequence[Any]) -> Any:
        """The examples as one batch on the trial's device, in the dtype that the model wants."""
        return self.as_input(self.on_device(self.collate(examples)))

    def on_device(self, batch: Any) -> Any:
        """A collated batch on the trial's device."""
        return batch if self.device.type == "cpu" else batch.to(self.device)

    def as_input(self, batch: Any) -> Any:
        """A batch in the dtype that the model wants."""
        if self.input_dtype is None:
            return batch
        converted = floats_as(batch, self.input_dtype)
        if converted is batch:  # the dataset gives this dtype, so later batches need no look
            self.input_dtype = None
        return converted

    def batch_positions(self, examples: Sequence[Any], random: Random) -> list[list[int]]:
        """The positions of the examples in each batch of this trial. Raises ValueError unless each example is in
        exactly one batch."""
        batches = self.order(examples, self.trial.batch_size, random)
        if sorted(position for batch in batches for position in batch) != list(range(len(examples))):
            raise ValueError("its order does not contain each example exactly once")
        return batches

    def work_batches(self, examples: Sequence[Any], expected: int | None = None) -> list[list[Any]]:
        """The work set in batches of this trial, the same in every process. Raises ValueError like `batch_positions`,
        and unless there are as many batches as `expected`."""
        batches = self.batch_positions(examples, Random(f"order {self.trial.seed}"))
        if expected is not None and len(batches) != expected:
            raise ValueError(f"its order makes {len(batches)} batches; expected {expected}")
        return [[examples[position] for position in batch] for batch in batches]


class TrialBuilder:
    """Builds trials from the parts of a catalog. Loads each dataset once."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._data: dict[Any, Data] = {}

    def data(self, spec: Spec) -> Data:
        """The dataset, loaded at first use. Raises UserError if it cannot be loaded."""
        key = (spec.name, repr(sorted(spec.parameters.items())))
        if key not in self._data:
            code = self.catalog.code(self.catalog.find(Dataset, spec.name))
            seed_generators(0)  # every process must load the same examples, whatever the seed of its trial
            try:
                loaded = code(**spec.parameters)
            except Exception as error:
                raise UserError(f"{spec.title}: {reason_of(error)}") from error
            if not isinstance(loaded, Data):
                raise TypeError(f"dataset {spec.name} returns a {type(loaded).__name__}, not harness.Data")
            self._data[key] = replace(loaded, train=with_slices(loaded.train), test=with_slices(loaded.test))
        return self._data[key]

    def load_code(self, trial: Trial) -> None:
        """Import the code that the parameters of the model name, if they do."""
        entry = self.catalog.find(Model, trial.model.name)
        if entry.part.load is not None:
            resolve(entry.part.load, entry.owner)(**trial.model.parameters)

    def work_set(self, trial: Trial, batches: int) -> list[Any]:
        """The examples that every variant and every process is timed on: `batches` x `batch_size` training examples
        that the seed of the trial fixes; all of them in their order, if the data fix the number of batches. Raises
        ValueError if there are too few."""
        data = self.data(trial.dataset)
        if data.batches is not None:
            return [data.train[position] for position in range(len(data.train))]
        train, wanted = data.train, available_batches(data, batches) * trial.batch_size
        self.check_work_set(len(train), trial.batch_size, wanted // trial.batch_size)
        positions = Random(f"work set {trial.seed}").sample(range(len(train)), wanted)
        return [train[position] for position in positions]

    @staticmethod
    def check_work_set(size: int, batch_size: int, batches: int) -> None:
        """Raise ValueError if a training set of this size is too small for a work set."""
        if size < batches * batch_size:
            raise ValueError(
                f"the work set needs {batches} x {batch_size} = {batches * batch_size} examples and the training set "
                f"has {size}; lower measure.speed.batches or dataset.batch_size"
            )

    def bare(self, trial: Trial, recipe: Recipe | None = None) -> torch.nn.Module:
        """The model that the trial's recipe builds under its seed, before any initialiser. Raises TypeError if it lacks
        a method, and ValueError if weights have no shape yet."""
        entry = self.catalog.find(Model, trial.model.name)
        facts = self.data(trial.dataset).facts
        recipe = recipe or self.recipe(trial)
        seed_generators(trial.seed)
        build = recipe.seam("build", lambda: self.catalog.code(entry)(facts, **trial.model.parameters))
        model = build()
        check_model(model, trial.model.name)
        return model

    def weights(self, trial: Trial) -> dict[str, torch.Tensor]:
        """A copy of the weights of the bare model, by name."""
        return {name: tensor.clone() for name, tensor in tensors_of(self.bare(trial)).items()}

    def recipe(self, trial: Trial, steps: int | None = None) -> Recipe:
        """The recipe with all optimizations of the trial applied, from left to right, for a run of this many training
        steps."""
        recipe = Recipe(steps=steps)
        for spec in trial.use:
            entry = self.catalog.find(Optimization, spec.name)
            recipe = self.catalog.code(entry)(recipe.as_used_by(spec.name), **spec.parameters)
        return recipe

    def build(
        self,
        trial: Trial,
        weights: Mapping[str, torch.Tensor] | None = None,
        *,
        exact: bool = False,
        before_init: Callable[[torch.nn.Module], None] = lambda model: None,
        steps: int | None = None,
    ) -> BuiltTrial:
        """Build the model under the trial's seed, and then run the initialisers.

        `weights` are those of the baseline. They are copied into tensors of the same name and shape if the trial
        promises the same function of the same weights. Any other trial keeps the weights that it was built with: a
        different weight may be its treatment, and what it has in common with the baseline is equal already, since both
        are built under the same seed. The model keeps its dtypes, unless it is to be `exact`: then it is moved to
        float64. `steps` is the number of training steps of a run, if there is one.
        """
        data, recipe = self.data(trial.dataset), self.recipe(trial, steps)
        device = torch.device(trial.device)
        model = self.bare(trial, recipe)
        if weights and trial.changes in SAME_FUNCTION:
            copy_weights(weights, model)
        before_init(model)
        recipe.seam("init", lambda model: None)(model)
        for method in recipe.of_model():
            patch(model, method, recipe, trial)
        model.to(device=device)
        if exact:
            to_float64(model)
        model.train()
        own = model.default_seams(recipe) if isinstance(model, ExperimentModel) else {}
        optimizer = recipe.seam("optimizer", own.get("optimizer", lambda model: None))(model)
        check_optimizer(optimizer, recipe)
        return BuiltTrial(
            trial=trial,
            device=device,
            model=model,
            optimizer=optimizer,
            order=recipe.seam("order", consecutive_batches),
            collate=recipe.seam("collate", data.collate),
            forward=recipe.seam("forward", lambda model, batch: model.loss(batch)),
            backward=recipe.seam("backward", lambda model, loss: loss.backward()),
            update=recipe.seam("update", own.get("update", update)),
            step=recipe.seam("step", own.get("step", step)),
            evaluate=recipe.seam("evaluate", lambda model, batch: model.predict(batch)),
            observe=recipe.seam("observe", lambda model, batch: model.observe(batch)),
            count=recipe.seam("count", lambda model, batch: data.count(batch) if data.count else {}),
            state=recipe.seam("state", own.get("state", lambda built: [built.model, built.optimizer])),
            input_dtype=torch.float64 if exact else input_dtype(model),
        )


def available_batches(data: Data, batches: int) -> int:
    """The number of batches in a work set of at most `batches`: fewer if the data have a batch size of their own, which
    a suite does not choose, and not enough examples."""
    return max(1, min(batches, len(data.train) // data.batch_size)) if data.batch_size else batches


def consecutive_batches(examples: Sequence[Any], batch_size: int, random: Random) -> list[list[int]]:
    """The default order: consecutive examples, since the work set is already shuffled. Only the last batch may be
    smaller than `batch_size`."""
    return [list(range(at, min(at + batch_size, len(examples)))) for at in range(0, len(examples), batch_size)]


def update(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """The default update: one optimizer step, after which the gradients are cleared."""
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def step(built: BuiltTrial, batch: Any, mark: Mark) -> torch.Tensor:
    """The default step. Returns the loss and does not wait for a GPU."""
    loss = built.forward(built.model, batch)
    mark("forward")
    built.backward(built.model, loss)
    mark("backward")
    built.update(built.model, built.optimizer)
    mark("update")
    return loss.detach()


def tensors_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The parameters and persistent buffers by name, detached. The extra state of a module may be anything else."""
    return {name: value for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}


def copy_weights(weights: Mapping[str, torch.Tensor], model: torch.nn.Module) -> None:
    """Copy the tensors whose name and shape the model has too."""
    for name, tensor in tensors_of(model).items():
        if name in weights and weights[name].shape == tensor.shape:
            tensor.copy_(weights[name])


def patch(model: torch.nn.Module, method: str, recipe: Recipe, trial: Trial) -> None:
    """Replace a method of the model by the one that the optimizations make of it. Raises UserError if the model lacks
    it."""
    check_replaceable(model, method, recipe.changes[f"model.{method}"][0].by)
    default = getattr(type(model), method, None)
    if default is None:
        methods = [name for name in dir(type(model)) if not name.startswith("_") and name not in dir(torch.nn.Module)]
        optimization = recipe.changes[f"model.{method}"][0].by
        raise UserError(
            f"{optimization} changes model.{method}, which {trial.model.name} lacks.", fix=did_you_mean(method, methods)
        )
    setattr(model, method, types.MethodType(recipe.seam(f"model.{method}", default), model))
