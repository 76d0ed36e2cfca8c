"""Two runs side by side: contexts and levels matched, with what differs between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from harness.analysis.finding import Finding
from harness.analysis.findings import Findings, find
from harness.analysis.profiles import computed_with
from harness.analysis.verdicts import Verdict
from harness.api.lookup import is_selected
from harness.errors import UserError, did_you_mean
from harness.plugins.catalog import Catalog
from harness.plugins.kinds import Quantity
from harness.records.plan import Block, Plan
from harness.records.record import Record
from harness.records.store import Store
from harness.tools.across.comparability import (
    Difference,
    Kind,
    barred,
    block_differences,
    gathered,
    kernel_path_differences,
    other_machine,
    run_differences,
    trial_differences,
)


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    name: str
    facts: Mapping[str, Any]
    plan: Plan
    records: tuple[Record, ...] = field(repr=False)
    findings: Findings = field(repr=False)

    @classmethod
    def read(cls, store: Store, catalog: Catalog) -> Side:
        """The run in a folder, which stays unchanged."""
        plan = store.plan()
        return cls.of(f"{plan.suite}/{store.folder.name}", store.machine(), plan, store.records(), catalog)

    @classmethod
    def of(cls, name: str, facts: Mapping[str, Any], plan: Plan, records: Sequence[Record], catalog: Catalog) -> Side:
        """From the content of a run's folder."""
        return cls(name, facts, plan, tuple(records), find(plan, records, catalog))


