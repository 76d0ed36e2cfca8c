"""Trains one trial under one seed and evaluates it on held-out examples.

Steps are not timed. The seed determines all random numbers: the weights, the split if the dataset allows one, the order
of examples, and the numbers from the generators of torch, NumPy and Python, as for dropout. On one thread of one
machine, the same seed gives bit-identical numbers, even if the run was stopped and resumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from itertools import count
from math import ceil, isfinite, nan
from pathlib import Path
from random import Random
from time import monotonic, perf_counter
from typing import Any

import torch
from torch.utils.data import ConcatDataset

from harness.measure.runtime.builder import BuiltTrial, TrialBuilder, no_mark
from harness.measure.runtime.evaluation import Evaluation
from harness.measure.runtime.failure import failures_of
from harness.measure.runtime.generators import generator_states, seed_generators, set_generator_states
from harness.measure.runtime.pairing import own_objective, shared_weights
from harness.measure.runtime.subset import Subset
from harness.measure.runtime.task import Task
from harness.plugins.parts import Data
from harness.records.plan import Block
from harness.records.settings import Learning
from harness.records.store import replace_file

#: The losses are read after this many steps, since reading one synchronizes with a GPU.
READ_EVERY = 16


@dataclass
class Curve:
    """The curves of a run. The first three have one entry per step. `evaluated` and `elapsed` are the steps and the
    seconds of training after which the scores were computed. `constant` are the scores of a constant answer."""

    loss: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    evaluated: list[int] = field(default_factory=list)
    elapsed: list[float] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=dict)
    constant: dict[str, float] = field(default_factory=dict)
    diverged_at: int | None = None
    why: str = ""

    def first_divergence(self, begin: int, explodes: float) -> tuple[int, str] | None:
        """The first step from `begin` on at which the run has diverged, and the reason."""
        for step in range(begin, len(self.loss)):
            loss, norm = self.loss[step], self.gradient_norm[step]
            if not isfinite(loss):
                return step, f"the loss is {loss}"
            if loss > explodes * abs(self.loss[0]):
                return step, f"the loss is {loss:.3g}, more than {explodes:g} times the first"
            if norm == norm and not isfinite(norm):
                return step, f"the gradient's norm is {norm}"
        return None


def split(dataset: Data, seed: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """The training and test examples of a seed. Exchangeable examples are split again, with the same sizes."""
    if not dataset.exchangeable:
        return dataset.train, dataset.test
    both = ConcatDataset([dataset.train, dataset.test])
    positions = Random(f"split {seed}").sample(range(len(both)), len(both))
    size = len(dataset.train)
    return Subset(both, positions[:size]), Subset(both, positions[size:])


def learn(task: Task) -> dict[str, Any]:
    """The run of one trial under one seed, as JSON values. Resumes the run that is saved at the checkpoint, if any.
    Raises TrialFailed."""
    with failures_of(task.level, f"training under seed {task.seed}"):
        task.doing("building the model")
        run = TrainingRun(task, task.seed, task.settings, task.checkpoint)
        paired = run.compare_with_baseline(task)
        run.resume()
        run.train()
    curve = asdict(run.curve)
    if len(set(curve["learning_rate"])) == 1:
        del curve["learning_rate"][1:]
    for name in ("loss", "gradient_norm"):  # JSON has no infinity and no NaN
        curve[name] = [value if isfinite(value) else None for value in curve[name]]
    return {
        **curve,
        **paired,
        "steps": run.step,
        "planned_steps": run.total,
        "train": len(run.train_set),
        "test": len(run.test_set),
    }


def missing_scores(settings: Learning, data: Data) -> Iterator[str]:
    """What is wrong with each score that a dataset declares and does not compute."""
    if data.evaluate is not None:
        return  # its names are known when it has run
    for name in settings.scores:
        if name != "loss" and name not in data.scores:
            others = f"; for these data it computes {', '.join(sorted(data.scores))}" if data.scores else ""
            yield f"declares the score {name} but does not compute it{others}"


def wanted(scores: Mapping[str, float], settings: Learning) -> dict[str, float]:
    """The scores that a plan names, among those that were computed. Raises ValueError if one is missing."""
    for name in settings.scores:
        if name not in scores:
            raise ValueError(f"there is no score {name}; evaluate returns {', '.join(scores)}")
    return {name: scores[name] for name in settings.scores} if settings.scores else dict(scores)


def steps_of(settings: Learning, data: Data, batch_size: int) -> int | None:
    """The training steps of a run; None if it ends after some time."""
    epochs = ceil((settings.epochs or 0.0) * batches_in(data, batch_size))
    return settings.steps or epochs or None


def batches_in(data: Data, batch_size: int) -> int:
    """The number of batches in an epoch."""
    whole, rest = divmod(len(data.train), batch_size)
    return max(1, whole + (rest > 0 and not data.drop_last))


def built_under(block: Block, level: str, seed: int, builder: TrialBuilder, steps: int | None = None) -> BuiltTrial:
    """A trial under a seed, with the weights of its baseline under this seed, for a run of this many steps."""
    weights = builder.weights(replace(block.baseline, seed=seed))
    built = builder.build(replace(block.trial(level), seed=seed), weights, steps=steps)
    if built.optimizer is None:
        raise ValueError("it has no optimizer")
    seed_generators(seed)  # models of different sizes have drawn different amounts
    return built


class TrainingRun:
    """The training of one trial under one seed."""

    def __init__(self, task: Task, seed: int, settings: Learning, checkpoint: Path | None = None) -> None:
        self.seed, self.settings, self.checkpoint, self.watchdog = seed, settings, checkpoint, task.watchdog
        data = task.builder.data(task.trial.dataset)
        #: The steps planned; 0 if the run ends after some time.
        self.total = steps_of(settings, data, task.trial.batch_size) or 0
        self.is_baseline = task.level == task.block.baseline.level
        self.built = built_under(task.block, task.level, seed, task.builder, self.total or None)
        for text in missing_scores(settings, data):
            raise ValueError(f"{self.built.trial.dataset.title} {text}")
        self.data = replace(data, scores={name: data.scores[name] for name in settings.scores if name in data.scores})
        self.train_set, self.test_set = split(data, seed)
        self.evaluation = Evaluation(self.built, self.data, self.test_set, task.watchdog)
        #: Names the run in its checkpoint.
        self.key = f"{task.block.id} {task.level} {seed} {settings.steps} {settings.epochs} {settings.evaluations}"
        #: The steps taken.
        self.step = 0
        self.spent = 0.0
        self.curve = Curve()
        self.norms: list[torch.Tensor] = []
        update = self.built.update

        def with_norm(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
            self.norms.append(gradient_norm(model))  # before the update may clip the gradient
            update(model, optimizer)

        self.built.update = with_norm

    def compare_with_baseline(self, task: Task) -> dict[str, Any]:
        """What the run has in common with that of the baseline, before its first step: `shared` names the equal tensors
        among all, unless all are equal; `own_objective` says why its loss cannot be compared; `batch_dependent` says
        that its predictions depend on the other examples of a batch, and `size_dependent` that its own loss depends on
        the batch size."""
        kinds = ("batch_dependent", "size_dependent")
        found: dict[str, Any] = {kind: True for kind in kinds if getattr(self.evaluation, kind)}
        if self.is_baseline:
            return found
        baseline = built_under(task.block, task.block.baseline.level, self.seed, task.builder)
        found |= shared_weights(self.built, baseline)
        if self.data.criterion is None:
            examples = self.test_set[: self.built.trial.batch_size]
            if reason := own_objective(self.built, baseline, task.builder, examples):
                found["own_objective"] = reason
        return found

    def train(self) -> None:
        """Train and evaluate until the end, or until the run has diverged."""
        settings, curve = self.settings, self.curve
        if not curve.evaluated:
            self.evaluate()
        batches = self.batches(self.step)
        total = self.total
        due = {round(total * index / settings.evaluations) for index in range(settings.evaluations + 1)}
        losses: list[torch.Tensor] = []
        norms: list[torch.Tensor] = []
        saved = monotonic()
        while not self.finished(total):
            begun = perf_counter()
            self.watchdog.doing(self.built.trial.level, "one training step")
            curve.learning_rate.append(self.learning_rate())
            losses.append(self.built.step(self.built, self.built.batch(next(batches)), no_mark))
            norms.append(torch.stack(self.norms).max() if self.norms else torch.tensor(nan, device=self.built.device))
            self.norms.clear()
            self.step += 1
            self.spent += perf_counter() - begun
            evaluation = self.step in due if total else self.spent >= self.next_evaluation()
            if len(losses) == READ_EVERY or evaluation or self.finished(total):
                if self.read(losses, norms):
                    return
                if evaluation or self.finished(total):
                    self.evaluate()
                    if curve.diverged_at is not None:
                        return
                if self.checkpoint and monotonic() - saved >= settings.checkpoint:
                    self.save()
                    saved = monotonic()

    def learning_rate(self) -> float:
        """The learning rate of the first group of parameters."""
        assert self.built.optimizer is not None
        return float(self.built.optimizer.param_groups[0]["lr"])

    def finished(self, total: int) -> bool:
        """Whether the run has reached its number of steps, or its time."""
        return self.step >= total if total else self.spent >= (self.settings.seconds or 0.0)

    def next_evaluation(self) -> float:
        """The seconds of training after which the next evaluation is due."""
        return (self.settings.seconds or 0.0) * len(self.curve.evaluated) / self.settings.evaluations

    def read(self, losses: list[torch.Tensor], norms: list[torch.Tensor]) -> bool:
        """Move the latest losses and norms into the curve. Returns whether the run has diverged."""
        curve, begin = self.curve, len(self.curve.loss)
        for series, values in ((curve.loss, losses), (curve.gradient_norm, norms)):
            series += [float(f"{value:.7g}") for value in torch.stack(values).float().tolist()]
            values.clear()
        divergence = curve.first_divergence(begin, self.settings.explodes)
        if divergence is None:
            return False
        curve.diverged_at, curve.why = divergence
        self.step = curve.diverged_at + 1
        for series in (curve.loss, curve.gradient_norm, curve.learning_rate):
            del series[self.step :]
        return True

    def batches(self, begin: int) -> Iterator[list[Any]]:
        """Endless batches from number `begin` on. The order differs between epochs."""
        size = len(self.train_set)
        for epoch in count():
            shuffled = Subset(self.train_set, Random(f"epoch {self.seed} {epoch}").sample(range(size), size))
            batches = self.built.batch_positions(shuffled, Random(f"order {self.seed} {epoch}"))
            if self.data.drop_last and len(batches) > 1:
                batches = [batch for batch in batches if len(batch) == self.built.trial.batch_size]
            for batch in batches[begin:]:
                yield [shuffled[position] for position in batch]
            begin = max(0, begin - len(batches))

    def evaluate(self) -> None:
        """Add the loss and all scores on the test examples to the curve. Before the first step, add those of a constant
        answer; they are the same for all levels, so only the baseline computes them."""
        scores = wanted(self.evaluation.scores(), self.settings)
        if not self.step and self.is_baseline:
            self.curve.constant = self.evaluation.constant(self.train_set)
        if not all(map(isfinite, scores.values())):
            bad = ", ".join(f"{name} {score}" for name, score in scores.items() if not isfinite(score))
            if not self.step:
                raise ValueError(f"before the first step, a score of the test examples is not finite: {bad}")
            self.curve.diverged_at, self.curve.why = self.step, f"a score of the test examples is not finite: {bad}"
            return
        for name, score in scores.items():
            self.curve.scores.setdefault(name, []).append(score)
        self.curve.evaluated.append(self.step)
        self.curve.elapsed.append(round(self.spent, 3))

    def save(self) -> None:
        """Save everything that the rest of the run depends on: to a temporary file, which is then renamed."""
        assert self.checkpoint is not None
        state = {
            "key": self.key,
            "step": self.step,
            "spent": self.spent,
            "curve": asdict(self.curve),
            "generators": generator_states(),
            "states": [stateful.state_dict() for stateful in self.built.state(self.built)],
        }
        if self.built.device.type == "cuda":
            state["generator_cuda"] = torch.cuda.get_rng_state(self.built.device)
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        content = BytesIO()
        torch.save(state, content)
        replace_file(self.checkpoint, content.getvalue())  # raises OSError if the disk is full

    def resume(self) -> None:
        """Load the saved state of this run. If the file cannot be read, or is of another run, nothing is loaded."""
        if self.checkpoint is None or not self.checkpoint.is_file():
            return
        try:
            state = torch.load(self.checkpoint, weights_only=True)  # tensors and plain values only: no code is run
        except Exception:  # torch may raise anything about a damaged file
            return
        if not isinstance(state, dict) or state.get("key") != self.key:
            return
        for stateful, saved in zip(self.built.state(self.built), state["states"], strict=True):
            stateful.load_state_dict(saved)
        set_generator_states(state["generators"])
        if self.built.device.type == "cuda":
            torch.cuda.set_rng_state(state["generator_cuda"], self.built.device)
        self.step, self.spent, self.curve = state["step"], state["spent"], Curve(**state["curve"])


def gradient_norm(model: torch.nn.Module) -> torch.Tensor:
    """The Euclidean norm of all gradients together, shape ()."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    if not gradients:
        return torch.tensor(nan, device=next(model.parameters()).device)
    return torch.linalg.vector_norm(torch.stack([norm_of(gradient) for gradient in gradients]))


def norm_of(gradient: torch.Tensor) -> torch.Tensor:
    """The Euclidean norm of one gradient, which may be sparse or complex, in float32, shape ()."""
    stored = gradient.coalesce().values() if gradient.is_sparse else gradient
    return torch.linalg.vector_norm(stored if stored.is_complex() else stored.float()).float()
