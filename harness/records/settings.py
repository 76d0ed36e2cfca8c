"""Settings of the kinds of measurement that the analysis knows by name, and `Measures`, which holds those of a block.

A settings class is declared once: a suite is checked against it, its JSON Schema describes it to editors, and a plan
stores it. What the planner adds to what a suite says is in a subclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import UserError
from harness.records.value_types import Amount, Duration, Modes, Seeds, Share, amount_scale, amount_value

#: A quick run measures for this many seconds in total.
QUICK_SECONDS = 5.0


class Settings(BaseModel):
    """The settings of a kind of measurement. Subclass it for a kind of your own, with a default for every field."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _none_is_default(cls, data: Any) -> Any:
        """A field that is set to ~ keeps its default."""
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data

    @classmethod
    def suite_form(cls) -> type[Settings]:
        """The class that a suite is checked against. A subclass may add fields that only the planner sets."""
        return cls

    def for_quick_run(self) -> Settings | None:
        """The settings for ``--quick``; None means that a quick run leaves this kind out."""
        return None

    def changed(self, **values: Any) -> Self:
        """The same settings with some fields changed."""
        return type(self)(**{**dict(self), **values})


#: The error rates of the looks, with a pooled and with a plain variance: 5 % together (docs/method.md).
POOLED_RATES = (0.009, 0.013, 0.018, 0.022)
PLAIN_RATES = (0.0195, 0.0195, 0.0195)


class StepSettings(Settings):
    """The settings of a kind that measures single steps, in some modes."""

    of: Modes | None = Field(
        None,
        description="train, inference, call, fresh or a list; by default the modes that speed times",
        examples=["train"],
    )


class SpeedSettings(StepSettings):
    """Time of a step, in fresh processes, all levels interleaved."""

    of: Modes = Field(
        "train",
        validate_default=True,
        description="what one step is: train, inference, call (one batch again and again), fresh (prepared batches), "
        "a list of these, or program (a run of a command)",
        examples=["train"],
    )
    half_width: Share = Field(
        "1%",
        validate_default=True,
        description="a level is measured no further when the half-width of its 95 % interval is this small",
        examples=["0.5%"],
    )
    until: Literal["decided", "precise"] = Field(
        "decided",
        description="decided: a level is measured no further when its verdict is decided, even if its interval is "
        "wide; precise: only its half-width counts",
        examples=["precise"],
    )
    margin: Share = Field(
        "2%", validate_default=True, description="the largest difference that counts as equivalent", examples=["5%"]
    )
    budget: Duration = Field(
        "60 s",
        validate_default=True,
        description="time for one block; it does not limit the first five processes",
        examples=["2 min"],
    )
    warm_up: Duration = Field(
        "125 ms",
        validate_default=True,
        description="least time for which one process warms up each level",
        examples=["1 s"],
    )
    seconds: Duration = Field(
        "300 ms",
        validate_default=True,
        description="least time for which one process measures each level",
        examples=["1 s"],
    )
    visits: int = Field(5, ge=5, description="least number of visits to each batch in one process", examples=[10])
    batches: int = Field(8, ge=1, description="number of batches in the work set", examples=[16])
    cache: Literal["warm", "cold"] = Field(
        "warm", description="cold: the last-level cache is overwritten before each sample", examples=["cold"]
    )

    @model_validator(mode="after")
    def _call_is_warm(self) -> Self:
        if self.cache == "cold" and "call" in self.of:
            raise ValueError(
                "cache is cold, but the mode call is timed with warm caches; expected fresh in place of call"
            )
        return self


