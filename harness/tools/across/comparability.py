"""What must agree before numbers of two runs may be compared: the comparability key, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.errors import UserError, did_you_mean
from harness.records.plan import Block, Plan, Spec, Trial
from harness.records.settings import Learning, Speed

#: What two runs can be compared by: absolute times, ratios to the baseline, exact amounts, scores.
Kind = Literal["times", "ratios", "amounts", "scores"]
TIMES: tuple[Kind, ...] = ("times",)
CLOCK: tuple[Kind, ...] = ("times", "ratios")
WORK: tuple[Kind, ...] = ("times", "ratios", "amounts")
ALL: tuple[Kind, ...] = ("times", "ratios", "amounts", "scores")

#: The value of a fact that a run does not have.
UNKNOWN = "not recorded"
#: The value of a parameter, a variable or a version that only the other run has.
ABSENT = "absent"


@dataclass(frozen=True)
class Field:
    """One field of the key. `bars` are the kinds by which two runs that differ in it cannot be compared; where it is
    empty, the difference is only shown. `apart`: a history separates runs that differ in it into groups."""

    name: str
    of: Literal["machine", "software", "code", "suite", "trial", "measure"]
    what: str
    bars: tuple[Kind, ...] = ()
    apart: bool = True


FIELDS = (
    Field("processor", "machine", "The processor's own name for itself.", TIMES),
    Field("cores", "machine", "How many cores the run was allowed to use.", TIMES),
    Field("threads", "machine", "On how many threads torch computes where a trial does not say.", TIMES),
    Field("platform", "software", "The kernel, its version and the C library.", TIMES, apart=False),
    Field("torch_cpu_capability", "machine", "The widest instructions that torch uses here, such as AVX2.", TIMES),
    Field("gpus", "machine", "How many GPUs torch sees.", TIMES),
    Field("gpu_models", "machine", "The models of these GPUs, as their driver names them.", TIMES),
    Field("memory_gib", "machine", "How much memory the machine has.", apart=False),
    Field("facts", "machine", "What plugins tell of the machine; they know best what may move.", apart=False),
    Field("python", "software", "The version of Python."),
    Field("torch", "software", "The version and build of torch."),
    Field("torch_blas", "software", "The library that torch multiplies matrices with."),
    Field("mkldnn", "software", "Whether torch has oneDNN, and with it fused layers on a CPU."),
    Field("cuda_build", "software", "The CUDA version that torch was built for."),
    Field("gpu_driver", "software", "The version of the GPUs' driver.", TIMES, apart=False),
    Field("cudnn", "software", "The version of cuDNN, whose recurrent layers a GPU runs."),
    Field("packages", "software", "The versions of this package, its plugins and numpy.", apart=False),
    Field("plugins", "code", "The plugins that were loaded, with their versions.", apart=False),
    Field("commit", "code", "The git commit around the suite. To compare commits is what this is for.", apart=False),
    Field("dirty", "code", "Whether there were uncommitted changes: then the commit does not say it all.", apart=False),
    Field("axis", "suite", "The axis whose levels are compared.", ALL),
    Field("baseline", "suite", "The level that ratios are to.", CLOCK),
    Field("design", "suite", "Which combinations of which factors an ablation measures.", CLOCK),
    Field("overrides", "suite", "What the command line changed. What came of it stands at other fields.", apart=False),
    Field("model", "trial", "The model and its parameters.", ALL),
    Field("dataset", "trial", "The dataset and its parameters.", ALL),
    Field("fingerprint", "trial", "A hash of the dataset's content: other examples are another question.", ALL),
    Field("use", "trial", "The optimizations in their order, and their parameters.", ALL),
    Field("batch_size", "trial", "How many examples a batch holds.", ALL),
    Field("seed", "trial", "What draws the work set, the weights and the order.", ALL),
    Field("device", "trial", "Where the trial computes. A ratio is marked, as of another processor.", TIMES),
    Field("environment", "trial", "Variables that must exist before the process does: allocator, threads.", WORK),
    Field("versions", "trial", "The plugin that brings each part, and its version.", apart=False),
    Field("kernel_path", "trial", "The kernel path and the flags of its steps, from a profile.", apart=False),
    Field("changes", "trial", "The weakest promise of what sets the level apart from the baseline.", apart=False),
    Field("batches", "measure", "How many batches make the work set: others are other examples.", WORK),
    Field("cache", "measure", "Whether samples find their data in the processor's caches.", CLOCK),
    Field("effort", "measure", "How long is measured, how precisely, and what counts as equal.", apart=False),
    Field("length", "measure", "How long runs train, how often they are evaluated, what has diverged.", ("scores",)),
    Field("target", "measure", "What a run is to reach.", ("scores",)),
    Field("scoring", "measure", "Which way of each score is better, and how it is compared.", ("scores",)),
    Field("seeds", "measure", "The seeds of training. Those in both runs are compared in pairs.", apart=False),
)  # fmt: skip
BY_NAME = {field.name: field for field in FIELDS}

#: Facts of a machine that have fields of their own; all others come from plugins.
_TOLD = {"packages", "plugins", "git", *(field.name for field in FIELDS if field.of in ("machine", "software"))}
_EFFORT = ("of", "half_width", "margin", "budget", "warm_up", "seconds", "visits", "quick", "until_decided")
_LENGTH = ("steps", "epochs", "seconds", "evaluations", "explodes")


@dataclass(frozen=True)
class Difference:
    """A field in which two runs differ: its two values in words, and the contexts and levels with this difference (none
    where it is of the whole run). `allowed`: the user accepts it, so that it rules out nothing."""

    field: Field
    detail: str
    a: str
    b: str
    places: tuple[str, ...] = ()
    allowed: bool = False

    @property
    def bars(self) -> tuple[Kind, ...]:
        """What it rules out."""
        return () if self.allowed else self.field.bars

    @property
    def name(self) -> str:
        """The field, and where in it."""
        return f"{self.field.name}: {self.detail}" if self.detail else self.field.name

    @property
    def words(self) -> str:
        """The difference in one phrase."""
        return f"{self.name} was {shortened(self.a)} and is {shortened(self.b)}"


def shortened(text: str, most: int = 40) -> str:
    """Text that fits a cell."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def parse_allowed(names: Iterable[str]) -> frozenset[str]:
    """The fields of `--allow`. Raises UserError where there is no such field."""
    for name in names:
        if name not in BY_NAME:
            raise UserError("there is no such field.", where=f"--allow {name}", fix=did_you_mean(name, BY_NAME))
    return frozenset(names)


