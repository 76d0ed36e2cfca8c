"""From a YAML file to a `Suite`; every complaint says file, line and column, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pydantic

from harness.errors import Place, UserError, UserErrors, did_you_mean
from harness.records import designs
from harness.records import plan as records
from harness.suite.schema import (
    ClaimSchema,
    CompareSchema,
    CostSchema,
    DesignSchema,
    HealthSchema,
    LearningSchema,
    MeasureSchema,
    MemorySchema,
    PatchSchema,
    PathSchema,
    ProfileSchema,
    SpeedSchema,
    SuiteSchema,
)
from harness.suite.value_types import level_name
from harness.suite.yaml_source import Path_, Source, read_file, read_text


@dataclass(frozen=True)
class Assignment:
    """One leaf that a patch sets: `path` in the configuration, its value, and where it was written."""

    path: tuple[str, ...]
    value: Any
    where: Place


#: Values of an assignment to ("use", name): the optimization is there, or dropped.
PRESENT, ABSENT = "present", "absent"


@dataclass(frozen=True)
class Suite:
    """A suite as written, checked for form. Names are looked up when it is planned. In an ablation design the trials
    differ in `factors`, each an axis of two levels, and `axis` is only what their combinations are called."""

    name: str
    question: str
    base: tuple[Assignment, ...]
    axes: Mapping[str, Mapping[str, tuple[Assignment, ...]]]
    axis: str
    baseline: str
    design: str
    factors: tuple[str, ...]
    measures: records.Measures
    claims: tuple[records.Claim, ...]
    skip: tuple[tuple[Mapping[str, Sequence[str]], str], ...]
    source: Source
    text: str


def load_suite(path: Path, settings: Sequence[str] = (), preset: str | None = None) -> Suite:
    """The suite in a file, with one of its presets and then ``path=value`` settings applied. Raises UserError or
    UserErrors."""
    text, source = read_file(path)
    return parse_suite(source, path.stem, text, settings, preset)


def parse_suite(source: Source, name: str, text: str, settings: Sequence[str] = (), preset: str | None = None) -> Suite:
    """The suite in values that were read already."""
    if not isinstance(source.value, dict):
        raise UserError("is not a suite.", where=source.place(()), fix="A suite is a mapping; see docs/suites.md.")
    if preset is not None:
        _apply_preset(source, preset)
    for setting in settings:
        _apply_setting(source, setting)
    try:
        schema = SuiteSchema.model_validate(source.value)
    except pydantic.ValidationError as error:
        raise UserErrors(list(_complaints(error, source))) from None
    return _Reader(source, schema).suite(name, text)


def _apply_preset(source: Source, preset: str) -> None:
    """Override what a preset of the suite says."""
    presets = source.value.get("presets") or {}
    if not isinstance(presets, dict) or not isinstance(presets.get(preset), dict):
        known = presets if isinstance(presets, dict) else {}
        fix = did_you_mean(preset, known) if known else "This suite has none."
        raise UserError(f"there is no preset {preset!r}.", where=Place(f"--preset {preset}"), fix=fix)
    for path, value in presets[preset].items():
        _override(source, str(path), value, source.place(("presets", preset, path)))


def _apply_setting(source: Source, setting: str) -> None:
    """Override one field of the file's values by ``path=value``."""
    where = Place(f"--set {setting}")
    path, equals, text = setting.partition("=")
    if not equals or not all(path.split(".")):
        raise UserError("it takes path=value.", where=where, fix="For example --set base.model.hidden_size=64.")
    _override(source, path, read_text(text, str(where)).value if text.strip() else None, where)


