"""Everything that a run shows: comparisons, numbers, failures and claims."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from harness.analysis import stats
from harness.analysis.break_even import RatioCurves, find_break_evens
from harness.analysis.claims import ClaimResult, confirmed, settle
from harness.analysis.effects import Effect, Judge, effects_of
from harness.analysis.explain import BlockTimes, Explanation, explanations
from harness.analysis.finding import Finding, control_false_discoveries
from harness.analysis.grouping import by_place, grouped
from harness.analysis.growth import find_growth
from harness.analysis.learning import LearningResults
from harness.analysis.level_values import LevelValue, level_values
from harness.analysis.profiles import profiles_of
from harness.analysis.quantities import QuantityFinding, find_quantities
from harness.analysis.samples import OF_PROGRAMS, metric_views
from harness.analysis.time_verdicts import decide, looks_of
from harness.analysis.timing import Comparison, Measured, biased_twice, controls_of, floor_of, measured_of
from harness.analysis.verdicts import EXCLUDED, Verdict
from harness.plugins.catalog import Catalog
from harness.plugins.isolation import isolated
from harness.plugins.parts import Metric
from harness.records import designs
from harness.records.plan import LEARNING, Block, Plan
from harness.records.record import Record


class Findings:
    """Everything that a report is made of, from the records of a run. Metrics are views of records, so a new metric
    reads an old run. `numbers` are metrics of single trials by (block id, level, mode, metric), `profiles` those of a
    block's trials by (block id, mode)."""

    def __init__(self, plan: Plan, records: Sequence[Record], catalog: Catalog) -> None:
        """Step times first: everything else builds on them."""
        problems: list[str] = []
        self.plan, self.views = plan, metric_views(catalog, problems)
        self.metrics: dict[str, Metric] = {name: entry.part for name, entry in catalog.entries(Metric).items()}
        self.measured = measured_of(plan.blocks, records)
        controls = controls_of(self.measured)
        self.floor, self.null_biased = floor_of(controls), biased_twice(plan, records, controls)
        self.failures = first_failures(records)
        self.verified = [r for r in records if r.measure == "verify" and r.outcome == "ok"]
        self.profiles = profiles_of(plan, records)
        self.numbers: dict[tuple[str, str, str, str], float] = {}
        comparisons: list[Comparison] = []
        self.effects: list[Effect] = []
        for one in self.measured:
            levels, contrasts = self.compared_in(one)
            # Metrics that were not measured are left out.
            comparisons += [c for c in levels if c.estimate is not None or c.metric == "step_time"]
            self.numbers |= self.numbers_of(one, levels)
            self.effects += [e for e in contrasts if e.estimate is not None or e.metric == "step_time"]
        self.comparisons = [as_amount(one) for one in control_false_discoveries(comparisons, self.floor)]
        self.learning = LearningResults(plan, records, self.measured)
        self.effects += self.learning.effects
        times = {place[:3]: value for place, value in self.numbers.items() if place[3] == "step_time"}
        verdicts = {(c.block.id, c.level, c.mode): c.verdict for c in self.comparisons if c.metric == "step_time"}
        faster = frozenset(place for place, verdict in verdicts.items() if verdict == Verdict.FASTER)
        self.kinds = find_quantities(catalog, plan, records, times, faster, problems)
        valid = {place: time for place, time in times.items() if verdicts.get(place) != Verdict.INVALID}
        self.growth = find_growth(plan, self.quantities, valid)
        self.claims = self._claims(records)
        self.problems = tuple(problems)

    def compared_in(self, one: Measured) -> tuple[list[Comparison], list[Effect]]:
        """Each level against the baseline in one block and mode, and the effects of a design."""
        views = {name: self.views[name] for name, metric in self.metrics.items() if metric.per == "sample"}
        found = [
            one.compare(trial, name, view, self.floor, self.null_biased)
            for trial in one.block.trials[1:]
            for name, view in views.items()
        ]
        return found, self._effects_in(one, found) if self.plan.factors else []

    def numbers_of(self, one: Measured, compared: Sequence[Comparison]) -> dict[tuple[str, str, str, str], float]:
        """The metrics of each trial of one block and mode. A level that is compared has the baseline's number times the
        ratio, so that a table agrees with itself: the ratio is estimated within processes, and a median over processes
        would differ from it in the last digits. A level that is compared by another clock than the block's has its own
        number."""
        by_ratio = {(c.level, c.metric): c.size for c in compared if c.size is not None and c.clock == one.clock}
        found, bases = {}, dict[str, float]()
        for trial in one.block.trials:  # the baseline is the first
            for name, metric in self.metrics.items():
                ratio = by_ratio.get((trial.level, name)) if name in bases else None
                value = one.number(trial.level, metric, self.views[name]) if ratio is None else bases[name] * ratio
                if value is None:
                    continue
                found[one.block.id, trial.level, one.mode, name] = value
                if trial is one.block.baseline:
                    bases[name] = value
        return found

    def _effects_in(self, one: Measured, compared: Sequence[Comparison]) -> list[Effect]:
        """The effects of an ablation design in one block and mode, by each metric that its levels were compared by."""
        plan = self.plan
        skipped = {
            s.coordinates[plan.axis]: (Verdict.INVALID, s.because)
            for s in plan.skipped
            if s.coordinates == {**one.block.context, plan.axis: s.coordinates[plan.axis]}
        }

        def decide_here(estimate: stats.Estimate) -> tuple[Verdict, str]:
            if one.settings.quick:
                return Verdict.UNDECIDED, "one process"
            decided = decide(estimate, one.settings, self.floor, looks_of(one.block)[0])
            return one.unless_undecidable(*decided, self.null_biased)

        found = []
        for metric, those in grouped(compared, lambda c: c.metric).items():
            there = [c.level for c in those if c.estimate is not None and c.level not in one.broken]
            judge = Judge(
                decide_here,
                floor=self.floor,
                share=one.settings.share,
                excluded={**skipped, **{c.level: (c.verdict, c.reason) for c in those if c.verdict in EXCLUDED}},
                flags={c.level: c.flags for c in those},
            )
            values = one.aligned([one.block.baseline.level, *there], self.views[metric])
            found += effects_of(one.block, one.mode, metric, plan.design, plan.factors, values, "ratio", judge)
        return found

    def _claims(self, records: Sequence[Record]) -> list[ClaimResult]:
        """The claims; those that failed are answered again where the blocks against them were measured once more."""
        plan = self.plan
        if not plan.claims:
            return []
        # In a design a level may have the name of an effect, and claims are about effects.
        learned = () if plan.factors else self.learning.comparisons
        compared = about_claims(plan, self.comparisons, self.effects)
        values = level_values(plan.claims, self.measured, self.views, self.learning.learned, self.quantities)
        evidence = [*compared, *learned, *self.quantities, *self.growth, *values]
        claims = settle(plan, evidence, self.floor, self.null_biased)
        originals = {block.again().id: block for block in plan.blocks}
        measured = [one for one in measured_of([block.again() for block in plan.blocks], records) if one.processes]
        found: list[Finding] = list(level_values(plan.claims, measured, self.views, (), ()))
        for one in measured:
            found += about_claims(plan, *self.compared_in(one))
        if not found:
            return claims
        again = {key_of(each): each for each in (replace(one, block=originals[one.block.id]) for one in found)}
        second = [again.get(key_of(one), one) for one in evidence]
        return list(map(confirmed, claims, settle(plan, second, self.floor, self.null_biased)))

    def of(self, block: Block, mode: str, metric: str = "step_time") -> dict[str, Comparison]:
        """The comparisons of one block, mode and metric, by level."""
        return {c.level: c for c in self._compared.get((block.id, mode, metric), ())}

    @cached_property
    def _compared(self) -> dict[tuple[str, str, str], list[Comparison]]:
        return by_place(self.comparisons)

    @property
    def quantities(self) -> list[QuantityFinding]:
        """The quantities of all kinds of measurement."""
        return [quantity for kind in self.kinds for quantity in kind.quantities]

    def quantities_of(self, block: Block, mode: str) -> list[QuantityFinding]:
        """The quantities of one block and mode."""
        return [quantity for kind in self.kinds for quantity in kind.of(block, mode).values()]

    def effects_in(self, block: Block, mode: str, metric: str = "step_time") -> list[Effect]:
        """The effects of one block, mode and metric."""
        return [e for e in self.effects if (e.block.id, e.mode, e.metric) == (block.id, mode, metric)]

    @cached_property
    def metrics_in(self) -> Mapping[str, frozenset[str]]:
        """The metrics that are known in each block, by its id."""
        names = grouped(self.numbers, lambda place: place[0])
        return {block: frozenset(name for *_, name in places) for block, places in names.items()}

    @cached_property
    def explained(self) -> list[Explanation]:
        """Where the differences to the baseline come from, for trials that were profiled."""
        return explanations(map(self.times_of, self.measured), self.profiles) if self.profiles else []

    def times_of(self, one: Measured) -> BlockTimes:
        """The times of one block and mode as the tables show them."""
        places = ((trial.level, (one.block.id, trial.level, one.mode, "step_time")) for trial in one.block.trials)
        seconds = {level: self.numbers[place] for level, place in places if place in self.numbers}
        return BlockTimes(one, seconds, self.of(one.block, one.mode), self.floor)

    @cached_property
    def break_evens(self) -> tuple[RatioCurves, ...]:
        """Ratios along numbers, and where they cross 1."""
        return find_break_evens(self.plan, self.comparisons, self.numbers, self.metrics)

    @property
    def broken(self) -> list[Record]:
        """The failures of trials that raised or broke a promise; the others were skipped."""
        return [record for record in self.failures if record.outcome in ("failed", "invalid")]

    @property
    def is_quick(self) -> bool:
        """Whether this is a first look, which decides nothing."""
        return any(block.measures.quick for block in self.plan.blocks)

    @property
    def deciding(self) -> list[Finding]:
        """The comparisons by step time, and by the score that decides in each block."""
        times: list[Finding] = [c for c in self.comparisons if c.metric == "step_time"]
        return times + [c for one in self.learning.learned for c in self.learning.of(one).values()]

    def timed(self, block: Block, mode: str) -> Measured:
        """The samples of a block in a mode that it is timed in."""
        return next(one for one in self.measured if (one.block.id, one.mode) == (block.id, mode))

    def smallest_visible(self) -> tuple[float, float] | None:
        """The smallest relative differences of step time that the run would detect in 80 % of cases, in its typical and
        in its noisiest comparison. None where nothing was compared."""
        sizes = [
            math.expm1(stats.smallest_visible(c.estimate, self.floor))
            for c in self.comparisons
            if c.metric == "step_time" and c.estimate is not None and math.isfinite(c.estimate.half_width())
        ]
        return (float(np.median(sizes)), max(sizes)) if sizes else None


