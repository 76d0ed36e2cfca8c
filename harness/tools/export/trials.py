"""Find the trial of a plan that a name means, and check that it can still be run as it was planned."""

from __future__ import annotations

from harness.errors import UserError, did_you_mean
from harness.plugins.catalog import Catalog, origin_of, resolve
from harness.plugins.parts import Dataset, Model
from harness.records.plan import Block, Plan, Trial
from harness.suite.names import find_name

#: The fewest characters of an id that are accepted.
MIN_ID_LENGTH = 4


def find_trial(plan: Plan, wanted: str) -> tuple[Block, Trial]:
    """The trial that `wanted` names, and the first block that has it: an id, the beginning of one, a level, or a level
    after levels of its context, as in wide/packed. Raises UserError if there is none, or more than one."""
    everything = [(block, trial) for block in plan.blocks for trial in block.trials]
    found = [(block, trial) for block, trial in everything if has_name(block, trial, wanted)]
    if not found and len(wanted) >= MIN_ID_LENGTH:
        found = [(block, trial) for block, trial in everything if trial.id.startswith(wanted)]
    if not found and (level := find_name(wanted, {trial.level for _, trial in everything})):
        found = [(block, trial) for block, trial in everything if trial.level == level]
    if not found:
        known = {trial.level for _, trial in everything} | {trial_path(block, trial) for block, trial in everything}
        if wanted and set(wanted) <= set("0123456789abcdef"):
            known |= {trial.id for _, trial in everything}
        raise UserError(f"{plan.suite} has no trial {wanted!r}.", fix=did_you_mean(wanted, known))
    if len({trial.id for _, trial in found}) > 1:
        lines = "".join(f"\n  {trial.id}  {trial_path(block, trial)}" for block, trial in found)
        raise UserError(
            f"{wanted!r} matches several trials of {plan.suite}:{lines}\nGive an id, or a level with its context."
        )
    return found[0]


def trial_path(block: Block, trial: Trial) -> str:
    """The levels of the context and the level of a trial, as `find_trial` accepts them."""
    return "/".join([*block.context.values(), trial.level])


def has_name(block: Block, trial: Trial, wanted: str) -> bool:
    """Whether a name is the level of a trial, or its level after its block or levels of its context in any order."""
    if not f"/{wanted}".endswith(f"/{trial.level}"):
        return False
    before = wanted.removesuffix(trial.level).removesuffix("/")
    levels = block.context.values()
    return before in ("", block.name, "/".join(levels), *levels) or set(before.split("/")) <= set(levels)


def check_unchanged(plan: Plan, trial: Trial, catalog: Catalog) -> None:
    """Raise UserError if a plugin or the data of a trial changed since the plan: the script would not be of the trial
    that was measured."""
    installed = catalog.plugins.versions
    fix = "To export with the installed plugins and the present data, give the YAML file of the suite."
    for spec in (trial.model, trial.dataset, *trial.use):
        found = installed.get(spec.plugin, "none")
        if trial.is_function and spec is trial.model:
            found = origin_of(catalog.find(Model, spec.name), spec.parameters)[1]
        if found != spec.version:
            raise UserError(
                f"{plan.suite} was planned with {spec.name} from {spec.plugin} {spec.version}, but the installed "
                f"version is {found}.",
                fix=fix,
            )
    entry = catalog.find(Dataset, trial.dataset.name)
    if entry.part.fingerprint is not None:
        try:
            fingerprint = str(resolve(entry.part.fingerprint, entry.owner)(**trial.dataset.parameters))
        except (OSError, ValueError) as error:
            raise UserError(f"the data cannot be read: {error}.", where=entry.owner) from error
        if fingerprint != trial.fingerprint:
            raise UserError(f"the data of {trial.dataset.name} changed since {plan.suite} was planned.", fix=fix)
