"""A part under test, with the other parts that it needs: a model needs a dataset, an optimization needs both.

Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from harness.errors import UserError
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog, Entry
from harness.plugins.file_paths import holds_paths, paths_in
from harness.plugins.parts import Data, Dataset, Model, Optimization, Part, Skip
from harness.plugins.signature import REQUIRED, Parameter, check_values, parameters_of
from harness.records.plan import Block, Trial
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import Source

if TYPE_CHECKING:
    import torch

    from harness.measure.runtime.builder import BuiltTrial, TrialBuilder

#: Examples in a batch of the kit, unless a promise needs another size.
BATCH = 8
#: The name of the kit's suite in messages.
SUITE = "the tested suite"


class Broken(AssertionError):
    """A part breaks a promise. The message says what was found."""


class PartUnderTest:
    """A part with its parameters, and the parts to combine it with.

    `using` are some of these, each as in a suite: a name, or a mapping with parameters. The kit searches for the
    others, first in the same plugin, then in all plugins, until a model, a dataset and an optimizer can be built with
    the part.
    """

    def __init__(
        self,
        catalog: Catalog,
        entry: Entry,
        parameters: Mapping[str, Any] | None = None,
        using: Sequence[Any] = (),
        device: str = "cpu",
    ) -> None:
        self.catalog, self.entry, self.device = catalog, entry, device
        #: The part as its plugin declares it: a `harness.Model`, `harness.Dataset`, ...
        self.declared: Any = entry.part
        #: The part and its plugin, as messages name them.
        self.owner = entry.owner
        self.parameters = dict(parameters or {})
        #: The part as a suite names it.
        self.suite_entry = {"name": entry.part.name, **self.parameters}
        #: Whether a promise has failed because it cannot be planned or built.
        self.is_reported = False
        self.using = [{"name": one} if isinstance(one, str) else dict(one) for one in using]

    def __str__(self) -> str:
        return f"{self.declared.kind} {self.declared.name}"

    @cached_property
    def code(self) -> Any:
        """The callable that builds the part."""
        return self.catalog.code(self.entry)

    @cached_property
    def schema(self) -> Mapping[str, Parameter]:
        """The parameters that a suite can set."""
        return parameters_of(self.code, self.declared.given, self.owner)

    @cached_property
    def builder(self) -> TrialBuilder:
        """Builds trials and loads datasets."""
        from harness.measure.runtime.builder import TrialBuilder

        return TrialBuilder(self.catalog)

    @property
    def base(self) -> dict[str, Any]:
        """The base of a suite that tests the part: the part itself, unless it is an optimization, and its companions.

        Raises Broken if a model or dataset cannot be combined with any part here, but only once: for other promises it
        raises Skip, since one mistake is one failure. Raises Skip if an optimization cannot be combined, or if a
        dataset needs a file of the user.
        """
        if isinstance(self._base_or_error, Broken) and self.is_reported:
            raise Skip("it cannot be planned or built; the first promise that failed says why")
        if isinstance(self._base_or_error, Exception):
            self.is_reported = True
            raise self._base_or_error
        return self._base_or_error

    @cached_property
    def _base_or_error(self) -> dict[str, Any] | Exception:
        from harness.measure.runtime.failure import reason_of
        from harness.measure.runtime.global_state import restored

        rejected: list[str] = []
        for base in self._candidates():
            try:
                with restored():  # side effects are the subject of another promise
                    self._try_out(base)
                return base
            except (UserError, Skip) as error:
                reason = str(error).removeprefix(f"{SUITE}: ")
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a part may raise anything
                reason = reason_of(error)
            rejected.append(f"with {base['model']['name']} and {base['dataset']['name']}: {reason}")
        reason = rejected[0] if rejected else "there is no model, dataset or optimizer to combine it with"
        if len(rejected) > 1:
            reason += f" ({len(rejected) - 1} other combinations fail, too)"
        if isinstance(self.declared, Optimization):
            return Skip(f"nothing here can be combined with it: {reason}")
        if missing := self._missing_file():
            return Skip(f"{missing} It cannot be planned or built: {reason}")
        return Broken(f"it cannot be planned or built: {reason}")

    def _missing_file(self) -> str:
        """A sentence about a file of the user that is not here, or that nobody has named; empty if there is none."""
        for name, parameter in self.schema.items():
            if not holds_paths(parameter.annotation):
                continue
            value = self.parameters.get(name, parameter.default)
            if value is REQUIRED or value is None:
                return f"the parameter {name} names no file: set it, as in {{name: {self.declared.name}, {name}: ...}}."
            if missing := [path for path in paths_in(value) if not Path(path).exists()]:
                return f"{missing[0]}, which the parameter {name} names, is not here."
        return ""

    def _candidates(self) -> Iterator[dict[str, Any]]:
        for dataset in self.companions(Dataset):
            for model in self.companions(Model):
                for optimizer in self.companions(Optimization, "optimizer"):
                    yield {
                        "model": model,
                        "dataset": {"batch_size": BATCH, **dataset},
                        "use": [optimizer],
                        "device": self.device,
                    }

    def companions(self, kind: type[Part], role: str | None = None) -> Iterator[dict[str, Any]]:
        """The parts of a kind (and role) to combine, as in a suite: the part itself if it is a model or dataset of this
        kind; else those in `using`; else all whose parameters have defaults, those of the same plugin first."""
        if isinstance(self.declared, kind) and not isinstance(self.declared, Optimization):
            yield self.suite_entry
            return
        entries = self.catalog.entries(kind)
        fitting = {name: entry for name, entry in entries.items() if role is None or entry.part.role == role}
        if any(one["name"] in entries for one in self.using):
            yield from (one for one in self.using if one["name"] in fitting)
            return
        for entry in sorted(fitting.values(), key=lambda entry: entry.plugin != self.entry.plugin):
            if entry.part is self.declared:
                continue
            try:
                schema = parameters_of(self.catalog.code(entry), entry.part.given, entry.owner)
            except UserError:
                continue  # a problem of another plugin
            if all(parameter.default is not REQUIRED for parameter in schema.values()):
                yield {"name": entry.part.name}

    def _try_out(self, base: Mapping[str, Any]) -> None:
        trial = self._plan(base)
        built = self.builder.build(trial)
        built.forward(built.model, built.batch(self.builder.data(trial.dataset).train[:2]))

    def level(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """The patch that adds an optimization to a base; empty for other parts, which are in the base."""
        if not isinstance(self.declared, Optimization):
            return {}
        drop = [base["use"][0]["name"]] if self.declared.role == "optimizer" else []
        return {"use": [self.suite_entry], **({"drop": drop} if drop else {})}

    @cached_property
    def trial(self) -> Trial:
        """The trial with the part and its companions."""
        return self._plan(self.base)

    def _plan(self, base: Mapping[str, Any]) -> Trial:
        return plan_levels(self.catalog, base, {"level": self.level(base)}).trials[-1]

    @property
    def data(self) -> Data:
        """The dataset of the trial."""
        return self.builder.data(self.trial.dataset)

    def built(self, seed: int = 0, exact: bool = False, **parameters: Any) -> BuiltTrial:
        """The built trial, with other `parameters` of its model, in float64 if it is to be `exact`."""
        trial = replace(self.trial, seed=seed)
        if parameters:
            trial = replace(trial, model=replace(trial.model, parameters={**trial.model.parameters, **parameters}))
        return self.builder.build(trial, exact=exact)

    @cached_property
    def probes(self) -> list[list[Any]]:
        """Batches of examples: the difficult ones that the dataset provides, or batches of several sizes."""
        from harness.measure.runtime.probes import default_probes, own_probes

        data = self.data
        probes = list(own_probes(data, 0)) or default_probes(data.train, BATCH)
        return [probe.examples for probe in probes]

    @property
    def examples(self) -> list[Any]:
        """The examples of an ordinary batch."""
        return list(self.data.train[:BATCH])

    def settings(self) -> Iterator[dict[str, Any]]:
        """Changes of parameters: no change, then each bool and each Literal set to each of its other values."""
        yield {}
        values, _ = check_values(self.schema, self.parameters, self.owner)
        for name, parameter in self.schema.items():
            options = (False, True) if parameter.annotation is bool else ()
            if get_origin(parameter.annotation) is Literal:
                options = get_args(parameter.annotation)
            yield from ({name: option} for option in options if option != values.get(name))


def plan_levels(catalog: Catalog, base: Mapping[str, Any], levels: Mapping[str, Mapping[str, Any]]) -> Block:
    """The block of a base and its levels, all written as in a suite. Raises Skip if they cannot be combined."""
    document = {
        "question": "Does the part keep its promises?",
        "base": dict(base),
        "axes": {"what": {"(base)": {}, **levels}},
        "compare": {"axis": "what", "baseline": "(base)"},
        "measure": {"speed": {"batches": 2}},
    }
    plan = make_plan(parse_suite(Source(SUITE, document), "tested", "", catalog), catalog)
    if plan.skipped:
        raise Skip(plan.skipped[0].because)
    return plan.blocks[0]


def train_step(built: BuiltTrial, batch: Any) -> torch.Tensor:
    """One training step without timing. Returns the loss."""
    return built.step(built, batch, lambda phase: None)


def message_prefix(parameters: Mapping[str, Any]) -> str:
    """The beginning of a message about changed parameters; empty if there are none."""
    return f"with {', '.join(f'{name} = {value!r}' for name, value in parameters.items())}: " if parameters else ""
