"""The fields in which two runs may differ, and what each difference rules out. docs/compare.md lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.api.lookup import known_names
from harness.records.plan import Block, Plan, Trial
from harness.records.settings import Speed
from harness.report.cells import first_few

#: The kinds of numbers that are compared: absolute times, ratios to the baseline, exact amounts, scores.
Kind = Literal["times", "ratios", "amounts", "scores"]
NOTHING: tuple[Kind, ...] = ()
TIMES: tuple[Kind, ...] = ("times",)
RATIOS: tuple[Kind, ...] = ("times", "ratios")
AMOUNTS: tuple[Kind, ...] = ("times", "ratios", "amounts")
SCORES: tuple[Kind, ...] = ("scores",)
EVERYTHING: tuple[Kind, ...] = ("times", "ratios", "amounts", "scores")

#: The value of a fact that a run does not have.
UNKNOWN = "not recorded"
#: The value of a parameter, a variable or a version that only the other run has.
ABSENT = "absent"

#: Values in words by field and detail: "torch": {"": "2.13.0"}, "model": {"": "lstm", "hidden_size": "8"}.
Fields = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Field:
    """One field. `rules_out` are the kinds of numbers that cannot be compared between two runs that differ in it. A
    history puts runs that differ in it into different groups, unless `in_group` is set."""

    name: str
    of: Literal["machine", "software", "code", "suite", "trial", "measure"]
    what: str
    rules_out: tuple[Kind, ...] = NOTHING
    in_group: bool = False


FIELDS = (
    Field("processor", "machine", "The model name of the processor.", TIMES),
    Field("cores", "machine", "The number of cores that the run could use.", TIMES),
    Field("threads", "machine", "The number of threads of torch, unless a trial sets its own.", TIMES),
    Field("platform", "software", "The kernel with its version, and the C library.", TIMES, in_group=True),
    Field("torch_cpu_capability", "machine", "The widest vector instructions that torch uses, such as AVX2.", TIMES),
    Field("gpus", "machine", "The number of GPUs that torch sees.", TIMES),
    Field("gpu_models", "machine", "The models of these GPUs, as the driver names them.", TIMES),
    Field("memory_gib", "machine", "The memory of the machine.", in_group=True),
    Field("facts", "machine", "What plugins record about the machine.", in_group=True),
    Field("python", "software", "The version of Python."),
    Field("torch", "software", "The version and build of torch."),
    Field("torch_blas", "software", "The BLAS library of torch."),
    Field("mkldnn", "software", "Whether torch has oneDNN, which provides fused layers on a CPU."),
    Field("cuda_build", "software", "The CUDA version that torch was built for."),
    Field("gpu_driver", "software", "The version of the GPU driver.", TIMES, in_group=True),
    Field("cudnn", "software", "The version of cuDNN, which provides fused recurrent layers on a GPU."),
    Field("packages", "software", "The versions of this package, of its plugins and of numpy.", in_group=True),
    Field("plugins", "code", "The loaded plugins with their versions.", in_group=True),
    Field("commit", "code", "The git commit of the suite's folder.", in_group=True),
    Field("dirty", "code", "Whether there were uncommitted changes.", in_group=True),
    Field("axis", "suite", "The axis whose levels are compared.", EVERYTHING),
    Field("baseline", "suite", "The level that ratios are relative to.", RATIOS),
    Field("design", "suite", "The ablation design and its factors.", RATIOS),
    Field("overrides", "suite", "What the command line changed. Its effects are other fields.", in_group=True),
    Field("model", "trial", "The model and its parameters.", EVERYTHING),
    Field("dataset", "trial", "The dataset and its parameters.", EVERYTHING),
    Field("fingerprint", "trial", "A hash of the content of the dataset.", EVERYTHING),
    Field("use", "trial", "The optimizations in their order, with their parameters.", EVERYTHING),
    Field("batch_size", "trial", "The number of examples in a batch.", EVERYTHING),
    Field("seed", "trial", "The seed of the work set, the weights and the order of examples.", EVERYTHING),
    Field("device", "trial", "The device. Ratios of two devices are flagged `other machine`.", TIMES),
    Field("environment", "trial", "Variables that are set before the process starts.", AMOUNTS),
    Field("versions", "trial", "The plugin of each part, with its version.", in_group=True),
    Field("kernel_path", "trial", "The kernel path and flags of the steps, if both runs profiled it.", in_group=True),
    Field("changes", "trial", "The weakest promise among the parts that the baseline does not have.", in_group=True),
    Field("batches", "measure", "The number of batches in the work set.", AMOUNTS),
    Field("cache", "measure", "Whether samples find their data in the processor's caches.", RATIOS),
    Field("effort", "measure", "How long and how precisely times are measured, and the margin.", in_group=True),
    Field("length", "measure", "How long runs train, how often they are evaluated, and which of them diverge.", SCORES),
    Field("target", "measure", "The score that a run is to reach.", SCORES),
    Field("scoring", "measure", "Which values of each score are better, and how they are compared.", SCORES),
    Field("seeds", "measure", "The seeds of training. Seeds that both runs have are compared in pairs.", in_group=True),
)  # fmt: skip
BY_NAME = {field.name: field for field in FIELDS}

_PLAIN_FACTS = [f.name for f in FIELDS if f.of in ("machine", "software") and f.name not in ("packages", "facts")]
#: The facts of a machine that have a field; all others come from plugins.
_KNOWN_FACTS = {"packages", "plugins", "git", *_PLAIN_FACTS}
_EFFORT = (
    "of",
    "half_width",
    "margin",
    "budget",
    "warm_up",
    "seconds",
    "visits",
    "quick",
    "until",
    "looks",
    "rates",
    "pooled",
    "method",
)
_LENGTH = ("steps", "epochs", "seconds", "evaluations", "explodes", "of_programs")


@dataclass(frozen=True)
class Difference:
    """A field in which two runs differ: its two values in words, and the contexts and levels in which they differ (none
    if the field is of the whole run). One that the user has `allowed` rules out nothing."""

    field: Field
    detail: str
    a: str
    b: str
    places: tuple[str, ...] = ()
    allowed: bool = False

    @property
    def rules_out(self) -> tuple[Kind, ...]:
        """The kinds of numbers that it rules out."""
        return NOTHING if self.allowed else self.field.rules_out

    @property
    def name(self) -> str:
        """The field and its detail."""
        return full_name(self.field.name, self.detail)

    @property
    def words(self) -> str:
        """The difference in one phrase."""
        return f"{self.name} was {shortened(self.a)} and is {shortened(self.b)}"


def full_name(field: str, detail: str) -> str:
    """A field and its detail."""
    return f"{field}: {detail}" if detail else field


def shortened(text: str, most: int = 40) -> str:
    """Text that fits a cell."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def parse_allowed(names: Iterable[str]) -> frozenset[str]:
    """The fields of `--allow`. Raises UserError for an unknown field."""
    return frozenset(known_names("field", names, BY_NAME, "--allow "))


