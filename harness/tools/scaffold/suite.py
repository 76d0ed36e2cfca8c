"""A new suite: a question about two models or one optimization, that plans as it is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.errors import Place, UserError
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog, Entry, core_catalog
from harness.plugins.parts import Changes, Dataset, Model, Optimization, Part
from harness.plugins.signature import BATCH_SIZE, REQUIRED, Parameter, parameters_of
from harness.suite.loader import parse_suite
from harness.suite.schema import json_schema
from harness.suite.yaml_source import read_text
from harness.tools.scaffold.rendering import quoted, rendered

Measure = Literal["speed", "learning"]

#: What editors check suites against. It lies beside them, and their first line names it.
SCHEMA_FILE = "suite.schema.json"
#: A suite's name is a file's and a folder's.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
#: What a question is asked of where nothing else is said; parts of rnn-harness-plugins.
MODEL, AGAINST, OPTIMIZER = "lstm", "gru", "adam"
#: The parameter that models of one form are alike in, where they have it.
WIDTH = "hidden_size"
DATASETS: dict[Measure, str] = {"speed": "reviews", "learning": "syllables"}


@dataclass(frozen=True)
class Wanted:
    """What a new suite is to ask; None where it is left to us."""

    question: str | None = None
    model: str | None = None
    against: str | None = None
    optimization: str | None = None
    measure: Measure = "speed"
    dataset: str | None = None
    use: Sequence[str] = ()


def schema_text() -> str:
    """The JSON Schema of suites as a file's text."""
    return json.dumps(json_schema(core_catalog()), indent=1) + "\n"


def write_suite(name: str, into: Path, text: str) -> list[Path]:
    """Write the suite, and the schema beside it where there is none; returns what was written."""
    path, schema = into / f"{name}.yaml", into / SCHEMA_FILE
    if path.exists() or path.is_symlink():
        raise UserError("is there already, and nothing is overwritten.", where=str(path), fix="Choose another name.")
    try:
        into.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if schema.exists():
            return [path]
        schema.write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}.", where=str(path)) from error
    return [path, schema]


def suite_text(name: str, wanted: Wanted, catalog: Catalog) -> str:
    """The suite as text. It has been planned: raises UserError where its parts are unknown or do not go together."""
    if not NAME.fullmatch(name):
        fix = "Letters, digits, dots, hyphens and underscores will do."
        raise UserError(f"a suite cannot be called {name!r}.", where=f"harness new suite {name}", fix=fix)
    if wanted.question is not None and not wanted.question.strip():
        raise UserError("a question takes some words.", where="--question")
    choice = _Choice(wanted, catalog)
    text = rendered("suite/suite.yaml.j2", choice.values())
    try:
        plan = make_plan(parse_suite(read_text(text, f"{name}.yaml"), name, text, catalog), catalog)
    except UserError as error:
        raise UserError(f"no such suite can be planned, so none is written: {error}", fix=choice.fitting()) from error
    if plan.skipped:
        because = "; ".join(skipped.because for skipped in plan.skipped)
        raise UserError(f"these parts do not go together: {because}.", fix=choice.fitting())
    return text


