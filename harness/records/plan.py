"""The frozen values that travel the line: suite -> plan -> records -> report, as JSON both ways."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

#: Raised when the form of stored records changes; readers refuse what they do not know.
SCHEMA = 1

#: The variable that says on how many threads a child computes; one where it is not set.
THREADS = "HARNESS_THREADS"

#: A run that diverged is a result, not a failure.
Outcome = Literal["ok", "diverged", "invalid", "failed", "skipped"]
Role = Literal["variant", "control"]

#: The mode of what is learned over seeds, where others are of single steps.
LEARNING = "learning"

#: Measures taken after the clock, of one trial in a process of its own. One that fails says nothing about the times.
AFTER_THE_CLOCK = ("memory", "resident", "cost", "cold", "profile", "learning", "health")


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no white space. What trial and block ids are hashed from."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any, length: int = 12) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


@dataclass(frozen=True)
class Spec:
    """A part with all its parameters resolved, and the plugin and version it came from."""

    name: str
    parameters: Mapping[str, Any]
    plugin: str
    version: str


@dataclass(frozen=True)
class Trial:
    """One fully specified point. `level` is its place on the compared axis, `changes` the weakest promise of
    what sets it apart from the baseline, `environment` the variables that must exist before its process does. In an
    ablation design its place is a combination, and `on` are the factors that are switched on."""

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

    @cached_property
    def id(self) -> str:
        """SHA-256 of all that determines the trial; where it stands in a suite is no part of it."""
        content = asdict(self)
        del content["level"], content["on"], content["changes"], content["environment"]  # the parts determine the last
        return digest(content, 16)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        """The trial whose fields these are, as plain JSON values."""
        specs = {key: Spec(**data[key]) for key in ("model", "dataset")}
        use, on = tuple(Spec(**spec) for spec in data["use"]), tuple(data.get("on", ()))
        return cls(**{**data, **specs, "use": use, "on": on})


@dataclass(frozen=True)
class Speed:
    """How the clock is used. Shares are fractions, times are seconds.

    `of` are the modes ("train", "inference"); `half_width` is the wanted half of the 95 % interval; `margin`
    is what counts as equivalent; `budget` bounds a block's processes after the first five; `warm_up` and
    `seconds` are how long one process at least warms and measures each level, `visits` how often it comes to each
    batch; `batches` make the work set; with a cold `cache`, each sample finds none of its data there. `quick` is one
    process, `until_decided` stops on verdicts."""

    of: tuple[str, ...] = ("train",)
    half_width: float = 0.01
    margin: float = 0.02
    budget: float = 60.0
    warm_up: float = 0.25
    seconds: float = 0.5
    visits: int = 5
    batches: int = 8
    cache: Literal["warm", "cold"] = "warm"
    quick: bool = False
    until_decided: bool = False


@dataclass(frozen=True)
class Memory:
    """What a step takes of memory, in the modes `of`: exactly by torch's allocator, and resident in fresh processes."""

    of: tuple[str, ...] = ("train",)


@dataclass(frozen=True)
class Cost:
    """What a step computes and what starting costs, in the modes `of`: operations, page faults, cold start."""

    of: tuple[str, ...] = ("train",)


@dataclass(frozen=True)
class Profile:
    """The work set under torch.profiler in the modes `of`, after the clock, and a trace of `steps` steps."""

    of: tuple[str, ...] = ("train",)
    steps: int = 3


@dataclass(frozen=True)
class Learning:
    """How trials are trained and judged on held-out examples, over `seeds`; one of `steps`, `epochs` and `seconds` is
    given and says how long.

    Each run is evaluated before its first step and `evaluations` times after, evenly. `metric` is the score that the
    verdict is about, `margin` what still counts as equal in it (a share of a ratio or a difference, as `margin_of`
    says; 0 for none given), `target` what a run is to reach. A loss of more than `explodes` times the first one has
    diverged. Every `checkpoint` seconds a run is saved. `planned` is how many of the seeds were fixed before the first
    look. `scores` says of each score which way is better and how it is compared (see `parts.Score`)."""

    seeds: tuple[int, ...] = tuple(range(10))
    steps: int = 0
    epochs: float = 0.0
    seconds: float = 0.0
    evaluations: int = 20
    metric: str = "loss"
    margin: float = 0.0
    margin_of: Literal["ratio", "difference", ""] = ""
    target: float | None = None
    explodes: float = 100.0
    checkpoint: float = 60.0
    planned: int = 0
    scores: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def length(self) -> str:
        """How long a run trains, in words."""
        if self.seconds:
            return f"{self.seconds:g} s"
        return f"{self.steps} steps" if self.steps else f"{self.epochs:g} epochs"

    @property
    def score(self) -> str:
        """The score that `metric` is, or is the mean over the run of."""
        return self.metric.removeprefix("mean_")

    @property
    def extended(self) -> bool:
        """Whether seeds were added after a look at the others."""
        return 0 < self.planned < len(self.seeds)


@dataclass(frozen=True)
class Health:
    """A training run of `steps` steps looked at closely, `looks` times on the way, and never with a clock."""

    steps: int = 200
    looks: int = 5


