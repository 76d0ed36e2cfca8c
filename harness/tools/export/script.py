"""The script of a trial: the code of its parts, its batches, and the values of its steps in the harness."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import UserError
from harness.measure.runtime import machine
from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.dtypes import dtype_of, floats_as
from harness.measure.runtime.replay import Replay, replay, work_batches
from harness.measure.runtime.tensor_text import replace_large
from harness.modes import PREPARED, step_name
from harness.plugins.catalog import Catalog, Entry
from harness.plugins.isolation import user_errors
from harness.plugins.parts import Dataset, Model, Optimization, Skip
from harness.records.plan import THREADS, Block, Plan, Spec, Trial
from harness.tools.export.literals import LiteralWriter
from harness.tools.export.modules import Definition, Origin, included_modules, origin_of, origin_of_part
from harness.tools.export.names import Imported
from harness.tools.export.slicing import Slice, Slicer
from harness.tools.export.trials import trial_path
from harness.tools.rendering import literal, rendered

#: The batches may take so many characters, except that there is at least one.
BATCH_CHARACTERS = 40_000
#: If one batch takes more than this, its large tensors of floating-point numbers are replaced by random ones.
MAX_CHARACTERS = 256 * 1024

#: The seams that a training step uses, and those that a prediction uses.
TRAINING_SEAMS = {"build", "init", "optimizer", "forward", "backward", "update", "step"}
PREDICTION_SEAMS = {"build", "init", "evaluate"}
#: Those that are not used any more once there are batches.
BATCH_SEAMS = {"order", "collate"}

#: The functions of the harness that a script includes.
DEFAULTS = {name: Definition("harness.measure.runtime.builder", name) for name in ("update", "step")}
TRAINING_STEP = Definition("harness.measure.runtime.replay", "training_step")
INFERENCE_STEP = Definition("harness.measure.runtime.replay", "inference_step")
RECIPE = Definition("harness.plugins.recipe", "Recipe")
RANDOM_TENSOR = Definition("harness.measure.runtime.tensor_text", "random_tensor")
UNPACK_TENSORS = Definition("harness.measure.runtime.tensor_text", "unpack_tensors")

#: The names that the template itself uses, and those that it imports.
RESERVED = frozenset(
    {
        "DATA", "DEVICE", "EXPECTED", "FAILURE", "ROWS", "Recipe", "SEED", "TENSORS", "THREADS", "build_trial",
        "dataset_facts", "device", "embedded_batches", "main", "model", "recipe", "time_steps",
    }
)  # fmt: skip
IMPORTS = (
    *map(Imported, ("argparse", "platform", "statistics", "time", "torch")),
    Imported("types", "SimpleNamespace"), Imported("typing", "Any"),
)  # fmt: skip


@dataclass(frozen=True)
class ExportedTrial:
    """The trial to export, its mode, and sentences on what was measured of it."""

    plan: Plan
    block: Block
    trial: Trial
    mode: str
    measured: Sequence[str] = ()

    @property
    def path(self) -> str:
        """Its level after the levels of its context."""
        return trial_path(self.block, self.trial)

    @property
    def parts(self) -> str:
        """Its parts in one line."""
        used = ", ".join(spec.name for spec in self.trial.use)
        return f"{self.trial.model.name} on {self.trial.dataset.name}{f' with {used}' if used else ''}"

    @property
    def trains(self) -> bool:
        """Whether a step is a training step, not a prediction."""
        return self.mode == "train"

    @property
    def step(self) -> str:
        """What one step is."""
        return step_name(self.mode)

    @property
    def threads(self) -> int:
        """The number of threads that it computes on."""
        return int(self.trial.environment.get(THREADS, 1))

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that must be set before its process starts."""
        return {name: value for name, value in self.trial.environment.items() if name != THREADS}


