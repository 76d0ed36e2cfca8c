"""The schema of a suite. `harness.suite.loader` checks a suite against it; editors get it as JSON Schema.

The section `measure` has a field for each kind of measurement that a plugin provides, with the kind's own settings.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    create_model,
)

from harness.modes import Mode
from harness.plugins.catalog import Catalog, Measure
from harness.records.value_types import Duration
from harness.suite.expect import PATTERN, parse_expect


def none_is_empty(value: Any) -> Any:
    """A key with nothing after it is an empty mapping."""
    return {} if value is None else value


def _named(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict):
        raise ValueError("expected a name, or a mapping with a name and parameters")
    if not isinstance(value.get("name", ""), str):
        raise ValueError("expected text as a name")
    return value


def _experiment(value: Any) -> Any:
    if isinstance(value, str):
        return {"from": value}
    if not isinstance(value, dict):
        raise ValueError("expected the name of a function, or a mapping with from and parameters")
    return value


def _used(value: Any) -> Any:
    value = _named(value)
    if "name" not in value:
        raise ValueError("an entry of use needs a name")
    return value


_NAMED = {
    "anyOf": [{"type": "string"}, {"type": "object", "properties": {"name": {"type": "string"}}}],
    "$comment": "a name, or a mapping with the name and parameters",
}
_FUNCTION = {
    "anyOf": [{"type": "string"}, {"type": "object", "properties": {"from": {"type": "string"}}}],
    "$comment": "a function, or a mapping with the function (from) and its parameters",
}
Function = Annotated[dict[str, Any], BeforeValidator(_experiment), WithJsonSchema(_FUNCTION)]
Named = Annotated[dict[str, Any], BeforeValidator(_named), WithJsonSchema(_NAMED)]
Used = Annotated[dict[str, Any], BeforeValidator(_used), WithJsonSchema(_NAMED)]


def _name(value: Any) -> Any:
    if value is None:
        raise ValueError("expected a name, found ~. A level with this name needs quotes: '~'")
    if not isinstance(value, str):
        raise ValueError(f"expected a name, found a {'list' if isinstance(value, list) else 'mapping'}")
    return value


#: A reference to an axis or a level. A suite may also write a number or a truth value, which is read as text.
_NAME = {"type": ["string", "number", "boolean"]}
Name = Annotated[str, BeforeValidator(_name), WithJsonSchema(_NAME)]
LevelNames = Annotated[
    list[Annotated[str, BeforeValidator(_name)]],
    BeforeValidator(lambda value: value if isinstance(value, list) else [value]),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [_NAME, {"type": "array", "items": _NAME}], "$comment": "a level, or a list of levels"}),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PatchSchema(_Strict):
    """A complete trial (`base`), or the changes of a level to it. A parameter that is set to ~ gets its default."""

    model: Named | None = Field(
        None,
        description="the name of a model, or name and parameters; another name keeps the other parameters of the base",
        examples=[{"name": "lstm", "hidden_size": 64}],
    )
    dataset: Named | None = Field(
        None,
        description="the name of a dataset, or its name and parameters; every dataset has batch_size",
        examples=[{"name": "reviews", "batch_size": 32}],
    )
    experiment: Function | None = Field(
        None,
        description="a function that returns a harness.Experiment, in place of model and dataset: its file and name, "
        "and its parameters",
        examples=[{"from": "train.py:build", "pooling": "attention"}],
    )
    command: str | None = Field(
        None,
        min_length=1,
        description="a program in place of a model and a dataset: a command line, in which {seed} is the seed of a run",
        examples=["python train.py --seed {seed}"],
    )
    use: list[Used] = Field(
        [],
        description="optimizations, applied from left to right; entries with the same name are merged",
        examples=[["adam", {"name": "clip", "max_norm": 1.0}]],
    )
    drop: list[str] = Field([], description="optimizations of the base that this level leaves out", examples=[["adam"]])
    seed: int | None = Field(
        None,
        ge=0,
        description="the seed of the work set, the weights and the order; 0 by default",
        examples=[1],
    )
    device: str | None = Field(None, description="the device: cpu, cuda or cuda:1; cpu by default", examples=["cuda"])


class PathSchema(_Strict):
    """Shorthand for an axis that varies a single value."""

    path: str = Field(
        description="the path of the value in the base: model.hidden_size, dataset.mean, experiment.pooling, "
        "use.clip.max_norm",
        examples=["model.hidden_size"],
    )
    values: list[Any] = Field(
        min_length=1, description="its values; each is also the name of its level", examples=[[32, 64, 128]]
    )


def _axis_form(value: Any) -> str:
    return "path" if isinstance(value, dict) and set(value) >= {"path", "values"} else "levels"


AxisSchema = Annotated[
    Annotated[PathSchema, Tag("path")]
    | Annotated[dict[str, Annotated[PatchSchema, BeforeValidator(none_is_empty)]], Field(min_length=1), Tag("levels")],
    Discriminator(_axis_form),
]


def _kind_alone(value: Any) -> Any:
    if isinstance(value, str):
        return {"kind": value}
    if not isinstance(value, dict):
        raise ValueError("expected a design's name, or a mapping with kind and factors")
    return value


class DesignSchema(_Strict):
    """Which combinations of levels are measured together, and what is estimated from them."""

    kind: Literal["grid", "leave-one-out", "mirror", "factorial"] = Field(
        description="grid: all combinations; the others: those from which the effects of factors are estimated",
        examples=["factorial"],
    )
    factors: list[str] | None = Field(
        None,
        min_length=1,
        description="the axes that are factors, with two levels each: off, then on; by default all axes",
        examples=[["clipping", "bucketing"]],
    )


Design = Annotated[
    DesignSchema,
    BeforeValidator(_kind_alone),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [*get_args(DesignSchema.model_fields["kind"].annotation)]},
                DesignSchema.model_json_schema(),
            ],
            "$comment": "a design's name, or a mapping with kind and factors",
        }
    ),
]


class CompareSchema(_Strict):
    """The axis that is compared, and its baseline."""

    axis: Name = Field(
        description="the axis whose levels are compared; the other axes are contexts", examples=["batching"]
    )
    baseline: Name = Field(description="the level that the others are compared with", examples=["padded"])


def _expectation(value: Any) -> Any:
    if isinstance(value, str):
        parse_expect(value)
    return value


class ClaimSchema(_Strict):
    """A claim that an interval decides, or an exact number."""

    says: str = Field(description="the claim as a sentence", examples=["Packing speeds up training"])
    level: Name | None = Field(None, description="a level of the compared axis", examples=["packed"])
    effect: str | None = Field(
        None,
        description="in an ablation design: a factor, or two factors with an x between them",
        examples=["clipping x bucketing"],
    )
    metric: str = Field(
        "step_time",
        description="a time, a score, or an exact quantity such as kept_bytes",
        examples=["forward_time", "kept_bytes/tokens"],
    )
    of: Mode | Literal["learning"] | None = Field(
        None, description="the mode, if more than one is measured", examples=["train"]
    )
    along: str | None = Field(
        None,
        description="an axis of numbers; the claim is then about the exponent by which the metric grows along it",
        examples=["length"],
    )
    where: dict[str, LevelNames] = Field(
        {}, description="axis: level; the contexts that it is about", examples=[{"cell": ["lstm", "gru"]}]
    )
    inside: Literal["all", "any"] = Field(
        "all",
        alias="in",
        description="whether it is claimed for all of these contexts, or for any of them",
        examples=["any"],
    )
    answers: bool = Field(
        False,
        description="whether the claim answers the question of the suite: yes if it is true, no if it is false",
        examples=[True],
    )
    expect: Annotated[str, BeforeValidator(_expectation)] = Field(
        description="a difference: lower by 5%, at least 5% faster, better; a limit: at most 5% slower, not worse, "
        "equal within 1 point; or a value of the level itself: at least 90%, at most 20 ms",
        json_schema_extra={"pattern": PATTERN},
        examples=["lower by 5%", "at most 5% slower", "at least 90%"],
    )


class SkipSchema(BaseModel):
    """A combination of levels, by axis, that is not measured, and why."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, LevelNames] = Field(init=False)
    because: str = Field(description="the reason, shown in every report", examples=["the loop takes an hour"])


