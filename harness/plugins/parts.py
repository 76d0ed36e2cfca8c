"""Parts: the frozen descriptions of models, datasets, optimizations and so on that plugins provide.

A part names its code as ``"module:attribute"``. It is imported at first use, so a description does not import torch.
(A callable works too, which is convenient in a plugin file.) The signature of the code is the schema of the part: a
suite may set its keyword-only parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from harness.plugins.isolation import visible
from harness.plugins.whole_score import WholeScore

if TYPE_CHECKING:
    import torch

Reference = str | Callable[..., Any]
Changes = Literal["rounding", "order", "update", "model", "answer"]

#: What an optimization may change, from the strongest promise to none. The promise of a trial is the weakest promise of
#: its parts.
CHANGES: tuple[Changes, ...] = ("rounding", "order", "update", "model", "answer")


#: Valid names of parts and scores. They appear in suites, tables, file names and spreadsheets.
NAME = re.compile(r"\w[\w.+-]{0,99}")


class Skip(Exception):
    """A part raises this if it cannot be used in a trial. The plan shows the reason."""


@dataclass(frozen=True)
class Part:
    """What all parts have in common."""

    #: Its name in suites.
    name: str
    #: Its code: ``"module:attribute"``, imported at first use, or the callable itself.
    build: Reference
    #: A one-line summary for lists.
    summary: str = ""
    #: The paper, equation or document that it follows.
    source: str = ""
    #: Features that some part of the trial must offer. An optimization that needs ``"packable"`` is skipped, with that
    #: reason, for a model that does not offer it.
    needs: frozenset[str] = frozenset()
    #: Features that other parts may need.
    offers: frozenset[str] = frozenset()
    #: Environment variables that must be set before the process starts (allocator, threads): a mapping, or a function
    #: ``(**parameters) -> mapping`` that does not import torch.
    environment: Mapping[str, str] | Reference = field(default_factory=dict)
    #: ``(**parameters) -> (name, version)``: the file that a parameter names as the code of the part, and its version.
    #: It raises UserError where there is no such code. By default, the plugin is where all of its code is.
    origin: Reference | None = field(default=None, kw_only=True)
    #: ``(**parameters)`` imports the code that a parameter names, once, before processes are forked that measure.
    load: Reference | None = field(default=None, kw_only=True)
    #: What the base of its example needs, as in a suite, if it does not work with just any model and dataset.
    example: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    #: Whether lists show it, and a suite may name it as a model or a dataset. Another field of a suite stands for a
    #: part that is not listed.
    listed: bool = field(default=True, kw_only=True)

    kind: ClassVar[str] = "part"
    #: The number of positional arguments that the core itself passes to `build`.
    given: ClassVar[int] = 0

    def __post_init__(self) -> None:
        for words in ("needs", "offers"):
            if isinstance(getattr(self, words), str):
                raise TypeError(f"{self.name}: expected a set of words as {words}, got one string")
            object.__setattr__(self, words, frozenset(getattr(self, words)))

    def complaint(self) -> str:
        """Why it cannot be used, since it could not be shown safely; empty if it can."""
        if not is_name(self.name):
            return f"{self.name!r} is not a valid name: use letters, digits, and . _ + - after the first letter"
        if not isinstance(self.build, str) and not callable(self.build):
            return f"{self.name}: build is a {type(self.build).__name__}; expected 'module:attribute' or a callable"
        for field_name in ("summary", "source"):
            if not is_shown(getattr(self, field_name)):
                return f"{self.name}: its {field_name} is not text, or has control characters"
        for word in (*self.needs, *self.offers):
            if not is_name(word):
                return f"{self.name} needs or offers {word!r}, which is not a valid name"
        return ""


def is_name(name: object) -> bool:
    """Whether a value can be the name of a part, a score or a feature."""
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def is_shown(text: object) -> bool:
    """Whether a value is text that is safe to print."""
    return isinstance(text, str) and visible(text) == text


@dataclass(frozen=True)
class Model(Part):
    """``build(facts, **parameters) -> torch.nn.Module``, where `facts` are the facts of the dataset (`Data.facts`).

    The module has three methods: ``loss(batch)`` (a scalar), ``predict(batch)`` (first dimension: examples)
    and ``observe(batch)`` (named tensors whose first dimension is the example, for verification)."""

    #: Models with the same value here promise the same function of the same weights, if the parameters that they share
    #: are equal and all others have their defaults.
    computes: str = ""
    #: The parameters that change how it is computed, not what is computed.
    implementation: frozenset[str] = frozenset()
    kind: ClassVar[str] = "model"
    given: ClassVar[int] = 1

    def complaint(self) -> str:
        """See `Part.complaint`."""
        if self.computes != "" and not is_name(self.computes):
            return f"{self.name} computes {self.computes!r}, which is not a valid name"
        return Part.complaint(self)


@dataclass(frozen=True)
class Score:
    """A measure of how well a task is done on held-out examples, in addition to the loss."""

    #: Which direction is better.
    better: Literal["higher", "lower"] = "higher"
    #: Compare the "difference" of two means for a share, which is shown in percent and points; their "ratio" for an
    #: amount above zero, such as a loss; the difference of two plain numbers ("number") for everything else.
    compared: Literal["difference", "ratio", "number"] = "difference"
    #: A one-line summary.
    summary: str = ""
    #: It is computed only if `measure.learning` names it, as `metric` or in `also`.
    optional: bool = False

    def is_known(self) -> bool:
        """Whether its values are valid."""
        known = self.better in ("higher", "lower") and self.compared in ("difference", "ratio", "number")
        return known and is_shown(self.summary)


@dataclass(frozen=True)
class Dataset(Part):
    """``build(**parameters) -> Data``."""

    #: ``(**parameters) -> str``: a hash of the content, without torch. It makes the id of a trial depend on its data.
    fingerprint: Reference | None = None
    #: The scores that `Data.scores` computes, by name.
    scores: Mapping[str, Score] = field(default_factory=dict)
    kind: ClassVar[str] = "dataset"

    def complaint(self) -> str:
        """See `Part.complaint`."""
        for name, score in self.scores.items():
            if not is_name(name) or not isinstance(score, Score) or not score.is_known():
                return f"{self.name}: {name!r} is not a score: expected a name and a harness.Score"
        return Part.complaint(self)


@dataclass(frozen=True)
class Optimization(Part):
    """``build(recipe, **parameters) -> Recipe``: wraps or replaces seams of the training step."""

    #: What it may change. This promise is verified before timing (see `CHANGES`).
    changes: Changes = "model"
    #: A trial may have only one part of each role, such as "optimizer" or "batching".
    role: str | None = None
    kind: ClassVar[str] = "optimization"
    given: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.changes not in CHANGES:
            raise TypeError(f"{self.name}: changes is {self.changes!r}; expected one of {', '.join(CHANGES)}")


@dataclass(frozen=True)
class Metric(Part):
    """A function of stored samples that does not import torch, so that a new metric works on old runs.

    ``per="sample"``: ``build(samples) -> array (n,)`` of costs, which are compared with an interval (see
    `harness.Samples`); None if the run lacks its input. ``per="trial"``: ``build(samples) -> number``.
    ``per="counts"``: ``build(totals) -> number`` from counted amounts only, shown for the work set and for the whole
    dataset."""

    #: The unit, shown after a number in tables.
    unit: str = ""
    #: What it is computed from: each sample, a whole trial, or counted amounts.
    per: Literal["sample", "trial", "counts"] = "trial"
    #: The factor by which a number is multiplied before it is shown.
    scale: float = 1.0
    #: The format specification, as in ``format(number, formats)``.
    formats: str = ".3g"
    kind: ClassVar[str] = "metric"
    given: ClassVar[int] = 1

    def complaint(self) -> str:
        """See `Part.complaint`."""
        if self.per not in ("sample", "trial", "counts"):
            return f"{self.name}: per is {self.per!r}; expected sample, trial or counts"
        if not is_shown(self.show(1.0)) or "\n" in self.show(1.0):
            return f"{self.name}: it shows the number 1 as {self.show(1.0)!r}, which is not one line of plain text"
        return Part.complaint(self)

    def show(self, value: float) -> str:
        """The value as tables show it. A number below 1 has three digits, if its format would leave fewer than two."""
        text = format(value * self.scale, self.formats)
        if "." in text and 0 < abs(value * self.scale) < 1 and len(text.lstrip("-0.")) < 2:
            text = f"{value * self.scale:.3g}"
        return f"{text}{'' if self.unit in ('', '%') else ' '}{self.unit}"


@dataclass(frozen=True)
class Reporter(Part):
    """``build(report, folder)`` writes a `harness.report.Report` into the folder of the run and returns the paths."""

    kind: ClassVar[str] = "reporter"
    given: ClassVar[int] = 2


@dataclass(frozen=True)
class Executor(Part):
    """``build(run)`` is a context manager that yields ``execute(block, done, keep)``. It decides only where a block is
    measured; `run` is a `harness.measure.runner.RunContext` (see `harness.measure.coordinator`)."""

    kind: ClassVar[str] = "executor"
    given: ClassVar[int] = 1


@dataclass(frozen=True)
class Promise(Part):
    """``build(part)`` checks that a sentence, its `summary`, is true of a part; `part` is a
    `harness.testing.PartUnderTest`.

    It raises AssertionError, with what it found, if the sentence is false, and `Skip` if it cannot be checked here. It
    may return how it was checked. It applies to the kinds of part in `of` that offer every feature in `needs`. See
    `harness.testing`."""

    #: The kinds of part that it applies to, such as "model".
    of: frozenset[str] = frozenset()
    kind: ClassVar[str] = "promise"
    given: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.of, str) or not self.of or not self.summary:
            raise TypeError(f"{self.name}: a promise needs a sentence as summary, and the kinds of part in `of`")
        object.__setattr__(self, "of", frozenset(self.of))

    def applies_to(self, part: Part) -> bool:
        """Whether it applies to a part."""
        return part.kind in self.of and self.needs <= part.offers


@dataclass(frozen=True)
class Command(Part):
    """A command of the command line, ``harness NAME``: `build` is a `click.Command`.

    Its code is imported only when the command runs or shows its own help. ``harness --help`` lists it with its
    `summary` under the heading of its `group`."""

    #: The heading under which ``harness --help`` lists it. The core's groups are run, look, share, extend and check;
    #: any other short text makes a group of its own.
    group: str = "other"
    kind: ClassVar[str] = "command"

    def complaint(self) -> str:
        """See `Part.complaint`."""
        if not is_shown(self.group) or not self.group.strip() or "\n" in self.group:
            return f"{self.name}: group = {self.group!r} is not a line of text"
        return Part.complaint(self)


@runtime_checkable
class Batch(Protocol):
    """What `collate` returns: a NamedTuple of tensors, one of them the ids of the examples, shape (B,)."""

    ids: torch.Tensor

    def to(self, device: Any) -> Batch:
        """The batch on another device. Tensors that belong on the CPU may stay there."""
        ...


@dataclass(frozen=True)
class Data:
    """A loaded dataset."""

    #: The training examples, of any type.
    train: Sequence[Any]
    #: The held-out examples.
    test: Sequence[Any]
    #: Makes a `Batch` from a list of examples.
    collate: Callable[[Sequence[Any]], Any]
    #: The facts that models need about the data. They are passed to models unchanged.
    facts: Any = None
    #: Counts named amounts in a batch, such as valid tokens. They are summed over the work set and stored in records.
    count: Callable[[Any], Mapping[str, float]] | None = None
    #: ``probes(seed)`` returns lists of difficult examples for verification. By default, examples of `train` are used.
    probes: Callable[[int], Sequence[Sequence[Any]]] | None = None
    #: Each maps predictions and their batch to values (n,), and the score is the mean of all values over `test`. A
    #: `WholeScore` is computed from all predictions at once.
    scores: Mapping[str, Callable[[Any, Any], Any] | WholeScore] = field(default_factory=dict)
    #: Whether `train` and `test` were split at random. Each seed then splits them again.
    exchangeable: bool = False
    #: ``criterion(predictions, batch)`` returns losses (n,). Their mean over `test` is the score `loss` of every model.
    #: By default, each model is scored by its own loss, and losses of different functions are not compared.
    criterion: Callable[[Any, Any], Any] | None = None
    #: ``constant(train)`` returns ``answer(batch) -> predictions``: the best answer that does not depend on the input.
    #: If no level scores better, nothing was learned.
    constant: Callable[[Sequence[Any]], Callable[[Any], Any]] | None = None
    #: The size of an example, such as its number of steps. Evaluation batches examples of similar sizes.
    size: Callable[[Any], float] | None = None
    #: The batch size that belongs to these data, for a trial that has none of its own; 0 if none does.
    batch_size: int = 0
    #: Whether the last batch of an epoch is left out where it has fewer examples than the others.
    drop_last: bool = False
    #: ``evaluate(model, batches)`` returns numbers by the name of a score. It replaces `criterion` and `scores`.
    evaluate: Callable[[Any, Any], Mapping[str, float]] | None = None
    #: The number of batches in the work set, where the data fix it. By default, it is `measure.speed.batches`.
    batches: int | None = None

    def __post_init__(self) -> None:
        for name in ("train", "test"):
            kinds = type(getattr(self, name)).__mro__
            has = all(any(method in vars(kind) for kind in kinds) for method in ("__len__", "__getitem__"))
            if not has or any(kind.__name__ == "IterableDataset" for kind in kinds):
                raise TypeError(
                    f"{name} is a {kinds[0].__name__}; expected a list, or an object with __len__() and "
                    "__getitem__(position), since each seed shuffles the examples: put them into a list"
                )
