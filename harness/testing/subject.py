"""A part that is held to promises, and the other parts that it needs to be one: a model its data, an optimization both.

Nothing here imports torch until something is built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from harness.errors import UserError
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog, Entry
from harness.plugins.parts import Data, Dataset, Model, Optimization, Part, Skip
from harness.plugins.signature import REQUIRED, Parameter, check_values, parameters_of
from harness.records.plan import Trial
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import Source

if TYPE_CHECKING:
    import torch

    from harness.measure.runtime.builder import BuiltTrial, TrialBuilder

#: How many examples a batch of the kit has, where a promise does not choose.
BATCH = 8
#: The parameters that name a user's own files, the only ones that may be without a default.
OF_THE_USER = ("path", "file")


class Broken(AssertionError):
    """A part does not keep a promise; the message says what was seen."""


class Subject:
    """One part with its parameters, `using` others: each a name, or a mapping with its parameters, as in a suite.

    Where nothing is named, companions are sought: those of the same plugin first, then all others, until a model, a
    dataset and an optimizer are found that can be planned and built with the part."""

    def __init__(
        self,
        catalog: Catalog,
        entry: Entry,
        parameters: Mapping[str, Any] | None = None,
        using: Sequence[Any] = (),
        device: str = "cpu",
    ) -> None:
        self.catalog, self.entry, self.device = catalog, entry, device
        self.parameters = dict(parameters or {})
        self.using = [{"name": one} if isinstance(one, str) else dict(one) for one in using]

    @property
    def part(self) -> Any:
        """The part as its plugin describes it."""
        return self.entry.part

    @property
    def written(self) -> dict[str, Any]:
        """The part as a suite names it."""
        return {"name": self.part.name, **self.parameters}

    @property
    def owner(self) -> str:
        """The part and its plugin, in words."""
        return self.entry.owner

    @cached_property
    def code(self) -> Any:
        """The callable behind the part."""
        return self.catalog.code(self.entry)

    @cached_property
    def schema(self) -> Mapping[str, Parameter]:
        """What a suite may set on it."""
        return parameters_of(self.code, self.part.given, self.owner)

    @property
    def files(self) -> list[str]:
        """The plugin files that its catalog was made with."""
        return [str(file) for file in self.catalog.plugins.files]

    @property
    def without(self) -> tuple[str, ...]:
        """The installed plugins that its catalog was made without."""
        return self.catalog.plugins.without

    @cached_property
    def builder(self) -> TrialBuilder:
        """Builds trials."""
        from harness.measure.runtime.builder import TrialBuilder

        return TrialBuilder(self.catalog)

    @property
    def base(self) -> dict[str, Any]:
        """What a suite would have as its base: the part itself (but an optimization) with companions that go with it.

        Raises Broken where nothing goes with a model or dataset, Skip where nothing here is fit for an optimization, or
        where a dataset wants a file that only its user has."""
        if isinstance(self._found, Exception):
            raise self._found
        return self._found

    @cached_property
    def _found(self) -> dict[str, Any] | Exception:
        """The base, or what is raised in its place: sought once."""
        from harness.testing.leaving import restored

        tried: list[str] = []
        for dataset in self.companions(Dataset):
            for model in self.companions(Model):
                for optimizer in self.companions(Optimization, "optimizer"):
                    base = {"model": model, "dataset": {"batch_size": BATCH, **dataset}, "use": [optimizer]}
                    try:
                        with restored():  # it is not yet the time to see what it leaves behind
                            self.try_out(base)
                    except (UserError, Skip) as error:
                        reason = str(error).removeprefix("the kit: ")
                    except KeyboardInterrupt:
                        raise
                    except BaseException as error:  # what a part raises is why it does not go with the other
                        from harness.measure.runtime.failure import reason_of

                        reason = reason_of(error)
                    else:
                        return base
                    tried.append(f"with {model['name']} and {dataset['name']}: {reason}")
        first = tried[0] if tried else "there is no model, dataset or optimizer to go with it"
        more = f" ({len(tried) - 1} others do not either)" if len(tried) > 1 else ""
        if isinstance(self.part, Optimization):
            return Skip(f"nothing here goes with it: {first}{more}")
        if wanted := [name for name in OF_THE_USER if name in self.schema and not self.parameters.get(name)]:
            return Skip(f"its data are not here; name it with them: '{{name: {self.part.name}, {wanted[0]}: ...}}'")
        return Broken(f"it cannot be planned or built: {first}{more}")

    def companions(self, kind: type[Part], role: str | None = None) -> Iterator[dict[str, Any]]:
        """Parts of a kind, and of a role where one is given, as a suite writes them: this one itself if it is a model
        or dataset and one is wanted, else those that are named, else all others that need no parameter, those of the
        same plugin first."""
        if isinstance(self.part, kind) and not isinstance(self.part, Optimization):
            yield self.written
            return
        entries = self.catalog.entries(kind)
        fit = {name: entry for name, entry in entries.items() if role is None or entry.part.role == role}
        if any(one.get("name") in entries for one in self.using):
            yield from (one for one in self.using if one.get("name") in fit)
            return
        for entry in sorted(fit.values(), key=lambda entry: entry.plugin != self.entry.plugin):
            if entry.part is self.part:
                continue
            try:
                schema = parameters_of(self.catalog.code(entry), entry.part.given, entry.owner)
            except UserError:
                continue  # another plugin's trouble
            if not any(parameter.default is REQUIRED for parameter in schema.values()):
                yield {"name": entry.part.name}

    def try_out(self, base: Mapping[str, Any]) -> None:
        """Plan the base with the part, and compute one loss of it."""
        trial = self.plan_trial(base)
        self.builder.recipe(trial)
        built = self.builder.build(trial)
        built.forward(built.model, built.batch(self.builder.data(trial.dataset).train[:2]))

    def plan_trial(self, base: Mapping[str, Any]) -> Trial:
        """The trial of a base, with the part in it."""
        document = {
            "question": "Does it keep its promises?",
            "base": {**base, "device": self.device},
            "axes": {"what": {"without": {}, "with": self.level(base)}},
            "compare": {"axis": "what", "baseline": "without"},
            "measure": {"speed": {"batches": 1}},
        }
        plan = make_plan(parse_suite(Source("the kit", document), "kit", "", self.catalog), self.catalog)
        if plan.skipped:
            raise Skip(plan.skipped[0].because)
        return plan.blocks[0].trials[-1]

    def level(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """The patch to a base that puts an optimization into it; nothing where the part is in the base already."""
        if not isinstance(self.part, Optimization):
            return {}
        drop = [base["use"][0]["name"]] if self.part.role == "optimizer" else []
        return {"use": [self.written], **({"drop": drop} if drop else {})}

    @cached_property
    def trial(self) -> Trial:
        """The part in a trial with its companions."""
        return self.plan_trial(self.base)

    @property
    def data(self) -> Data:
        """The dataset of the trial."""
        return self.builder.data(self.trial.dataset)

    def built(self, seed: int = 0, dtype: torch.dtype | None = None, **parameters: Any) -> BuiltTrial:
        """The trial, built; for a model, with some of its `parameters` changed."""
        import torch

        trial = replace(self.trial, seed=seed)
        if parameters:
            trial = replace(trial, model=replace(trial.model, parameters={**trial.model.parameters, **parameters}))
        return self.builder.build(trial, dtype=dtype or torch.float32)

    def calm(self, dtype: torch.dtype | None = None) -> BuiltTrial:
        """The trial in train mode with every dropout at zero, as it is verified before a run."""
        import torch

        from harness.measure.kinds.verify import prepared

        return prepared(self.builder, self.trial, {}, dtype or torch.float32)

    @cached_property
    def batches(self) -> list[list[Any]]:
        """Examples for batches: those that the dataset says are hard, or else some of several sizes."""
        from harness.measure.kinds.verify import default_probes

        data = self.data
        return [list(one) for one in (data.probes(0) if data.probes else default_probes(data.train, BATCH))]

    @property
    def examples(self) -> list[Any]:
        """Examples for one batch, as a run would meet them."""
        return list(self.data.train[:BATCH])

    def settings(self) -> Iterator[dict[str, Any]]:
        """No change, and each switch and each choice among words turned to another value, one at a time."""
        yield {}
        values, _ = check_values(self.schema, self.parameters, self.owner)
        for name, parameter in self.schema.items():
            options = (False, True) if parameter.annotation is bool else ()
            if get_origin(parameter.annotation) is Literal:
                options = get_args(parameter.annotation)
            yield from ({name: option} for option in options if option != values.get(name))


def in_words(parameters: Mapping[str, Any]) -> str:
    """Changed parameters as a message names them."""
    if not parameters:
        return "as it is"
    return "with " + ", ".join(f"{name} = {value!r}" for name, value in parameters.items())