@dataclass(frozen=True)
class Script:
    """The text of a script, and the facts of the machine that wrote it. `replay` is None if the trial did not run here.
    `needs` are the packages that it imports; the code of the `included` ones is in the script."""

    text: str
    replay: Replay | None
    facts: dict[str, Any]
    needs: str
    included: tuple[str, ...]

    @property
    def failure(self) -> str:
        """Why the trial failed in the harness; empty if it did not."""
        return self.replay.failure if self.replay else ""


def mode_of(block: Block, trial: Trial, catalog: Catalog, wanted: str | None) -> str:
    """The mode to export: `wanted`, or the first mode that is measured, or training if there is an optimizer. Raises
    UserError for training without an optimizer."""
    trains = any(catalog.find(Optimization, spec.name).part.role == "optimizer" for spec in trial.use)
    mode = wanted or next(iter(block.measures.modes), "train" if trains else "inference")
    if mode == "train" and not trains:
        raise UserError(
            f"{trial_path(block, trial)} has no optimizer, so it does not train.", fix="Try --mode inference."
        )
    return mode


def make_script(
    catalog: Catalog, exported: ExportedTrial, *, whole: bool = False, characters: int = BATCH_CHARACTERS
) -> Script:
    """Run some steps of the trial and write the script that repeats them. `whole` keeps all methods of classes. Raises
    UserError if the trial cannot run on this machine, or if its code cannot be exported."""
    builder, trial = TrialBuilder(catalog), exported.trial
    facts = machine.describe()
    with user_errors(f"the batches of {exported.path} cannot be made"):  # a dataset may raise anything
        try:
            batches = work_batches(builder, exported.block, trial)
        except Skip as skip:
            raise UserError(f"{exported.path} cannot run here: {skip}.") from skip
    writer = ScriptWriter(catalog, builder, exported, facts, whole)
    writer.choose_batches(batches, characters)
    done = None
    if trial.device == "cpu" or facts["gpus"]:
        done = replay(builder, trial, writer.batches, exported.mode, exported.block.measures.limit)
        if done.skipped:
            raise UserError(f"{exported.path} cannot run here: {done.skipped}.")
        if done.input_dtype:
            writer.batches = [floats_as(batch, dtype_of(done.input_dtype)) for batch in writer.batches]
    text, needs = writer.text(done)
    return Script(text, done, facts, needs, tuple(sorted(writer.modules.packages)))


