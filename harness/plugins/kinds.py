"""What a plugin provides to add a kind of measurement: its settings, its code, its quantities, its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.modes import MODES
from harness.plugins.parts import Part, Reference, is_name, is_shown

if TYPE_CHECKING:
    from harness.records.settings import Settings

Placement = Literal["together", "alone", "per_seed"]
Unit = Literal["bytes", "seconds", "steps", "FLOP", "FLOP/s", "share", ""]


@dataclass(frozen=True)
class Quantity:
    """A number that a kind of measurement computes for each trial: its title in tables, and how levels are compared.

    `judged` is "exact" if every process finds the same number, so that any difference counts. It is "processes" if
    several processes find different numbers, so that their spread counts. It is empty if there is no verdict."""

    title: str
    unit: Unit = ""
    judged: Literal["exact", "processes", ""] = ""
    #: The modes in which it is measured.
    modes: frozenset[str] = frozenset(MODES)
    #: Its short title when it is divided by each amount that the dataset counts, as in kept_bytes/tokens; empty if it
    #: is not divided.
    per_amount: str = ""
    #: Whether its growth along an axis of numbers is fitted.
    grows: bool = False


@dataclass(frozen=True)
class Stage:
    """One of several measurements of a kind: the name of its records, and its code."""

    name: str
    run: Reference
    #: The number of fresh processes that measure each trial.
    processes: int = 1


@dataclass(frozen=True)
class MeasureKind(Part):
    """A kind of measurement: an entry that a suite may have under ``measure``.

    ``build(task)`` runs in a separate process and returns JSON values, which are stored as the `data` of a record.
    `task` is a `harness.measure.runtime.task.Task`: it has the trial and the settings, and builds the model. Raise
    `Skip` if this machine cannot measure it.

    `placement` says where it runs. "alone": each trial in a process of its own, after timing. "per_seed": the same,
    once for each of the `seeds` in the settings. "together": all trials of a block interleaved in one process, before
    all other measurements; ``build`` then returns a list with a mapping of level, role and data for each trial.
    """

    #: The settings under the kind's name in a suite: a subclass of `harness.Settings`, as "module:Class" or the class.
    settings: str | type[Settings] = "harness.records.settings:Settings"
    placement: Placement = "alone"
    #: Further stages. The first one has the name of the kind and runs `build` in one process.
    stages: tuple[Stage, ...] = ()
    #: The seconds for one trial in one mode, or a function ``(settings, block, rehearsal)`` that returns the seconds of
    #: a block: a number, (least, most) or (least, expected, most). `rehearsal` has the seconds of steps on this machine
    #: (see `harness.plugins.rehearsal.Rehearsal`); a function of two arguments does not get it.
    estimate: float | Reference = 3.0
    #: ``(block, records, mode) -> levels``: the levels, with the baseline, that another process is to measure; empty if
    #: none is needed. Only for the placement "together". Without it, one process measures all levels.
    more: Reference | None = None
    #: The quantities by name. They are compared with those of the baseline, and claims may be about the exact ones.
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    #: ``(KindData) -> [(trial, {name: number, or a tuple with one number for each process})]``: the quantities of each
    #: trial, from its stored data; see `harness.analysis.quantities`.
    analyse: Reference | None = None
    #: ``(KindFindings) -> harness.report.Section | None``: its section of the report. Without it, the report shows a
    #: table of the quantities.
    section: Reference | None = None

    kind: ClassVar[str] = "measure"
    given: ClassVar[int] = 1

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """Every stage; the first is the kind's own."""
        return (Stage(self.name, self.build), *self.stages)

    def complaint(self) -> str:
        """See `Part.complaint`."""
        if self.placement not in ("together", "alone", "per_seed"):
            return f"{self.name}: placement is {self.placement!r}; expected together, alone or per_seed"
        for name, quantity in self.quantities.items():
            if not is_name(name) or not isinstance(quantity, Quantity) or not is_shown(quantity.title):
                return f"{self.name}: {name!r} is not a quantity: expected a name and a harness.Quantity"
        return Part.complaint(self)
