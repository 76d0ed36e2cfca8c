"""From a YAML file to a `Suite`. Every error says file, line and column, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from harness.errors import Place, UserError, UserErrors, did_you_mean
from harness.plugins.catalog import Catalog
from harness.plugins.experiment import EXPERIMENT, FROM
from harness.records import designs
from harness.records.plan import Claim
from harness.records.settings import Measures
from harness.records.value_types import FROM_SUITE
from harness.suite.commands import length_complaints, values_of_command
from harness.suite.complete_trial import base_complaints, patch_complaints
from harness.suite.expect import parse_expect
from harness.suite.files import suite_name
from harness.suite.measure_section import measures_of
from harness.suite.names import (
    appearance,
    composed,
    find_name,
    keep_names_as_written,
    level_name,
    same_value,
    why_no_name,
)
from harness.suite.overrides import apply_preset, apply_setting
from harness.suite.schema import ClaimSchema, PatchSchema, PathSchema, SuiteSchema, suite_schema
from harness.suite.schema_errors import schema_errors
from harness.suite.values import SuiteValues
from harness.suite.yaml_source import Path_, Source, read_file


@dataclass(frozen=True)
class Assignment:
    """One value that a patch sets: its `path` in the configuration, the value, and its position in the file."""

    path: tuple[str, ...]
    value: Any
    where: Place


#: Values of an assignment to ("use", name): the optimization is used, or dropped.
PRESENT, ABSENT = "present", "absent"


@dataclass(frozen=True)
class Suite:
    """A suite that matches the schema. Names of parts are looked up when it is planned. In an ablation design, trials
    differ in their `factors`, each an axis with two levels, and `axis` is the name for their combinations."""

    name: str
    question: str
    base: tuple[Assignment, ...]
    axes: Mapping[str, Mapping[str, tuple[Assignment, ...]]]
    axis: str
    baseline: str
    design: str
    factors: tuple[str, ...]
    measures: Measures
    claims: tuple[Claim, ...]
    skip: tuple[tuple[Mapping[str, Sequence[str]], str], ...]
    source: Source
    text: str
    #: The paths in the suite are relative to this folder.
    folder: Path = Path()


def load_suite(
    given: Path | SuiteValues, catalog: Catalog, settings: Sequence[str] = (), preset: str | None = None
) -> Suite:
    """The suite in a file or in values, with a preset and then ``path=value`` settings applied. The catalog says which
    kinds of measurement there are. Raises UserError or UserErrors."""
    if isinstance(given, SuiteValues):
        (text, source), path, folder = given.read(), Path(f"{given.name}.yaml"), given.folder
    else:
        (text, source), path, folder = read_file(given), given, given.parent
    return parse_suite(source, suite_name(path), text, catalog, settings, preset, folder)


def parse_suite(
    source: Source,
    name: str,
    text: str,
    catalog: Catalog,
    settings: Sequence[str] = (),
    preset: str | None = None,
    folder: Path = Path(),
) -> Suite:
    """The suite in values that were read from YAML already. Its paths are relative to `folder`."""
    if not isinstance(source.value, dict):
        raise UserError(
            "expected a mapping.", where=source.place(()), fix="docs/suites.md explains what a suite contains."
        )
    if preset is not None:
        apply_preset(source, preset)
    for setting in settings:
        apply_setting(source, setting)
    keep_names_as_written(source)
    form = suite_schema(catalog)
    try:
        schema = form.model_validate(source.value, context=FROM_SUITE)
    except pydantic.ValidationError as error:
        raise UserErrors(list(schema_errors(error, form, source))) from None
    return _Reader(source, schema).suite(name, text, folder)


class _Reader:
    """From the validated schema to a Suite: checks names of axes and levels, and flattens patches."""

    def __init__(self, source: Source, schema: SuiteSchema) -> None:
        self.source, self.schema = source, schema
        self.errors: list[UserError] = []

    def suite(self, name: str, text: str, folder: Path) -> Suite:
        schema = self.schema
        own = patch_complaints(schema.base, ("base",), schema.base)
        for where, what, fix in (*base_complaints(schema.base), *own, *length_complaints(schema)):
            self.complain(where, what, fix)
        if schema.base.drop:
            self.complain(("base", "drop"), "base cannot drop anything.", "Remove the optimization from use.")
        axes = {axis: dict(self.levels(axis, form)) for axis, form in schema.axes.items()}
        if self.errors:  # the names of levels are not known
            raise UserErrors(self.errors)
        self.resolve_names(axes)
        design, factors = schema.design.kind, self.factors(axes)
        self.check_names(axes, factors)
        if self.errors:
            raise UserErrors(self.errors)
        return Suite(
            name=name,
            question=schema.question,
            base=tuple(self.assignments(schema.base, ("base",))),
            axes=axes,
            axis=schema.compare.axis if schema.compare else designs.AXIS,
            baseline=schema.compare.baseline if schema.compare else designs.BASELINES[design],
            design=design,
            factors=factors,
            measures=measures_of(schema.measure),
            claims=tuple(self.claim(claim, factors) for claim in schema.claims),
            skip=tuple((dict(rule.__pydantic_extra__), rule.because) for rule in schema.skip),
            source=self.source,
            text=text,
            folder=folder,
        )

    def complain(self, path: Path_, what: str, fix: str = "", *, key: bool = False) -> None:
        self.errors.append(UserError(what, where=self.source.place(path, key=key), fix=fix))

    def levels(
        self, axis: str, form: PathSchema | dict[str, PatchSchema]
    ) -> Iterator[tuple[str, tuple[Assignment, ...]]]:
        if isinstance(form, dict):
            for level, patch in form.items():
                yield level, tuple(self.assignments(patch, ("axes", axis, level)))
            return
        path = tuple(form.path.split("."))
        parts = (EXPERIMENT,) if self.schema.base.experiment is not None else ("model", "dataset")
        if path[0] not in (*parts, "use", "seed", "device"):
            fix = f"A path begins with {', '.join(parts)}, use, seed or device, as in {parts[0]}.hidden_size."
            self.complain(("axes", axis, "path"), f"{form.path!r} is not a path in the base.", fix)
        for index, value in self.scalars(axis, form.values):
            where = self.source.place(("axes", axis, "values", index))
            assignments = [Assignment(path, value, where)]
            if path[0] == "use":
                assignments.insert(0, Assignment(path[:2], PRESENT, where))
            yield level_name(value), tuple(assignments)

    def scalars(self, axis: str, values: Sequence[Any]) -> Iterator[tuple[int, str | bool | float]]:
        """The values of an axis that can be levels, with their indices. The others are complained about."""
        fix = f"Name the levels: axes: {{{axis}: {{NAME: {{...}}, NAME: {{...}}}}}}."
        seen: dict[int, Any] = {}
        for index, value in enumerate(values):
            here: Path_ = ("axes", axis, "values", index)
            if value is None:
                self.complain(here, "the value of an axis cannot be ~, which stands for the default.", fix)
            elif isinstance(value, (list, dict)):
                found = "list" if isinstance(value, list) else "mapping"
                self.complain(
                    here, f"the value of an axis must be a text, a number or a truth value, not a {found}.", fix
                )
            elif why := why_no_name(level_name(value)):
                self.complain(here, f"this value cannot be the name of a level: {why}.", fix)
            else:
                for first, other in seen.items():
                    if level_name(other) == level_name(value) or same_value(other, value):
                        there: Path_ = ("axes", axis, "values", first)
                        place, texts = self.source.place(there), self.source.texts
                        what = f"{texts.get(here, value)} is the same value as {texts.get(there, other)}"
                        what += f" (line {place.line}, column {place.column})." if place.line else "."
                        self.complain(here, what, "Remove one of them.")
                        break
                else:
                    seen[index] = value
                    yield index, value

    def assignments(self, patch: PatchSchema, at: Path_) -> Iterator[Assignment]:
        for complaint in patch_complaints(patch, at, self.schema.base):
            self.complain(*complaint, key=True)
        for index, name in enumerate(patch.drop):
            yield Assignment(("use", name), ABSENT, self.source.place((*at, "drop", index)))
        for path, value in values_of_command(patch, in_base=at == ("base",)):
            yield Assignment(path, value, self.source.place((*at, "command")))
        for part in ("model", "dataset", EXPERIMENT):
            for key, value in (getattr(patch, part) or {}).items():
                yield Assignment((part, key), value, self.parameter_place((*at, part, key)))
        for index, entry in enumerate(patch.use):
            here = (*at, "use", index)
            yield Assignment(("use", entry["name"]), PRESENT, self.source.place((*here, "name")))
            for key, value in entry.items():
                if key != "name":
                    yield Assignment(("use", entry["name"], key), value, self.parameter_place((*here, key)))
        for key in ("seed", "device"):
            if getattr(patch, key) is not None:
                yield Assignment((key,), getattr(patch, key), self.source.place((*at, key)))

    def parameter_place(self, path: Path_) -> Place:
        return self.source.place(path, key=path[-1] not in ("name", FROM))

    def resolve_names(self, axes: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace references to axes and levels by their names, where these are spelled differently."""

        def levels_of(axis: str, wanted: Sequence[str]) -> list[str]:
            return [find_name(level, axes.get(axis, ())) or level for level in wanted]

        schema = self.schema
        if schema.compare is not None:
            schema.compare.axis = axis = composed(schema.compare.axis)
            (schema.compare.baseline,) = levels_of(axis, [schema.compare.baseline])
        if schema.design.factors is not None:
            schema.design.factors = list(map(composed, schema.design.factors))
        for claim in schema.claims:
            if claim.level is not None and schema.compare is not None:
                (claim.level,) = levels_of(schema.compare.axis, [claim.level])
            claim.effect = claim.effect and composed(claim.effect)
            claim.along = claim.along and composed(claim.along)
            claim.where = {axis: levels_of(axis, levels) for axis, levels in claim.where.items()}
        for rule in schema.skip:
            for axis, levels in rule.__pydantic_extra__.items():
                rule.__pydantic_extra__[axis] = levels_of(axis, levels)

    def factors(self, axes: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
        """The factors of an ablation design, in the order of the axes. A grid has none."""
        design = self.schema.design
        if design.kind == "grid":
            if design.factors is not None:
                fix = f"Remove them, or choose one of {', '.join(designs.BASELINES)}."
                self.complain(("design", "factors"), "a grid has no factors.", fix, key=True)
            return ()
        named = design.factors if design.factors is not None else list(axes)
        for index, axis in enumerate(named):
            here: Path_ = ("design", "factors", index)
            if axis not in axes:
                self.complain(here, f"there is no axis {axis!r}.", did_you_mean(axis, axes))
            elif axis in named[:index]:
                self.complain(here, f"factor {axis} is listed twice.", "Remove one.")
        factors = tuple(axis for axis in axes if axis in named)
        for axis in factors:
            if len(axes[axis]) != 2:
                what = f"a factor has two levels, off and then on; axis {axis} has {len(axes[axis])}."
                fix = f"If it is a context, list the factors: design: {{kind: {design.kind}, factors: [...]}}."
                self.complain(("axes", axis), what, fix, key=True)
            if axis in ("none", "all") or axis.startswith("all-") or "+" in axis or " x " in axis:
                what = f"a factor cannot be named {axis!r}, since combinations have such names: none, a+b, all-a."
                self.complain(("axes", axis), what, "Choose another name.", key=True)
        most = designs.MOST.get(design.kind, len(factors))
        if not designs.FEWEST <= len(factors) <= most and set(named) <= set(axes):
            wanted = f"{designs.FEWEST} to {most}" if design.kind in designs.MOST else f"at least {designs.FEWEST}"
            fix = "Axes that design.factors does not list are contexts." if len(factors) > most else ""
            self.complain(("design",), f"{design.kind} needs {wanted} factors; this suite has {len(factors)}.", fix)
        return factors

    def check_texts(self, kind: str, names: Sequence[str], at: Path_) -> None:
        """Complain about texts that are no names, and about names that look the same."""
        seen: dict[str, str] = {}
        for name in names:
            if why := why_no_name(name):
                self.complain((*at, name), f"this text cannot be the name of a level or an axis: {why}.", key=True)
            elif (other := seen.setdefault(appearance(name), name)) != name:
                self.complain((*at, name), f"{name!r} looks like {other!r}, another {kind}.", key=True)

    def check_names(self, axes: Mapping[str, Mapping[str, Any]], factors: tuple[str, ...]) -> None:
        self.check_texts("axis", list(axes), ("axes",))
        for axis, levels in axes.items():
            self.check_texts("level", list(levels), ("axes", axis))
            if "because" in (axis, *levels):
                self.complain(
                    ("axes", axis), "the name 'because' is reserved for skip.", "Choose another name.", key=True
                )
        if self.schema.design.kind == "grid":
            self.check_compared(axes)
        else:
            self.check_effects(axes, factors)
        for index in [i for i, claim in enumerate(self.schema.claims) if claim.answers][1:]:
            fix = "Leave `answers` out of the others."
            self.complain(("claims", index, "answers"), "another claim answers the question already.", fix, key=True)
        for index, rule in enumerate(self.schema.skip):
            self.check_coordinates(rule.__pydantic_extra__, axes, ("skip", index))

    def check_compared(self, axes: Mapping[str, Mapping[str, Any]]) -> None:
        """Check the compared axis, and the claims about its levels."""
        compare = self.schema.compare
        if compare is None:
            fix = "Add compare: {axis: ..., baseline: ...}, or choose a design other than grid."
            self.complain((), "the suite lacks 'compare'.", fix)
            return
        if compare.axis not in axes:
            fix = did_you_mean(compare.axis, axes)
            self.complain(("compare", "axis"), f"there is no axis {compare.axis!r}.", fix)
            return
        levels = axes[compare.axis]
        if compare.baseline not in levels:
            what = f"axis {compare.axis} has no level {compare.baseline!r}."
            self.complain(("compare", "baseline"), what, did_you_mean(compare.baseline, levels))
        elif len(levels) < 2:
            self.complain(
                ("axes", compare.axis),
                f"axis {compare.axis} has only one level, so there is nothing to compare.",
                key=True,
            )
        for index, claim in enumerate(self.schema.claims):
            here: Path_ = ("claims", index)
            # The baseline has values, but no difference to itself.
            of_value = parse_expect(claim.expect).scale == "value"
            known = [level for level in levels if of_value or level != compare.baseline]
            if claim.effect is not None:
                what = "a grid compares levels; it has no effects."
                self.complain((*here, "effect"), what, "Use level, or choose another design.", key=True)
            elif claim.level is None:
                self.complain(here, "the claim lacks 'level'.", f"Name a level of {compare.axis}.")
            elif claim.level not in known:
                other = "" if of_value else " other than its baseline"
                what = f"{claim.level!r} is not a level of {compare.axis}{other}."
                self.complain((*here, "level"), what, did_you_mean(claim.level, known))
            self.check_coordinates(claim.where, axes, (*here, "where"), without=(compare.axis,))

    def check_effects(self, axes: Mapping[str, Mapping[str, Any]], factors: tuple[str, ...]) -> None:
        """Check that no axis is compared, and the claims about effects."""
        design = self.schema.design.kind
        if self.schema.compare is not None:
            off_or_on = {"none": "all factors off", "all": "all factors on"}[designs.BASELINES[design]]
            what = f"a {design} design always has the baseline {designs.BASELINES[design]}: {off_or_on}."
            self.complain(("compare",), what, "Remove compare.", key=True)
        known = designs.effect_names(design, factors)
        for index, claim in enumerate(self.schema.claims):
            here: Path_ = ("claims", index)
            if claim.level is not None:
                fix = "Remove level." if claim.effect else f"Use effect. {did_you_mean(claim.level, known)}"
                self.complain((*here, "level"), f"a claim in a {design} design must be about an effect.", fix, key=True)
            elif claim.effect is None:
                self.complain(here, "the claim lacks 'effect'.", did_you_mean("", known))
            elif designs.effect_called(claim.effect, factors) not in known:
                what = f"{claim.effect!r} is not an effect of this {design} design."
                self.complain((*here, "effect"), what, did_you_mean(claim.effect, known))
            if parse_expect(claim.expect).scale == "value":
                what = "an effect is a difference, so it has no value of its own."
                self.complain((*here, "expect"), what, "Give a direction, as in: at most 5% slower.")
            self.check_coordinates(claim.where, axes, (*here, "where"), without=factors)

    def check_coordinates(
        self, chosen: Mapping[str, Any], axes: Mapping[str, Mapping[str, Any]], at: Path_, without: Sequence[str] = ()
    ) -> None:
        for axis, levels in chosen.items():
            if axis not in axes:
                self.complain((*at, axis), f"there is no axis {axis!r}.", did_you_mean(axis, axes), key=True)
            elif axis in without:
                role = "the compared axis" if self.schema.design.kind == "grid" else "a factor"
                self.complain((*at, axis), f"{axis} is {role}; where may only name the other axes.", key=True)
            else:
                for level in levels:
                    if level not in axes[axis]:
                        what = f"axis {axis} has no level {level!r}."
                        self.complain((*at, axis), what, did_you_mean(level, axes[axis]))

    def claim(self, claim: ClaimSchema, factors: tuple[str, ...]) -> Claim:
        expected = parse_expect(claim.expect)
        return Claim(
            says=claim.says,
            level=designs.effect_called(claim.effect, factors) if claim.effect else claim.level or "",
            metric=claim.metric,
            expect=expected.expect,
            by=expected.by,
            scale=expected.scale,
            unit=expected.unit,
            of=claim.of or "",
            where={axis: tuple(levels) for axis, levels in claim.where.items()},
            inside=claim.inside,
            along=claim.along or "",
            answers=claim.answers,
        )
