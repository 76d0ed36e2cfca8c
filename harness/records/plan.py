"""A plan and its parts: blocks, trials, claims. All are frozen, and JSON in both directions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from harness.records.record import SCHEMA
from harness.records.settings import Measures

#: The variable that sets the number of threads of a measuring process. The default is 1.
THREADS = "HARNESS_THREADS"

#: The name of the core's model that is a function of the user.
FUNCTION = "function"
#: The name of the model of a trial that is a program: its parameter `run` is the command line.
COMMAND = "command"

#: The mode of results over seeds; the other modes are of single steps.
LEARNING = "learning"


def canonical_json(value: Any) -> str:
    """The one text of a value: sorted keys, no white space. The ids of trials and blocks are hashes of it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any, length: int = 12) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


@dataclass(frozen=True)
class Spec:
    """A part with all its parameters resolved, and the plugin and version that it comes from."""

    name: str
    parameters: Mapping[str, Any]
    plugin: str
    version: str

    @property
    def title(self) -> str:
        """Its name in sentences; the function of an experiment."""
        return str(self.parameters["from"]) if self.name == "experiment" and "from" in self.parameters else self.name


@dataclass(frozen=True)
class Trial:
    """One fully specified configuration.

    `level` is its level on the compared axis; in an ablation design it is the name of a combination, and `on` are the
    factors that are switched on. `changes` is the weakest promise among the parts in which it differs from the
    baseline. `environment` holds the variables that must exist before its process starts. A `batch_size` of 0 stands
    for that of the data, which is known when they are loaded."""

    level: str
    model: Spec
    dataset: Spec
    use: tuple[Spec, ...]
    batch_size: int
    seed: int
    device: str
    fingerprint: str
    changes: str
    environment: Mapping[str, str] = field(default_factory=dict)
    on: tuple[str, ...] = ()

    @property
    def is_function(self) -> bool:
        """Whether it is a function of the user, and no model."""
        return self.model.name == FUNCTION

    @cached_property
    def id(self) -> str:
        """Hash of everything that determines the trial. Its place in a suite is not part of it."""
        content = asdict(self)
        del content["level"], content["on"], content["changes"], content["environment"]  # the parts determine the last
        return digest(content, 16)

    @property
    def is_program(self) -> bool:
        """Whether it is a program, which is run as a whole. Nothing of it is built here."""
        return self.model.name == COMMAND

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        """The trial with these fields, given as plain JSON values."""
        specs = {key: Spec(**data[key]) for key in ("model", "dataset")}
        use, on = tuple(Spec(**spec) for spec in data["use"]), tuple(data.get("on", ()))
        return cls(**{**data, **specs, "use": use, "on": on})


@dataclass(frozen=True)
class Block:
    """The trials that are compared with each other and timed interleaved; the first is the baseline.

    `context` holds the levels of all other axes. `series` is 1 where it is measured again to confirm a result."""

    context: Mapping[str, str]
    trials: tuple[Trial, ...]
    measures: Measures
    series: int = 0

    @cached_property
    def id(self) -> str:
        """Hash of the trials, their levels, the context and the series; not of what is measured."""
        series = [self.series] if self.series else []
        return digest([dict(self.context), [[trial.level, trial.id] for trial in self.trials], *series])

    @property
    def name(self) -> str:
        """The context in words, as tables and progress lines show it."""
        return " · ".join(self.context.values()) or "all"

    @property
    def baseline(self) -> Trial:
        """The trial that the others are compared with."""
        return self.trials[0]

    @property
    def of_programs(self) -> bool:
        """Whether the trials are programs."""
        return self.baseline.is_program

    @property
    def environments(self) -> list[Mapping[str, str]]:
        """The different environments of the trials, the baseline's first. Each needs a process of its own."""
        found: list[Mapping[str, str]] = []
        for trial in self.trials:
            if trial.environment not in found:
                found.append(trial.environment)
        return found

    @property
    def takes_turns(self) -> bool:
        """Whether the trials need several processes, which then take turns."""
        return len(self.environments) > 1

    @property
    def threads(self) -> int:
        """The largest number of threads that a trial uses."""
        return max(int(trial.environment.get(THREADS, 1)) for trial in self.trials)

    def trial(self, level: str) -> Trial:
        """The trial of a level."""
        return next(trial for trial in self.trials if trial.level == level)

    def without(self, levels: Iterable[str]) -> Block:
        """The block without some of its trials."""
        left_out = set(levels)
        return replace(self, trials=tuple(trial for trial in self.trials if trial.level not in left_out))

    def alone(self) -> Block:
        """The baseline against itself only, timed."""
        return replace(self, trials=self.trials[:1], measures=self.measures.only("speed"))

    def again(self) -> Block:
        """The same trials once more, timed."""
        return replace(self, measures=self.measures.only("speed"), series=1)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "measures": self.measures.to_json(), "id": self.id}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Block:
        """The block that `to_json` wrote."""
        return cls(
            context=data["context"],
            trials=tuple(Trial.from_json(trial) for trial in data["trials"]),
            measures=Measures.from_json(data["measures"]),
            series=data.get("series", 0),
        )