class Speed(SpeedSettings):
    """`SpeedSettings` as planned. `quick` is one process for each block.

    After each number of processes in `looks` the measurement may end; `rates` are the error rates of these looks.
    `pooled`: the variance between processes is pooled with the expected one. In version 2 of the `method` the control
    is a second baseline, and the mean over all steps may decide. `faster_level` is the error rate that a series gives
    *faster*. The defaults are those of plans that do not name them."""

    until: Literal["decided", "precise"] = "precise"
    quick: bool = False
    looks: tuple[int, ...] = Field((5, 10, 20), strict=False)  # a list in JSON
    rates: tuple[float, ...] = Field((0.05, 0.05, 0.05), strict=False)
    pooled: bool = False
    method: Literal[1, 2] = 1
    faster_level: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_old_plan(cls, data: Any) -> Any:
        """Older plans say `until_decided`, with one error rate for three looks."""
        if isinstance(data, dict) and "until_decided" in data:
            data = dict(data)
            if data.pop("until_decided"):
                data |= {"until": "decided", "rates": PLAIN_RATES}
        return data

    def seconds_of(self, members: int) -> float:
        """The least seconds for which one process measures this many members, all of them together."""
        return QUICK_SECONDS if self.quick else self.seconds * members

    @classmethod
    def suite_form(cls) -> type[Settings]:
        """See `Settings.suite_form`."""
        return SpeedSettings

    def as_planned(self, *, plain: bool) -> Speed:
        """The settings of a new run. `plain`: no look before the fifth process, and no pooled variance."""
        if plain:
            return self.changed(looks=(5, 10, 20), rates=PLAIN_RATES, method=2)
        return self.changed(looks=(3, 5, 10, 20), rates=POOLED_RATES, pooled=True, method=2)

    def share(self, k: int) -> float:
        """The share of the error rate of 5 % that an interval from k processes may use: that of the last look."""
        passed = [rate for look, rate in zip(self.looks, self.rates, strict=True) if look <= k]
        return (passed or self.rates)[-1 if passed else 0] / 0.05

    def for_quick_run(self) -> Settings:
        """One process for each block."""
        return self.changed(quick=True)


class Profile(StepSettings):
    """The work set under torch.profiler, after timing, in processes of its own: where does the time go?"""

    steps: int = Field(3, ge=1, le=50, description="the most steps that the trace holds", examples=[5])


class SeedSettings(Settings):
    """The settings of a kind that trains each trial under several seeds."""

    seeds: Seeds = Field(
        10, validate_default=True, description="how many seeds, or which; a verdict needs at least five", examples=[20]
    )

    @property
    def one_at_a_time(self) -> bool:
        """Whether only one run may train at a time."""
        return False


class LearningSettings(SeedSettings):
    """Training under several seeds, evaluated on held-out examples: does a level learn better?"""

    steps: int | None = Field(
        None, ge=1, description="training steps of a run; or give epochs, or seconds", examples=[600]
    )
    epochs: float | None = Field(None, gt=0, description="passes over the training examples", examples=[3])
    seconds: Duration | None = Field(
        None, description="training time; such runs do not repeat bit for bit", examples=["2 min"]
    )
    evaluations: int = Field(
        20, ge=1, le=1000, description="evaluations of a run, evenly spaced, after one before the first step",
        examples=[10],
    )  # fmt: skip
    metric: str = Field(
        "loss",
        description="the score that decides: loss, a score of the dataset, or the mean of one over the run",
        examples=["accuracy", "mean_loss"],
    )
    better: Mapping[str, Literal["higher", "lower"]] = Field(
        {}, description="the better direction of scores of an experiment, if not higher", examples=[{"error": "lower"}]
    )
    margin: Amount | None = Field(
        None, description="the largest difference that counts as equal: 1 point, or 2% of a loss", examples=["1 point"]
    )
    target: float | None = Field(
        None, description="a value of the metric; how many steps until a run reaches it?", examples=[0.8]
    )
    also: tuple[str, ...] = Field(
        (), strict=False, description="optional scores of the dataset to compute too", examples=[["macro_f1"]]
    )
    explodes: float = Field(
        100.0, gt=1, description="a run has diverged at this many times its first loss", examples=[10]
    )
    checkpoint: Duration = Field(
        "60 s", validate_default=True, description="time between two checkpoints of a run", examples=["5 min"]
    )

    @model_validator(mode="before")
    @classmethod
    def _stored_form(cls, data: Any) -> Any:
        """Plans of earlier versions store 0 where no length is given, and the margin as a number with its scale."""
        if not isinstance(data, dict):
            return data
        data = {name: value for name, value in data.items() if name not in ("steps", "epochs", "seconds") or value != 0}
        if "margin_of" in data:
            scale, margin = data.pop("margin_of"), data.pop("margin", 0.0)
            if margin:
                data["margin"] = f"{100 * margin:.12g}{'%' if scale == 'ratio' else ' points'}"
        return data

    @property
    def one_at_a_time(self) -> bool:
        """Runs of a fixed duration would share the processor, so they train one after another."""
        return self.seconds is not None