def differences(a: Fields, b: Fields, place: str = "", allowed: frozenset[str] = frozenset()) -> list[Difference]:
    """The differences of two sets of fields."""
    found = []
    for name in dict.fromkeys((*a, *b)):
        ours, theirs = a.get(name, {}), b.get(name, {})
        for detail in dict.fromkeys((*ours, *theirs)):
            one, other = (in_words(of[detail]) if detail in of else ABSENT for of in (ours, theirs))
            if one != other:
                places = (place,) if place else ()
                found.append(Difference(BY_NAME[name], detail, one, other, places, name in allowed))
    return found


def merged(found: Iterable[Difference]) -> list[Difference]:
    """Each difference once, with all its places, in the order of the fields."""
    by_value: dict[tuple[str, str, str, str], Difference] = {}
    for one in found:
        key = (one.field.name, one.detail, one.a, one.b)
        known = by_value.get(key, one)
        by_value[key] = replace(one, places=tuple(dict.fromkeys((*known.places, *one.places))))
    return sorted(by_value.values(), key=lambda one: FIELDS.index(one.field))


def of_machines(found: Iterable[Difference]) -> list[Difference]:
    """The differences of the machine or the device that were not allowed. Ratios may still be compared, but the result
    says more about the machines than about the code."""
    return [d for d in found if d.rules_out == TIMES and (d.field.of == "machine" or d.field.name == "device")]


