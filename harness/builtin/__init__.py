"""The core's own plugin. It is found through an entry point, like every other plugin, and does not import torch.

In: the calls of plugin hooks. Out: the parts, commands and kinds of measurement of the core. No package may import this
one.
"""

from collections.abc import Iterator
from typing import Any

import harness
from harness.modes import MODES, PREPARED, PROGRAM

PHASES = ("collate", "forward", "backward", "update")
TRAIN = frozenset({"train"})
SETTINGS = "harness.records.settings:"
CODE = "harness.measure.kinds."
#: The code of experiments, and how their files are read.
EXPERIMENTS, FILE = "harness.measure.runtime.experiments.call:", "harness.plugins.experiment:"


@harness.hookimpl
def provide_models() -> Iterator[harness.Model]:
    """A function of the user, for `harness ab`, and the model of a training script."""
    code = "harness.builtin.functions:"
    yield harness.Model(
        "function", code + "function", "a function of yours, as it is", computes="function",
        implementation=frozenset({"code", "commit"}), origin=code + "origin", load=code + "load", listed=False,
    )  # fmt: skip
    yield harness.Model(
        "experiment", EXPERIMENTS + "build_model", "the model of a training script", offers=frozenset({"forward"}),
        listed=False, origin=FILE + "origin", load=FILE + "load",
    )  # fmt: skip
    yield harness.Model(
        "command", "harness.builtin.programs:command", "a program as it is, in any language", computes="command",
        implementation=frozenset({"run"}), listed=False,
    )  # fmt: skip


@harness.hookimpl
def provide_datasets() -> Iterator[harness.Dataset]:
    """What the functions of `harness ab` are called with, and the data of a training script."""
    code = "harness.builtin.functions:inputs"
    yield harness.Dataset(
        "inputs",
        code,
        "the arguments that a function of yours yields",
        fingerprint=f"{code}_fingerprint",
        listed=False,
    )
    yield harness.Dataset(
        "experiment", EXPERIMENTS + "load_data", "the data of a training script", listed=False, origin=FILE + "origin"
    )
    yield harness.Dataset(PROGRAM, "harness.builtin.programs:program", "what programs print", listed=False)


@harness.hookimpl
def provide_metrics() -> Iterator[harness.Metric]:
    """Time of a step and of its phases."""
    for name, summary in (
        ("step_time", "time of a step, from examples to updated weights"),
        ("collate_time", "time from examples to a batch on the device"),
        ("forward_time", "time from a batch to the loss, or to predictions"),
        ("backward_time", "time from the loss to gradients"),
        ("update_time", "time from gradients to updated weights"),
    ):
        code = f"harness.analysis.samples:{name}"
        yield harness.Metric(name, code, summary, unit="ms", per="sample", scale=1e3, formats=".2f")
    samples = "harness.analysis.samples:"
    yield harness.Metric(
        "cpu_time", samples + "cpu_time", "CPU time of a program and of the processes that it waits for", unit="s",
        per="sample", formats=".3g",
    )  # fmt: skip
    yield harness.Metric(
        "peak_memory", samples + "peak_memory", "the most memory of a program, or of a process that it waits for",
        unit="MiB", per="sample", scale=2.0**-20, formats=".1f",
    )  # fmt: skip


@harness.hookimpl
def provide_reporters() -> Iterator[harness.Reporter]:
    """The formats of a report."""
    for name, code, summary in (
        ("html", "formats.html:write", "report.html: one file to read offline, with plots"),
        ("markdown", "formats.markdown:write", "report.md: everything, with plots where there are any"),
        ("terminal", "formats.terminal:write", "report.txt: all tables as plain text"),
        ("plots", "plots.plots:write", "plots/*: PNG and SVG (needs matplotlib)"),
        ("csv", "rows:write_csv", "tables/*.csv: the findings as numbers, for spreadsheets"),
        ("json", "rows:write_json", "report.json: the findings as numbers, for scripts"),
        ("latex", "formats.latex:write", "tables.tex: every table, for papers"),
        ("junit", "formats.junit:write", "junit.xml: claims and trials as tests, for CI servers"),
        ("github", "formats.github:write", "summary.md: for GitHub Actions, added to the summary of a job that runs"),
        ("tensorboard", "formats.tensorboard:write", "tensorboard/*: curves and parameters (needs tensorboard)"),
    ):
        yield harness.Reporter(name, f"harness.report.{code}", summary)


@harness.hookimpl
def provide_executors() -> Iterator[harness.Executor]:
    """The executors: where blocks are measured."""
    yield harness.Executor("local", "harness.measure.coordinator:execute", "on this machine, one block after another")


@harness.hookimpl(trylast=True)
def run_block(block: Any, done: list[Any], keep: Any, measure: Any) -> bool:
    """Measure the block; others wrap this hook."""
    measure(block, done, keep)
    return True


