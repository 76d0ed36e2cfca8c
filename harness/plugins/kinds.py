"""What a plugin hands over to add a kind of measurement: its settings, its code, its quantities, its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.plugins.parts import Part, Reference, is_name, is_shown

if TYPE_CHECKING:
    from harness.records.settings import Settings

Placement = Literal["together", "alone", "per_seed"]
Unit = Literal["bytes", "seconds", "steps", "FLOP", "FLOP/s", "share", ""]


@dataclass(frozen=True)
class Quantity:
    """A number that a kind of measurement finds of each trial: how tables call it, and how levels are compared by it.

    `judged`: "exact" where every process finds the same number, so that any difference counts; "processes" where each
    of several processes finds its own, so that the spread between them counts; empty where no verdict is given."""

    title: str
    unit: Unit = ""
    judged: Literal["exact", "processes", ""] = ""
    #: The modes in which it is measured.
    modes: frozenset[str] = frozenset({"train", "inference"})
    #: Its short title where it is divided by each amount that the dataset counts, as in kept_bytes/tokens; empty where
    #: it is not divided.
    per_amount: str = ""
    #: Whether its growth along an axis of numbers is fitted.
    grows: bool = False


@dataclass(frozen=True)
class Stage:
    """One of several measurements that a kind takes of each trial: the name of its records, and its code."""

    name: str
    run: Reference
    #: In how many fresh processes each trial is measured.
    processes: int = 1


@dataclass(frozen=True)
class MeasureKind(Part):
    """A kind of measurement: what may stand under ``measure`` in a suite.

    ``build(task)`` runs in a process of its own and returns JSON values, which are stored as the `data` of a record.
    `task` is a `harness.measure.task.Task`: it has the trial, the settings, and builds the model. Raise `Skip` where
    this machine cannot measure it.

    `placement`: "alone" measures each trial in a process of its own, after timing; "per_seed" also does so, under each
    of the `seeds` in the settings; "together" measures all trials in one process, interleaved, before everything else.
    Its ``build`` returns a list with a mapping of level, role and data for each member.
    """

    #: The settings under the kind's name in a suite: a subclass of `harness.Settings`, as "module:Class" or the class.
    settings: str | type[Settings] = "harness.records.settings:Settings"
    placement: Placement = "alone"
    #: Further stages. The first one has the name of the kind and runs `build` in one process.
    stages: tuple[Stage, ...] = ()
    #: Seconds that one trial takes (in one mode), or ``(settings, block) -> (least seconds, most seconds)``.
    estimate: float | Reference = 3.0
    #: ``(block, records, mode) -> bool``: whether another process is due. Only for the placement "together".
    more: Reference | None = None
    #: The quantities by name. They are compared with the baseline's, and claims may be about those that are exact.
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    #: ``(KindData) -> [(trial, {name: number, or a tuple with one number for each process})]``: the quantities of each
    #: trial, from what was stored of it; see `harness.analysis.quantities`.
    analyse: Reference | None = None
    #: ``(KindFindings) -> harness.report.Section | None``: its section of the report. Without it, the quantities make a
    #: table.
    section: Reference | None = None

    kind: ClassVar[str] = "measure"
    given: ClassVar[int] = 1

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """Every stage, the kind's own first."""
        return (Stage(self.name, self.build), *self.stages)

    def complaint(self) -> str:
        """See `Part.complaint`."""
        if self.placement not in ("together", "alone", "per_seed"):
            return f"{self.name}: placement is {self.placement!r}; expected together, alone or per_seed"
        for name, quantity in self.quantities.items():
            if not is_name(name) or not isinstance(quantity, Quantity) or not is_shown(quantity.title):
                return f"{self.name}: {name!r} is not a quantity: a name and a harness.Quantity"
        return Part.complaint(self)