@dataclass(frozen=True)
class Measures:
    """What is measured of a block. `limit` is the most seconds one step, or building a model, may take."""

    speed: Speed | None = None
    memory: Memory | None = None
    cost: Cost | None = None
    profile: Profile | None = None
    learning: Learning | None = None
    health: Health | None = None
    limit: float = 60.0

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that some measure of single steps asks for."""
        return tuple(
            dict.fromkeys(mode for one in (self.speed, self.memory, self.cost, self.profile) if one for mode in one.of)
        )


@dataclass(frozen=True)
class Block:
    """The trials compared with each other, timed interleaved; the first is the baseline. `context` holds the
    levels of all other axes. `series` is 1 where they are measured once more to confirm what was found."""

    context: Mapping[str, str]
    trials: tuple[Trial, ...]
    measures: Measures
    series: int = 0

    @cached_property
    def id(self) -> str:
        """Hash of the trials, their places, the context and the series; not of how long they are measured."""
        series = [self.series] if self.series else []
        return digest([dict(self.context), [[trial.level, trial.id] for trial in self.trials], *series])

    @property
    def name(self) -> str:
        """The context in words, as tables and progress lines show it."""
        return " · ".join(self.context.values()) or "all"

    @property
    def baseline(self) -> Trial:
        """What the others are compared with."""
        return self.trials[0]

    @property
    def environments(self) -> list[Mapping[str, str]]:
        """The trials' different environments, the baseline's first. With more than one, processes take turns."""
        found: list[Mapping[str, str]] = []
        for trial in self.trials:
            if trial.environment not in found:
                found.append(trial.environment)
        return found

    @property
    def takes_turns(self) -> bool:
        """Whether one process cannot hold all trials."""
        return len(self.environments) > 1

    @property
    def threads(self) -> int:
        """The most threads one of the trials computes with."""
        return max(int(trial.environment.get(THREADS, 1)) for trial in self.trials)

    def without(self, levels: Iterable[str]) -> Block:
        """The block without some of its trials."""
        left_out = set(levels)
        return replace(self, trials=tuple(trial for trial in self.trials if trial.level not in left_out))

    def alone(self) -> Block:
        """The baseline against nothing but itself, on the clock alone."""
        return Block(self.context, self.trials[:1], Measures(speed=self.measures.speed, limit=self.measures.limit))

    def again(self) -> Block:
        """The same trials once more, on the clock alone."""
        return Block(
            self.context, self.trials, Measures(speed=self.measures.speed, limit=self.measures.limit), series=1
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "id": self.id}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Block:
        """The block that `to_json` wrote."""
        measures = data["measures"]
        kinds = {
            "speed": Speed, "memory": Memory, "cost": Cost, "profile": Profile, "learning": Learning, "health": Health,
        }  # fmt: skip
        given = {name: measures.get(name) for name in kinds}
        return cls(
            context=data["context"],
            trials=tuple(Trial.from_json(trial) for trial in data["trials"]),
            measures=Measures(
                **{name: kinds[name](**_tuples(values)) for name, values in given.items() if values is not None},
                limit=measures["limit"],
            ),
            series=data.get("series", 0),
        )


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}


@dataclass(frozen=True)
class Skipped:
    """A point of the suite that is not measured, and why."""

    coordinates: Mapping[str, str]
    because: str


@dataclass(frozen=True)
class Claim:
    """A sentence of the suite that an interval settles. `level` is what it speaks of: a level of the compared axis, or
    in an ablation design the name of an effect. `by` is a share of a ratio or a difference, as `scale` says; `inside`
    is "all" or "any" of the contexts that `where` leaves. With `along`, an axis, it speaks of the exponent that the
    metric grows by along it. The planner turns better and worse into higher or lower, says of which measure's mode the
    metric is, and whether it is `exact`: the same in every process, so that no clock is its judge."""

    says: str
    level: str
    metric: str
    expect: Literal["lower", "higher", "equal", "better", "worse"]
    by: float
    of: str
    where: Mapping[str, tuple[str, ...]]
    inside: Literal["all", "any"]
    scale: Literal["ratio", "difference", "exponent", ""] = ""
    along: str = ""
    exact: bool = False


@dataclass(frozen=True)
class Plan:
    """Everything a run will do, and everything a report needs beside the records."""

    suite: str
    question: str
    axis: str
    blocks: tuple[Block, ...]
    skipped: tuple[Skipped, ...] = ()
    claims: tuple[Claim, ...] = ()
    #: What the command line changed: --set, --only, --device and so on, kept so that a resume does the same.
    overrides: Mapping[str, Any] = field(default_factory=dict)
    #: In an ablation design (`harness.records.designs`), the factors whose combinations the trials are.
    design: str = "grid"
    factors: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "schema": SCHEMA,
            **asdict(self),
            "blocks": [block.to_json() for block in self.blocks],
        }

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
        )


@dataclass(frozen=True)
class Record:
    """One line of records.jsonl. Its key is (block, level, measure, role, replicate); `of` says how many
    records its replicate has, so that a torn one is noticed. `data` holds raw samples or findings."""

    block: str
    level: str
    trial: str
    measure: str
    role: Role
    replicate: int
    of: int
    outcome: Outcome
    reason: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""

    @property
    def after_the_clock(self) -> bool:
        """Whether it was taken after the clock, so that its failing leaves the times standing."""
        return self.measure.partition(".")[0] in AFTER_THE_CLOCK

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """The record that `to_json` wrote."""
        return cls(**{key: value for key, value in data.items() if key != "schema"})


def by_block(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each block, by its id, in order: who asks for many blocks goes through all records once."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.block, []).append(record)
    return found


def replicates(records: Iterable[Record], block: str, measure: str) -> dict[int, list[Record]]:
    """The records of one block and measure, by replicate, in order."""
    found: dict[int, list[Record]] = {}
    for record in records:
        if record.block == block and record.measure == measure:
            found.setdefault(record.replicate, []).append(record)
    return dict(sorted(found.items()))


def spoken_of(claim: Claim, blocks: Sequence[Block]) -> list[Block]:
    """The blocks whose contexts the claim's `where` leaves."""
    return [b for b in blocks if all(b.context.get(axis) in levels for axis, levels in claim.where.items())]