@harness.hookimpl
def provide_promises() -> Iterator[harness.Promise]:
    """The promises that `harness conform` checks of every part."""
    from harness.builtin.promises import PROMISES

    for module, promises in PROMISES.items():
        for name, of, sentence in promises:
            code = f"harness.testing.{module}:{name.replace('-', '_')}"
            yield harness.Promise(name, code, sentence, of=frozenset(of))


@harness.hookimpl
def provide_measures() -> Iterator[harness.MeasureKind]:
    """The kinds of measurement, in the order in which a report shows them."""
    yield harness.MeasureKind(
        "speed", CODE + "speed:measure_speed", "time of a step",
        settings=SETTINGS + "Speed", placement="together", more="harness.analysis.standing:due_levels",
        estimate="harness.plan.estimates:speed_seconds",
        example={"of": ["train", "inference"], "half_width": "1%", "margin": "2%", "budget": "2 min"},
    )  # fmt: skip
    yield harness.MeasureKind(
        "memory", CODE + "memory:measure_memory", "memory that a step takes",
        settings="harness.builtin.memory:Memory", quantities=memory_quantities(),
        estimate="harness.builtin.memory:seconds",
        stages=(harness.Stage("resident", CODE + "memory:measure_resident", processes=3),),
        analyse="harness.builtin.memory:analyse", section="harness.builtin.memory:section", example={"of": "train"},
    )  # fmt: skip
    yield harness.MeasureKind(
        "cost", CODE + "cost:measure_cost", "operations of a step, and the cost of a start",
        settings="harness.builtin.cost:Cost", quantities=cost_quantities(), estimate="harness.builtin.cost:seconds",
        stages=(harness.Stage("cold", CODE + "cost:measure_cold", processes=3),),
        analyse="harness.builtin.cost:analyse", section="harness.builtin.cost:section", example={"of": "train"},
    )  # fmt: skip
    yield harness.MeasureKind(
        "profile", CODE + "profile:profile_trial", "where the time of a step goes",
        settings=SETTINGS + "Profile", estimate="harness.plan.estimates:profile_seconds", example={"steps": 5},
    )  # fmt: skip
    yield harness.MeasureKind(
        "health", CODE + "health:measure_health", "gradients, clipping and gates during a short training run",
        settings="harness.builtin.health:Health", section="harness.builtin.health:section",
        estimate="harness.builtin.health:seconds",
        example={"steps": 600, "looks": 10},
    )  # fmt: skip
    yield harness.MeasureKind(
        "learning", CODE + "learning:learn", "how well a level learns, over seeds",
        settings=SETTINGS + "Learning", placement="per_seed", estimate="harness.plan.estimates:learning_seconds",
        example={"seeds": 10, "steps": 600, "metric": "accuracy", "margin": "1 point"},
    )  # fmt: skip


@harness.hookimpl
def register_commands() -> Iterator[harness.Command]:
    """The commands of the core and of its tools."""
    from harness.builtin.commands import COMMANDS

    for group, commands in COMMANDS.items():
        for name, code, summary in commands:
            yield harness.Command(name, f"harness.{code}", summary, group=group)


def memory_quantities() -> dict[str, harness.Quantity]:
    """What `memory` finds of each trial."""
    return {
        "parameters": harness.Quantity("parameters", judged="exact"),
        "parameter_bytes": harness.Quantity("parameter bytes", "bytes", "exact"),
        "optimizer_bytes": harness.Quantity("optimizer", "bytes", "exact", modes=TRAIN),
        "kept_bytes": harness.Quantity(
            "kept for backward", "bytes", "exact", modes=TRAIN, per_amount="kept", grows=True
        ),
        "peak_bytes": harness.Quantity("peak of a step", "bytes", "exact", per_amount="peak", grows=True),
        **{
            f"{phase}_peak_bytes": harness.Quantity(f"{phase} peak", "bytes", "exact", modes=modes_of(phase))
            for phase in PHASES
        },
        "resident_rise": harness.Quantity("resident", "bytes", "processes"),
    }


def cost_quantities() -> dict[str, harness.Quantity]:
    """What `cost` finds of each trial."""
    return {
        "flops": harness.Quantity("operations per step", "FLOP", "exact", per_amount="operations", grows=True),
        **{
            f"{phase}_flops": harness.Quantity(f"{phase} operations", "FLOP", "exact", modes=modes_of(phase))
            for phase in PHASES
        },
        "flops_per_second": harness.Quantity("FLOP/s", "FLOP/s"),
        "share_of_gemm_peak": harness.Quantity("of GEMM peak", "share"),
        "page_faults": harness.Quantity("page faults per step"),
        "subnormal_share": harness.Quantity("subnormal", "share"),
        "built": harness.Quantity("built", "seconds"),
        "first_step": harness.Quantity("first step", "seconds"),
        "pay_back": harness.Quantity("pays back after", "steps"),
    }


def modes_of(phase: str) -> frozenset[str]:
    """The modes whose steps have a phase."""
    if phase in ("backward", "update"):
        return TRAIN
    modes = frozenset(MODES) - {PROGRAM}
    return modes - PREPARED if phase == "collate" else modes
