"""From a YAML file to a `Suite`; every complaint says file, line and column, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from harness import records
from harness.errors import Place, UserError, UserErrors, did_you_mean
from harness.yaml_source import Path_, Source, read_file, read_text


def _share(value: Any) -> float:
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9.]+)\s*%", value.strip())):
        return float(match[1]) / 100
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise ValueError("it takes a share such as 2% or 0.02")


_UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def _duration(value: Any) -> float:
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9.]+)\s*(ms|s|min|h)", value.strip())):
        return float(match[1]) * _UNITS[match[2]]
    raise ValueError("it takes a time with its unit, such as 60 s or 2 min")


def _nothing_is_empty(value: Any) -> Any:
    return {} if value is None else value


def _one_is_a_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Share = Annotated[
    float,
    BeforeValidator(_share),
    Field(gt=0, lt=1),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[0-9.]+\s*%$"}]}),
]
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    Field(gt=0),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9.]+\s*(ms|s|min|h)$"}),
]
_NAMED = {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"name": {"type": "string"}}}]}


def _named(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict):
        raise ValueError("it takes a name, or a mapping with a name and parameters")
    if not isinstance(value.get("name", ""), str):
        raise ValueError("a name is text")
    return value


def _used(value: Any) -> Any:
    value = _named(value)
    if "name" not in value:
        raise ValueError("an entry of use needs a name")
    return value


def level_name(value: Any) -> Any:
    """A level's name is text, also where the scalar that stands for it is a number or a truth value."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


