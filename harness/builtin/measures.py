"""The kinds of measurement that the core brings. Their code is named by reference and imported when it is used."""

from __future__ import annotations

from collections.abc import Iterator

from harness.plugins.kinds import MeasureKind, Quantity, Stage

PHASES = ("collate", "forward", "backward", "update")
TRAIN = frozenset({"train"})
SETTINGS = "harness.records.settings:"
CODE = "harness.measure.kinds."


def kinds() -> Iterator[MeasureKind]:
    """All of them, in the order in which tables show them."""
    yield MeasureKind(
        "speed", CODE + "speed:measure_speed", "time of a step",
        settings=SETTINGS + "Speed", placement="together", more="harness.analysis.stopping:another_process",
        estimate="harness.plan.estimate:speed_seconds",
        example={"of": ["train", "inference"], "half_width": "1%", "margin": "2%", "budget": "2 min"},
    )  # fmt: skip
    yield MeasureKind(
        "memory", CODE + "memory:measure_memory", "memory that a step takes",
        settings="harness.builtin.memory:Memory",
        stages=(Stage("resident", CODE + "memory:measure_resident", processes=3),), quantities=memory_quantities(),
        analyse="harness.builtin.memory:analyse", section="harness.builtin.memory:section", example={"of": "train"},
    )  # fmt: skip
    yield MeasureKind(
        "cost", CODE + "cost:measure_cost", "operations of a step, and the cost of a start",
        settings="harness.builtin.cost:Cost",
        stages=(Stage("cold", CODE + "cost:measure_cold", processes=3),), quantities=cost_quantities(),
        analyse="harness.builtin.cost:analyse", section="harness.builtin.cost:section", example={"of": "train"},
    )  # fmt: skip
    yield MeasureKind(
        "profile", CODE + "profile:profile_trial", "where the time of a step goes",
        settings=SETTINGS + "Profile", example={"steps": 5},
    )  # fmt: skip
    yield MeasureKind(
        "health", CODE + "health:measure_health", "gradients, clipping and gates during a short training run",
        settings="harness.builtin.health:Health", estimate=5.0, section="harness.builtin.health:section",
        example={"steps": 600, "looks": 10},
    )  # fmt: skip
    yield MeasureKind(
        "learning", CODE + "learning:learn", "how well a level learns, over seeds",
        settings=SETTINGS + "Learning", placement="per_seed", estimate="harness.plan.estimate:learning_seconds",
        example={"seeds": 10, "steps": 600, "metric": "accuracy", "margin": "1 point"},
    )  # fmt: skip


def memory_quantities() -> dict[str, Quantity]:
    """What `memory` finds of each trial."""
    return {
        "parameters": Quantity("parameters", judged="exact"),
        "parameter_bytes": Quantity("parameter bytes", "bytes", "exact"),
        "optimizer_bytes": Quantity("optimizer", "bytes", "exact", modes=TRAIN),
        "kept_bytes": Quantity("kept for backward", "bytes", "exact", modes=TRAIN, per_amount="kept", grows=True),
        "peak_bytes": Quantity("peak of a step", "bytes", "exact", per_amount="peak", grows=True),
        **{
            f"{phase}_peak_bytes": Quantity(f"{phase} peak", "bytes", "exact", modes=modes_of(phase))
            for phase in PHASES
        },
        "resident_rise": Quantity("resident", "bytes", "processes"),
    }


def cost_quantities() -> dict[str, Quantity]:
    """What `cost` finds of each trial."""
    return {
        "flops": Quantity("operations per step", "FLOP", "exact", per_amount="operations", grows=True),
        **{
            f"{phase}_flops": Quantity(f"{phase} operations", "FLOP", "exact", modes=modes_of(phase))
            for phase in PHASES
        },
        "flops_per_second": Quantity("FLOP/s", "FLOP/s"),
        "share_of_gemm_peak": Quantity("of GEMM peak", "share"),
        "page_faults": Quantity("page faults per step"),
        "subnormal_share": Quantity("subnormal", "share"),
        "built": Quantity("built", "seconds"),
        "first_step": Quantity("first step", "seconds"),
        "pay_back": Quantity("pays back after", "steps"),
    }


def modes_of(phase: str) -> frozenset[str]:
    """The modes whose steps have a phase."""
    return TRAIN if phase in ("backward", "update") else frozenset({"train", "inference"})