def barred(kind: Kind, differences: Iterable[Difference]) -> list[Difference]:
    """The differences that rule out this kind of comparison."""
    return [difference for difference in differences if kind in difference.bars]


def other_machine(differences: Iterable[Difference]) -> list[Difference]:
    """Differences of the machine or the device that are not accepted. Ratios may still be compared, but the result says
    more about the machines than about the code."""
    return [d for d in differences if d.bars == TIMES and (d.field.of == "machine" or d.field.name == "device")]


def differing(a: Mapping[str, Mapping[str, Any]], b: Mapping[str, Mapping[str, Any]], place: str) -> list[Difference]:
    """The differences of two sets of fields, each a mapping from the details of a field to values."""
    found = []
    for name in dict.fromkeys((*a, *b)):
        ours, theirs = a.get(name, {}), b.get(name, {})
        for detail in dict.fromkeys((*ours, *theirs)):
            one, other = (in_words(of[detail]) if detail in of else ABSENT for of in (ours, theirs))
            if one != other:
                found.append(Difference(BY_NAME[name], detail, one, other, (place,) if place else ()))
    return found


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


def fields_of_run(facts: Mapping[str, Any], plan: Plan) -> dict[str, dict[str, Any]]:
    """The fields of a whole run."""
    git = facts.get("git") or {}
    packages = {name: value for name, value in facts.get("packages", {}).items() if name != "torch"}
    added = {name: value for name, value in facts.items() if name not in _TOLD}
    plain = {field.name: facts.get(field.name) for field in FIELDS if field.of in ("machine", "software")}
    # A missing build option is recorded as None; without a GPU nothing is recorded.
    for name in ("cuda_build", "cudnn"):
        plain[name] = facts[name] or "none" if name in facts else None
    if not facts.get("gpus"):
        plain |= {"gpu_models": "none", "gpu_driver": "none"}
    baselines = dict.fromkeys(block.baseline.level for block in plan.blocks)
    overrides = {name: value for name, value in plan.overrides.items() if value}
    return {
        **{name: {"": value} for name, value in plain.items() if name not in ("packages", "facts")},
        "packages": packages,
        "plugins": dict(facts.get("plugins", {})),
        "facts": added,
        "commit": {"": (git.get("commit") or "")[:12] or None},
        "dirty": {"": git.get("dirty")},
        "axis": {"": plan.axis},
        "baseline": {"": list(baselines)},
        "design": {"": [plan.design, *plan.factors]},
        "overrides": {name: in_words(value) for name, value in overrides.items()},
    }


