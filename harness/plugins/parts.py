"""What plugins hand over: frozen descriptions of models, datasets, optimizations and the rest.

A part is a *description*: naming it costs no torch import. Its code is given as ``"module:attribute"`` and
resolved at first use (a plain callable works too, handy in a one-file plugin). The signature of that code is
the part's schema: keyword-only parameters with defaults and annotations are what a suite may set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from harness.errors import UserError, did_you_mean
from harness.plugins.isolation import visible

if TYPE_CHECKING:
    import torch

Reference = str | Callable[..., Any]
Changes = Literal["rounding", "order", "update", "model", "answer"]

#: What an optimization may change, from the strongest promise to none. A variant made of several parts is
#: held to the weakest of their promises.
CHANGES: tuple[Changes, ...] = ("rounding", "order", "update", "model", "answer")


#: What parts, scores and the like may be called. Names stand in suites, tables, files' names and spreadsheets.
NAME = re.compile(r"\w[\w.+-]{0,99}")


class Skip(Exception):
    """Raised by a part that cannot take part in a trial, with the reason the plan then shows."""


@dataclass(frozen=True)
class Part:
    """What every part has."""

    #: What a suite calls it.
    name: str
    #: Its code: ``"module:attribute"``, imported at first use, or the callable itself.
    build: Reference
    #: What it is, in a line for lists.
    summary: str = ""
    #: The paper, equation or document.
    source: str = ""
    #: Words of which some part of a trial must offer each: an optimization that needs ``"packable"`` is skipped, with
    #: that reason, for a model that does not offer it.
    needs: frozenset[str] = frozenset()
    #: Words that other parts may need.
    offers: frozenset[str] = frozenset()
    #: Variables that must exist before the process does (allocator, threads): a mapping, or a function
    #: ``(**parameters) -> mapping``, free of torch.
    environment: Mapping[str, str] | Reference = field(default_factory=dict)
    #: What the base of a ready example needs to have, written as in a suite, where any model and dataset would not do.
    example: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    kind: ClassVar[str] = "part"
    #: How many leading positional arguments the core itself hands to `build`.
    given: ClassVar[int] = 0

    def __post_init__(self) -> None:
        for words in ("needs", "offers"):
            if isinstance(getattr(self, words), str):
                raise TypeError(f"{self.name}: {words} is a set of words, not one string")
            object.__setattr__(self, words, frozenset(getattr(self, words)))

    def complaint(self) -> str:
        """What keeps it from being used, since it would upset what shows it; empty where nothing does."""
        if not is_name(self.name):
            return f"{self.name!r} is no name: letters, digits, and . _ + - after the first"
        if not isinstance(self.build, str) and not callable(self.build):
            return f"{self.name}: build is a {type(self.build).__name__}, neither 'module:attribute' nor callable"
        for field_name in ("summary", "source"):
            if not is_shown(getattr(self, field_name)):
                return f"{self.name}: its {field_name} is no text without control characters"
        for word in (*self.needs, *self.offers):
            if not is_name(word):
                return f"{self.name} needs or offers {word!r}, which is no word"
        return ""


def is_name(name: object) -> bool:
    """Whether something can be the name of a part, a score or a word."""
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def is_shown(text: object) -> bool:
    """Whether something is text that a terminal only shows."""
    return isinstance(text, str) and visible(text) == text


@dataclass(frozen=True)
class Model(Part):
    """``build(facts, **parameters) -> torch.nn.Module``, where `facts` is what the dataset says of itself.

    The module has three methods: ``loss(batch)`` (a scalar), ``predict(batch)`` (first dimension: examples)
    and ``observe(batch)`` (named tensors whose first dimension is the example, for verification)."""

    #: Models with the same word here promise the same function of the same weights, as long as the parameters they
    #: share are the same and others have their defaults.
    computes: str = ""
    #: The parameters that say how it is computed, not what.
    implementation: frozenset[str] = frozenset()
    kind: ClassVar[str] = "model"
    given: ClassVar[int] = 1

    def complaint(self) -> str:
        """See `Part.complaint`."""
        if self.computes != "" and not is_name(self.computes):
            return f"{self.name} computes {self.computes!r}, which is no word"
        return Part.complaint(self)


@dataclass(frozen=True)
class Score:
    """How well a task is done on held-out examples, beside the loss that every model has."""

    #: Which way is better.
    better: Literal["higher", "lower"] = "higher"
    #: By the "difference" of two means where it is a share, by their "ratio" where it is an amount above zero, such as
    #: a loss.
    compared: Literal["difference", "ratio"] = "difference"
    #: What it is, in a line.
    summary: str = ""

    def is_known(self) -> bool:
        """Whether it says something that is understood."""
        known = self.better in ("higher", "lower") and self.compared in ("difference", "ratio")
        return known and is_shown(self.summary)


@dataclass(frozen=True)
class Dataset(Part):
    """``build(**parameters) -> Data``."""

    #: ``(**parameters) -> str`` hashes the content without torch, so that a trial's id names the very data it saw.
    fingerprint: Reference | None = None
    #: The scores that `Data.scores` computes, by name.
    scores: Mapping[str, Score] = field(default_factory=dict)
    kind: ClassVar[str] = "dataset"

    def complaint(self) -> str:
        """See `Part.complaint`."""
        for name, score in self.scores.items():
            if not is_name(name) or not isinstance(score, Score) or not score.is_known():
                return f"{self.name}: {name!r} is no score: a name and a harness.Score"
        return Part.complaint(self)


@dataclass(frozen=True)
class Optimization(Part):
    """``build(recipe, **parameters) -> Recipe``: wraps or replaces seams of the training step."""

    #: What it may change: its promise, checked before the clock (see `CHANGES`).
    changes: Changes = "model"
    #: Of one role ("optimizer", "batching") a trial may have only one part.
    role: str | None = None
    kind: ClassVar[str] = "optimization"
    given: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.changes not in CHANGES:
            raise TypeError(f"{self.name}: changes={self.changes!r} is none of {', '.join(CHANGES)}")


@dataclass(frozen=True)
class Metric(Part):
    """A view of what is stored, free of torch, so that a new metric reads old runs.

    ``per="sample"``: ``build(samples) -> array (n,)`` of costs, compared with an interval (see
    `harness.Samples`); None where a run does not have it. ``per="trial"``: ``build(samples) -> number``.
    ``per="counts"``: ``build(totals) -> number`` from counted amounts alone, shown of the work set and of the data
    set."""

    #: What follows a number in tables.
    unit: str = ""
    #: What it is a number of: each sample, a whole trial, or counted amounts.
    per: Literal["sample", "trial", "counts"] = "trial"
    #: What a number is multiplied by before it is shown.
    scale: float = 1.0
    #: How it is formatted, as in ``format(number, formats)``.
    formats: str = ".3g"
    kind: ClassVar[str] = "metric"
    given: ClassVar[int] = 1

    def complaint(self) -> str:
        """See `Part.complaint`."""
        if self.per not in ("sample", "trial", "counts"):
            return f"{self.name}: per = {self.per!r} is none of sample, trial, counts"
        if not is_shown(self.show(1.0)) or "\n" in self.show(1.0):
            return f"{self.name}: {self.show(1.0)!r} is how it shows a 1"
        return Part.complaint(self)

    def show(self, value: float) -> str:
        """The value as tables show it."""
        return f"{format(value * self.scale, self.formats)}{'' if self.unit in ('', '%') else ' '}{self.unit}"


@dataclass(frozen=True)
class Reporter(Part):
    """``build(report, folder)`` writes a `harness.report.Report` under the run's folder; returns the paths."""

    kind: ClassVar[str] = "reporter"
    given: ClassVar[int] = 2


