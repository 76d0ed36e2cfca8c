"""The form of a suite: what may stand in its YAML. `harness.suite` reads one, editors get it as JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

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

from harness.suite.value_types import (
    AMOUNT,
    Amount,
    Duration,
    LevelNames,
    Modes,
    Named,
    Seeds,
    Share,
    Used,
    nothing_is_empty,
)


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
    | Annotated[
        dict[str, Annotated[PatchSchema, BeforeValidator(nothing_is_empty)]], Field(min_length=1), Tag("levels")
    ],
    Discriminator(_axis_form),
]


def _kind_alone(value: Any) -> Any:
    if isinstance(value, str):
        return {"kind": value}
    if not isinstance(value, dict):
        raise ValueError("it takes a design's name, or a mapping with kind and factors")
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


class SpeedSchema(_Strict):
    """Time of a step, in fresh processes, all levels interleaved."""

    of: Modes = Field(
        "train",
        validate_default=True,
        description="which steps: of training, of inference, or both",
        examples=["train"],
    )
    half_width: Share = Field(
        "1%", validate_default=True, description="wanted half of the 95 % interval", examples=["0.5%"]
    )
    margin: Share = Field("2%", validate_default=True, description="what still counts as equivalent", examples=["5%"])
    budget: Duration = Field(
        "60 s",
        validate_default=True,
        description="time for one block; the first five processes always run",
        examples=["2 min"],
    )
    warm_up: Duration = Field(
        "250 ms", validate_default=True, description="least time one process warms each level up", examples=["1 s"]
    )
    seconds: Duration = Field(
        "500 ms", validate_default=True, description="least time one process measures each level", examples=["1 s"]
    )
    visits: int = Field(5, ge=5, description="least visits of each batch in one process", examples=[10])
    batches: int = Field(8, ge=1, description="batches of the work set", examples=[16])
    cache: Literal["warm", "cold"] = Field(
        "warm", description="cold: before each sample, the last cache is overwritten", examples=["cold"]
    )


_AS_SPEED = "train, inference, or both; what speed times where it is not given"


class MemorySchema(_Strict):
    """Memory that a step takes, after the clock: peaks by torch's allocator, what backward keeps, the resident rise."""

    of: Modes | None = Field(None, description=_AS_SPEED, examples=[["train", "inference"]])


class CostSchema(_Strict):
    """What a step computes, after the clock: operations, page faults, subnormal numbers, cold start."""

    of: Modes | None = Field(None, description=_AS_SPEED, examples=["inference"])


class ProfileSchema(_Strict):
    """The work set under torch.profiler, after the clock and in processes of its own: why is one slower?"""

    of: Modes | None = Field(None, description=_AS_SPEED, examples=["train"])
    steps: int = Field(3, ge=1, le=50, description="how many steps the trace holds, at most", examples=[5])


class LearningSchema(_Strict):
    """Training under several seeds, judged on held-out examples: does it learn better?"""

    seeds: Seeds = Field(
        10, validate_default=True, description="how many, or which; at least five for a verdict", examples=[20]
    )
    steps: int | None = Field(
        None, ge=1, description="training steps of a run; or give epochs, or seconds", examples=[600]
    )
    epochs: float | None = Field(None, gt=0, description="passes over the training examples", examples=[3])
    seconds: Duration | None = Field(
        None, description="training time; such runs do not repeat to the bit", examples=["2 min"]
    )
    evaluations: int = Field(
        20, ge=1, le=1000, description="how often a run is evaluated, evenly; and before it", examples=[10]
    )
    metric: str = Field(
        "loss",
        description="the score that decides: loss, one that the dataset gives, or the mean of one over the run",
        examples=["accuracy", "mean_loss"],
    )
    margin: Amount | None = Field(
        None, description="what still counts as equal: 1 point, or 2% of a loss", examples=["1 point"]
    )
    target: float | None = Field(
        None, description="a value of the metric; how long until a run reaches it?", examples=[0.8]
    )
    explodes: float = Field(100.0, gt=1, description="a loss of so many times the first has diverged", examples=[10])
    checkpoint: Duration = Field(
        "60 s", validate_default=True, description="how often a run is saved, to be taken up again", examples=["5 min"]
    )

    @model_validator(mode="after")
    def _one_length(self) -> LearningSchema:
        if sum(length is not None for length in (self.steps, self.epochs, self.seconds)) != 1:
            raise ValueError("it takes one of steps, epochs and seconds: how long a run trains")
        return self


class HealthSchema(_Strict):
    """A short training run looked at closely: gradients by time lag, gates, clipping. Never with a clock."""

    steps: int = Field(200, ge=1, description="training steps of the run", examples=[600])
    looks: int = Field(5, ge=1, le=100, description="how often the model is looked into on the way", examples=[10])


class MeasureSchema(_Strict):
    """What is measured. Verification always is."""

    speed: Annotated[SpeedSchema, BeforeValidator(nothing_is_empty)] | None = Field(
        None,
        description="time a step",
        examples=[{"of": ["train", "inference"], "half_width": "1%", "margin": "2%", "budget": "2 min"}],
    )
    memory: Annotated[MemorySchema, BeforeValidator(nothing_is_empty)] | None = Field(
        None, description="what a step takes of memory", examples=[{"of": "train"}]
    )
    cost: Annotated[CostSchema, BeforeValidator(nothing_is_empty)] | None = Field(
        None, description="what a step computes", examples=[{"of": "train"}]
    )
    profile: Annotated[ProfileSchema, BeforeValidator(nothing_is_empty)] | None = Field(
        None, description="where the time goes", examples=[{"steps": 5}]
    )
    learning: Annotated[LearningSchema, BeforeValidator(nothing_is_empty)] | None = Field(
        None,
        description="what is learned, over seeds",
        examples=[{"seeds": 10, "steps": 600, "metric": "accuracy", "margin": "1 point"}],
    )
    health: Annotated[HealthSchema, BeforeValidator(nothing_is_empty)] | None = Field(
        None, description="how a model fares while it trains", examples=[{"steps": 600, "looks": 10}]
    )
    limit: Duration = Field(
        "60 s",
        validate_default=True,
        description="the most one step, or building a model, may take",
        examples=["5 min"],
    )


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
    measure: MeasureSchema = Field(
        description="what is measured, each measure with its settings", examples=[{"speed": {}, "memory": {}}]
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


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a suite, for editors."""
    schema = SuiteSchema.model_json_schema(by_alias=True)
    _, levels = schema["properties"]["axes"]["additionalProperties"]["oneOf"]
    levels["additionalProperties"] = {"anyOf": [levels["additionalProperties"], {"type": "null"}]}  # nothing is empty
    return schema
