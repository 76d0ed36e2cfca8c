"""Everything that can be said of a run: comparisons, numbers, failures and claims."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, TypeVar

import numpy as np

from harness.analysis import stats
from harness.analysis.claims import ClaimResult, Evidence, confirmed, settle
from harness.analysis.effects import Effect, Judge, effects_of
from harness.analysis.explain import Explanation, explanations
from harness.analysis.growth import Growth, find_growth
from harness.analysis.learning_results import Lessons, find_lessons
from harness.analysis.profiles import Profiled
from harness.analysis.resources import Resources, find_resources
from harness.analysis.samples import Samples
from harness.analysis.timing import Comparison, Measured, View, alpha_of, decide, discoveries, looks_of
from harness.plugins.catalog import Catalog, Entry
from harness.plugins.isolation import error_text, isolated
from harness.plugins.manager import CORE
from harness.plugins.parts import Metric
from harness.records import designs
from harness.records.plan import LEARNING, Block, Plan
from harness.records.record import Record, by_block

One = TypeVar("One", Comparison, Effect)


@dataclass(frozen=True)
class Findings:
    """Everything a report says. `numbers` are metrics of single trials by (block id, level, mode, metric)."""

    plan: Plan
    metrics: Mapping[str, Metric]
    views: Mapping[str, View]
    comparisons: tuple[Comparison, ...]
    numbers: Mapping[tuple[str, str, str, str], float]
    failures: tuple[Record, ...]
    verified: tuple[Record, ...]
    resources: Resources
    #: By block id and mode, in the order of the block's trials.
    profiles: Mapping[tuple[str, str], Sequence[Profiled]]
    measured: tuple[Measured, ...]
    claims: tuple[ClaimResult, ...]
    floor: float
    null_biased: bool
    problems: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    lessons: Lessons = field(default_factory=Lessons)
    health: tuple[Record, ...] = ()
    growth: tuple[Growth, ...] = ()

    def of(self, block: Block, mode: str, metric: str = "step_time") -> dict[str, Comparison]:
        """The comparisons of one block, mode and metric, by level."""
        return {c.level: c for c in self._compared.get((block.id, mode, metric), ())}

    def effects_in(self, block: Block, mode: str, metric: str = "step_time") -> list[Effect]:
        """The effects of one block, mode and metric."""
        return list(self._effects.get((block.id, mode, metric), ()))

    @cached_property
    def counted(self) -> Mapping[str, frozenset[str]]:
        """The metrics that are known of each block's trials, by its id."""
        found: dict[str, set[str]] = {}
        for block, _, _, name in self.numbers:
            found.setdefault(block, set()).add(name)
        return {block: frozenset(names) for block, names in found.items()}

    @cached_property
    def _compared(self) -> dict[tuple[str, str, str], list[Comparison]]:
        return _by_place(self.comparisons)

    @cached_property
    def _effects(self) -> dict[tuple[str, str, str], list[Effect]]:
        return _by_place(self.effects)

    @cached_property
    def explained(self) -> list[Explanation]:
        """Where the differences to the baseline come from, as far as there are profiles."""
        return explanations(self.measured, self.profiles)

    def timed(self, block: Block, mode: str) -> Measured:
        """What was measured of a block in a mode that it is timed in."""
        return self._timed[block.id, mode]

    @cached_property
    def _timed(self) -> dict[tuple[str, str], Measured]:
        return {(one.block.id, one.mode): one for one in self.measured}

    def smallest_visible(self) -> tuple[float, float] | None:
        """The smallest relative differences of step time that the run would have found in 80 % of cases, in its
        typical and in its noisiest comparison. None where nothing was compared."""
        sizes = [
            math.expm1(stats.smallest_visible(c.estimate.half_width(), self.floor, c.estimate.k))
            for c in self.comparisons
            if c.metric == "step_time" and c.estimate is not None and math.isfinite(c.estimate.half_width())
        ]
        return (float(np.median(sizes)), max(sizes)) if sizes else None


def _by_place(compared: Iterable[One]) -> dict[tuple[str, str, str], list[One]]:
    """Comparisons or effects by block id, mode and metric: each table asks for its own."""
    found: dict[tuple[str, str, str], list[One]] = {}
    for one in compared:
        found.setdefault((one.block.id, one.mode, one.metric), []).append(one)
    return found


def find(plan: Plan, records: Sequence[Record], catalog: Catalog) -> Findings:
    """Read a run's records. Metrics are views of them, so a new metric reads an old run."""
    with isolated("reading metrics of the records"):
        return _find(plan, records, catalog)