@dataclass
class ScriptWriter:
    """Writes one script."""

    catalog: Catalog
    builder: TrialBuilder
    exported: ExportedTrial
    facts: dict[str, Any]
    whole: bool
    batches: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        trial = self.exported.trial
        self.recipe = self.builder.recipe(trial)
        self.model = self.catalog.find(Model, trial.model.name)
        self.used = [(spec, self.catalog.find(Optimization, spec.name)) for spec in trial.use if self.is_needed(spec)]
        entries = [self.model, self.catalog.find(Dataset, trial.dataset.name), *(entry for _, entry in self.used)]
        self.modules = included_modules(self.catalog, entries)
        #: Names are chosen when all code is known. Until then the text has the index of the origin in their place.
        self.origins: list[Origin] = []
        self.literals = LiteralWriter(lambda kind, what: self.name(origin_of(self.modules, kind, what)))

    def is_needed(self, spec: Spec) -> bool:
        """Whether the script needs an optimization. If not, a note says why."""
        changed = {seam for seam, changes in self.recipe.changes.items() if any(c.by == spec.name for c in changes)}
        if changed & (TRAINING_SEAMS if self.exported.trains else PREDICTION_SEAMS) or any(
            seam.startswith("model.") for seam in changed
        ):
            return True
        why = f"it does not change {self.exported.step}"
        if changed & BATCH_SEAMS:
            why = "it only shapes the batches"
        elif self.catalog.find(Optimization, spec.name).part.environment:
            why = "it acts before the process starts, by threads or environment variables"
        self.notes.append(f"{spec.name} is left out: {why}.")
        return False

    def name(self, origin: Origin) -> str:
        """The place of a name that is not chosen yet."""
        if origin not in self.origins:
            self.origins.append(origin)
        return f"\0{self.origins.index(origin)}\0"

    def choose_batches(self, batches: Sequence[Any], characters: int) -> None:
        """Choose the first batches that fit, and replace numbers by random ones if one batch is too large."""
        what = f"a batch of {self.exported.trial.dataset.name}"

        def size() -> int:
            literals = LiteralWriter(self.literals.name_of, random=self.literals.random)
            return sum(len(literals.write(batch, what)) for batch in self.batches) + len(literals.text())

        self.batches = list(batches)
        while len(self.batches) > 1 and size() > characters:
            self.batches.pop()
        if len(self.batches) < len(batches):
            self.notes.append(f"To save space, only the first of the {len(batches)} batches of the work set are here.")
        if size() > MAX_CHARACTERS:
            self.batches = [replace_large(batch, self.literals.random) for batch in self.batches]
            self.notes.append("Large tensors in the batches have random numbers instead of those of the dataset.")
            if (found := size()) > MAX_CHARACTERS:
                raise UserError(
                    f"one batch of {self.exported.path} takes {found // 1024} KB, which is too much for a script.",
                    fix="Export it from a suite with --set base.dataset.batch_size=N.",
                )

    def text(self, done: Replay | None) -> tuple[str, str]:
        """The script, and the packages that it needs."""
        exported, trial, literals = self.exported, self.exported.trial, self.literals
        failure, values = (done.failure, done.values) if done else ("", ())
        if literals.random:
            literals.random_tensor = self.name(RANDOM_TENSOR)
        content = {
            "threads": exported.threads,
            "seed": trial.seed,
            "device": trial.device,
            "environment": exported.environment,
            "noun": "loss" if exported.trains else "mean magnitude",
            "failure": failure,
            "expected": wrapped(f"EXPECTED = {literals.write(list(values), '')}", indent=4),
            "facts": literals.write(self.builder.data(trial.dataset).facts, f"the facts of {trial.dataset.name}"),
            "batches": [literals.write(batch, f"a batch of {trial.dataset.name}") for batch in self.batches],
            "uses": [self.call(entry, spec, f"recipe.as_used_by({literal(spec.name)})") for spec, entry in self.used],
            "model": self.call(self.model, trial.model, "dataset_facts()"),
            "changed": set(self.recipe.changes),
            "methods": self.recipe.of_model(),
            "functions": self.functions(),
            "mode": exported.mode,
            "prepared": exported.mode in PREPARED,
            "what": exported.step,
            "step": self.name(TRAINING_STEP if exported.trains else INFERENCE_STEP),
            "rows": literals.rows(),
            "data": literals.text(),
            "unpack_tensors": self.name(UNPACK_TENSORS) if literals.tensors else "",
        }
        code = self.slice()
        modules = imported_modules(f"{code.imports}\n{code.code}")
        needs = self.packages(modules)
        content["generators"] = sorted({"numpy", "random"} & modules)
        header = self.header(done, needs)
        own = [(origin.attribute or origin.module, code.names[origin]) for origin in self.imports()]
        imports = code.imports + "".join(f"\n{name} = {here}" for name, here in own if name != here)
        text = rendered("harness.tools.export", "script.py", header=header, imports=imports, code=code.code, **content)
        return re.sub("\0(\\d+)\0", lambda match: code.names[self.origins[int(match[1])]], text), needs

    def imports(self) -> list[Imported]:
        """What the template imports."""
        environment = [Imported("os")] if self.exported.environment else []
        return [*IMPORTS, *environment, *([Imported("types", "MethodType")] if self.recipe.of_model() else [])]

    def slice(self) -> Slice:
        """The code of everything that the script names."""
        mentioned = {"to", "loss" if self.exported.trains else "predict", *self.recipe.of_model()}
        slicer = Slicer(self.modules, {RECIPE: "Recipe"}, RESERVED, mentioned, self.whole)
        return slicer.slice([*self.origins, *self.imports()])

    def call(self, entry: Entry, spec: Spec, first: str) -> str:
        """The call of a part's code with its parameters."""
        arguments = (
            f", {name}={self.literals.write(value, f'parameter {name} of {spec.name}')}"
            for name, value in spec.parameters.items()
        )
        return f"{self.name(origin_of_part(self.modules, entry))}({first}{''.join(arguments)})"

    def functions(self) -> dict[str, str]:
        """The functions of a step, as the optimizations changed them."""
        if not self.exported.trains:
            functions = {"evaluate": "lambda model, batch: model.predict(batch)"}
        else:
            functions = {
                "optimizer": "lambda model: None",
                "forward": "lambda model, batch: model.loss(batch)",
                "backward": "lambda model, loss: loss.backward()",
            }
            for seam, origin in DEFAULTS.items():
                replaced = any(change.how == "replace" for change in self.recipe.changes.get(seam, ()))
                functions[seam] = "None" if replaced else self.name(origin)
        for seam in functions.keys() & self.recipe.changes.keys():
            functions[seam] = f'recipe.seam("{seam}", {functions[seam]})'
        if "optimizer" in functions:
            is_built = "optimizer" in self.recipe.changes
            functions["optimizer"] = f"{functions['optimizer']}(model)" if is_built else "None"
        return functions

    def header(self, done: Replay | None, needs: str) -> list[str]:
        """The comment at the top: what the script is, where it comes from, and what to expect."""
        exported, facts = self.exported, self.facts
        versions = [f"{name} {version}" for name, version in facts["packages"].items() if name != "torch"]
        plugins = {f"{spec.plugin} {spec.version}" for spec in (exported.trial.model, *(s for s, _ in self.used))}
        variables = "".join(f"{name}={value} " for name, value in exported.environment.items())
        if done is None:
            expected = f"not known, since there was no {exported.trial.device} where it was exported"
        elif done.failure:
            expected = f"a failure. In the harness it was: {done.failure}"
        else:
            expected = "the values in EXPECTED, which each step prints beside its own"
        rows = [
            ("Trial", f"{exported.trial.id}: {exported.parts}, {exported.step}"),
            ("Suite", f"{exported.plan.suite}, {exported.path}"),
            ("Question", exported.plan.question),
            ("Exported", f"from {', '.join([*versions, *sorted(plugins - set(versions))])}"),
            ("On", f"torch {facts['torch']}, Python {facts['python']}, {facts['platform']}, {facts['processor']}"),
            ("Run", f"{variables}python THIS_FILE [--steps N] [--time N] [--threads N] [--device DEVICE]"),
            ("Needs", needs),
            ("Expect", expected),
            *(("Measured", line) for line in exported.measured),
            *(("Note", note) for note in self.notes),
        ]
        lines = ["One trial of a benchmark in one file. It needs no harness, no plugin and no data.", ""]
        for name, text in rows:
            lines += wrapped(f"{name:<10}{' '.join(text.split())}", indent=10).splitlines()
        return lines

    def packages(self, modules: set[str]) -> str:
        """The packages among the modules that the code imports. Raises UserError if one of them should be in the
        script."""
        packages = sorted(modules - set(sys.stdlib_module_names))
        if included := [package for package in packages if self.modules.is_included(package)]:
            what = f"the script of {self.exported.path} would import {', '.join(included)}, so it cannot be exported."
            raise UserError(what)
        return ", ".join(packages)


def imported_modules(text: str) -> set[str]:
    """The names of the top modules that code imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def wrapped(text: str, indent: int) -> str:
    """A text in lines of a script; all but the first are indented."""
    return textwrap.fill(text, 116, subsequent_indent=" " * indent, break_on_hyphens=False)