LevelNames = Annotated[
    list[Annotated[str, BeforeValidator(level_name)]],
    BeforeValidator(lambda value: value if isinstance(value, list) else [value]),
    Field(min_length=1),
    WithJsonSchema(
        {"anyOf": [{"type": ["string", "number"]}, {"type": "array", "items": {"type": ["string", "number"]}}]}
    ),
]
Named = Annotated[dict[str, Any], BeforeValidator(_named), WithJsonSchema(_NAMED)]
Used = Annotated[dict[str, Any], BeforeValidator(_used), WithJsonSchema(_NAMED)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PatchSchema(_Strict):
    """What a level changes in the base. A parameter set to ~ goes back to its default."""

    model: Named | None = Field(None, description="a model's name, or name and parameters")
    dataset: Named | None = Field(None, description="a dataset's name, or name and parameters; batch_size is one")
    use: list[Used] = Field([], description="optimizations, applied left to right; one of the same name is merged")
    drop: list[str] = Field([], description="optimizations of the base to leave out")
    seed: int | None = Field(None, ge=0)
    device: str | None = Field(None, description="cpu, cuda or cuda:1")


class PathSchema(_Strict):
    """Shorthand for an axis that varies one value."""

    path: str = Field(description="where the value stands, such as model.hidden_size or use.clip.max_norm")
    values: list[Any] = Field(min_length=1)


def _axis_form(value: Any) -> str:
    return "path" if isinstance(value, dict) and set(value) >= {"path", "values"} else "levels"


AxisSchema = Annotated[
    Annotated[PathSchema, Tag("path")]
    | Annotated[
        dict[str, Annotated[PatchSchema, BeforeValidator(_nothing_is_empty)]], Field(min_length=1), Tag("levels")
    ],
    Discriminator(_axis_form),
]


class CompareSchema(_Strict):
    """Which axis is compared, and with which of its levels the others are."""

    axis: str
    baseline: str


class SpeedSchema(_Strict):
    """Time of a step, in fresh processes, all levels interleaved."""

    of: Annotated[list[Literal["train", "inference"]], BeforeValidator(_one_is_a_list), Field(min_length=1)] = Field(
        ["train"], description="train, inference, or a list of both"
    )
    half_width: Share = Field(0.01, description="wanted half of the 95 % interval")
    margin: Share = Field(0.02, description="what still counts as equivalent")
    budget: Duration = Field(60.0, description="time for one block; the first five processes always run")
    warm_up: Duration = Field(0.25, description="least time one process warms each level up")
    seconds: Duration = Field(0.5, description="least time one process measures each level")
    visits: int = Field(5, ge=5, description="least visits of each batch in one process")
    batches: int = Field(8, ge=1, description="batches of the work set")


class ProfileSchema(_Strict):
    """A short run under torch.profiler, after the clock and in a process of its own."""

    steps: int = Field(3, ge=1, le=50)


class MeasureSchema(_Strict):
    """What is measured. Verification always is."""

    speed: Annotated[SpeedSchema, BeforeValidator(_nothing_is_empty)] | None = None
    profile: Annotated[ProfileSchema, BeforeValidator(_nothing_is_empty)] | None = None
    limit: Duration = Field(60.0, description="the most one step, or building a model, may take")


class ClaimSchema(_Strict):
    """A sentence that an interval settles."""

    says: str
    level: str = Field(description="a level of the compared axis")
    metric: str = "step_time"
    of: Literal["train", "inference"] | None = None
    where: dict[str, LevelNames] = Field({}, description="axis: level; the contexts it speaks of")
    inside: Literal["all", "any"] = Field("all", alias="in")
    expect: str = Field(
        description="lower, higher, lower by 5%, higher by 5% or equal within 2%, of the ratio to the baseline",
        pattern=r"^(lower|higher)( by [0-9.]+ ?%)?$|^equal within [0-9.]+ ?%$",
    )


class SkipSchema(BaseModel):
    """Levels, by axis, that are not measured together, and why."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, LevelNames] = Field(init=False)
    because: str


class SuiteSchema(_Strict):
    """A question, a base, what varies, what is measured and what is claimed."""

    question: str = Field(min_length=1)
    base: PatchSchema
    axes: dict[str, AxisSchema] = Field(min_length=1)
    compare: CompareSchema
    measure: MeasureSchema
    claims: list[ClaimSchema] = []
    skip: list[SkipSchema] = []


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
    """A suite as written, checked for form. Names are looked up when it is planned."""

    name: str
    question: str
    base: tuple[Assignment, ...]
    axes: Mapping[str, Mapping[str, tuple[Assignment, ...]]]
    axis: str
    baseline: str
    measures: records.Measures
    claims: tuple[records.Claim, ...]
    skip: tuple[tuple[Mapping[str, Sequence[str]], str], ...]
    source: Source
    text: str


def load_suite(path: Path, settings: Sequence[str] = ()) -> Suite:
    """The suite in a file, with ``path=value`` settings applied. Raises UserError or UserErrors."""
    text, source = read_file(path)
    return parse_suite(source, path.stem, text, settings)


def parse_suite(source: Source, name: str, text: str, settings: Sequence[str] = ()) -> Suite:
    """The suite in values that were read already."""
    if not isinstance(source.value, dict):
        raise UserError("is not a suite.", where=source.place(()), fix="A suite is a mapping; see docs/suites.md.")
    for setting in settings:
        _apply_setting(source, setting)
    try:
        schema = SuiteSchema.model_validate(source.value)
    except pydantic.ValidationError as error:
        raise UserErrors(list(_complaints(error, source))) from None
    return _Reader(source, schema).suite(name, text)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a suite, for editors."""
    return SuiteSchema.model_json_schema(by_alias=True)


def _apply_setting(source: Source, setting: str) -> None:
    """Override one field of the file's values; `use` is entered by name, everything else by key."""
    where = Place(f"--set {setting}")
    path_text, equals, value_text = setting.partition("=")
    keys = path_text.split(".")
    if not equals or not all(keys):
        raise UserError("it takes path=value.", where=where, fix="For example --set base.model.hidden_size=64.")
    value = read_text(value_text, str(where)).value if value_text.strip() else None
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
_FIELDS_AT: dict[tuple[str, ...], type[BaseModel]] = {
    (): SuiteSchema,
    ("base",): PatchSchema,
    ("axes",): PatchSchema,
    ("compare",): CompareSchema,
    ("measure",): MeasureSchema,
    ("measure", "speed"): SpeedSchema,
    ("measure", "profile"): ProfileSchema,
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
                message = "it takes lower, higher, 'lower by 5%', 'higher by 5%' or 'equal within 2%'"
            yield UserError(f"{name}: {message[0].lower()}{message[1:]}.", where=source.place(tuple(path)))


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
        self.check_names(axes)
        if self.errors:
            raise UserErrors(self.errors)
        speed, profile = schema.measure.speed, schema.measure.profile
        return Suite(
            name=name,
            question=schema.question,
            base=tuple(self.assignments(schema.base, ("base",))),
            axes=axes,
            axis=schema.compare.axis,
            baseline=schema.compare.baseline,
            measures=records.Measures(
                speed=records.Speed(**{**speed.model_dump(), "of": tuple(dict.fromkeys(speed.of))}) if speed else None,
                profile=records.Profile(**profile.model_dump()) if profile else None,
                limit=schema.measure.limit,
            ),
            claims=tuple(self.claim(claim) for claim in schema.claims),
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

    def check_names(self, axes: Mapping[str, Mapping[str, Any]]) -> None:
        compare = self.schema.compare
        for axis, levels in axes.items():
            if "because" in (axis, *levels):
                self.complain(("axes", axis), "'because' is reserved for skip.", "Choose another name.", key=True)
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
        for index, claim in enumerate(self.schema.claims):
            here: Path_ = ("claims", index)
            others = [level for level in levels if level != compare.baseline]
            if claim.level not in others:
                what = f"{claim.level!r} is not a level of {compare.axis} beside its baseline."
                self.complain((*here, "level"), what, did_you_mean(claim.level, others))
            self.check_coordinates(claim.where, axes, (*here, "where"), without=compare.axis)
        for index, rule in enumerate(self.schema.skip):
            self.check_coordinates(rule.__pydantic_extra__, axes, ("skip", index))

    def check_coordinates(
        self, chosen: Mapping[str, Any], axes: Mapping[str, Mapping[str, Any]], at: Path_, without: str = ""
    ) -> None:
        for axis, levels in chosen.items():
            if axis not in axes:
                self.complain((*at, axis), f"there is no axis {axis!r}.", did_you_mean(axis, axes), key=True)
            elif axis == without:
                self.complain((*at, axis), f"{axis} is the compared axis; where names the others.", key=True)
            else:
                for level in levels:
                    if level not in axes[axis]:
                        what = f"axis {axis} has no level {level!r}."
                        self.complain((*at, axis), what, did_you_mean(level, axes[axis]))

    def claim(self, claim: ClaimSchema) -> records.Claim:
        word, _, amount = claim.expect.partition(" ")
        share = float(amount.split()[1].rstrip("%")) / 100 if amount else 0.0
        speed = self.schema.measure.speed
        return records.Claim(
            says=claim.says,
            level=claim.level,
            metric=claim.metric,
            expect=word,  # type: ignore[arg-type]  # the pattern allows these three
            by=share,
            of=claim.of or (speed.of[0] if speed else "train"),
            where={axis: tuple(levels) for axis, levels in claim.where.items()},
            inside=claim.inside,
        )