class Learning(LearningSettings):
    """`LearningSettings` as planned. `planned` is how many seeds were fixed before the first look at results; `scores`
    says of each score which direction is better and how it is compared (see `parts.Score`). `of_programs`: programs run
    in place of training, and their scores are known only at their ends."""

    planned: int = 0
    of_programs: bool = False
    scores: Mapping[str, Mapping[str, str]] = {}

    @classmethod
    def suite_form(cls) -> type[Settings]:
        """See `Settings.suite_form`."""
        return LearningSettings

    def for_quick_run(self) -> Settings:
        """Two seeds."""
        return self.changed(seeds=self.seeds[:2])

    @property
    def length(self) -> str:
        """The length of a run, in words."""
        if self.seconds or self.of_programs:
            return f"{self.seconds:g} s" if self.seconds else "one run"
        return f"{self.steps} steps" if self.steps else f"{self.epochs or 0:g} epochs"

    @property
    def score(self) -> str:
        """The score that `metric` is, or is the mean of over the run."""
        return self.metric.removeprefix("mean_")

    @property
    def margin_value(self) -> float:
        """The margin as a number (a share of a ratio, or a difference); 0 where none is given."""
        return amount_value(self.margin) if self.margin else 0.0

    @property
    def margin_scale(self) -> Literal["ratio", "difference", "number", ""]:
        """The scale of the margin; empty where none is given."""
        return amount_scale(self.margin) if self.margin else ""

    def margin_of(self, metric: str) -> float:
        """The margin of a score; 0 for other scores than the one that decides, or the mean of it."""
        return self.margin_value if metric.removeprefix("mean_") == self.score else 0.0

    @property
    def extended(self) -> bool:
        """Whether seeds were added after a look at the results of the others."""
        return 0 < self.planned < len(self.seeds)


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Measures:
    """What is measured of a block: the settings of each kind of measurement by its name, as JSON values. `limit` is the
    most seconds that one step, or building a model, may take."""

    kinds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limit: float = 60.0

    @classmethod
    def of(cls, limit: float = 60.0, /, **settings: Settings | None) -> Measures:
        """Measures with these settings, by the name of their kind. Kinds whose settings are None are left out."""
        kinds = {name: given.model_dump(mode="json") for name, given in settings.items() if given is not None}
        return cls(kinds, limit)

    def get(self, kind: str, form: type[S]) -> S | None:
        """The settings of a kind; None where it is not measured. Raises UserError where they are not of this form."""
        if kind not in self.kinds:
            return None
        key = (kind, form)
        if key not in self._read:
            try:
                self._read[key] = form.model_validate(self.kinds[kind])
            except ValidationError as error:
                raise UserError(f"the plan's settings of {kind} cannot be read: {error.errors()[0]['msg']}.") from error
        found: S = self._read[key]
        return found

    @cached_property
    def _read(self) -> dict[tuple[str, type[Settings]], Any]:
        """The settings that were read already."""
        return {}

    @property
    def speed(self) -> Speed | None:
        """The settings of timing; None where nothing is timed."""
        return self.get("speed", Speed)

    @property
    def timed_modes(self) -> tuple[str, ...]:
        """The modes in which steps are timed; none where nothing is timed."""
        return self.speed.of if self.speed else ()

    @property
    def quick(self) -> bool:
        """Whether timing is a first look, with one process for each block."""
        return bool(self.speed and self.speed.quick)

    @property
    def work_set_batches(self) -> int:
        """The number of batches in the work set. Without timing, it is the default."""
        return (self.speed or Speed()).batches

    @property
    def learning(self) -> Learning | None:
        """The settings of training over seeds; None where nothing is trained."""
        return self.get("learning", Learning)

    @property
    def steps(self) -> int | None:
        """The training steps of a run, if they are known before the data are loaded."""
        return self.learning.steps if self.learning else None

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes in which some kind measures single steps."""
        return tuple(dict.fromkeys(mode for settings in self.kinds.values() for mode in settings.get("of") or ()))

    @property
    def trains(self) -> bool:
        """Whether some kind takes training steps: it names the mode train, or it has no modes. True of no kinds."""
        modes = [settings.get("of", ("train",)) for settings in self.kinds.values()]
        return not modes or any("train" in (of or ()) for of in modes)

    def with_(self, **settings: Settings | None) -> Measures:
        """The same measures, with the settings of some kinds replaced."""
        return replace(self, kinds={**self.kinds, **Measures.of(self.limit, **settings).kinds})

    def only(self, *kinds: str) -> Measures:
        """The same measures without all other kinds."""
        return replace(self, kinds={name: given for name, given in self.kinds.items() if name in kinds})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.kinds, "limit": self.limit}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measures:
        """The measures that `to_json` wrote. Plans of earlier versions also name kinds that are not measured: null."""
        kinds = {name: given for name, given in data.items() if name != "limit" and given is not None}
        return cls(kinds, data["limit"])
