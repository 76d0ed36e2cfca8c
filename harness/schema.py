"""The form of a suite: what may stand in its YAML. `harness.suite` reads one, editors get it as JSON Schema."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)


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


def _amount(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(AMOUNT, value.strip()):
        return value.strip()
    raise ValueError("it takes an amount such as 2% of a loss, or 1 point of an accuracy (a hundredth)")


def _seeds(value: Any) -> list[int]:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return list(range(value))
    whole = isinstance(value, list) and all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in value)
    if whole and value and len(set(value)) == len(value):
        return list(value)
    raise ValueError("it takes how many seeds, such as 10, or a list of different whole numbers")


def _nothing_is_empty(value: Any) -> Any:
    return {} if value is None else value


def _one_is_a_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


#: A number with what it counts: shares of a ratio, or hundredths of a difference.
AMOUNT = r"([0-9]+\.?[0-9]*|\.[0-9]+) ?(%|points?)"
Amount = Annotated[str, BeforeValidator(_amount), WithJsonSchema({"type": "string", "pattern": f"^{AMOUNT}$"})]
Seeds = Annotated[
    list[int],
    BeforeValidator(_seeds),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}),
]
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


def _kind_alone(value: Any) -> Any:
    if isinstance(value, str):
        return {"kind": value}
    if not isinstance(value, dict):
        raise ValueError("it takes a design's name, or a mapping with kind and factors")
    return value


_DESIGNS = ["grid", "leave-one-out", "mirror", "factorial"]


class DesignSchema(_Strict):
    """Which combinations of the axes are measured together, and what is asked of them."""

    kind: Literal["grid", "leave-one-out", "mirror", "factorial"]
    factors: list[str] | None = Field(None, min_length=1)


Design = Annotated[
    DesignSchema,
    BeforeValidator(_kind_alone),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": _DESIGNS},
                {
                    "type": "object",
                    "properties": {
                        "kind": {"enum": _DESIGNS},
                        "factors": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    },
                    "required": ["kind"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class CompareSchema(_Strict):
    """Which axis is compared, and with which of its levels the others are."""

    axis: str
    baseline: str


Modes = Annotated[list[Literal["train", "inference"]], BeforeValidator(_one_is_a_list), Field(min_length=1)]


class SpeedSchema(_Strict):
    """Time of a step, in fresh processes, all levels interleaved."""

    of: Modes = Field(["train"], description="train, inference, or a list of both")
    half_width: Share = Field(0.01, description="wanted half of the 95 % interval")
    margin: Share = Field(0.02, description="what still counts as equivalent")
    budget: Duration = Field(60.0, description="time for one block; the first five processes always run")
    warm_up: Duration = Field(0.25, description="least time one process warms each level up")
    seconds: Duration = Field(0.5, description="least time one process measures each level")
    visits: int = Field(5, ge=5, description="least visits of each batch in one process")
    batches: int = Field(8, ge=1, description="batches of the work set")
    cache: Literal["warm", "cold"] = Field(
        "warm", description="cold: before each sample, the last cache is overwritten"
    )


class MemorySchema(_Strict):
    """Memory that a step takes, after the clock: peaks by torch's allocator, what backward keeps, the resident rise."""

    of: Modes | None = Field(None, description="train, inference, or both; what speed times where it is not given")


class CostSchema(_Strict):
    """What a step computes, after the clock: operations, page faults, subnormal numbers, cold start."""

    of: Modes | None = Field(None, description="train, inference, or both; what speed times where it is not given")


class ProfileSchema(_Strict):
    """The work set under torch.profiler, after the clock and in processes of its own: why is one slower?"""

    of: Modes | None = Field(None, description="train, inference, or both; what speed times where it is not given")
    steps: int = Field(3, ge=1, le=50, description="how many steps the trace holds, at most")