@dataclass(frozen=True)
class Executor(Part):
    """``build(run)``: a context manager that yields ``execute(block, done, keep)``; it decides only where a
    block is measured (see `harness.measure.local`)."""

    kind: ClassVar[str] = "executor"
    given: ClassVar[int] = 1


@dataclass(frozen=True)
class Promise(Part):
    """``build(subject)`` holds a part to a sentence, its `summary`; `subject` is a `harness.testing.Subject`.

    It raises AssertionError with what it saw where the sentence does not hold, and `Skip` where that cannot be told
    here; what it returns, if anything, says how it was seen. It is asked of the kinds of part in `of`, and of those
    that offer every word in `needs`. See `harness.testing`."""

    #: The kinds of part that are held to it, such as "model".
    of: frozenset[str] = frozenset()
    kind: ClassVar[str] = "promise"
    given: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.of, str) or not self.of or not self.summary:
            raise TypeError(f"{self.name}: a promise is a sentence, its summary, of some kinds of part")
        object.__setattr__(self, "of", frozenset(self.of))

    def applies_to(self, part: Part) -> bool:
        """Whether a part is held to it."""
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
    """What `collate` returns: a NamedTuple of tensors with the examples' ids (B,) among them."""

    ids: torch.Tensor

    def to(self, device: Any) -> Batch:
        """The batch on another device; what belongs on the CPU may stay there."""
        ...