def as_amount(one: Comparison) -> Comparison:
    """The comparison. One by an amount, such as memory, is more or less, and not slower or faster."""
    words = {Verdict.FASTER: Verdict.LESS, Verdict.SLOWER: Verdict.MORE, Verdict.NOT_SLOWER: Verdict.UNDECIDED}
    return replace(one, verdict=words.get(one.verdict, one.verdict)) if one.metric in OF_PROGRAMS else one


def find(plan: Plan, records: Sequence[Record], catalog: Catalog) -> Findings:
    """Read a run's records."""
    with isolated("reading metrics of the records"):
        return Findings(plan, records, catalog)


def about_claims(plan: Plan, comparisons: Sequence[Comparison], effects: Sequence[Effect]) -> Sequence[Finding]:
    """What claims are about: levels of the compared axis, or the effects that a design is for."""
    return (
        [effect for effect in effects if effect.kind in designs.CLAIMED[plan.design]] if plan.factors else comparisons
    )


def key_of(finding: Finding) -> tuple[str, ...]:
    """The place of a finding among those that claims are about."""
    of_value = [finding.unit] if isinstance(finding, LevelValue) else []
    return (finding.block.id, finding.level, finding.mode, finding.metric, *of_value)


def blocks_to_remeasure(plan: Plan, records: Sequence[Record], catalog: Catalog) -> list[Block]:
    """The blocks that contradict a claim about times. They are measured once more before the claim is called false."""
    timed = [result for result in find(plan, records, catalog).claims if result.claim.of != LEARNING]
    against = {block for result in timed for block in result.against}
    return [block.again() for block in plan.blocks if block.id in against]


def first_failures(records: Sequence[Record]) -> list[Record]:
    """The first failed, invalid or skipped record of each trial of each block; divergence is no failure."""
    bad = (record for record in records if record.outcome not in ("ok", "diverged"))
    return [those[0] for those in grouped(bad, lambda record: (record.block, record.level)).values()]
