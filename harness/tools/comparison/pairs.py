"""Two runs side by side: contexts and levels matched, with what differs between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.analysis.finding import Finding
from harness.analysis.findings import Findings, find
from harness.analysis.profiles import computed_with
from harness.analysis.verdicts import Flag, Verdict
from harness.api.lookup import is_selected, known_levels
from harness.plugins.catalog import Catalog
from harness.plugins.kinds import Quantity
from harness.records.plan import Block, Plan
from harness.records.record import Record
from harness.records.store import Store
from harness.report.cells import block_title, first_few
from harness.tools.comparison.fields import (
    Difference,
    Kind,
    differences,
    fields_of_measures,
    fields_of_run,
    fields_of_trial,
    merged,
    of_machines,
)


@dataclass(frozen=True)
class RunData:
    """One of the two runs. `facts` are those of its machine."""

    name: str
    facts: Mapping[str, Any]
    plan: Plan
    records: tuple[Record, ...] = field(repr=False)
    findings: Findings = field(repr=False)

    @classmethod
    def read(cls, store: Store, catalog: Catalog) -> RunData:
        """The run in a folder."""
        plan = store.plan()
        return cls.of(f"{plan.suite}/{store.folder.name}", store.machine(), plan, store.records(), catalog)

    @classmethod
    def of(
        cls, name: str, facts: Mapping[str, Any], plan: Plan, records: Sequence[Record], catalog: Catalog
    ) -> RunData:
        """From the content of a run's folder."""
        return cls(name, facts, plan, tuple(records), find(plan, records, catalog))


@dataclass(frozen=True, kw_only=True)
class MetricChange(Finding):
    """The change of one number from run A to run B; `block` is that of run B.

    `a` and `b` are the numbers as people read them (a ratio to the baseline, seconds, a score, an amount). `estimate`
    is of the log of b / a, or in the scale "difference" of b - a. `adjusted` is the p value corrected for all changes
    of this kind and metric (Holm). `quantity` describes an amount."""

    kind: Kind
    a: float | None = None
    b: float | None = None
    quantity: Quantity | None = None

    @property
    def place(self) -> str:
        """Context, mode and level in words."""
        return f"{block_title(self.block, self.mode)} · {self.level}"

    @property
    def of_two_machines(self) -> bool:
        """Whether it is a ratio of two machines. Scores differ between machines only by rounding."""
        return self.kind == "ratios" and Flag.OTHER_MACHINE in self.flags

    def only_in(self, name: str) -> MetricChange:
        """The change of a number that only run "A" or "B" has."""
        return replace(self, verdict=Verdict.MISSING if name == "A" else Verdict.NEW, reason=f"only in {name}")


