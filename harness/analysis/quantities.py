"""Quantities of trials, such as bytes and operations: from what a kind of measurement stored to findings."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from harness.analysis.finding import Finding
from harness.analysis.grouping import grouped
from harness.analysis.samples import is_finite_number
from harness.analysis.stats import Estimate
from harness.analysis.verdicts import Verdict
from harness.plugins.catalog import Catalog, Measure, resolve
from harness.plugins.isolation import caught, isolated
from harness.plugins.kinds import MeasureKind, Quantity
from harness.plugins.manager import CORE
from harness.records.plan import Block, Plan, Trial
from harness.records.record import Record, by_block

#: Numbers of several processes are the same within this share of the baseline's; bytes also within this many.
SAME_SHARE, SAME_BYTES = 0.02, 2**20

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
    """The findings of every kind in the plan that brings an analysis or a section of the report. Errors of
    plugins' analyses are added to `problems`."""
    found = []
    planned = dict.fromkeys(name for block in plan.blocks for name in block.measures.kinds)
    for name in planned:
        if name not in catalog.measures:
            problems.append(f"no plugin provides the kind of measurement {name!r}, so its records are not shown")
    for name, measure in catalog.measures.items():
        kind = measure.kind
        if name in planned and (kind.analyse or kind.section):
            data = KindData.read(kind, plan, records, step_times, faster)
            found.append(KindFindings(measure, plan, data, tuple(analysed(measure, data, problems))))
    return tuple(found)


def analysed(measure: Measure, data: KindData, problems: list[str]) -> list[QuantityFinding]:
    """The quantities of a kind. A plugin gets a copy of the data, and its error is added to `problems`."""
    kind, entry = measure.kind, measure.entry
    if kind.analyse is None:
        return []
    if entry.plugin == CORE:
        return list(compared(kind, resolve(kind.analyse, entry.owner)(data)))
    with caught(entry.owner, problems), isolated(f"running {entry.owner}"):
        values = resolve(kind.analyse, entry.owner)(copy.deepcopy(data))
        return list(compared(kind, [(trial, checked(kind, trial, found)) for trial, found in values]))
    return []


def checked(kind: MeasureKind, trial: Any, found: Any) -> Values:
    """The values that an analysis gives of a trial. Raises ValueError unless they are finite numbers by the names of
    quantities that the kind declares."""
    if not isinstance(trial, TrialData) or not isinstance(found, Mapping):
        raise ValueError("its analysis gives something other than (trial, {name: number}) for each trial")
    for name, given in found.items():
        quantity = kind.quantities.get(name.partition("/")[0])
        if quantity is None:
            raise ValueError(f"its analysis gives {name!r}, which is not among its quantities")
        if quantity.judged == "processes" and not isinstance(given, tuple):
            raise ValueError(f"its analysis gives no tuple for {name}, which is judged by processes")
        for value in given if isinstance(given, tuple) and given else (given,):
            if not is_finite_number(value):
                raise ValueError(f"its analysis gives {str(value)[:40]!r} for {name}, not a finite number")
    return found


def compared(kind: MeasureKind, values: Iterable[tuple[TrialData, Values]]) -> Iterator[QuantityFinding]:
    """Each quantity of each trial, compared with the baseline's of the same block and mode."""
    all_values = {trial.place: (trial, found) for trial, found in values}
    for trial, found in all_values.values():
        level = trial.block.baseline.level
        _, baseline = all_values.get((trial.block.id, level, trial.mode), (None, {}))
        for name, given in found.items():
            quantity = kind.quantities[name.partition("/")[0]]
            value, base, verdict = median_of(given), median_of(baseline.get(name)), Verdict.NONE
            ratio, estimate = None, None
            if trial.trial.level != level and base is not None:
                ratio = value / base if base > 0 <= value else None
                if quantity.judged == "processes":
                    verdict = processes_verdict(given, baseline[name], quantity.unit)
                elif quantity.judged == "exact":
                    verdict, estimate = exact_verdict(value, base), exact_estimate(value, base)
                if verdict and trial.trial.changes == "answer":
                    verdict = Verdict.UNRANKED
            yield QuantityFinding(
                block=trial.block, level=trial.trial.level, mode=trial.mode, metric=name, quantity=quantity,
                value=value, values=given if isinstance(given, tuple) else (), ratio=ratio, verdict=verdict,
                estimate=estimate,
            )  # fmt: skip


def median_of(given: Any) -> Any:
    """The number, or the median of the numbers of several processes."""
    return float(np.median(given)) if isinstance(given, tuple) else given


def exact_verdict(value: float, base: float) -> Verdict:
    """The verdict on a number that every process finds the same."""
    return Verdict.SAME if value == base else Verdict.MORE if value > base else Verdict.LESS


def exact_estimate(value: float, base: float) -> Estimate | None:
    """The log of the ratio, without error; infinite where one of both is zero, None where one is negative."""
    if value < 0 or base < 0:
        return None
    if base == 0:
        return Estimate(math.inf if value else 0.0, 0.0, math.inf, 1)
    return Estimate(math.log(value / base) if value else -math.inf, 0.0, math.inf, 1)


def processes_verdict(values: Sequence[float], baseline: Sequence[float], unit: str) -> Verdict:
    """The verdict on numbers of several processes. It is noisy where the processes of one trial disagree."""
    value, base = median_of(tuple(values)), median_of(tuple(baseline))
    allowed = max(SAME_BYTES if unit == "bytes" else 0.0, SAME_SHARE * abs(base))
    if any(max(ones) - min(ones) > allowed for ones in (values, baseline)):
        return Verdict.NOISY
    return Verdict.SAME if abs(value - base) <= allowed else exact_verdict(value, base)
