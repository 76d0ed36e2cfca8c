"""Which trial of a plan is meant: by its id, the beginning of one, or its level with or without its context."""

from __future__ import annotations

from harness.errors import UserError, did_you_mean
from harness.plugins.catalog import Catalog, resolve
from harness.plugins.parts import Dataset
from harness.records.plan import Block, Plan, Trial

#: The fewest digits that an id may be shortened to.
LEAST = 4


def choose(plan: Plan, wanted: str) -> tuple[Block, Trial]:
    """The trial that `wanted` names, and the first block that has it. Raises UserError where none or several are meant.

    A level goes before an id: ``packed``, or ``wide/packed`` with levels of the context before it, in any order.
    """
    everything = [(block, trial) for block in plan.blocks for trial in block.trials]
    found = [(block, trial) for block, trial in everything if is_called(block, trial, wanted)]
    if not found and len(wanted) >= LEAST:
        found = [(block, trial) for block, trial in everything if trial.id.startswith(wanted)]
    if not found:
        known = {trial.level for _, trial in everything} | {place(block, trial) for block, trial in everything}
        if wanted and set(wanted) <= set("0123456789abcdef"):
            known |= {trial.id for _, trial in everything}
        raise UserError(f"{plan.suite} has no trial {wanted!r}.", fix=did_you_mean(wanted, known))
    if len({trial.id for _, trial in found}) > 1:
        lines = "".join(f"\n  {trial.id}  {place(block, trial)}" for block, trial in found)
        raise UserError(f"{wanted!r} may be any of these trials of {plan.suite}:{lines}\nName one by id or by place.")
    return found[0]


def place(block: Block, trial: Trial) -> str:
    """Where a trial stands, in the form that `choose` takes."""
    return "/".join([*block.context.values(), trial.level])


def is_called(block: Block, trial: Trial, wanted: str) -> bool:
    """Whether this is the trial's level, or its level after levels of its context."""
    if wanted in (trial.level, place(block, trial), f"{block.name}/{trial.level}"):
        return True
    if not wanted.endswith(f"/{trial.level}"):
        return False
    before = wanted.removesuffix(f"/{trial.level}")
    context = set(block.context.values())
    return before in context or set(before.split("/")) <= context


def check_unchanged(plan: Plan, trial: Trial, catalog: Catalog) -> None:
    """Raise UserError where a part of the trial comes from another version of its plugin than the plan was made with,
    or its data are not the same: another trial would be exported than was measured."""
    here = catalog.plugins.versions
    fix = "Export from the suite's YAML file to take what is here."
    for spec in (trial.model, trial.dataset, *trial.use):
        if here.get(spec.plugin) != spec.version:
            raise UserError(
                f"{plan.suite} was planned with {spec.name} from {spec.plugin} {spec.version}, and here it is "
                f"{here.get(spec.plugin, 'not installed')}.",
                fix=fix,
            )
    entry = catalog.find(Dataset, trial.dataset.name)
    if entry.part.fingerprint is not None:
        owner = entry.owner
        try:
            now = str(resolve(entry.part.fingerprint, owner)(**trial.dataset.parameters))
        except (OSError, ValueError) as error:
            raise UserError(f"{owner}: {error}.") from error
        if now != trial.fingerprint:
            raise UserError(f"the data of {trial.dataset.name} have changed since {plan.suite} was planned.", fix=fix)