def _find(plan: Plan, records: Sequence[Record], catalog: Catalog) -> Findings:
    entries = catalog.entries(Metric)
    metrics: dict[str, Metric] = {name: entry.part for name, entry in entries.items()}
    problems: list[str] = []
    views = {name: _guarded(catalog, entry, problems) for name, entry in entries.items()}
    measured = measured_of(plan.blocks, records)
    controls = controls_of(measured)
    again = controls_of(measured_of([block.alone() for block in plan.blocks], records))
    floor, biased = floor_of(controls), is_null_biased(controls) and (not again or is_null_biased(again))
    per_sample = [name for name, metric in metrics.items() if metric.per == "sample"]
    comparisons: list[Comparison] = []
    effects: list[Effect] = []
    numbers = {}

    def judged(one: Measured) -> tuple[list[Comparison], list[Effect]]:
        """Everything that is compared of one block and mode."""
        trials = one.block.trials[1:]
        found = [one.compare(trial, name, views[name], floor, biased) for trial in trials for name in per_sample]
        return found, effects_among(plan, one, found, views, floor, biased)

    for one in measured:
        for trial in one.block.trials:
            for name, metric in metrics.items():
                value = one.number(trial.level, metric, views[name])
                if value is not None:
                    numbers[one.block.id, trial.level, one.mode, name] = value
        found = judged(one)
        comparisons += [c for c in found[0] if c.estimate is not None or c.metric == "step_time"]
        effects += [e for e in found[1] if e.estimate is not None or e.metric == "step_time"]
    comparisons = discoveries(comparisons, floor, ("faster", "slower"))
    lessons = find_lessons(plan, records, measured)
    effects += lessons.effects
    step_times = {(b, level, mode): value for (b, level, mode, name), value in numbers.items() if name == "step_time"}
    of_steps = {(c.block.id, c.level, c.mode): c.verdict for c in comparisons if c.metric == "step_time"}
    faster = frozenset(place for place, verdict in of_steps.items() if verdict == "faster")
    resources = find_resources(plan, records, step_times, faster)
    valid = {place: time for place, time in step_times.items() if of_steps.get(place) != "invalid"}
    growth = find_growth(plan, resources, valid)
    # In a design a level may be called as an effect is, and claims are about effects.
    learned = () if plan.factors else lessons.comparisons
    first: list[Evidence] = [*evidence(plan, comparisons, effects), *learned, *resources.quantities, *growth]
    claims = settle(plan, first, floor, biased)
    fresh = {}
    originals = {block.again().id: block for block in plan.blocks}
    for one in measured_of([block.again() for block in plan.blocks], records):
        original = originals[one.block.id]
        for each in evidence(plan, *judged(one)) if one.processes else ():
            fresh[original.id, each.level, each.mode, each.metric] = replace(each, block=original)
    if fresh:
        second = [fresh.get((e.block.id, e.level, e.mode, e.metric), e) for e in first]
        claims = list(map(confirmed, claims, settle(plan, second, floor, biased)))
    return Findings(
        plan=plan,
        metrics=metrics,
        views=views,
        comparisons=tuple(comparisons),
        numbers=numbers,
        failures=tuple(first_failures(records)),
        verified=tuple(r for r in records if r.measure == "verify" and r.outcome == "ok"),
        resources=resources,
        profiles=profiles_of(plan, records),
        measured=tuple(measured),
        claims=tuple(claims),
        floor=floor,
        null_biased=biased,
        problems=tuple(problems),
        effects=tuple(effects),
        lessons=lessons,
        health=tuple(r for r in records if (r.measure, r.outcome) == ("health", "ok")),
        growth=growth,
    )


def profiles_of(plan: Plan, records: Sequence[Record]) -> dict[tuple[str, str], list[Profiled]]:
    """The profiles of each block and mode, in the order of its trials."""
    stored = {
        (r.block, r.measure, r.level): r for r in records if r.measure.startswith("profile.") and r.outcome == "ok"
    }
    found = {
        (block.id, mode): [
            Profiled.from_record(record)
            for trial in block.trials
            if (record := stored.get((block.id, f"profile.{mode}", trial.level)))
        ]
        for block in plan.blocks
        for mode in (block.measures.profile.of if block.measures.profile else ())
    }
    return {place: group for place, group in found.items() if group}


def evidence(
    plan: Plan, comparisons: Sequence[Comparison], effects: Sequence[Effect]
) -> Sequence[Comparison] | Sequence[Effect]:
    """What the suite's claims speak of: levels of the compared axis, or the effects that are a design's own."""
    if not plan.factors:
        return comparisons
    return [effect for effect in effects if effect.kind in designs.CLAIMED[plan.design]]