def _override(source: Source, dotted: str, value: Any, where: Place) -> None:
    """Put a value at a path such as base.model.hidden_size; `use` is entered by name, everything else by key."""
    keys = dotted.split(".")
    path: Path_ = ()
    inside = source.value
    for index, key in enumerate(keys):
        last = index == len(keys) - 1
        if isinstance(inside, list):
            names = [entry if isinstance(entry, str) else entry.get("name") for entry in inside]
            if key not in names:
                inside.append({"name": key})
                names.append(key)
            position = names.index(key)
            if not isinstance(inside[position], dict):
                inside[position] = {"name": key}
            if last:
                if not isinstance(value, dict):
                    fix = f"For example {dotted}.lr=0.1."
                    raise UserError(f"{key} takes its parameters, not {value!r}.", where=where, fix=fix)
                inside[position] = {**value, "name": key}
                for name in value:
                    source.places[(*path, position, name)] = source.keys[(*path, position, name)] = where
            path, inside = (*path, position), inside[position]
            continue
        if not isinstance(inside, dict):
            raise UserError(f"{'.'.join(keys[:index])} holds one value and nothing below it.", where=where)
        if last:
            inside[key] = value
            for known in [known for known in source.places if known[: len(path) + 1] == (*path, key)]:
                del source.places[known]
            source.places[(*path, key)] = source.keys[(*path, key)] = where
            return
        if isinstance(inside.get(key), str) and key in ("model", "dataset"):
            inside[key] = {"name": inside[key]}
        if inside.get(key) is None:
            inside[key] = {}
            source.places.setdefault((*path, key), where)
        path, inside = (*path, key), inside[key]


#: Which schema's fields stand below a path, its free keys and indices left out.
_FIELDS_AT: dict[tuple[str, ...], type[pydantic.BaseModel]] = {
    (): SuiteSchema,
    ("base",): PatchSchema,
    ("axes",): PatchSchema,
    ("compare",): CompareSchema,
    ("design",): DesignSchema,
    ("measure",): MeasureSchema,
    ("measure", "speed"): SpeedSchema,
    ("measure", "memory"): MemorySchema,
    ("measure", "cost"): CostSchema,
    ("measure", "profile"): ProfileSchema,
    ("measure", "learning"): LearningSchema,
    ("measure", "health"): HealthSchema,
    ("claims",): ClaimSchema,
}


def _complaints(error: pydantic.ValidationError, source: Source) -> Iterator[UserError]:
    for problem in error.errors():
        path = list(problem["loc"])
        if path[:1] == ["axes"] and len(path) > 2:
            del path[2]  # which form of axis pydantic thought it was
        kind, message = problem["type"], problem["msg"]
        name = next((part for part in reversed(path) if isinstance(part, str)), "it")
        if kind == "extra_forbidden":
            around = ("axes",) if path[0] == "axes" else tuple(p for p in path[:-1] if isinstance(p, str))
            fields = _FIELDS_AT.get(around, SuiteSchema).model_fields
            known = [field.alias or field_name for field_name, field in fields.items()]
            yield UserError(
                f"there is no field {name!r} here.",
                where=source.place(tuple(path), key=True),
                fix=did_you_mean(str(name), known),
            )
        elif kind == "missing":
            yield UserError(
                f"{'.'.join(map(str, path[:-1])) or 'the suite'} lacks {name!r}.",
                where=source.place(tuple(path[:-1])),
                fix="See docs/suites.md for what a suite holds.",
            )
        else:
            message = message.removeprefix("Value error, ")
            if kind == "string_pattern_mismatch":
                message = "it takes lower, higher, better or worse, with or without 'by 5%', or 'equal within 2%'"
            yield UserError(f"{name}: {message[0].lower()}{message[1:]}.", where=source.place(tuple(path)))


def measures_of(schema: MeasureSchema) -> records.Measures:
    """The measures as records keep them: memory, cost and profile are of what speed is of, where they do not say."""
    speed, memory, cost, profile = schema.speed, schema.memory, schema.cost, schema.profile

    def modes(of: Sequence[str] | None) -> tuple[str, ...]:
        return tuple(dict.fromkeys(of or (speed.of if speed else ("train",))))

    return records.Measures(
        speed=records.Speed(**{**speed.model_dump(), "of": modes(speed.of)}) if speed else None,
        memory=records.Memory(modes(memory.of)) if memory else None,
        cost=records.Cost(modes(cost.of)) if cost else None,
        profile=records.Profile(modes(profile.of), profile.steps) if profile else None,
        learning=learning_of(schema.learning) if schema.learning else None,
        health=records.Health(**schema.health.model_dump()) if schema.health else None,
        limit=schema.limit,
    )