def in_words(value: Any) -> str:
    """A value of a field as text, the same text for the same value."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value or "empty"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(in_words, value)) or "none"
    return str(value)


def fields_of_run(facts: Mapping[str, Any], plan: Plan) -> Fields:
    """The fields of a whole run."""
    git = facts.get("git") or {}
    plain = {name: facts.get(name) for name in _PLAIN_FACTS}
    # A missing build option is recorded as None; without a GPU nothing is recorded.
    for name in ("cuda_build", "cudnn"):
        plain[name] = facts[name] or "none" if name in facts else None
    if not facts.get("gpus"):
        plain |= {"gpu_models": "none", "gpu_driver": "none"}
    return {
        **{name: {"": value} for name, value in plain.items()},
        "packages": {name: value for name, value in facts.get("packages", {}).items() if name != "torch"},
        "plugins": dict(facts.get("plugins", {})),
        "facts": {name: value for name, value in facts.items() if name not in _KNOWN_FACTS},
        "commit": {"": (git.get("commit") or "")[:12] or None},
        "dirty": {"": git.get("dirty")},
        "axis": {"": plan.axis},
        "baseline": {"": list(dict.fromkeys(block.baseline.level for block in plan.blocks))},
        "design": {"": [plan.design, *plan.factors]},
        "overrides": {name: in_words(value) for name, value in plan.overrides.items() if value and name != "folder"},
    }


def fields_of_trial(trial: Trial) -> Fields:
    """The fields that the id of a trial is hashed from, and what follows from them."""
    parts = {"model": trial.model, "dataset": trial.dataset, **{spec.name: spec for spec in trial.use}}
    parameters = {f"{spec.name}.{name}": value for spec in trial.use for name, value in spec.parameters.items()}
    return {
        "model": {"": trial.model.name, **trial.model.parameters},
        "dataset": {"": trial.dataset.name, **trial.dataset.parameters},
        "fingerprint": {"": trial.fingerprint},
        "use": {"": [spec.name for spec in trial.use], **parameters},
        "batch_size": {"": trial.batch_size},
        "seed": {"": trial.seed},
        "device": {"": trial.device},
        "environment": dict(trial.environment),
        "versions": {place: f"{spec.plugin} {spec.version}" for place, spec in parts.items()},
        "changes": {"": trial.changes},
    }


def fields_of_measures(block: Block) -> Fields:
    """How a block is measured, without the fields of what is not measured."""
    speed, learning = block.measures.speed, block.measures.learning
    # Memory and cost use the work set of the speed settings, or of the default ones.
    found: dict[str, dict[str, Any]] = {"batches": {"": (speed or Speed()).batches}}
    if speed:
        found["cache"] = {"": speed.cache}
        found["effort"] = {name: getattr(speed, name) for name in _EFFORT}
    if learning:
        found["length"] = {name: getattr(learning, name) for name in _LENGTH}
        found["target"] = {"": "none" if learning.target is None else learning.target}
        found["seeds"] = {"": list(learning.seeds)}
        found["scoring"] = {name: f"{of['better']}, by {of['compared']}" for name, of in learning.scores.items()}
    return found


def run_key(facts: Mapping[str, Any], plan: Plan) -> dict[str, str]:
    """What must agree for two runs to be in one group of a history: machine, software and suite, in words. The code
    under test is not part of it, since a history shows the effect of changing it."""
    return flat(fields_of_run(facts, plan))


def series_key(block: Block, level: str) -> dict[str, str]:
    """What must agree for the ratios of a level to form one series: its trial, the baseline's, and the work set."""
    measures = {name: of for name, of in fields_of_measures(block).items() if "ratios" in BY_NAME[name].rules_out}
    return flat(measures) | _of_trials(block, level)


def series_details(facts: Mapping[str, Any], plan: Plan, block: Block, level: str) -> dict[str, str]:
    """What may differ within a series, in words: the possible causes of a change."""
    fields = {**fields_of_run(facts, plan), **fields_of_measures(block)}
    return flat(fields, in_group=True) | _of_trials(block, level, in_group=True)


def _of_trials(block: Block, level: str, *, in_group: bool = False) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in dict.fromkeys((block.baseline.level, level)):
        found |= flat(fields_of_trial(block.trial(name)), f"{name} · ", in_group=in_group)
    return found


def flat(fields: Fields, prefix: str = "", *, in_group: bool = False) -> dict[str, str]:
    """The values in words, by field and detail, of the fields that may differ within a group, or of the others."""
    return {
        f"{prefix}{full_name(name, detail)}": in_words(value)
        for name, details in fields.items()
        if BY_NAME[name].in_group == in_group
        for detail, value in details.items()
    }


def changed(a: Mapping[str, str], b: Mapping[str, str], most: int = 6) -> list[str]:
    """What differs between two such sets of values, in words."""
    names = [name for name in dict.fromkeys((*a, *b)) if a.get(name) != b.get(name)]
    return first_few((f"{name} was {a.get(name, ABSENT)} and is {b.get(name, ABSENT)}" for name in names), most)
