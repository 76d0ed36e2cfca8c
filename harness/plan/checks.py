"""Checks of one trial: do its parts fit together?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.errors import Place, UserError
from harness.plugins.catalog import Catalog, Entry, resolve
from harness.plugins.isolation import one_line, user_errors
from harness.plugins.parts import Optimization, Skip
from harness.plugins.recipe import Recipe
from harness.plugins.signature import REQUIRED, Parameter
from harness.records.plan import Spec, canonical_json

#: An optimization of a trial: its resolved parameters, its catalog entry, and where the suite names it.
Used = tuple[Spec, Entry, Place]


def check_roles(used: Sequence[Used], catalog: Catalog, trains: bool, base: Place) -> None:
    """Raise UserError where two optimizations have the same role, or where a trial that trains has no optimizer."""
    by_role: dict[str, str] = {}
    for spec, entry, where in used:
        role = entry.part.role
        if role is None:
            continue
        if role in by_role:
            what = f"{by_role[role]} and {spec.name} both have the role {role}, and a trial can have one such part."
            raise UserError(what, where=where, fix=f"Add drop: [{by_role[role]}] to this level.")
        by_role[role] = spec.name
    if trains and "optimizer" not in by_role:
        parts = catalog.entries(Optimization)
        known = [name for name, entry in parts.items() if entry.part.role == "optimizer"]
        fix = f"Add one to base.use: {', '.join(known) or 'no installed plugin provides any'}."
        raise UserError("training needs an optimizer.", where=base, fix=fix)


def check_recipe(used: Sequence[Used], catalog: Catalog, steps: int | None = None) -> list[str]:
    """Apply the optimizations to an empty recipe for a run of this many training steps. This builds no model; it shows
    which part changes which seam. Returns the remarks of the parts, with their places."""
    recipe, remarks = Recipe(steps=steps), list[str]()
    for spec, entry, where in used:
        known = len(recipe.remarks)
        try:
            recipe = catalog.code(entry, where)(recipe.as_used_by(spec.name), **spec.parameters)
        except (Skip, KeyboardInterrupt):
            raise
        except UserError as error:
            raise UserError(error.what, where=where, fix=error.fix) from error
        except BaseException as error:  # plugin code may raise anything, also about its parameters
            raise UserError(f"{spec.name}: {error}.", where=where) from error
        if not isinstance(recipe, Recipe):
            what = f"{spec.name} (plugin {entry.plugin}) returns a {type(recipe).__name__}, not a Recipe."
            raise UserError(what, where=where)
        remarks += [f"{where}: {one_line(text)}." for text in recipe.remarks[known:]]
    return remarks


def check_defaults(schema: Mapping[str, Parameter], owner: str, where: Place) -> None:
    """Raise UserError where the default of a parameter cannot be stored in a plan."""
    for name, parameter in schema.items():
        if parameter.default is not REQUIRED:
            try:
                canonical_json(parameter.default)
            except (TypeError, ValueError) as error:
                what = (
                    f"{owner}: the default of {name} is a {type(parameter.default).__name__}, which JSON cannot store."
                )
                raise UserError(what, where=where, fix="Use a number, text, a list or a mapping.") from error


def check_words(entries: Sequence[Entry]) -> None:
    """Raise Skip where a part needs a word that none of the trial's parts offers."""
    offered = {word for entry in entries for word in entry.part.offers}
    model = entries[0].part.name
    for entry in entries:
        for word in sorted(entry.part.needs - offered):
            raise Skip(f"{entry.part.name} needs {word}, which {model} does not offer")


def environment_of(parts: Sequence[tuple[Spec, Entry, Place | None]]) -> Mapping[str, str]:
    """The environment variables that the parts set. Raises UserError where two set one to different values."""
    asked: dict[str, tuple[str, str]] = {}
    for spec, entry, where in parts:
        wanted = entry.part.environment
        if not isinstance(wanted, Mapping):
            owner = entry.owner
            with user_errors(f"{owner}: its environment failed", where):
                try:
                    wanted = resolve(wanted, owner, where)(**spec.parameters)
                except ValueError as error:
                    raise UserError(f"{spec.name}: {error}.", where=where) from error
        for name, value in wanted.items():
            if not isinstance(name, str) or not isinstance(value, str):
                what = (
                    f"{spec.name} (plugin {entry.plugin}) sets the variable {name!r} to {value!r}, which is not text."
                )
                raise UserError(what, where=where)
            by, other = asked.setdefault(name, (spec.name, value))
            if other != value:
                what = f"{by} and {spec.name} both set {name}, to {other!r} and {value!r}."
                raise UserError(what, where=where, fix="Drop one.")
    return {name: value for name, (_, value) in asked.items()}