class SuiteSchema(_Strict):
    """A question, a base, the axes that vary, what is measured and what is claimed."""

    question: str = Field(
        min_length=1, description="the question of the suite, in one sentence", examples=["Does packing pay?"]
    )
    base: PatchSchema = Field(
        description="a complete trial, which every level patches",
        examples=[
            {
                "model": {"name": "lstm", "hidden_size": 64},
                "dataset": {"name": "reviews", "batch_size": 32},
                "use": ["adam", {"name": "clip", "max_norm": 1.0}],
            }
        ],
    )
    axes: dict[str, AxisSchema] = Field(
        min_length=1,
        description="the axes by name: levels by name, or a path with values",
        examples=[
            {
                "batching": {"padded": {}, "packed": {"use": ["pack"]}},
                "cell": {"lstm": {}, "gru": {"model": "gru"}},
                "hidden": {"path": "model.hidden_size", "values": [32, 64]},
            }
        ],
    )
    compare: CompareSchema | None = Field(
        None,
        description="the compared axis and its baseline; an ablation design has none",
        examples=[{"axis": "batching", "baseline": "padded"}],
    )
    design: Design = Field(
        "grid",
        validate_default=True,
        description="grid compares the levels of one axis; the other designs estimate the effects of factors, "
        "which are axes with two levels: off, then on",
        examples=["mirror"],
    )
    #: Its fields are those of `measure_schema`.
    measure: dict[str, Any] = Field(
        description="the kinds of measurement, each with its settings",
        examples=[{"speed": {}, "memory": {}}],
    )
    claims: list[ClaimSchema] = Field(
        [],
        description="the claims of the suite; all of them are one family (Holm)",
        examples=[[{"says": "Packing speeds up training", "level": "packed", "expect": "lower by 5%"}]],
    )
    presets: dict[str, dict[str, Any]] = Field(
        {},
        description="by name, what --preset NAME sets: paths such as measure.learning.seeds, and their values",
        examples=[{"full": {"base.model.hidden_size": 256, "measure.speed.budget": "5 min"}}],
    )
    skip: list[SkipSchema] = Field(
        [],
        description="combinations of levels that are not measured, and why",
        examples=[[{"batching": "packed", "because": "this machine has no time for it"}]],
    )


