"""`harness vary`: from a function that returns an experiment, and changes of its parameters, to a suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.api.made_suites import expected_claims, made_suite_name
from harness.api.notebook_code import references_to
from harness.api.python import StrPath, run
from harness.api.result import Result
from harness.errors import Place, UserError
from harness.plugins.experiment import EXPERIMENT, FROM, parameters_of_experiment
from harness.plugins.signature import check_values
from harness.suite.names import level_name
from harness.suite.values import SuiteValues
from harness.suite.yaml_source import read_text

#: The axis of the changes, its baseline, and the level with all changes.
AXIS, BASELINE, ALL = "change", "baseline", "all together"
#: The parameter that stands for optimizations.
USE = "use"

#: A parameter and its new value; the parameter `use` stands for an optimization, and use.NAME.PARAMETER for one of it.
Change = tuple[str, Any]


@dataclass(frozen=True)
class Variation:
    """What `harness vary` compares: the experiment that a function builds, with each of the changes alone, and with all
    of them together.

    `base` are parameters of all levels. `contexts` are parameters whose values are measured apart from each other, such
    as a batch size. `seeds` and `steps` (or `epochs`): train so many runs of each level, which `metric` decides, whose
    better direction is `better`. `of` are modes of timing. `also` are more kinds of measurement, such as memory."""

    function: str
    changes: Sequence[Change]
    base: Mapping[str, Any] = field(default_factory=dict)
    contexts: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    of: Sequence[str] = ("train",)
    also: Sequence[str] = ()
    seeds: int = 0
    steps: int | None = None
    epochs: float | None = None
    metric: str = "loss"
    better: str | None = None
    budget: str = ""
    expect: str = ""
    device: str = "cpu"

    def suite(self) -> SuiteValues:
        """The suite. Raises UserError for a change that the function does not know, and for other mistakes."""
        self.check()
        levels = {name: patch_of(changes) for name, changes in self.levels()}
        base = {EXPERIMENT: {FROM: self.function, **self.base}, "device": self.device}
        axes: dict[str, Any] = {AXIS: levels}
        for name, several in self.contexts.items():
            axes[name] = {"path": f"{EXPERIMENT}.{name}", "values": list(several)}
        function = self.function.rpartition(":")[2]
        values: dict[str, Any] = {
            "question": f"What do these changes of {function} cost or gain?",
            "base": base,
            "axes": axes,
            "compare": {"axis": AXIS, "baseline": BASELINE},
            "measure": self.measures(),
        }
        if claims := expected_claims(list(levels)[1:], self.of[0], self.expect):
            values["claims"] = claims
        return SuiteValues(made_suite_name("vary", function), values)

    def check(self) -> None:
        """Raise UserError for a parameter or value that the function does not accept, and for wrong options."""
        if not self.changes:
            fix = "Write NAME=VALUE for a parameter of the function, such as pooling=mean, or use=NAME."
            raise UserError("there is nothing to vary.", fix=fix)
        schema = parameters_of_experiment(self.function)
        given = [*self.changes, *self.base.items()]
        given += [(name, value) for name, values in self.contexts.items() for value in values]
        for name, value in given:
            if name.partition(".")[0] == USE and name not in schema:
                continue
            problems = check_values({name: schema[name]} if name in schema else schema, {name: value}, self.function)[1]
            for problem in problems:
                if problem.parameter == name:
                    where = Place(f"{name}={level_name(value) if isinstance(value, str | int | float) else value}")
                    raise UserError(problem.what, where=where, fix=problem.fix)
        if bool(self.seeds) != bool(self.steps or self.epochs):
            fix = "Give both, as in --seeds 10 --steps 600."
            raise UserError("training needs a number of seeds, and the length of a run.", where="--seeds", fix=fix)

    def levels(self) -> Iterator[tuple[str, Sequence[Change]]]:
        """The levels by name: the baseline, each change alone, and all together if they are of different parameters."""
        yield BASELINE, ()
        named = {f"{name}={shown(value)}": (name, value) for name, value in self.changes}
        for level, change in named.items():
            yield level, (change,)
        parameters = [USE if name == USE else name for name, _ in named.values()]
        if len(named) > 1 and all(parameters.count(name) == 1 or name == USE for name in parameters):
            yield ALL, tuple(named.values())

    def measures(self) -> dict[str, Any]:
        """The section `measure`."""
        speed: dict[str, Any] = {"of": list(self.of)}
        speed |= {"budget": self.budget} if self.budget else {}
        found: dict[str, Any] = {"speed": speed, **{kind: {} for kind in self.also}}
        if self.seeds:
            length = {"steps": self.steps} if self.steps else {"epochs": self.epochs}
            found["learning"] = {"seeds": self.seeds, **length, "metric": self.metric}
            if self.better:
                found["learning"]["better"] = {self.metric.removeprefix("mean_"): self.better}
        return found


def patch_of(changes: Sequence[Change]) -> dict[str, Any]:
    """The patch of a level with some changes."""
    parameters: dict[str, Any] = {}
    used: dict[str, dict[str, Any]] = {}
    for name, value in changes:
        first, _, rest = name.partition(".")
        if first != USE:
            parameters[name] = value
        elif not rest:
            used.setdefault(str(value), {})
        else:
            part, _, parameter = rest.partition(".")
            used.setdefault(part, {})[parameter] = value
    patch: dict[str, Any] = {EXPERIMENT: parameters} if parameters else {}
    return patch | ({USE: [{"name": name, **values} for name, values in used.items()]} if used else {})


def shown(value: Any) -> str:
    """A value in the name of a level."""
    return level_name(value) if isinstance(value, str | bool | int | float) else str(value)


def parse_change(text: str) -> Change:
    """A change that is written as NAME=VALUE, with a value as YAML reads it. Raises UserError."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        fix = "Write NAME=VALUE for a parameter of the function, such as pooling=mean."
        raise UserError(f"{text!r} is no change.", where=text, fix=fix)
    return name.strip(), read_text(value, text).value if value.strip() else ""


