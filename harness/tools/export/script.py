"""The script of a trial: its parts' code, its batches, and what they came to when the harness ran them."""

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
from harness.measure.runtime.failure import reason_of
from harness.measure.runtime.replay import Drawn, Replay, replay, with_drawn, work_batches
from harness.plugins.catalog import Catalog
from harness.plugins.parts import Dataset, Model, Optimization, Skip
from harness.records.plan import THREADS, Block, Plan, Spec, Trial
from harness.tools.export import template
from harness.tools.export.choose import place
from harness.tools.export.literals import Writer, quoted
from harness.tools.export.modules import Outside, Unit
from harness.tools.export.parts import locate, locate_part, modules_of
from harness.tools.export.shake import Meaning, Shaken, Shaker

#: As many batches are embedded as take so many letters; one at least.
ROOM = 40_000
#: Where one batch takes more than this, its large tensors of floating-point numbers are drawn anew.
MOST = 256 * 1024

#: The seams that a step of each mode goes through.
SEAMS = {
    "train": {"build", "init", "optimizer", "forward", "backward", "update", "step"},
    "inference": {"build", "init", "evaluate"},
}
#: Those that have done their work when batches are embedded.
BEFORE = {"order", "collate"}

STEP = Unit("harness.measure.runtime.builder", "step")
UPDATE = Unit("harness.measure.runtime.builder", "update")
MEAN_SIZE = Unit("harness.measure.runtime.replay", "mean_size")
DRAW = Unit("harness.measure.runtime.replay", "draw")
RECIPE = Unit("harness.plugins.parts", "Recipe")


@dataclass(frozen=True)
class Subject:
    """A trial to be exported: where it stands, in which mode it runs, and lines on what was measured of it."""

    plan: Plan
    block: Block
    trial: Trial
    mode: str
    measured: Sequence[str] = ()

    @property
    def place(self) -> str:
        """Where it stands in its suite."""
        return place(self.block, self.trial)

    @property
    def what(self) -> str:
        """Its parts in a line."""
        trial = self.trial
        with_ = f" with {', '.join(spec.name for spec in trial.use)}" if trial.use else ""
        return f"{trial.model.name} on {trial.dataset.name}{with_}"

    @property
    def mode_in_words(self) -> str:
        """Training or inference."""
        return "training" if self.mode == "train" else self.mode

    @property
    def threads(self) -> int:
        """How many threads it computes on."""
        return int(self.trial.environment.get(THREADS, 1))

    @property
    def environment(self) -> dict[str, str]:
        """The variables that must exist before its process does."""
        return {name: value for name, value in self.trial.environment.items() if name != THREADS}


@dataclass(frozen=True)
class Script:
    """The text of an exported script, what the harness saw when it ran the same, and its own facts."""

    text: str
    rehearsal: Replay
    facts: dict[str, Any]
    was_run: bool
    needs: str
    taken_along: tuple[str, ...]

    @property
    def outcome(self) -> str:
        """What running it comes to, in words."""
        if self.rehearsal.failure:
            return "fails, as the trial does"
        return f"takes {len(self.rehearsal.numbers)} steps to the same numbers as the trial"


def mode_of(block: Block, trial: Trial, catalog: Catalog, asked: str | None) -> str:
    """The mode to export: the one asked for, else the first that is measured, else training where there is an
    optimizer. Raises UserError for training without one."""
    trains = any(catalog.find(Optimization, spec.name).part.role == "optimizer" for spec in trial.use)
    mode = asked or next(iter(block.measures.modes), "train" if trains else "inference")
    if mode == "train" and not trains:
        raise UserError(f"{place(block, trial)} has no optimizer, so it does not train.", fix="Try --mode inference.")
    return mode


def make_script(catalog: Catalog, subject: Subject, *, whole: bool = False, room: int = ROOM) -> Script:
    """Run the trial a few steps and write the script that repeats them. `whole` keeps classes whole. Raises UserError
    where the trial cannot run here, or where its code cannot be taken out of its plugin."""
    builder, trial = TrialBuilder(catalog), subject.trial
    facts = machine.describe()
    try:
        batches = work_batches(builder, subject.block, trial)
    except Skip as skip:
        raise UserError(f"{subject.place} cannot run here: {skip}.") from skip
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a dataset or a collate may raise anything
        raise UserError(f"the batches of {subject.place} cannot be made: {reason_of(error)}.") from error
    author = Author(catalog, builder, subject, facts, whole)
    author.embed(batches, room)
    here = trial.device == "cpu" or facts["gpus"]
    rehearsal = replay(builder, trial, author.batches, subject.mode, subject.block.measures.limit) if here else None
    if rehearsal is not None and rehearsal.skipped:
        raise UserError(f"{subject.place} cannot run here: {rehearsal.skipped}.")
    text, needs = author.text(rehearsal)
    return Script(
        text, rehearsal or Replay(), facts, rehearsal is not None, needs, tuple(sorted(author.modules.inside))
    )


