"""An example of each part: a complete suite, or the command that uses the part.

A suite is found by trying models, datasets and optimizers of the catalog with the part, until a suite can be planned
with nothing skipped.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.analysis.samples import OF_PROGRAMS
from harness.errors import UserError, UserErrors
from harness.modes import PROGRAM
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog, Entry
from harness.plugins.file_paths import holds_paths
from harness.plugins.kinds import MeasureKind
from harness.plugins.parts import Dataset, Executor, Metric, Model, Optimization, Part, Promise, Reporter
from harness.plugins.signature import REQUIRED, Parameter, parameters_of
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import read_text, yaml_text

#: The most suites that are tried. If none can be planned, the first is shown.
MOST_TRIED = 200
#: The placeholder for a file or folder of the reader.
PATH = "path/to/it"

Document = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """The text of an example: a suite, or a command. `note` says why a suite cannot be planned here."""

    kind: Literal["suite", "command"]
    text: str
    note: str = ""

    @property
    def plans(self) -> bool:
        """Whether it is a suite that can be planned unchanged."""
        return self.kind == "suite" and not self.note


def example_of(catalog: Catalog, entry: Entry) -> Example | None:
    """The example of a part. None for other kinds, and where the catalog lacks other parts that a suite needs."""
    part = entry.part
    if isinstance(part, Reporter):
        return Example("command", f"harness report latest --as {part.name}")
    if isinstance(part, Executor):
        return Example("command", f"harness run SUITE.yaml --executor {part.name}")
    if isinstance(part, Promise):
        return Example("command", f"harness conform NAME --only {part.name}")
    if part.name in OF_PROGRAMS:
        return first_that_plans(catalog, [suite_of_commands(part.name)])
    if isinstance(part, Metric):
        claimed = first_that_plans(catalog, suites_with_metric(catalog, part)) if part.per == "sample" else None
        return claimed or Example("command", "harness report latest --as csv")
    makers = {
        Model: suites_with_model,
        Dataset: suites_with_dataset,
        Optimization: suites_with_optimization,
        MeasureKind: suites_with_measure,
    }
    make = makers.get(type(part))
    return first_that_plans(catalog, make(catalog, entry)) if make else None


def first_that_plans(catalog: Catalog, suites: Iterable[Document]) -> Example | None:
    """The first suite that can be planned with nothing skipped. If there is none, the first, with its error."""
    first: Example | None = None
    for suite in itertools.islice(suites, MOST_TRIED):
        text = yaml_text(suite)
        wrong = complaint(catalog, text)
        if not wrong:
            return Example("suite", text)
        first = first or Example("suite", f"# This suite cannot be planned here: {wrong}\n{text}", wrong)
    return first


def complaint(catalog: Catalog, text: str) -> str:
    """The error of a suite in one line; empty where it can be planned with nothing skipped."""
    try:
        plan = make_plan(parse_suite(read_text(text, "the example"), "example", text, catalog), catalog)
    except UserError as error:
        what = error.errors[0].what if isinstance(error, UserErrors) else error.what
        return " ".join(what.split())
    return plan.skipped[0].because if plan.skipped else ""


def suites_with_model(catalog: Catalog, entry: Entry) -> Iterator[Document]:
    """The model compared with each other model, first those of the same computation; without others, with itself."""
    parts = {name: other.part for name, other in catalog.entries(Model).items() if name != entry.part.name}
    others = sorted(parts, key=lambda name: not entry.part.computes or parts[name].computes != entry.part.computes)
    values, name = given(catalog, entry), entry.part.name
    for dataset, optimizer in itertools.product(catalog.entries(Dataset), optimizers_of(catalog)):
        base = {"model": name, "dataset": dataset, "use": [optimizer]}
        for other in others:
            levels = {other: {}, name: {"model": with_values(name, values)}}
            yield suite_of(
                f"Is {name} faster than {other}?", {**base, **entry.part.example, "model": other}, "model", levels
            )
        for parameter, value in values.items():
            if type(value) is int:
                levels = {str(value): {}, str(2 * value): {"model": {parameter: 2 * value}}}
                alone = {**base, **entry.part.example, "model": with_values(name, values)}
                yield suite_of(f"What does a larger {parameter} cost?", alone, parameter, levels)


def suites_with_dataset(catalog: Catalog, entry: Entry) -> Iterator[Document]:
    """Two models on the data."""
    data = with_values(entry.part.name, {**given(catalog, entry), "batch_size": 32})
    for suite in two_models(catalog, [data]):
        yield {**suite, "base": {**suite["base"], **entry.part.example, "dataset": data}}


def suites_with_optimization(catalog: Catalog, entry: Entry) -> Iterator[Document]:
    """A trial with and without the optimization; an optimizer replaces another one."""
    part = entry.part
    added: Document = {"use": [with_values(part.name, given(catalog, entry))]}
    optimizers = [name for name in optimizers_of(catalog) if name != part.name]
    for optimizer, dataset, model in itertools.product(optimizers, catalog.entries(Dataset), catalog.entries(Model)):
        base = {"model": model, "dataset": dataset, "use": [optimizer], **part.example}
        if part.role == "optimizer":
            levels = {optimizer: {}, part.name: {"drop": [optimizer], **added}}
            yield suite_of(f"What does a step with {part.name} cost?", base, "optimizer", levels)
        else:
            levels = {"without": {}, part.name: added}
            yield suite_of(f"What does {part.name} cost or save?", base, "choice", levels)


def suites_with_metric(catalog: Catalog, part: Part) -> Iterator[Document]:
    """Two models, and a claim about the metric."""
    for suite in two_models(catalog, catalog.entries(Dataset)):
        _, level = suite["axes"]["model"]
        says = f"{level} lowers {part.name}"
        yield {**suite, "claims": [{"says": says, "level": level, "metric": part.name, "expect": "lower"}]}


def suites_with_measure(catalog: Catalog, entry: Entry) -> Iterator[Document]:
    """Two models, measured by this kind."""
    name = entry.part.name
    for suite in two_models(catalog, catalog.entries(Dataset)):
        question = f"How do {' and '.join(suite['axes']['model'])} differ in {name}?"
        yield {**suite, "question": question, "measure": {name: dict(entry.part.example)}}


def suite_of_commands(metric: str) -> Document:
    """Two commands, and a claim about a metric of programs."""
    axis: Document = {"old": {}, "new": {"command": "sh -c 'seq 100'"}}
    suite = suite_of("Which command needs less?", {"command": "sh -c 'seq 200'"}, "command", axis)
    claim = {"says": f"The new command lowers {metric}", "level": "new", "metric": metric, "expect": "lower"}
    return {**suite, "measure": {"speed": {"of": PROGRAM}}, "claims": [claim]}


def two_models(catalog: Catalog, datasets: Iterable[Any]) -> Iterator[Document]:
    """Suites that compare two models."""
    pairs = itertools.combinations(catalog.entries(Model), 2)
    for dataset, optimizer, (one, other) in itertools.product(datasets, optimizers_of(catalog), pairs):
        base = {"model": one, "dataset": dataset, "use": [optimizer]}
        yield suite_of(f"Is {other} faster than {one}?", base, "model", {one: {}, other: {"model": other}})


def suite_of(question: str, base: Document, axis: str, levels: Document) -> Document:
    """A suite that compares two levels by the time of a training step."""
    return {
        "question": question,
        "base": base,
        "axes": {axis: levels},
        "compare": {"axis": axis, "baseline": next(iter(levels))},
        "measure": {"speed": {"of": "train"}},
    }


def optimizers_of(catalog: Catalog) -> list[str]:
    """The optimizers. A trial that trains needs one."""
    return [name for name, entry in catalog.entries(Optimization).items() if entry.part.role == "optimizer"]


def given(catalog: Catalog, entry: Entry) -> Document:
    """The parameters that an example shows: those without a default, or else the first with a plain default."""
    parameters = parameters_of(catalog.code(entry), entry.part.given, entry.owner).values()
    required = {one.name: placeholder(one) for one in parameters if one.default is REQUIRED}
    plain = {one.name: one.default for one in parameters if type(one.default) in (bool, int, float, str)}
    return required or dict(itertools.islice(plain.items(), 1))


def placeholder(parameter: Parameter) -> Any:
    """A value for a parameter that has no default."""
    if parameter.choices:
        return parameter.choices[0]
    if holds_paths(parameter.annotation) or "str" in parameter.type_name:
        return PATH
    return 1.0 if "float" in parameter.type_name else 1


def with_values(name: str, values: Mapping[str, Any]) -> Any:
    """A part as a suite names it: its name alone, or with parameters."""
    return {"name": name, **values} if values else name