class _Choice:
    """What is wanted, each name looked up and what was left open decided."""

    def __init__(self, wanted: Wanted, catalog: Catalog) -> None:
        if wanted.optimization and wanted.against:
            what = "two models are compared, or a step with an optimization and without."
            raise UserError(what, where="--optimization --against", fix="Leave one of them out.")
        self.wanted, self.catalog = wanted, catalog
        self.model = self.find(Model, wanted.model or MODEL, "--model")
        self.dataset = self.find(Dataset, wanted.dataset or DATASETS[wanted.measure], "--dataset")
        self.use = [self.find(Optimization, name, "--use") for name in wanted.use or (OPTIMIZER,)]

    def find(self, kind: type[Part], name: str, option: str) -> Entry:
        """The part of this name; raises UserError where there is none, or it cannot be used without being told more."""
        entry = self.catalog.find(kind, name, Place(f"{option} {name}"))
        for parameter in self.schema(entry).values():
            if parameter.default is REQUIRED:
                what = f"{name} needs a value for {parameter.name}, which only you know."
                fix = f"Begin with another, and write {{name: {name}, {parameter.name}: ...}} into the suite."
                raise UserError(what, where=f"{option} {name}", fix=fix)
        return entry

    def schema(self, entry: Entry) -> Mapping[str, Parameter]:
        """What a suite may set on a part."""
        return parameters_of(self.catalog.code(entry), entry.part.given, entry.owner)

    def values(self) -> dict[str, Any]:
        """What the template wants to know."""
        compared = self.optimization() if self.wanted.optimization else self.models()
        dataset = self.dataset.part
        score = next(iter(dataset.scores), "loss")
        compared_by = dataset.scores[score].compared if score in dataset.scores else "ratio"
        values = {
            "schema": SCHEMA_FILE,
            "dataset": f"{{name: {scalar(dataset.name)}, {BATCH_SIZE.name}: 32}}",
            "use": [scalar(entry.part.name) for entry in self.use],
            "measure": self.wanted.measure,
            "metric": scalar(score),
            "margin": "1 point" if compared_by == "difference" else "2%",
            "claimed": f", metric: {scalar(score)}" if self.wanted.measure == "learning" else "",
            **compared,
        }
        return values | ({"question": self.wanted.question} if self.wanted.question else {})

    def models(self) -> dict[str, Any]:
        """A model against another, which is the baseline."""
        ours = self.model.part.name
        theirs = self.wanted.against or (MODEL if ours == AGAINST else AGAINST)
        if theirs == ours:
            raise UserError(f"{ours} would be compared with itself.", where="--against", fix="Name another model.")
        baseline = self.find(Model, theirs, "--against")
        return {
            "axis": "model",
            "baseline": scalar(theirs),
            "level": scalar(ours),
            "model": self.sized(baseline, self.model),
            "patch": f"{{model: {scalar(ours)}}}",
            **self.compared(ours, theirs),
        }

    def optimization(self) -> dict[str, Any]:
        """A step with an optimization against the same without."""
        name = self.wanted.optimization or ""
        part = self.find(Optimization, name, "--optimization").part
        if name in (entry.part.name for entry in self.use):
            fix = "Say with --use what else shall be used."
            raise UserError(f"{name} is used by the baseline, too.", where="--optimization", fix=fix)
        instead = next((entry.part for entry in self.use if part.role and entry.part.role == part.role), None)
        if instead:  # of one role a step has one part
            baseline, level = instead.name, name
            compared = self.compared(name, instead.name)
            patch = f"{{use: [{scalar(name)}], drop: [{scalar(instead.name)}]}}"
        else:
            baseline, level = "without", "with"
            compared = self.helps(name, part.changes)
            patch = f"{{use: [{scalar(name)}]}}"
        return {
            "axis": scalar(part.role if instead else name),
            "baseline": scalar(baseline),
            "level": scalar(level),
            "model": self.sized(self.model),
            "patch": patch,
            **compared,
        }

    def compared(self, ours: str, theirs: str) -> dict[str, str]:
        """Question and claim about two parts."""
        faster = self.wanted.measure == "speed"
        verb = "faster than" if faster else "better at learning than"
        return {
            "question": f"Is {ours} {verb} {theirs}?",
            "says": f"{ours} is {verb} {theirs}",
            "expect": "lower by 5%" if faster else "better",
        }

    def helps(self, name: str, changes: Changes) -> dict[str, str]:
        """Question and claim about one part: what changes nothing is there to be faster, what does, to learn."""
        if self.wanted.measure == "learning":
            question, says, expect = f"Does {name} help to learn?", f"{name} helps to learn", "better"
        elif changes in ("rounding", "order"):
            question, says, expect = f"Does {name} pay?", f"{name} speeds up training", "lower by 5%"
        else:
            question, says, expect = f"What does {name} cost?", f"{name} costs next to nothing", "equal within 5%"
        return {"question": question, "says": says, "expect": expect}

    def fitting(self) -> str:
        """Which models have what the optimization needs, as a sentence; nothing where all have it."""
        if not self.wanted.optimization:
            return ""
        needs = self.find(Optimization, self.wanted.optimization, "--optimization").part.needs
        words = needs - self.dataset.part.offers
        models = [name for name, entry in self.catalog.entries(Model).items() if words <= entry.part.offers]
        return f"With --model {' or '.join(models[:4])} they would." if words and models else ""

    def sized(self, first: Entry, *others: Entry) -> str:
        """The first model as a suite names it, with a width for all of them where they have one."""
        name = scalar(first.part.name)
        with_width = all(WIDTH in self.schema(entry) for entry in (first, *others))
        return f"{{name: {name}, {WIDTH}: 32}}" if with_width else f"{{name: {name}}}"


def scalar(text: str) -> str:
    """A string as it stands in YAML, in quotes only where it must."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", text) and text.lower() not in ("null", "true", "false")
    return text if plain else quoted(text)