def fields_of_trial(trial: Trial) -> dict[str, dict[str, Any]]:
    """The fields that the trial's id is hashed from, and what follows from them."""
    parts = {"model": trial.model, "dataset": trial.dataset, **{spec.name: spec for spec in trial.use}}
    used: dict[str, Any] = {"": [spec.name for spec in trial.use]}
    for spec in trial.use:
        used |= {f"{spec.name}.{name}": value for name, value in spec.parameters.items()}
    return {
        "model": _of_spec(trial.model),
        "dataset": _of_spec(trial.dataset),
        "fingerprint": {"": trial.fingerprint},
        "use": used,
        "batch_size": {"": trial.batch_size},
        "seed": {"": trial.seed},
        "device": {"": trial.device},
        "environment": dict(trial.environment),
        "versions": {place: f"{spec.plugin} {spec.version}" for place, spec in parts.items()},
        "changes": {"": trial.changes},
    }


def _of_spec(spec: Spec) -> dict[str, Any]:
    return {"": spec.name, **spec.parameters}


def fields_of_measures(block: Block) -> dict[str, dict[str, Any]]:
    """How a block is measured, without fields for what is not measured."""
    speed, learning = block.measures.speed, block.measures.learning
    # Memory and cost use the work set of the speed settings, or of the default ones.
    found: dict[str, dict[str, Any]] = {"batches": {"": (speed or Speed()).batches}}
    if speed:
        found["cache"] = {"": speed.cache}
        found["effort"] = {name: getattr(speed, name) for name in _EFFORT}
    if learning:
        found |= _of_learning(learning)
    return found


def _of_learning(learning: Learning) -> dict[str, dict[str, Any]]:
    return {
        "length": {name: getattr(learning, name) for name in _LENGTH},
        "target": {"": "none" if learning.target is None else learning.target},
        "seeds": {"": list(learning.seeds)},
        "scoring": {name: f"{of['better']}, by {of['compared']}" for name, of in learning.scores.items()},
    }


def run_differences(
    a: tuple[Mapping[str, Any], Plan], b: tuple[Mapping[str, Any], Plan], allowed: frozenset[str] = frozenset()
) -> list[Difference]:
    """What differs between whole runs, each given by the machine's facts and the plan."""
    return accept(differing(fields_of_run(*a), fields_of_run(*b), ""), allowed)


def trial_differences(a: Trial, b: Trial, place: str, allowed: frozenset[str] = frozenset()) -> list[Difference]:
    """What differs between two trials of the same place."""
    return accept(differing(fields_of_trial(a), fields_of_trial(b), place), allowed)