@dataclass(frozen=True)
class Pair:
    """One context of both runs. `kept` are the levels that are compared, the baseline first. `shared` is what differs
    in the whole context, `levels` what differs in the trial of each level."""

    a: Block
    b: Block
    kept: tuple[str, ...]
    shared: tuple[Difference, ...] = ()
    levels: Mapping[str, tuple[Difference, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The context in words."""
        return self.b.name

    def in_one_alone(self, change: Change) -> Change | None:
        """The change of a level that only one of the runs has; None where both have it."""
        ours, theirs = (change.level in {trial.level for trial in block.trials} for block in (self.a, self.b))
        return None if ours and theirs else change.only_in("A" if ours else "B")

    def differences(self, level: str, kind: Kind) -> list[Difference]:
        """What differs for a level; for ratios, what differs in the baseline as well."""
        of_ratio = self.levels.get(self.kept[0], ()) if kind == "ratios" else ()
        return gathered([*self.shared, *of_ratio, *self.levels.get(level, ())])

    def why_not(self, level: str, kind: Kind) -> str:
        """Why a level cannot be compared by this kind, in words; empty where it can."""
        found = barred(kind, self.differences(level, kind))
        if len(found) == 1:
            return found[0].words
        more = [f"and {len(found) - 3} more"] if len(found) > 3 else []
        return f"they differ in {', '.join([*(one.name for one in found[:3]), *more])}" if found else ""

    def marked(self, level: str, kind: Kind) -> bool:
        """Whether the two runs used different machines."""
        return bool(other_machine(self.differences(level, kind)))


@dataclass(frozen=True, kw_only=True)
class Change(Finding):
    """What became of one number from run A to run B; `block` is that of run B.

    `a` and `b` are the numbers as people read them (a ratio to the baseline, seconds, a score, an amount). `estimate`
    is of the log of b / a, or in the scale "difference" of b - a. `adjusted` is the p value corrected for all rows of
    this kind and metric (Holm). `quantity` describes an amount."""

    kind: Kind
    a: float | None = None
    b: float | None = None
    quantity: Quantity | None = None

    @property
    def place(self) -> str:
        """Context, mode and level in words."""
        return f"{self.block.name} · {self.mode} · {self.level}"

    def only_in(self, name: Literal["A", "B"]) -> Change:
        """The change of what only one of the runs has."""
        return replace(self, verdict=Verdict.MISSING if name == "A" else Verdict.NEW, reason=f"only in {name}")


@dataclass(frozen=True)
class Pairs:
    """All contexts of two runs. `missing` and `new` are those that only one of them has. `run` is what differs between
    whole runs."""

    pairs: tuple[Pair, ...]
    missing: tuple[Block, ...]
    new: tuple[Block, ...]
    run: tuple[Difference, ...]

    @property
    def differences(self) -> list[Difference]:
        """Every difference once, with all its places."""
        found = list(self.run)
        for pair in self.pairs:
            found += [difference for difference in pair.shared if difference.places]
            found += [difference for level in pair.kept for difference in pair.levels.get(level, ())]
        return gathered(found)


def pairs_of(a: Side, b: Side, only: Mapping[str, Sequence[str]], allowed: frozenset[str]) -> Pairs:
    """Match two runs by context and level. Raises UserError where `only` names what neither has."""
    check_only(only, (a.plan, b.plan))
    run = run_differences((a.facts, a.plan), (b.facts, b.plan), allowed)
    blocks_a = [block for block in a.plan.blocks if is_selected(block.context, only)]
    blocks_b = [block for block in b.plan.blocks if is_selected(block.context, only)]
    found, matched = [], set()
    for ours in blocks_a:
        theirs = next((block for block in blocks_b if dict(block.context) == dict(ours.context)), None)
        if theirs is not None:
            matched.add(theirs.id)
            pair = pair_of(ours, theirs, run, only.get(b.plan.axis), allowed)
            found.append(with_kernel_paths(pair, a.findings, b.findings, allowed))
    contexts = [dict(pair.a.context) for pair in found]
    missing = tuple(block for block in blocks_a if dict(block.context) not in contexts)
    return Pairs(tuple(found), missing, tuple(block for block in blocks_b if block.id not in matched), tuple(run))


def pair_of(
    a: Block, b: Block, run: Sequence[Difference], levels: Sequence[str] | None, allowed: frozenset[str]
) -> Pair:
    """Two blocks of the same context."""
    trials = [{trial.level: trial for trial in block.trials} for block in (a, b)]
    every = dict.fromkeys((b.baseline.level, *trials[0], *trials[1]))
    chosen = tuple(level for level in every if levels is None or level in levels or level == b.baseline.level)
    shared = [*run, *block_differences(a, b, b.name, allowed)]
    return Pair(
        a, b, chosen, tuple(shared),
        {
            level: tuple(
                trial_differences(trials[0][level], trials[1][level], f"{b.name} · {level}", allowed)
            )
            for level in chosen if level in trials[0] and level in trials[1]
        },
    )  # fmt: skip


def with_kernel_paths(pair: Pair, a: Findings, b: Findings, allowed: frozenset[str]) -> Pair:
    """The pair with what the profiles of both runs show of how its trials were computed."""
    levels = {}
    for level, found in pair.levels.items():
        shown = computed_with(a.profiles, pair.a.id, level), computed_with(b.profiles, pair.b.id, level)
        levels[level] = (*found, *kernel_path_differences(*shown, f"{pair.b.name} · {level}", allowed))
    return replace(pair, levels=levels)


def check_only(only: Mapping[str, Sequence[str]], plans: Sequence[Plan]) -> None:
    """Raise UserError where an axis or a level is in neither run."""
    known: dict[str, set[str]] = {}
    for plan in plans:
        for block in plan.blocks:
            known.setdefault(plan.axis, set()).update(trial.level for trial in block.trials)
            for axis, level in block.context.items():
                known.setdefault(axis, set()).add(level)
    for axis, levels in only.items():
        if axis not in known:
            raise UserError("neither run has such an axis.", where=f"--only {axis}", fix=did_you_mean(axis, known))
        for level in levels:
            if level not in known[axis]:
                where = f"--only {axis}={level}"
                raise UserError("neither run has such a level.", where=where, fix=did_you_mean(level, known[axis]))