@dataclass(frozen=True)
class Data:
    """A loaded dataset."""

    #: The examples to train on, of any type.
    train: Sequence[Any]
    #: The held-out examples.
    test: Sequence[Any]
    #: Makes a `Batch` of a list of examples.
    collate: Callable[[Sequence[Any]], Any]
    #: What models are told of the data, handed to them as it is.
    facts: Any = None
    #: Names amounts in a batch (an RNN's valid tokens, say); they are summed over the work set and kept in the records.
    count: Callable[[Any], Mapping[str, float]] | None = None
    #: ``probes(seed)`` gives lists of examples that are hard on purpose, for verification; without it, examples of
    #: `train`.
    probes: Callable[[int], Sequence[Sequence[Any]]] | None = None
    #: Each takes predictions and their batch to values (n,): the mean of all values over `test` is the score.
    scores: Mapping[str, Callable[[Any, Any], Any]] = field(default_factory=dict)
    #: Whether nothing but chance split `train` from `test`: then each seed splits them anew.
    exchangeable: bool = False


class Change(NamedTuple):
    """One optimization's hand on one seam."""

    by: str
    how: Literal["wrap", "replace"]
    function: Callable[..., Any]


#: The seams of a training step and what each is called with.
SEAMS: dict[str, str] = {
    "build": "() -> module: the bare model",
    "init": "(model) -> None: weights; runs after the baseline's weights were copied in",
    "order": "(examples, batch_size, random) -> lists of positions in examples, one list a batch",
    "collate": "(examples) -> batch",
    "optimizer": "(model) -> torch.optim.Optimizer",
    "forward": "(model, batch) -> loss, a scalar",
    "backward": "(model, loss) -> None",
    "update": "(model, optimizer) -> None: gradients to weights, gradients cleared",
    "step": "(built, batch, mark) -> loss: forward, backward, update; calls mark(phase) after each",
    "evaluate": "(model, batch) -> predictions, first dimension: examples",
    "observe": "(model, batch) -> named tensors, first dimension: examples",
    "count": "(model, batch) -> named amounts",
    "state": "(built) -> objects with state_dict and load_state_dict that a step changes",
}


@dataclass(frozen=True)
class Recipe:
    """A trial's training step as seams that optimizations wrap or replace, one after another.

    Beside the seams of `SEAMS`, ``model.<method>`` names a method of the built model: the function gets the
    model first. `wrap` gives you the function so far and takes the one to call instead; `replace` ignores
    the function so far, so it is refused where an earlier optimization has changed the seam already.
    """

    changes: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    by: str = "?"

    def wrap(self, seam: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Recipe:
        """A recipe whose `seam` is ``around(the seam so far)``."""
        return self._with(seam, Change(self.by, "wrap", around))

    def replace(self, seam: str, function: Callable[..., Any]) -> Recipe:
        """A recipe whose `seam` is `function`; raises UserError where that would undo an earlier change."""
        earlier = self.changes.get(seam, ())
        if earlier:
            other = earlier[0].by
            if any(change.how == "replace" for change in earlier):
                fix = f"They exclude each other: drop {other} or {self.by}."
            else:
                fix = f"Write {self.by} before {other}."
            raise UserError(f"{self.by} replaces {seam}, which {other} has changed already.", fix=fix)
        return self._with(seam, Change(self.by, "replace", function))

    def seam(self, seam: str, default: Callable[..., Any]) -> Callable[..., Any]:
        """The function at `seam`: `default` with every change applied, left to right."""
        function = default
        for change in self.changes.get(seam, ()):
            function = change.function(function) if change.how == "wrap" else change.function
        return function

    def of_model(self) -> list[str]:
        """The model's methods that some optimization has changed."""
        return [seam.removeprefix("model.") for seam in self.changes if seam.startswith("model.")]

    def _with(self, seam: str, change: Change) -> Recipe:
        if seam not in SEAMS and not seam.startswith("model."):
            raise UserError(f"{self.by} changes a seam {seam!r} that no recipe has.", fix=did_you_mean(seam, SEAMS))
        return Recipe({**self.changes, seam: (*self.changes.get(seam, ()), change)}, self.by)

    def as_used_by(self, name: str) -> Recipe:
        """The same recipe in the hands of the optimization `name`, so that errors can say who."""
        return Recipe(self.changes, name)