def block_differences(a: Block, b: Block, place: str, allowed: frozenset[str] = frozenset()) -> list[Difference]:
    """What differs in how two blocks of the same context are measured. What only one of them measures cannot be
    compared, so it is no difference."""
    ours, theirs = fields_of_measures(a), fields_of_measures(b)
    both = [name for name in ours if name in theirs]
    found = differing({name: ours[name] for name in both}, {name: theirs[name] for name in both}, place)
    return accept(found, allowed)


def kernel_path_differences(
    a: Mapping[str, Any], b: Mapping[str, Any], place: str, allowed: frozenset[str] = frozenset()
) -> list[Difference]:
    """What differs between two profiles of the same place, where both show it."""
    ours, theirs = ({"kernel_path": {name: of[name] for name in a if name in b}} for of in (a, b))
    return accept(differing(ours, theirs, place), allowed)


def accept(differences: Iterable[Difference], allowed: frozenset[str]) -> list[Difference]:
    """The differences, with `allowed` set for the allowed fields."""
    return [replace(d, allowed=d.field.name in allowed) for d in differences]


def gathered(differences: Iterable[Difference]) -> list[Difference]:
    """Each difference once, with all its places, in the order of the fields."""
    found: dict[tuple[str, str, str, str], Difference] = {}
    for one in differences:
        key = (one.field.name, one.detail, one.a, one.b)
        known = found.get(key)
        places = dict.fromkeys((*known.places, *one.places)) if known else one.places
        found[key] = replace(one, places=tuple(places))
    order = [field.name for field in FIELDS]
    return sorted(found.values(), key=lambda d: order.index(d.field.name))


def run_key(facts: Mapping[str, Any], plan: Plan) -> dict[str, str]:
    """What must agree for two runs to be in one group of a history: machine, software and suite, in words. The code
    under test is not part of it, since a history shows the effect of changing it."""
    return flat(fields_of_run(facts, plan))


def place_key(block: Block, level: str) -> dict[str, str]:
    """What must agree for the ratios of a level to form one series: its trial, the baseline's, and the work set."""
    trials = {trial.level: trial for trial in block.trials}
    of_clock = {name: of for name, of in fields_of_measures(block).items() if set(BY_NAME[name].bars) & set(CLOCK)}
    found = flat(of_clock)
    for name in dict.fromkeys((block.baseline.level, level)):
        found |= flat(fields_of_trial(trials[name]), f"{name} · ")
    return found


def told_of(facts: Mapping[str, Any], plan: Plan, block: Block, level: str) -> dict[str, str]:
    """What may differ within a series, in words: possible causes of a change."""
    trials = {trial.level: trial for trial in block.trials}
    found = flat(fields_of_run(facts, plan), apart=False) | flat(fields_of_measures(block), apart=False)
    for name in dict.fromkeys((block.baseline.level, level)):
        found |= flat(fields_of_trial(trials[name]), f"{name} · ", apart=False)
    return found


def flat(fields: Mapping[str, Mapping[str, Any]], prefix: str = "", *, apart: bool = True) -> dict[str, str]:
    """The values in words by field and detail, of the fields that keep runs apart, or of the others."""
    return {
        f"{prefix}{name}{f': {detail}' if detail else ''}": in_words(value)
        for name, details in fields.items()
        if BY_NAME[name].apart == apart
        for detail, value in details.items()
    }


def changed(a: Mapping[str, str], b: Mapping[str, str], most: int = 6) -> Sequence[str]:
    """What differs between two such sets of values, in words."""
    words = [
        f"{name} was {a.get(name, ABSENT)} and is {b.get(name, ABSENT)}"
        for name in dict.fromkeys((*a, *b))
        if a.get(name) != b.get(name)
    ]
    return words if len(words) <= most else [*words[:most], f"and {len(words) - most} more"]