def effects_among(
    plan: Plan, one: Measured, compared: Sequence[Comparison], views: Mapping[str, View], floor: float, biased: bool
) -> list[Effect]:
    """The effects of an ablation design in one block and mode, by each metric that its levels were compared by."""
    if not plan.factors:
        return []
    skipped = {
        s.coordinates[plan.axis]: ("invalid", s.because)
        for s in plan.skipped
        if s.coordinates == {**one.block.context, plan.axis: s.coordinates[plan.axis]}
    }

    def decide_here(estimate: stats.Estimate) -> tuple[str, str]:
        if one.settings.quick:
            return "undecided", "one process"
        return one.unless_blind(*decide(estimate, one.settings, floor, looks_of(one.block)[0]), biased)

    found = []
    for metric in dict.fromkeys(c.metric for c in compared):
        levels = {c.level: c for c in compared if c.metric == metric}
        there = [level for level, c in levels.items() if c.estimate is not None and level not in one.broken]
        barred = {level: (c.verdict, c.reason) for level, c in levels.items() if c.verdict in ("invalid", "unranked")}
        judge = Judge(
            decide_here,
            floor=floor,
            confidence=1 - alpha_of(one.settings),
            barred={**skipped, **barred},
            flags={level: c.flags for level, c in levels.items()},
        )
        values = one.aligned([one.block.baseline.level, *there], views[metric])
        found += effects_of(one.block, one.mode, metric, plan.design, plan.factors, values, "ratio", judge)
    return found


def _guarded(catalog: Catalog, entry: Entry, problems: list[str]) -> View:
    """A metric's view that gives None where its code raises, or gives what is no answer: one broken metric must neither
    hide a run's results nor change what the others read."""
    ours = entry.plugin == CORE

    @cache
    def code() -> View:
        return catalog.code(entry)  # found once, and only where it is asked for, since that may fail too

    def view(stored: Any) -> Any:
        try:
            return code()(stored) if ours else answer_in(entry.part, code()(handed_out(stored)), stored)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything; it is named
            problem = f"{entry.owner}: {error_text(error)}"
            if problem not in problems:
                problems.append(problem)
            return None

    return view


def handed_out(stored: Any) -> Any:
    """What a guest is given to read: samples, or totals, that it may keep and change as it likes."""
    if isinstance(stored, Samples):
        return replace(stored, phases=dict(stored.phases), counts=dict(stored.counts))
    return dict(stored)


def answer_in(metric: Metric, value: Any, stored: Any) -> Any:
    """What a metric gives, as numbers: one, or one for each sample. Raises ValueError where it is neither that nor
    None."""
    if value is None:
        return None
    if metric.per == "sample":
        costs = np.asarray(value)
        if costs.shape != stored.wall.shape or costs.dtype.kind not in "fiu":
            raise ValueError(f"it gives {costs.dtype} of shape {costs.shape}, not a number for each sample")
        if not np.isfinite(costs).all():
            raise ValueError("it gives costs that are not finite")
        return costs
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise ValueError(f"it gives {str(value)[:40]!r}, not a finite number")
    return float(value)


def measured_of(blocks: Sequence[Block], records: Sequence[Record]) -> list[Measured]:
    """What was measured, in every block and mode."""
    theirs = by_block(records)
    return [
        Measured(block, theirs.get(block.id, ()), mode)
        for block in blocks
        for mode in (block.measures.speed.of if block.measures.speed else ())
    ]


def controls_of(measured: Sequence[Measured]) -> list[float]:
    """The baseline against itself: a log ratio of each process."""
    return [value for one in measured for value in one.log_ratios(one.block.baseline.level, "control")]


def suspects(plan: Plan, records: Sequence[Record], most: int = 3) -> list[Block]:
    """The baselines, alone, that are to be measured once more because the controls are biased: those farthest off.
    None where nothing is biased."""
    measured = measured_of(plan.blocks, records)
    if any(one.settings.quick for one in measured) or not is_null_biased(controls_of(measured)):
        return []  # a quick look decides nothing anyway
    off = {one.block.id: abs(float(np.mean(controls_of([one]) or [0.0]))) for one in measured}
    return [block.alone() for block in sorted(plan.blocks, key=lambda b: -off.get(b.id, 0.0))[:most]]


def contested(plan: Plan, records: Sequence[Record], catalog: Catalog) -> list[Block]:
    """The blocks that a claim about a clock fails by, to be measured once more before it is said to fail."""
    timed = [result for result in find(plan, records, catalog).claims if result.claim.of != LEARNING]
    against = {block for result in timed for block in result.against}
    return [block.again() for block in plan.blocks if block.id in against]


def floor_of(controls: Sequence[float]) -> float:
    """No difference below this is called one: what the baseline shows against itself, and at least 0.3 %."""
    return max(stats.FLOOR, abs(float(np.mean(controls)))) if controls else stats.FLOOR


def is_null_biased(controls: Sequence[float]) -> bool:
    """Whether the controls' pooled 99 % interval excludes 0 and their mean exceeds 0.3 %."""
    if len(controls) < stats.LEAST:
        return False
    pooled = stats.estimate(controls)
    low, high = pooled.interval(0.99)
    return (low > 0 or high < 0) and abs(pooled.mean) > stats.FLOOR


def first_failures(records: Sequence[Record]) -> list[Record]:
    """The first failed, invalid or skipped record of each trial of each block; to diverge is no failure."""
    found: dict[tuple[str, str], Record] = {}
    for record in records:
        if record.outcome not in ("ok", "diverged"):
            found.setdefault((record.block, record.level), record)
    return list(found.values())