def parse_context(text: str) -> tuple[str, list[Any]]:
    """A parameter and its values that are written as NAME=VALUE,VALUE. Raises UserError."""
    name, value = text.partition("=")[0].strip(), text.partition("=")[2]
    values = [parse_change(f"{name}={one.strip()}")[1] for one in value.split(",")]
    if not name or not value:
        raise UserError(f"{text!r} is no context.", where="--context", fix="Write NAME=VALUE,VALUE.")
    return name, values


def vary(
    build: str | Callable[..., Any],
    changes: Mapping[str, Any],
    *,
    base: Mapping[str, Any] | None = None,
    contexts: Mapping[str, Sequence[Any]] | None = None,
    of: Sequence[str] = ("train",),
    also: Sequence[str] = (),
    seeds: int = 0,
    steps: int | None = None,
    epochs: float | None = None,
    metric: str = "loss",
    better: str | None = None,
    budget: str = "",
    device: str = "cpu",
    quick: bool = False,
    results: StrPath = "results",
    progress: bool = False,
) -> Result:
    """Compare the experiment that `build` returns with changes of its parameters: each alone, and all together.

    `build` is a function of a module, or its name as text: ``"train.py:build"``. `changes` are new values by
    parameter; a list means several values. ``{"use": "flush_denormal"}`` is a change by an optimization. All other
    parameters are the options of ``harness vary``. Raises UserError for a mistake in the arguments.

        harness.vary("train.py:build", {"pooling": "mean", "packing": True}, seeds=10, steps=600)
    """
    (reference,) = references_to([build], Path(results))
    each = [(name, value) for name, given in changes.items() for value in as_values(given)]
    variation = Variation(
        reference, each, base or {}, contexts or {}, [of] if isinstance(of, str) else of,
        [also] if isinstance(also, str) else also, seeds, steps, epochs, metric, better, budget, device=device,
    )  # fmt: skip
    suite = variation.suite()
    return run(suite.values, name=suite.name, quick=quick, results=results, progress=progress)


def as_values(given: Any) -> Sequence[Any]:
    """The values of a change: a list has several."""
    return given if isinstance(given, list | tuple) else [given]
