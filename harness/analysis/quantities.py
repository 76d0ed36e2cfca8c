"""Quantities of trials, such as bytes and operations: from what a kind of measurement stored to findings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from harness.analysis.finding import Finding
from harness.analysis.grouping import grouped
from harness.analysis.stats import Estimate
from harness.analysis.verdicts import Verdict
from harness.plugins.catalog import Catalog, Measure, resolve
from harness.plugins.isolation import error_text, isolated
from harness.plugins.kinds import MeasureKind, Quantity
from harness.plugins.manager import CORE
from harness.records.plan import Block, Plan, Trial
from harness.records.record import Record, by_block

#: Numbers of several processes are the same within this many bytes or this share of the baseline's, whichever is more.
SAME_BYTES, SAME_SHARE = 2**20, 0.02

#: Block id, level, mode.
Place = tuple[str, str, str]
#: What an analysis finds of one trial: a number by the name of its quantity, or one number for each process.
Values = Mapping[str, Any]


@dataclass(frozen=True)
class TrialData:
    """What a kind of measurement stored of one trial in one mode.

    `stages` holds the data of each process, by stage. `step_time` is in seconds, and None where the mode was not timed;
    `faster` says whether the trial was found to be faster than the baseline."""

    block: Block
    trial: Trial
    mode: str
    stages: Mapping[str, Sequence[Mapping[str, Any]]]
    step_time: float | None = None
    faster: bool = False

    @property
    def place(self) -> Place:
        """Block id, level, mode."""
        return self.block.id, self.trial.level, self.mode


@dataclass(frozen=True)
class KindData:
    """Everything that a kind of measurement stored in a run, a `TrialData` for each trial and mode."""

    kind: MeasureKind
    trials: tuple[TrialData, ...]

    @classmethod
    def read(
        cls, kind: MeasureKind, plan: Plan, records: Sequence[Record], step_times: Mapping[Place, float],
        faster: frozenset[Place],
    ) -> KindData:  # fmt: skip
        """Read the records of a kind. `step_times` and `faster` come from the timing of the same run."""
        names = {stage.name for stage in kind.all_stages}
        good = by_block(record for record in records if record.outcome == "ok" and record.stage in names)
        found = []
        for block in plan.blocks:
            if kind.name not in block.measures.kinds:
                continue
            stored = grouped(good.get(block.id, ()), lambda record: (record.level, record.mode, record.stage))
            for mode in block.measures.kinds[kind.name].get("of") or ("",):
                for trial in block.trials:
                    place = (block.id, trial.level, mode)
                    data = {name: stored.get((trial.level, mode, name), ()) for name in names}
                    stages = {name: [record.data for record in group] for name, group in data.items() if group}
                    found.append(TrialData(block, trial, mode, stages, step_times.get(place), place in faster))
        return cls(kind, tuple(found))


def per_amount(name: str, total: float, counts: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """A total of the work set divided by each of its counted amounts, as in kept_bytes/tokens."""
    return {f"{name}/{amount}": total / sum(values) for amount, values in counts.items() if sum(values)}


@dataclass(frozen=True, kw_only=True)
class QuantityFinding(Finding):
    """A quantity of a trial, compared with the baseline's. `value` is the number, or the median of `values`, which are
    the numbers of the single processes. An exact quantity has an estimate without error."""

    quantity: Quantity
    value: float
    values: tuple[float, ...] = ()
    ratio: float | None = None

    @property
    def size(self) -> float | None:
        """The ratio to the baseline's value; None where that is zero."""
        return self.ratio

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ratio as both ends of an interval, where it is exact."""
        return None if self.ratio is None or self.estimate is None else (self.ratio, self.ratio)


@dataclass(frozen=True)
class KindFindings:
    """What was found of one kind of measurement in a run."""

    measure: Measure
    plan: Plan
    data: KindData
    quantities: tuple[QuantityFinding, ...] = ()

    def of(self, block: Block, mode: str) -> dict[tuple[str, str], QuantityFinding]:
        """The quantities of one block and mode by level and name."""
        return {(one.level, one.metric): one for one in self._by_place.get((block.id, mode), ())}

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], list[QuantityFinding]]:
        return grouped(self.quantities, lambda one: (one.block.id, one.mode))


def find_quantities(
    catalog: Catalog, plan: Plan, records: Sequence[Record], step_times: Mapping[Place, float],
    faster: frozenset[Place], problems: list[str],
) -> tuple[KindFindings, ...]:  # fmt: skip
    """The findings of every kind that the plan names. A plugin's analysis that fails is added to `problems`."""
    found = []
    for name, measure in catalog.measures.items():
        if not any(name in block.measures.kinds for block in plan.blocks):
            continue
        data = KindData.read(measure.kind, plan, records, step_times, faster)
        values: Iterable[tuple[TrialData, Values]] = ()
        if measure.kind.analyse is not None:
            try:
                with isolated(f"analysing {measure.entry.owner}"):
                    values = list(resolve(measure.kind.analyse, measure.entry.owner)(data))
                    quantities = tuple(compared(measure.kind, values))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # plugin code may raise anything
                if measure.entry.plugin == CORE:
                    raise
                problems.append(f"{measure.entry.owner}: {error_text(error)}")
                quantities = ()
        else:
            quantities = ()
        found.append(KindFindings(measure, plan, data, quantities))
    return tuple(found)