@dataclass(frozen=True)
class ContextPair:
    """One context of both runs. `levels` are compared, the baseline first. `differences` are those of the whole
    context, `of_level` those between the trials of each level."""

    a: Block
    b: Block
    levels: tuple[str, ...]
    differences: tuple[Difference, ...] = ()
    of_level: Mapping[str, tuple[Difference, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The context in words."""
        return self.b.name

    @property
    def baseline(self) -> str:
        """The baseline of run B."""
        return self.levels[0]

    def only_in_one(self, change: MetricChange) -> MetricChange | None:
        """The change, with its verdict, of a level that only one of the runs has; None if both have it."""
        ours, theirs = (change.level in {trial.level for trial in block.trials} for block in (self.a, self.b))
        return None if ours and theirs else change.only_in("A" if ours else "B")

    def differences_of(self, level: str, kind: Kind) -> list[Difference]:
        """What differs for a level; for ratios, what differs in the baseline as well."""
        of_baseline = self.of_level.get(self.baseline, ()) if kind == "ratios" else ()
        return merged([*self.differences, *of_baseline, *self.of_level.get(level, ())])

    def why_not(self, level: str, kind: Kind) -> str:
        """Why numbers of this kind cannot be compared for a level; empty if they can."""
        found = [one for one in self.differences_of(level, kind) if kind in one.rules_out]
        if len(found) == 1:
            return found[0].words
        return f"they differ in {', '.join(first_few((one.name for one in found), 3))}" if found else ""

    def of_two_machines(self, level: str, kind: Kind) -> bool:
        """Whether the two runs used different machines."""
        return bool(of_machines(self.differences_of(level, kind)))


@dataclass(frozen=True)
class MatchedRuns:
    """All contexts of two runs. `of_run` are the differences between whole runs."""

    pairs: tuple[ContextPair, ...]
    only_in_a: tuple[Block, ...]
    only_in_b: tuple[Block, ...]
    of_run: tuple[Difference, ...]

    @property
    def differences(self) -> list[Difference]:
        """Every difference once, with all its places."""
        found = list(self.of_run)
        for pair in self.pairs:
            found += [*pair.differences, *(one for level in pair.levels for one in pair.of_level.get(level, ()))]
        return merged(found)


def match(a: RunData, b: RunData, only: Mapping[str, Sequence[str]], allowed: frozenset[str]) -> MatchedRuns:
    """Match two runs by context and level, those that `only` names."""
    of_run = differences(fields_of_run(a.facts, a.plan), fields_of_run(b.facts, b.plan), allowed=allowed)
    blocks_a, blocks_b = ([x for x in run.plan.blocks if is_selected(x.context, only)] for run in (a, b))
    levels = only.get(b.plan.axis)
    pairs = [
        pair_of(ours, theirs, a, b, of_run, levels, allowed)
        for ours in blocks_a
        for theirs in blocks_b
        if dict(theirs.context) == dict(ours.context)
    ]
    ids = {block.id for pair in pairs for block in (pair.a, pair.b)}
    alone_a, alone_b = (tuple(x for x in blocks if x.id not in ids) for blocks in (blocks_a, blocks_b))
    return MatchedRuns(tuple(pairs), alone_a, alone_b, tuple(of_run))


def pair_of(
    ours: Block, theirs: Block, a: RunData, b: RunData, of_run: Sequence[Difference], levels: Sequence[str] | None,
    allowed: frozenset[str],
) -> ContextPair:  # fmt: skip
    """Two blocks of the same context. `levels` are those to compare beside the baseline; None means all."""
    trials_a, trials_b = ({trial.level: trial for trial in block.trials} for block in (ours, theirs))
    every = dict.fromkeys((theirs.baseline.level, *trials_a, *trials_b))
    chosen = [level for level in every if levels is None or level in levels or level == theirs.baseline.level]
    # What only one of the runs measures or profiles cannot be compared, so it is no difference.
    measures = in_both(fields_of_measures(ours), fields_of_measures(theirs))
    of_level = {}
    for level in chosen:
        if level in trials_a and level in trials_b:
            trials = fields_of_trial(trials_a[level]), fields_of_trial(trials_b[level])
            profiles = in_both(*(computed_with(r.findings.profiles, x.id, level) for r, x in ((a, ours), (b, theirs))))
            fields = [{**of, "kernel_path": path} for of, path in zip(trials, profiles, strict=True)]
            of_level[level] = tuple(differences(fields[0], fields[1], f"{theirs.name} · {level}", allowed))
    of_block = differences(*measures, theirs.name, allowed)
    return ContextPair(ours, theirs, tuple(chosen), (*of_run, *of_block), of_level)


def in_both(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both mappings without the keys that only one of them has."""
    both = [name for name in a if name in b]
    return {name: a[name] for name in both}, {name: b[name] for name in both}


def chosen_levels(only: Mapping[str, Sequence[str]], plans: Sequence[Plan]) -> dict[str, list[str]]:
    """The axes and levels that the texts of `only` mean. Raises UserError for one that is in neither run."""
    known: dict[str, set[str]] = {}
    for plan in plans:
        for block in plan.blocks:
            known.setdefault(plan.axis, set()).update(trial.level for trial in block.trials)
            for axis, level in block.context.items():
                known.setdefault(axis, set()).add(level)
    return known_levels(only, known)