class LearningSchema(_Strict):
    """Training under several seeds, judged on held-out examples: does it learn better?"""

    seeds: Seeds = Field(list(range(10)), description="how many, or which; at least five for a verdict")
    steps: int | None = Field(None, ge=1, description="training steps of a run; or give epochs, or seconds")
    epochs: float | None = Field(None, gt=0, description="passes over the training examples")
    seconds: Duration | None = Field(None, description="training time; such runs do not repeat to the bit")
    evaluations: int = Field(20, ge=1, le=1000, description="how often a run is evaluated, evenly; and before it")
    metric: str = Field("loss", description="the score that decides: loss, or one that the dataset gives")
    margin: Amount | None = Field(None, description="what still counts as equal: 1 point, or 2% of a loss")
    target: float | None = Field(None, description="a value of the metric; how long until a run reaches it?")
    explodes: float = Field(100.0, gt=1, description="a loss of so many times the first has diverged")
    checkpoint: Duration = Field(60.0, description="how often a run is saved, to be taken up again")

    @model_validator(mode="after")
    def _one_length(self) -> LearningSchema:
        if sum(length is not None for length in (self.steps, self.epochs, self.seconds)) != 1:
            raise ValueError("it takes one of steps, epochs and seconds: how long a run trains")
        return self


class HealthSchema(_Strict):
    """A short training run looked at closely: gradients by time lag, gates, clipping. Never with a clock."""

    steps: int = Field(200, ge=1)
    looks: int = Field(5, ge=1, le=100, description="how often the model is looked into on the way")


class MeasureSchema(_Strict):
    """What is measured. Verification always is."""

    speed: Annotated[SpeedSchema, BeforeValidator(_nothing_is_empty)] | None = None
    memory: Annotated[MemorySchema, BeforeValidator(_nothing_is_empty)] | None = None
    cost: Annotated[CostSchema, BeforeValidator(_nothing_is_empty)] | None = None
    profile: Annotated[ProfileSchema, BeforeValidator(_nothing_is_empty)] | None = None
    learning: Annotated[LearningSchema, BeforeValidator(_nothing_is_empty)] | None = None
    health: Annotated[HealthSchema, BeforeValidator(_nothing_is_empty)] | None = None
    limit: Duration = Field(60.0, description="the most one step, or building a model, may take")


def _expectation(value: Any) -> Any:
    if isinstance(value, str) and value.strip() == "equal":
        raise ValueError("equal needs a margin, as in: equal within 2%, or: equal within 1 point")
    return value


class ClaimSchema(_Strict):
    """A sentence that an interval settles, or a number that is exact."""

    says: str
    level: str | None = Field(None, description="a level of the compared axis")
    effect: str | None = Field(None, description="in an ablation design: a factor, or two with an x between them")
    metric: str = Field("step_time", description="a time, a score, or an exact resource such as kept_bytes")
    of: Literal["train", "inference", "learning"] | None = None
    along: str | None = Field(
        None, description="an axis whose levels are numbers; the claim is about the exponent by which the metric grows"
    )
    where: dict[str, LevelNames] = Field({}, description="axis: level; the contexts it speaks of")
    inside: Literal["all", "any"] = Field("all", alias="in")
    expect: Annotated[str, BeforeValidator(_expectation)] = Field(
        description="lower, higher, better or worse, with or without by 5% (or by 1 point), or equal within 2%",
        pattern=rf"^(lower|higher|better|worse)( by {AMOUNT})?$|^equal within {AMOUNT}$",
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
    compare: CompareSchema | None = None
    design: Design = Field(
        DesignSchema(kind="grid", factors=None),
        description="grid compares the levels of one axis; the others estimate effects of factors, "
        "which are axes of two levels: off, then on",
    )
    measure: MeasureSchema
    claims: list[ClaimSchema] = []
    presets: dict[str, dict[str, Any]] = Field(
        {}, description="by name, what --preset NAME overrides: paths such as measure.learning.seeds, and values"
    )
    skip: list[SkipSchema] = []


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a suite, for editors."""
    return SuiteSchema.model_json_schema(by_alias=True)