def compared(kind: MeasureKind, values: Iterable[tuple[TrialData, Values]]) -> Iterator[QuantityFinding]:
    """Each quantity of each trial, compared with the baseline's of the same block and mode."""
    all_values = {trial.place: (trial, found) for trial, found in values}
    for trial, found in all_values.values():
        block = trial.block
        _, baseline = all_values.get((block.id, block.baseline.level, trial.mode), (None, {}))
        is_baseline = trial.trial.level == block.baseline.level
        for name, given in found.items():
            quantity = kind.quantities[name.partition("/")[0]]
            yield one_finding(quantity, trial, name, given, None if is_baseline else baseline.get(name))


def one_finding(quantity: Quantity, trial: TrialData, name: str, given: Any, baseline: Any) -> QuantityFinding:
    """A quantity of a trial; `baseline` is the baseline's, and None where there is nothing to compare with."""
    values = tuple(given) if isinstance(given, tuple) else ()
    value = float(np.median(values)) if values else given
    ratio, verdict, estimate = None, Verdict.NONE, None
    if baseline is not None:
        base = float(np.median(baseline)) if isinstance(baseline, tuple) else baseline
        ratio = value / base if base else None
        if quantity.judged == "processes":
            verdict = of_processes(values, baseline)
        elif quantity.judged == "exact":
            verdict = Verdict.SAME if value == base else Verdict.MORE if value > base else Verdict.LESS
            estimate = exact_estimate(value, ratio)
        if verdict and trial.trial.changes == "answer":
            verdict = Verdict.UNRANKED
    return QuantityFinding(
        block=trial.block, level=trial.trial.level, mode=trial.mode, metric=name, quantity=quantity, value=value,
        values=values, ratio=ratio, verdict=verdict, estimate=estimate,
    )  # fmt: skip


def exact_estimate(value: float, ratio: float | None) -> Estimate:
    """The log of a ratio without error; infinite where only the baseline's value, or only the level's, is zero."""
    if ratio is None:
        return Estimate(math.inf if value else 0.0, 0.0, math.inf, 1)
    return Estimate(math.log(ratio) if ratio else -math.inf, 0.0, math.inf, 1)


def of_processes(values: Sequence[float], baseline: Sequence[float]) -> Verdict:
    """The verdict on numbers of several processes. It is noisy where the processes of one trial disagree."""
    value, base = float(np.median(values)), float(np.median(baseline))
    allowed = max(SAME_BYTES, SAME_SHARE * base)
    if any(max(ones) - min(ones) > allowed for ones in (values, baseline)):
        return Verdict.NOISY
    return Verdict.SAME if abs(value - base) <= allowed else Verdict.MORE if value > base else Verdict.LESS