@dataclass(frozen=True)
class Skipped:
    """A combination of levels that is not measured, and why."""

    coordinates: Mapping[str, str]
    because: str


@dataclass(frozen=True)
class Claim:
    """A claim of the suite, to be decided by an interval.

    `level` is a level of the compared axis, or in an ablation design the name of an effect. `expect` is

    - a difference: "lower" or "higher", by at least `by`;
    - "equal": no difference larger than `by`;
    - a limit: "not lower" or "not higher" by more than `by`;
    - a value: the level itself has "at least" or "at most" `by`.

    In a suite the direction may also be better, worse, faster, slower, less or more; the planner replaces these. `by`
    is a share of a ratio, a difference, or a value in seconds, bytes or the metric's own unit, as `scale` says; without
    a scale, in old plans, a share of a ratio. `unit` is the unit in which a value was given, such as "%" or "ms".
    `inside` says whether it is claimed of all contexts that `where` selects or of any. With `along`, an axis, the claim
    is about the exponent by which the metric grows along it.

    The planner also adds the mode (`of`), and sets `exact` where the metric is the same in every process, so that one
    number decides. `answers` says that the claim answers the question of the suite: yes if it is true, no if it is
    false."""

    says: str
    level: str
    metric: str
    expect: str
    by: float
    of: str
    where: Mapping[str, tuple[str, ...]]
    inside: Literal["all", "any"]
    scale: Literal["ratio", "difference", "number", "exponent", "value", ""] = ""
    along: str = ""
    exact: bool = False
    unit: str = ""
    answers: bool = False

    @property
    def is_value(self) -> bool:
        """Whether it is about a value of the level itself, and not about its difference to the baseline."""
        return self.scale == "value"

    @property
    def is_limit(self) -> bool:
        """Whether it allows a difference up to `by` in one direction."""
        return self.expect.startswith("not ")

    @property
    def is_exact(self) -> bool:
        """Whether one number settles the claim. An exponent has an interval, also that of an exact amount."""
        return self.exact and not self.along

    @property
    def about_time(self) -> bool:
        """Whether it is about times of single steps."""
        return self.of != LEARNING and not self.exact

    def blocks_in(self, blocks: Sequence[Block]) -> list[Block]:
        """The blocks whose contexts `where` selects."""
        return [b for b in blocks if all(b.context.get(axis) in levels for axis, levels in self.where.items())]


@dataclass(frozen=True)
class Plan:
    """Everything that a run will measure, and everything that a report needs beside the records."""

    suite: str
    question: str
    axis: str
    blocks: tuple[Block, ...]
    skipped: tuple[Skipped, ...] = ()
    claims: tuple[Claim, ...] = ()
    #: What the command line changed: --set, --only, --device and so on. A resumed run repeats it.
    overrides: Mapping[str, Any] = field(default_factory=dict)
    #: The ablation design (`harness.records.designs`), and the factors whose combinations the trials are.
    design: str = "grid"
    factors: tuple[str, ...] = ()
    #: Warnings about the suite, such as a schedule that is longer than a run, with their places in it.
    remarks: tuple[str, ...] = ()

    def with_faster_level(self, level: float) -> Plan:
        """The same plan, in which the verdict *faster* of every block has this error rate."""
        speeds = [(block, block.measures.speed) for block in self.blocks]
        blocks = [
            replace(block, measures=block.measures.with_(speed=speed.changed(faster_level=level))) if speed else block
            for block, speed in speeds
        ]
        return replace(self, blocks=tuple(blocks))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"schema": SCHEMA, **asdict(self), "blocks": [block.to_json() for block in self.blocks]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` wrote."""
        return cls(
            suite=data["suite"],
            question=data["question"],
            axis=data["axis"],
            blocks=tuple(Block.from_json(block) for block in data["blocks"]),
            skipped=tuple(Skipped(**skipped) for skipped in data["skipped"]),
            claims=tuple(Claim(**claim) for claim in data["claims"]),
            overrides=data["overrides"],
            design=data.get("design", "grid"),
            factors=tuple(data.get("factors", ())),
            remarks=tuple(data.get("remarks", ())),
        )