@dataclass
class Author:
    """Writes one script."""

    catalog: Catalog
    builder: TrialBuilder
    subject: Subject
    facts: dict[str, Any]
    whole: bool
    batches: list[Any] = field(default_factory=list)
    drawn: dict[int, Drawn] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        trial = self.subject.trial
        self.recipe = self.builder.recipe(trial)
        self.model = self.catalog.find(Model, trial.model.name)
        self.used = [(spec, self.catalog.find(Optimization, spec.name)) for spec in trial.use if self.is_needed(spec)]
        entries = [self.model, self.catalog.find(Dataset, trial.dataset.name), *(entry for _, entry in self.used)]
        self.modules = modules_of(self.catalog, entries)
        #: Names are known when all code is; until then their places are held by numbers.
        self.meanings: list[Meaning] = []
        self.writer = Writer(lambda kind, what: self.hold(locate(self.modules, kind, what)))

    def changed(self, seam: str) -> bool:
        """Whether an optimization has changed a seam."""
        return seam in self.recipe.changes

    def is_needed(self, spec: Spec) -> bool:
        """Whether an optimization has a hand on what the script does; with a note for one that has not."""
        touched = {seam for seam, changes in self.recipe.changes.items() if any(c.by == spec.name for c in changes)}
        if touched & SEAMS[self.subject.mode] or any(seam.startswith("model.") for seam in touched):
            return True
        why = f"has no hand on a step of {self.subject.mode_in_words}"
        if touched & BEFORE:
            why = "has made the batches what they are"
        elif self.catalog.find(Optimization, spec.name).part.environment:
            why = "acts before the process begins, by threads or variables"
        self.notes.append(f"{spec.name} is left out: it {why}.")
        return False

    def hold(self, meaning: Meaning) -> str:
        """A place for the name of something."""
        if meaning not in self.meanings:
            self.meanings.append(meaning)
        return f"\0{self.meanings.index(meaning)}\0"

    def named(self, text: str, names: Shaken) -> str:
        """The text with names in their places."""
        return re.sub("\0(\\d+)\0", lambda match: names.names[self.meanings[int(match[1])]], text)

    def embed(self, batches: Sequence[Any], room: int) -> None:
        """Choose the batches that fit."""
        what = f"a batch of {self.subject.trial.dataset.name}"

        def size(some: Sequence[Any]) -> int:
            writer = Writer(self.writer.name_of, drawn=self.drawn)
            return sum(len(writer.write(batch, what)) for batch in some) + len(writer.text())

        self.batches = list(batches)
        while len(self.batches) > 1 and size(self.batches) > room:
            self.batches.pop()
        if len(self.batches) < len(batches):
            self.notes.append(f"Only the first of the {len(batches)} batches of the work set are here, for brevity.")
        if size(self.batches) > MOST:
            self.batches = [with_drawn(batch, self.drawn) for batch in self.batches]
            self.notes.append("Numbers in the batches are random ones in place of the data set's, which are too many.")
            if (letters := size(self.batches)) > MOST:
                raise UserError(
                    f"one batch of {self.subject.place} takes {letters // 1024} KB, too much for a script.",
                    fix="Export it from a suite with --set base.dataset.batch_size=N.",
                )

    def text(self, rehearsal: Replay | None) -> tuple[str, str]:
        """The whole script, and the packages that it needs."""
        trial = self.subject.trial
        self.writer.drawn, self.writer.draw = self.drawn, self.hold(DRAW) if self.drawn else ""
        facts = self.writer.write(self.builder.data(trial.dataset).facts, f"what {trial.dataset.name} says of itself")
        of_facts = len(self.writer.tensors)
        what = f"a batch of {trial.dataset.name}"
        rows = "".join(f"        {self.writer.write(batch, what)},\n" for batch in self.batches)
        batches = (
            "def embedded_batches() -> list:\n"
            f'    """{len(self.batches)} of the batches that it is measured on, as it collates them."""\n'
            f"    return [\n{rows}    ]\n"
        )
        tensors = [self.tensors()] if self.writer.tensors else []
        construction, step = self.construction(), template.TRAIN
        if self.subject.mode == "inference":
            step = template.INFERENCE.format(mean_size=self.hold(MEAN_SIZE))
        code = self.shake()
        blocks = [
            self.constants(rehearsal or Replay()),
            code.code,
            "# The trial itself",
            *(tensors if of_facts else []),
            *([template.RECIPE] if self.used else []),
            f"FACTS = {facts}",
            construction,
            step,
            self.main(rehearsal or Replay()),
            *([] if of_facts else tensors),
            batches,
            'if __name__ == "__main__":\n    main()',
        ]
        own = [(path.rpartition(".")[2], code.names[Outside(path)]) for path in self.imports()]
        imports = code.imports + "".join(f"\n{name} = {here}" for name, here in own if name != here)
        body = "\n\n\n".join(self.named(block, code).strip("\n") for block in blocks)
        needs = self.packages(f"{imports}\n{body}")
        text = f"{self.header(rehearsal, needs)}\nfrom __future__ import annotations\n\n{imports}\n\n{body}\n"
        return text, needs

    def constants(self, rehearsal: Replay) -> str:
        """What is set and what is expected."""
        trial, numbers = self.subject.trial, self.writer.write(list(rehearsal.numbers), "")
        lines = [
            f"THREADS, SEED, DEVICE = {self.subject.threads}, {trial.seed}, {quoted(trial.device)}",
            "#: What each step came to in the harness.",
            *textwrap.wrap(f"EXPECTED = {numbers}", 116, subsequent_indent="    "),
            *([f"FAILURE = {quoted(rehearsal.failure)}"] if rehearsal.failure else []),
        ]
        return "\n".join(lines)

    def main(self, rehearsal: Replay) -> str:
        """What is done when the script is run."""
        noun = "loss" if self.subject.mode == "train" else "mean size"
        check = "".join(
            f"    if os.environ.get({quoted(name)}) != {quoted(value)}:\n"
            f"        print({quoted(f'note: it is measured with {name}={value} in the environment')})\n"
            for name, value in self.subject.environment.items()
        )
        end = template.FAILS if rehearsal.failure else template.AGREES
        return template.MAIN + check + template.STEPS.replace("{NOUN}", noun) + end + template.TIME

    def tensors(self) -> str:
        """The tensors of facts and batches, and what unpacks them."""
        return (
            f"#: Of each tensor its type, the type that its values are stored in, and its shape.\n"
            f"TENSORS = (\n{self.writer.table()}\n)\n"
            "#: Their values one after another: plain numbers, compressed, as letters.\n"
            f'DATA = """\n{self.writer.text()}\n"""\n\n\n{template.UNPACK}'
        )

    def imports(self) -> list[str]:
        """What the text around the parts' code imports."""
        found = [*template.IMPORTS]
        if self.writer.tensors:
            found += template.UNPACK_IMPORTS
        if self.subject.environment:
            found.append("os")
        if self.recipe.of_model():
            found.append("types.MethodType")
        return found

    def shake(self) -> Shaken:
        """The code of everything that has a place held."""
        wanted: list[Meaning] = [*self.meanings, *map(Outside, self.imports())]
        mentioned = {"to", "loss" if self.subject.mode == "train" else "predict", *self.recipe.of_model()}
        return Shaker(self.modules, {RECIPE: "Recipe"}, template.RESERVED, mentioned, self.whole).shake(wanted)

    def construction(self) -> str:
        """The function that builds the trial, with a line for each seam that is not as it is by default."""
        trial, mode = self.subject.trial, self.subject.mode
        lines = ["recipe = Recipe()"] if self.used else []
        for spec, entry in self.used:
            code = self.hold(locate_part(self.modules, entry))
            lines.append(f"recipe = {code}(recipe.used_by({quoted(spec.name)}){self.arguments(spec)})")
        model = f"{self.hold(locate_part(self.modules, self.model))}(FACTS{self.arguments(trial.model)})"
        if self.changed("build"):
            model = f'recipe.seam("build", lambda: {model})()'
        lines += ["torch.manual_seed(SEED)", f"model = {model}"]
        if self.changed("init"):
            lines.append('recipe.seam("init", lambda model: None)(model)')
        for method in self.recipe.of_model():
            lines.append(f'model.{method} = MethodType(recipe.seam("model.{method}", type(model).{method}), model)')
        lines += [
            "model.to(device=device, dtype=torch.float32)",
            "model.train()" if mode == "train" else "model.eval()",
        ]
        functions = "".join(f"        {name}={function},\n" for name, function in self.functions().items())
        lines.append(f"return SimpleNamespace(\n        device=device,\n        model=model,\n{functions}    )")
        return (
            "def build_trial(device: torch.device) -> SimpleNamespace:\n"
            '    """The trial ready to run: its model drawn under its seed, and what makes a step of it."""\n'
            + "".join(f"    {line}\n" for line in lines)
        )

    def arguments(self, spec: Spec) -> str:
        """A part's parameters as they are handed to its code."""
        return "".join(
            f", {name}={self.writer.write(value, f'parameter {name} of {spec.name}')}"
            for name, value in spec.parameters.items()
        )

    def functions(self) -> dict[str, str]:
        """The functions that make a step, as the optimizations have left them."""
        if self.subject.mode == "inference":
            defaults = {"evaluate": "lambda model, batch: model.predict(batch)"}
        else:
            defaults = {
                "optimizer": "lambda model: None",
                "forward": "lambda model, batch: model.loss(batch)",
                "backward": "lambda model, loss: loss.backward()",
            }
            for seam, meaning in (("update", UPDATE), ("step", STEP)):
                replaced = any(change.how == "replace" for change in self.recipe.changes.get(seam, ()))
                defaults[seam] = "None" if replaced else self.hold(meaning)
        found = {
            seam: f'recipe.seam("{seam}", {default})' if self.changed(seam) else default
            for seam, default in defaults.items()
        }
        if "optimizer" in found:
            found["optimizer"] = f"{found['optimizer']}(model)" if self.changed("optimizer") else "None"
        return found

    def header(self, rehearsal: Replay | None, needs: str) -> str:
        """The comment at the top: what this is, where it comes from, and what to expect."""
        subject, facts = self.subject, self.facts
        versions = ", ".join(f"{name} {version}" for name, version in facts["packages"].items() if name != "torch")
        plugins = {f"{spec.plugin} {spec.version}" for spec in (subject.trial.model, *(s for s, _ in self.used))}
        also = sorted(name for name in plugins if name not in versions)
        begin = "".join(f"{name}={value} " for name, value in subject.environment.items())
        if rehearsal is None:
            expected = f"nothing: there was no {subject.trial.device} where it was exported"
        elif rehearsal.failure:
            expected = f"a failure. There it was: {rehearsal.failure}"
        else:
            expected = "what EXPECTED says, which each step prints beside its own number"
        rows = [
            ("Trial", f"{subject.trial.id}: {subject.what}, {subject.mode_in_words}"),
            ("Suite", f"{subject.plan.suite}, {subject.place}"),
            ("Question", subject.plan.question),
            ("Exported", f"from {', '.join([versions, *also])}"),
            ("On", f"torch {facts['torch']}, Python {facts['python']}, {facts['platform']}, {facts['processor']}"),
            ("Run", f"{begin}python THIS_FILE [--steps N] [--time N] [--threads N] [--device DEVICE]"),
            ("Needs", needs),
            ("Expect", expected),
            *(("Measured", line) for line in subject.measured),
            *(("Note", note) for note in self.notes),
        ]
        lines = ["One trial of a benchmark as a file of its own: it needs no harness, no plugin and no data.", ""]
        for (name, text), (before, _) in zip(rows, [("", ""), *rows], strict=False):
            label = f"{name if name != before else '':<10}"
            lines += textwrap.wrap(" ".join(text.split()), 116, initial_indent=label, subsequent_indent=" " * 10)
        return "".join(f"# {line}".rstrip() + "\n" for line in lines)

    def packages(self, text: str) -> str:
        """The packages that the script needs. Raises UserError where it would import what was to be taken along."""
        needs = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                needs |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                needs.add((node.module or "").partition(".")[0])
        packages = sorted(needs - set(sys.stdlib_module_names))
        if ours := [package for package in packages if self.modules.is_inside(package)]:
            raise UserError(f"{self.subject.place} would still import {', '.join(ours)}, so it cannot be exported.")
        return ", ".join(packages)
