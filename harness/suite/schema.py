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

from harness.plugins.catalog import Catalog, Measure
from harness.records.value_types import AMOUNT, Duration
from harness.suite.value_types import LevelNames, Named, Used, none_is_empty


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PatchSchema(_Strict):
    """One complete trial as `base`, or what a level changes in it. A parameter set to ~ goes back to its default."""

    model: Named | None = Field(
        None,
        description="a model's name, or name and parameters; another name keeps the parameters of the base",
        examples=[{"name": "lstm", "hidden_size": 64}],
    )
    dataset: Named | None = Field(
        None,
        description="a dataset's name, or name and parameters; batch_size is one of every dataset",
        examples=[{"name": "reviews", "batch_size": 32}],
    )
    use: list[Used] = Field(
        [],
        description="optimizations, applied left to right; one of the same name is merged",
        examples=[["adam", {"name": "clip", "max_norm": 1.0}]],
    )
    drop: list[str] = Field([], description="optimizations of the base that a level leaves out", examples=[["adam"]])
    seed: int | None = Field(
        None,
        ge=0,
        description="what draws the work set, the weights and the order; 0 where nothing is said",
        examples=[1],
    )
    device: str | None = Field(
        None, description="where it computes: cpu, cuda or cuda:1; cpu where nothing is said", examples=["cuda"]
    )


class PathSchema(_Strict):
    """Shorthand for an axis that varies one value."""

    path: str = Field(
        description="where the value stands, from the base: model.hidden_size, dataset.mean, use.clip.max_norm",
        examples=["model.hidden_size"],
    )
    values: list[Any] = Field(
        min_length=1, description="the values it takes; each is also its level's name", examples=[[32, 64, 128]]
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
    """Which combinations of the axes are measured together, and what is asked of them."""

    kind: Literal["grid", "leave-one-out", "mirror", "factorial"] = Field(
        description="which combinations: all of a grid, or those that the effects of factors are estimated from",
        examples=["factorial"],
    )
    factors: list[str] | None = Field(
        None,
        min_length=1,
        description="the axes that are factors, each of two levels, off and then on; all axes where they are not named",
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
    """Which axis is compared, and with which of its levels the others are."""

    axis: str = Field(description="the axis whose levels are compared; the others are contexts", examples=["batching"])
    baseline: str = Field(description="the level that the others are held against", examples=["padded"])


def _expectation(value: Any) -> Any:
    if isinstance(value, str) and value.strip() == "equal":
        raise ValueError("equal needs a margin, as in: equal within 2%, or: equal within 1 point")
    return value


class ClaimSchema(_Strict):
    """A sentence that an interval settles, or a number that is exact."""

    says: str = Field(description="the claim as a sentence", examples=["Packing speeds up training"])
    level: str | None = Field(None, description="a level of the compared axis", examples=["packed"])
    effect: str | None = Field(
        None,
        description="in an ablation design: a factor, or two with an x between them",
        examples=["clipping x bucketing"],
    )
    metric: str = Field(
        "step_time",
        description="a time, a score, or an exact resource such as kept_bytes",
        examples=["forward_time", "kept_bytes/tokens"],
    )
    of: Literal["train", "inference", "learning"] | None = Field(
        None, description="the mode it is about, where more than one is measured", examples=["train"]
    )
    along: str | None = Field(
        None,
        description="an axis whose levels are numbers; the claim is about the exponent by which the metric grows",
        examples=["length"],
    )
    where: dict[str, LevelNames] = Field(
        {}, description="axis: level; the contexts it speaks of", examples=[{"cell": ["lstm", "gru"]}]
    )
    inside: Literal["all", "any"] = Field(
        "all", alias="in", description="whether it is claimed of all of these contexts, or of any", examples=["any"]
    )
    expect: Annotated[str, BeforeValidator(_expectation)] = Field(
        description="lower, higher, better or worse, with or without by 5% (or by 1 point), or equal within 2%",
        pattern=rf"^(lower|higher|better|worse)( by {AMOUNT})?$|^equal within {AMOUNT}$",
        examples=["lower by 5%", "equal within 1 point"],
    )


class SkipSchema(BaseModel):
    """Levels, by axis, that are not measured together, and why."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, LevelNames] = Field(init=False)
    because: str = Field(description="the reason, shown in every report", examples=["the loop takes an hour"])


class SuiteSchema(_Strict):
    """A question, a base, what varies, what is measured and what is claimed."""

    question: str = Field(
        min_length=1, description="what the suite asks, in one sentence", examples=["Does packing pay?"]
    )
    base: PatchSchema = Field(
        description="one complete trial, which every level patches",
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
        description="what varies, by name: levels by name, or a path with values",
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
        description="what is compared with what; an ablation design has none",
        examples=[{"axis": "batching", "baseline": "padded"}],
    )
    design: Design = Field(
        "grid",
        validate_default=True,
        description="grid compares the levels of one axis; the others estimate effects of factors, "
        "which are axes of two levels: off, then on",
        examples=["mirror"],
    )
    #: Its fields are those of `measure_schema`.
    measure: dict[str, Any] = Field(
        description="what is measured, each kind of measurement with its settings",
        examples=[{"speed": {}, "memory": {}}],
    )
    claims: list[ClaimSchema] = Field(
        [],
        description="what the suite claims, to be settled; all of them are one family (Holm)",
        examples=[[{"says": "Packing speeds up training", "level": "packed", "expect": "lower by 5%"}]],
    )
    presets: dict[str, dict[str, Any]] = Field(
        {},
        description="by name, what --preset NAME overrides: paths such as measure.learning.seeds, and values",
        examples=[{"full": {"base.model.hidden_size": 256, "measure.speed.budget": "5 min"}}],
    )
    skip: list[SkipSchema] = Field(
        [],
        description="levels that are not measured together, and why",
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
            Annotated[one.settings, BeforeValidator(none_is_empty)] | None,
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
