"""A new suite: a question about two models or about one optimization, which runs unchanged."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from harness.cli.options import write_text
from harness.cli.schema import NAME as SCHEMA_FILE
from harness.errors import Place, UserError
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog, Entry, core_catalog
from harness.plugins.parts import Dataset, Model, Optimization, Part
from harness.plugins.signature import BATCH_SIZE, REQUIRED, Parameter, parameters_of
from harness.suite.files import suite_name
from harness.suite.loader import parse_suite
from harness.suite.schema import json_schema
from harness.suite.yaml_source import read_text, scalar_text
from harness.tools.rendering import rendered
from harness.tools.scaffold.csv_columns import CsvDataset, csv_dataset

Measure = Literal["speed", "learning"]

#: The name of a suite is also that of a file and a folder.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
#: The parts of rnn-harness-plugins that are used by default.
MODEL, AGAINST, OPTIMIZER = "lstm", "gru", "adam"
DATASETS: Mapping[Measure, str] = {"speed": "reviews", "learning": "syllables"}
#: The parameter that compared models share, if both have it.
WIDTH = "hidden_size"

#: Question, claim and expected answer about two parts.
TWO_PARTS: Mapping[Measure, tuple[str, str, str]] = {
    "speed": ("Is {ours} faster than {theirs}?", "{ours} is faster than {theirs}", "lower by 5%"),
    "learning": ("Is {ours} better at learning than {theirs}?", "{ours} is better at learning than {theirs}", "better"),
}
#: The same about one optimization: how it learns, or what it does to the time of a step.
ONE_LEARNING = ("Does {ours} help to learn?", "{ours} helps to learn", "better")
ONE_FASTER = ("Does {ours} pay?", "{ours} speeds up training", "lower by 5%")
ONE_SLOWER = ("What does {ours} cost?", "{ours} costs next to nothing", "equal within 5%")


def schema_text() -> str:
    """The text of the JSON Schema of suites."""
    return json.dumps(json_schema(core_catalog()), indent=1) + "\n"


def write_suite(name: str, into: Path, text: str) -> list[Path]:
    """Write the suite, and the schema if there is none. Returns the paths. Raises UserError if the suite exists."""
    path, schema = into / f"{name}.yaml", into / SCHEMA_FILE
    check_is_new(path)
    write_text(path, text)
    if schema.exists():
        return [path]
    write_text(schema, schema_text())
    return [path, schema]


def in_yaml(value: Any) -> str:
    """A scalar or a list of scalars as a suite has it on one line."""
    return f"[{', '.join(map(in_yaml, value))}]" if isinstance(value, list) else scalar_text(value)


def check_is_new(path: Path) -> None:
    """Raise UserError if a file or folder exists."""
    if path.exists() or path.is_symlink():
        fix = "Choose another name, or another folder with --into."
        raise UserError("already exists and is not overwritten.", where=str(path), fix=fix)


@dataclass
class NewSuite:
    """The options of a new suite. None leaves a choice open. Raises UserError for parts that cannot be used."""

    catalog: Catalog
    question: str | None = None
    model: str | None = None
    against: str | None = None
    optimization: str | None = None
    measure: Measure = "speed"
    dataset: str | None = None
    use: Sequence[str] = field(default=())
    #: A CSV file whose columns decide the dataset.
    csv: Path | None = None
    #: The folder of the suite, to which the path of the file is relative.
    into: Path = Path()

    @cached_property
    def from_csv(self) -> CsvDataset | None:
        """What the columns of the CSV file say, if there is one."""
        return csv_dataset(self.csv) if self.csv else None

    def text(self, name: str) -> str:
        """The text of the suite, which has been planned. Raises UserError if that is not possible."""
        if not NAME.fullmatch(name):
            fix = "Use letters, digits, dots, hyphens and underscores."
            raise UserError(f"{name!r} is not a valid name for a suite.", where=f"harness new suite {name}", fix=fix)
        suite_name(Path(f"{name}.yaml"))
        if self.question is not None and not self.question.strip():
            raise UserError("expected a question, got an empty text.", where="--question")
        if self.optimization and self.against:
            what = "a suite compares two models, or one model with and without an optimization."
            raise UserError(what, where="--optimization --against", fix="Leave out one of these options.")
        if self.dataset and self.csv:
            what = "the columns of the file decide the dataset."
            raise UserError(what, where="--dataset --csv", fix="Leave out one of these options.")
        text = rendered(__package__, "suite/suite.yaml", **self.values())
        try:
            suite = parse_suite(read_text(text, f"{name}.yaml"), name, text, self.catalog, folder=self.into)
            plan = make_plan(suite, self.catalog)
        except UserError as error:
            raise UserError(f"this suite cannot be planned: {error}", fix=self.fitting_models()) from error
        if plan.skipped:
            reasons = "; ".join(skipped.because for skipped in plan.skipped)
            raise UserError(f"these parts do not fit together: {reasons}.", fix=self.fitting_models())
        return text

    def find(self, kind: type[Part], name: str, option: str) -> Entry:
        """The part of this name. Raises UserError if there is none, or if a parameter of it has no default."""
        entry = self.catalog.find(kind, name, Place(f"{option} {name}"))
        for parameter in self.parameters(entry).values():
            if parameter.default is REQUIRED:
                what = f"{name} needs a value for {parameter.name}, which has no default."
                fix = f"Use another part, and then write {{name: {name}, {parameter.name}: ...}} into the suite."
                raise UserError(what, where=f"{option} {name}", fix=fix)
        return entry

    def parameters(self, entry: Entry) -> Mapping[str, Parameter]:
        """The parameters of a part that a suite may set."""
        return parameters_of(self.catalog.code(entry), entry.part.given, entry.owner)

    def values(self) -> dict[str, Any]:
        """The values for the template."""
        model = self.find(Model, self.model or MODEL, "--model")
        dataset = self.dataset_part
        used = [self.find(Optimization, name, "--use").part for name in self.use or (OPTIMIZER,)]
        compared = self.compare_optimization(model, used) if self.optimization else self.compare_models(model)
        question, says, expect = compared.pop("words")
        score = next(iter(dataset.scores), "loss")
        is_share = score in dataset.scores and dataset.scores[score].compared == "difference"
        return {
            "schema": SCHEMA_FILE,
            "question": self.question or question,
            "dataset": self.dataset_text,
            "chosen": self.from_csv.says if self.from_csv else (),
            "use": [scalar_text(part.name) for part in used],
            "measure": self.measure,
            "metric": scalar_text(score),
            "margin": "1 point" if is_share else "2%",
            "says": says,
            "claimed": f", metric: {scalar_text(score)}" if self.measure == "learning" else "",
            "expect": expect,
            **compared,
        }

    @property
    def dataset_part(self) -> Dataset:
        """The dataset."""
        if self.from_csv is not None:
            part: Dataset = self.catalog.find(Dataset, self.from_csv.name, Place(f"--csv {self.csv}")).part
            return part
        found: Dataset = self.find(Dataset, self.dataset or DATASETS[self.measure], "--dataset").part
        return found

    @property
    def dataset_text(self) -> str:
        """The dataset as a suite names it."""
        given: dict[str, Any] = {}
        batch_size = self.from_csv.batch_size if self.from_csv else 32
        if self.from_csv is not None and self.csv is not None:
            given = {"path": os.path.relpath(self.csv, self.into), **self.from_csv.parameters}
        values = {"name": self.dataset_part.name, **given, BATCH_SIZE.name: batch_size}
        return f"{{{', '.join(f'{name}: {in_yaml(value)}' for name, value in values.items())}}}"

    def compare_models(self, model: Entry) -> dict[str, Any]:
        """Compare a model with another one, the baseline."""
        ours = model.part.name
        theirs = self.against or (MODEL if ours == AGAINST else AGAINST)
        if theirs == ours:
            raise UserError("both models are the same.", where=f"--against {ours}", fix="Name another model.")
        baseline = self.find(Model, theirs, "--against")
        return {
            "axis": "model",
            "baseline": scalar_text(theirs),
            "level": scalar_text(ours),
            "model": self.with_width(baseline, model),
            "patch": f"{{model: {scalar_text(ours)}}}",
            "words": [text.format(ours=ours, theirs=theirs) for text in TWO_PARTS[self.measure]],
        }

    def compare_optimization(self, model: Entry, used: Sequence[Optimization]) -> dict[str, Any]:
        """Compare a step with an optimization and without it, or with the one of the same role that it replaces."""
        name = self.optimization or ""
        part: Optimization = self.find(Optimization, name, "--optimization").part
        if name in (other.name for other in used):
            fix = "Name other optimizations with --use."
            raise UserError("the baseline already uses it.", where=f"--optimization {name}", fix=fix)
        replaced = next((other.name for other in used if part.role and other.role == part.role), "")
        words = ONE_FASTER if part.changes in ("rounding", "order") else ONE_SLOWER
        if replaced:
            words = TWO_PARTS[self.measure]
        elif self.measure == "learning":
            words = ONE_LEARNING
        drop = f", drop: [{scalar_text(replaced)}]" if replaced else ""
        return {
            "axis": scalar_text(part.role if replaced and part.role else name),
            "baseline": scalar_text(replaced or "without"),
            "level": scalar_text(name) if replaced else "with",
            "model": self.with_width(model),
            "patch": f"{{use: [{scalar_text(name)}]{drop}}}",
            "words": [text.format(ours=name, theirs=replaced) for text in words],
        }

    def fitting_models(self) -> str:
        """A sentence with the models that offer what the optimization needs; empty if that does not help."""
        if not self.optimization:
            return ""
        needs = self.find(Optimization, self.optimization, "--optimization").part.needs
        needs -= self.dataset_part.offers
        models = [name for name, entry in self.catalog.entries(Model).items() if needs <= entry.part.offers]
        return f"Try --model {' or '.join(models[:4])}." if needs and models else ""

    def with_width(self, first: Entry, *others: Entry) -> str:
        """The first model as a suite names it, with a width if all of the models have one."""
        width = all(WIDTH in self.parameters(entry) for entry in (first, *others))
        return f"{{name: {scalar_text(first.part.name)}{f', {WIDTH}: 32' if width else ''}}}"