def learning_of(schema: LearningSchema) -> records.Learning:
    """The same as the planner has it; which scores there are is the dataset's to say."""
    return records.Learning(
        seeds=tuple(schema.seeds),
        steps=schema.steps or 0,
        epochs=schema.epochs or 0.0,
        seconds=schema.seconds or 0.0,
        evaluations=min(schema.evaluations, schema.steps or schema.evaluations),
        metric=schema.metric,
        margin=amount_of(schema.margin) if schema.margin else 0.0,
        margin_of=kind_of(schema.margin) if schema.margin else "",
        target=schema.target,
        explodes=schema.explodes,
        checkpoint=schema.checkpoint,
        planned=len(schema.seeds),
    )


def amount_of(text: str) -> float:
    """An amount in hundredths as a number: 2%, or 2 points, is 0.02."""
    return float(text.rstrip("%points ")) / 100


def kind_of(text: str) -> Literal["ratio", "difference"]:
    """What an amount is of: % of a ratio, points of a difference."""
    return "ratio" if text.endswith("%") else "difference"


class _Reader:
    """From the validated schema to a Suite: names of axes and levels checked, patches flattened."""

    def __init__(self, source: Source, schema: SuiteSchema) -> None:
        self.source, self.schema = source, schema
        self.errors: list[UserError] = []

    def suite(self, name: str, text: str) -> Suite:
        schema = self.schema
        for part in ("model", "dataset"):
            if "name" not in (getattr(schema.base, part) or {}):
                self.complain(("base",), f"base lacks the name of a {part}.", "Every level patches the base.")
        if schema.base.drop:
            self.complain(("base", "drop"), "base has nothing to drop from.", "Leave the optimization out of use.")
        axes = {axis: dict(self.levels(axis, form)) for axis, form in schema.axes.items()}
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
        if path[0] not in ("model", "dataset", "use", "seed", "device"):
            fix = "It begins with model, dataset, use, seed or device, as in model.hidden_size."
            self.complain(("axes", axis, "path"), f"{form.path!r} is not in the base.", fix)
        for index, value in enumerate(form.values):
            where = self.source.place(("axes", axis, "values", index))
            assignments = [Assignment(path, value, where)]
            if path[0] == "use":
                assignments.insert(0, Assignment(path[:2], PRESENT, where))
            yield level_name(value), tuple(assignments)

    def assignments(self, patch: PatchSchema, at: Path_) -> Iterator[Assignment]:
        for index, name in enumerate(patch.drop):
            yield Assignment(("use", name), ABSENT, self.source.place((*at, "drop", index)))
        for part in ("model", "dataset"):
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
        return self.source.place(path, key=path[-1] != "name")

    def factors(self, axes: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
        """The factors of an ablation design, in the order of the axes; none in a grid."""
        design = self.schema.design
        if design.kind == "grid":
            if design.factors is not None:
                fix = f"Leave them out, or choose {', '.join(designs.BASELINES)}."
                self.complain(("design", "factors"), "a grid has no factors.", fix, key=True)
            return ()
        named = design.factors if design.factors is not None else list(axes)
        for index, axis in enumerate(named):
            here: Path_ = ("design", "factors", index)
            if axis not in axes:
                self.complain(here, f"there is no axis {axis!r}.", did_you_mean(axis, axes))
            elif axis in named[:index]:
                self.complain(here, f"factor {axis} is named twice.", "Once will do.")
        factors = tuple(axis for axis in axes if axis in named)
        for axis in factors:
            if len(axes[axis]) != 2:
                what = f"a factor has two levels, off and then on, and axis {axis} has {len(axes[axis])}."
                fix = f"If it is a context, name the factors: design: {{kind: {design.kind}, factors: [...]}}."
                self.complain(("axes", axis), what, fix, key=True)
            if axis in ("none", "all") or axis.startswith("all-") or "+" in axis or " x " in axis:
                what = f"no factor can be called {axis!r}: combinations are, such as none, a+b and all-a."
                self.complain(("axes", axis), what, "Choose another name.", key=True)
        most = designs.MOST.get(design.kind, len(factors))
        if not designs.FEWEST <= len(factors) <= most and set(named) <= set(axes):
            wanted = f"{designs.FEWEST} to {most}" if design.kind in designs.MOST else f"at least {designs.FEWEST}"
            fix = "Axes that design.factors does not name are contexts." if len(factors) > most else ""
            self.complain(("design",), f"{design.kind} takes {wanted} factors, and here it has {len(factors)}.", fix)
        return factors

    def check_names(self, axes: Mapping[str, Mapping[str, Any]], factors: tuple[str, ...]) -> None:
        for axis, levels in axes.items():
            if "because" in (axis, *levels):
                self.complain(("axes", axis), "'because' is reserved for skip.", "Choose another name.", key=True)
        if self.schema.design.kind == "grid":
            self.check_compared(axes)
        else:
            self.check_effects(axes, factors)
        for index, rule in enumerate(self.schema.skip):
            self.check_coordinates(rule.__pydantic_extra__, axes, ("skip", index))

    def check_compared(self, axes: Mapping[str, Mapping[str, Any]]) -> None:
        """The compared axis, and claims about its levels."""
        compare = self.schema.compare
        if compare is None:
            fix = "Write compare: {axis: ..., baseline: ...}, or choose another design than grid."
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
            self.complain(("axes", compare.axis), f"axis {compare.axis} has one level: nothing to compare.", key=True)
        others = [level for level in levels if level != compare.baseline]
        for index, claim in enumerate(self.schema.claims):
            here: Path_ = ("claims", index)
            if claim.effect is not None:
                what = "a grid compares levels and has no effects."
                self.complain((*here, "effect"), what, "Write level, or choose another design.", key=True)
            elif claim.level is None:
                self.complain(here, "the claim lacks 'level'.", f"It speaks of a level of {compare.axis}.")
            elif claim.level not in others:
                what = f"{claim.level!r} is not a level of {compare.axis} beside its baseline."
                self.complain((*here, "level"), what, did_you_mean(claim.level, others))
            self.check_coordinates(claim.where, axes, (*here, "where"), without=(compare.axis,))

    def check_effects(self, axes: Mapping[str, Mapping[str, Any]], factors: tuple[str, ...]) -> None:
        """That nothing else is compared, and claims about effects."""
        design = self.schema.design.kind
        if self.schema.compare is not None:
            off_or_on = {"none": "all factors off", "all": "all factors on"}[designs.BASELINES[design]]
            what = f"the design is {design}, whose baseline is {designs.BASELINES[design]}: {off_or_on}."
            self.complain(("compare",), what, "Leave compare out.", key=True)
        known = designs.effect_names(design, factors)
        for index, claim in enumerate(self.schema.claims):
            here: Path_ = ("claims", index)
            if claim.level is not None:
                fix = "Write effect alone." if claim.effect else f"Write effect. {did_you_mean(claim.level, known)}"
                self.complain((*here, "level"), f"a claim in a {design} design is about an effect.", fix, key=True)
            elif claim.effect is None:
                self.complain(here, "the claim lacks 'effect'.", did_you_mean("", known))
            elif designs.effect_called(claim.effect, factors) not in known:
                what = f"{claim.effect!r} is no effect of this {design} design."
                self.complain((*here, "effect"), what, did_you_mean(claim.effect, known))
            self.check_coordinates(claim.where, axes, (*here, "where"), without=factors)

    def check_coordinates(
        self, chosen: Mapping[str, Any], axes: Mapping[str, Mapping[str, Any]], at: Path_, without: Sequence[str] = ()
    ) -> None:
        for axis, levels in chosen.items():
            if axis not in axes:
                self.complain((*at, axis), f"there is no axis {axis!r}.", did_you_mean(axis, axes), key=True)
            elif axis in without:
                role = "the compared axis" if self.schema.design.kind == "grid" else "a factor"
                self.complain((*at, axis), f"{axis} is {role}; where names the others.", key=True)
            else:
                for level in levels:
                    if level not in axes[axis]:
                        what = f"axis {axis} has no level {level!r}."
                        self.complain((*at, axis), what, did_you_mean(level, axes[axis]))

    def claim(self, claim: ClaimSchema, factors: tuple[str, ...]) -> records.Claim:
        word, _, rest = claim.expect.partition(" ")
        amount = rest.partition(" ")[2]
        return records.Claim(
            says=claim.says,
            level=designs.effect_called(claim.effect, factors) if claim.effect else claim.level or "",
            metric=claim.metric,
            expect=word,  # type: ignore[arg-type]  # the pattern allows these five
            by=amount_of(amount) if amount else 0.0,
            scale=kind_of(amount) if amount else "",
            of=claim.of or "",
            where={axis: tuple(levels) for axis, levels in claim.where.items()},
            inside=claim.inside,
            along=claim.along or "",
        )