@lru_cache
def suite_schema(catalog: Catalog) -> type[SuiteSchema]:
    """The schema of a suite, with the kinds of measurement of a catalog."""
    measure: Any = measure_schema(catalog.measures)
    field = SuiteSchema.model_fields["measure"]
    return create_model(
        "SuiteSchema",
        __base__=SuiteSchema,
        __doc__=SuiteSchema.__doc__,
        measure=(measure, Field(description=field.description, examples=field.examples)),
    )


def measure_schema(measures: Mapping[str, Measure]) -> type[BaseModel]:
    """The schema of the section `measure`: a field for each kind of measurement, in their order, then `limit`."""
    fields: dict[str, Any] = {
        name: (
            Annotated[one.settings.suite_form(), BeforeValidator(none_is_empty)] | None,
            Field(None, description=one.kind.summary, examples=[dict(one.kind.example)] if one.kind.example else None),
        )
        for name, one in measures.items()
    }
    limit: Any = Field(
        "60 s",
        validate_default=True,
        description="the most time that one step, or building a model, may take",
        examples=["5 min"],
    )
    doc = "What is measured. Verification always is."
    return create_model("MeasureSchema", __base__=_Strict, __doc__=doc, **fields, limit=(Duration, limit))


def json_schema(catalog: Catalog) -> dict[str, Any]:
    """The JSON Schema of a suite, for editors."""
    schema = suite_schema(catalog).model_json_schema(by_alias=True)
    _, levels = schema["properties"]["axes"]["additionalProperties"]["oneOf"]
    levels["additionalProperties"] = {"anyOf": [levels["additionalProperties"], {"type": "null"}]}
    return schema


def forms_at(form: Any, path: typing.Sequence[str | int]) -> Iterator[type[BaseModel]]:
    """The models that may be written at a path of keys and indices below a model or another type."""
    origin, inner = typing.get_origin(form), typing.get_args(form)
    if isinstance(form, type) and issubclass(form, BaseModel):
        if not path:
            yield form
        for name, field in form.model_fields.items():
            if path and path[0] == (field.alias or name):
                yield from forms_at(field.annotation, path[1:])
    elif origin is Annotated:
        yield from forms_at(inner[0], path)
    elif origin in (list, dict) and path:
        yield from forms_at(inner[-1], path[1:])
    elif origin not in (list, dict):
        for one in inner:
            yield from forms_at(one, path)
