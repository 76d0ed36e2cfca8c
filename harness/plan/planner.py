"""`Suite` and `Catalog` to `Plan`: resolves every trial, checks it against its parts, and groups trials into blocks.

Nothing is measured here and no model is built. The code of the parts that a suite names is imported: its signatures are
the schema, and optimizations are applied to an empty recipe to check that they fit together.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import Place, UserError, UserErrors, did_you_mean
from harness.plan.checks import check_defaults, check_recipe, check_roles, check_words, environment_of
from harness.plan.claims import resolve_claims
from harness.plan.commands import check_program, placed, remarks_on_programs
from harness.plan.configuration import configuration_of
from harness.plan.measures import MeasurePlanner
from harness.plugins.catalog import Catalog, Entry, origin_of, resolve
from harness.plugins.experiment import EXPERIMENT, FROM, located_reference, parameters_of_experiment
from harness.plugins.file_paths import holds_paths, paths_in, with_stored_paths
from harness.plugins.isolation import isolated, user_errors
from harness.plugins.parts import CHANGES, Dataset, Model, Optimization, Part, Skip
from harness.plugins.signature import BATCH_SIZE, Parameter, check_values, parameters_of
from harness.records.designs import combinations
from harness.records.plan import COMMAND, Block, Plan, Skipped, Spec, Trial, digest
from harness.suite.loader import Assignment, Suite
from harness.suite.names import find_name


def make_plan(
    suite: Suite,
    catalog: Catalog,
    *,
    only: Mapping[str, Sequence[str]] | None = None,
    quick: bool = False,
    gate: bool = False,
    seeds: int | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan of a suite.

    `only` selects levels of some axes. The baseline always stays, and a factor with one level left becomes a context.
    `quick` plans one process for each block. `gate` plans at least five, whose variance is not pooled. `seeds` adds
    seeds until there are that many; results with added seeds are flagged as extended.

    Raises UserErrors with all mistakes. A combination that cannot be measured is skipped, with the reason.
    """
    with isolated("asking parts for a plan"):
        return _Planner(suite, catalog, only or {}, quick, gate, seeds).plan(overrides or {})


#: The fields of a trial that determine its examples.
EXAMPLES = ("dataset", "batch_size", "seed", "device")


@dataclass(frozen=True)
class _Point:
    """A trial of each block: its name, its levels, and in an ablation design the factors that are on."""

    level: str
    coordinates: Mapping[str, str]
    on: tuple[str, ...] = ()


class _Planner:
    def __init__(
        self,
        suite: Suite,
        catalog: Catalog,
        only: Mapping[str, Sequence[str]],
        quick: bool,
        gate: bool,
        seeds: int | None,
    ) -> None:
        self.suite, self.catalog = suite, catalog
        self.measures = MeasurePlanner(suite, catalog, quick, gate, seeds, self.complain, self.remark)
        self.errors: dict[str, UserError] = {}
        self.skipped: list[Skipped] = []
        self.schemas: dict[tuple[str, str], Mapping[str, Parameter]] = {}
        self.fingerprints: dict[str, str] = {}
        #: The remarks of parts as keys, in the order in which they are made.
        self.remarks: dict[str, None] = {}
        self.axes = self.chosen_axes(only)
        self.factors = tuple(factor for factor in suite.factors if len(self.axes[factor]) == 2)
        if suite.factors and not self.factors:
            fix = "Keep both levels of at least one factor."
            raise UserError("--only leaves no factor with two levels.", where=suite.source.name, fix=fix)

    def chosen_axes(self, only: Mapping[str, Sequence[str]]) -> dict[str, dict[str, tuple[Assignment, ...]]]:
        axes = {axis: dict(levels) for axis, levels in self.suite.axes.items()}
        for axis, wanted in only.items():
            where = Place(f"--only {axis}={','.join(wanted)}")
            if axis not in axes:
                raise UserError(f"there is no axis {axis!r}.", where=where, fix=did_you_mean(axis, axes))
            kept = {self.suite.baseline} if axis == self.suite.axis else set()
            for level in wanted:
                if (found := find_name(level, axes[axis])) is None:
                    fix = did_you_mean(level, axes[axis])
                    raise UserError(f"axis {axis} has no level {level!r}.", where=where, fix=fix)
                kept.add(found)
            axes[axis] = {level: patch for level, patch in axes[axis].items() if level in kept}
            if axis == self.suite.axis and len(axes[axis]) < 2:
                raise UserError("--only leaves only the baseline.", where=where, fix="Name a level to compare with it.")
        return axes

    def plan(self, overrides: Mapping[str, Any]) -> Plan:
        points = list(self.points())
        contexts = [axis for axis in self.axes if axis not in (self.factors or (self.suite.axis,))]
        blocks = []
        for chosen in itertools.product(*(self.axes[axis] for axis in contexts)):
            block = self.block(dict(zip(contexts, chosen, strict=True)), points)
            if block is not None:
                blocks.append(block)
        claims = resolve_claims(self.suite, blocks, self.catalog, self.complain, complete=not self.errors)
        if self.errors:
            raise UserErrors(list(self.errors.values()))
        if not blocks:
            reasons = "; ".join(sorted({skipped.because for skipped in self.skipped}))
            raise UserError(f"every trial is skipped: {reasons}.", where=self.suite.source.name)
        return Plan(
            suite=self.suite.name,
            question=self.suite.question,
            axis=self.suite.axis,
            blocks=tuple(blocks),
            skipped=tuple(self.skipped),
            claims=claims,
            overrides=dict(overrides),
            design=self.suite.design,
            factors=self.factors,
            remarks=tuple(self.remarks),
        )

    def points(self) -> Iterator[_Point]:
        """The trials of each block, the baseline first."""
        if not self.factors:
            others = [level for level in self.axes[self.suite.axis] if level != self.suite.baseline]
            for level in [self.suite.baseline, *others]:
                yield _Point(level, {self.suite.axis: level})
            return
        off_and_on = {factor: tuple(self.axes[factor]) for factor in self.factors}
        for name, on in combinations(self.suite.design, self.factors).items():
            levels = {factor: off_and_on[factor][factor in on] for factor in self.factors}
            yield _Point(name, levels, tuple(factor for factor in self.factors if factor in on))

    def complain(self, error: UserError) -> None:
        """Record a mistake once, even if several trials make it."""
        self.errors.setdefault(f"{error.where}: {error.what.partition(' (in ')[0]}", error)

    def remark(self, text: str) -> None:
        """Record a warning once."""
        self.remarks[text] = None

    def block(self, context: dict[str, str], points: Sequence[_Point]) -> Block | None:
        trials: list[Trial] = []
        for point in points:
            try:
                trials.append(self.trial(context, point, baseline=trials[0] if trials else None))
            except Skip as skip:
                self.skipped.append(Skipped({**context, self.suite.axis: point.level}, str(skip)))
            except UserError as error:
                for one in error.errors if isinstance(error, UserErrors) else (error,):
                    self.complain(one)
            if not trials:  # the other trials have nothing to compare with
                reason = self.skipped[-1].because if self.skipped else "it has errors"
                if not self.errors:
                    self.skipped += [
                        Skipped({**context, self.suite.axis: other.level}, f"its baseline is skipped: {reason}")
                        for other in points[1:]
                    ]
                return None
        if len(trials) < 2:
            return None
        self.remark_on_copies(trials)
        for text in remarks_on_programs(trials, self.suite.measures):
            self.remark(text)
        return Block(context, tuple(trials), self.measures(trials[0].dataset))

    def remark_on_copies(self, trials: Sequence[Trial]) -> None:
        """Warn about levels that specify the same trial: a level may lack its setting. One that is claimed to be equal
        is a control."""
        first: dict[str, str] = {}
        controls = {claim.level for claim in self.suite.claims if claim.expect == "equal"}
        for trial in trials:
            if (other := first.setdefault(trial.id, trial.level)) != trial.level and trial.level not in controls:
                where = self.suite.source.place(("axes", self.suite.axis, trial.level), key=True)
                what = f"{trial.level} and {other} specify the same trial, so a difference between them is noise."
                self.remark(f"{where}: {what}")

    def trial(self, context: Mapping[str, str], point: _Point, baseline: Trial | None) -> Trial:
        coordinates = {**context, **point.coordinates}
        for rule, because in self.suite.skip:
            if all(coordinates[axis] in levels for axis, levels in rule.items()):
                raise Skip(because)
        configuration = configuration_of(self.suite, coordinates)
        values, places = configuration.part(EXPERIMENT)
        model_places = configuration.part("model")[1]
        if is_experiment := bool(values):
            values["name"] = EXPERIMENT
            values[FROM], places["name"] = self.reference(values[FROM], places[FROM]), places[FROM]
            model, model_entry = self.spec(Model, values, places, coordinates)
            dataset, dataset_entry = self.spec(Dataset, values, places, coordinates)
            batch_size, places_of_data = 0, places  # the data have one
        else:
            model, model_entry = self.spec(Model, *configuration.part("model"), coordinates)
            values, places_of_data = configuration.part("dataset")
            batch_size = self.batch_size(values, places_of_data)
            dataset, dataset_entry = self.spec(Dataset, values, places_of_data, coordinates)
        used = []
        for name, where in configuration.used():
            values, places = configuration.part("use", name)
            spec, entry = self.spec(Optimization, {"name": name, **values}, {"name": where, **places}, coordinates)
            used.append((spec, entry, where))
        trains = self.suite.measures.trains and not is_experiment and model.name != COMMAND  # these have their own
        check_roles(used, self.catalog, trains, self.suite.source.place(("base",), key=True))
        entries = [model_entry, dataset_entry, *(entry for _, entry, _ in used)]
        check_words(entries)
        for text in check_recipe(used, self.catalog, self.suite.measures.steps):
            self.remark(text)
        device, device_place = configuration.leaves.get(("device",), ("cpu", None))
        if not isinstance(device, str) or device.split(":")[0] not in ("cpu", "cuda"):
            raise UserError(f"unknown device {device!r}.", where=device_place, fix="Use cpu, cuda or cuda:1.")
        trial = Trial(
            level=point.level,
            model=model,
            dataset=dataset,
            use=tuple(spec for spec, _, _ in used),
            batch_size=batch_size,
            seed=configuration.leaves.get(("seed",), (0, None))[0],
            device=device,
            fingerprint=self.fingerprint(dataset, dataset_entry, places_of_data["name"]),
            changes="rounding",
            environment=environment_of([(model, model_entry, None), (dataset, dataset_entry, None), *used]),
            on=point.on,
        )
        with placed(model_places.get("run") or model_places.get("name")):
            check_program(trial, self.suite.measures)
        if baseline is not None:
            self.check_same_examples(trial, baseline)
            trial = replace(trial, changes=self.weakest_promise(trial, baseline))
        return trial

    def spec(
        self, kind: type[Part], values: dict[str, Any], places: Mapping[str, Place], coordinates: Mapping[str, str]
    ) -> tuple[Spec, Entry]:
        """The part that `values` name, with its parameters checked and defaults added."""
        name = values["name"]
        entry = self.catalog.find(kind, name, places["name"])
        if name == EXPERIMENT and FROM not in values:
            fix = f"Write {name}: {{from: FILE.py:NAME}} in place of model and dataset."
            raise UserError(f"{name} is not the name of a {kind.kind}.", where=places["name"], fix=fix)
        owner, key = f"{kind.kind} {name}", (kind.kind, name)
        if name == EXPERIMENT:
            owner, key = values[FROM], (EXPERIMENT, values[FROM])
        if key not in self.schemas:
            self.schemas[key] = self.schema_of(kind, entry, owner, places["name"])
        parameters = {key: value for key, value in values.items() if key != "name"}
        resolved, problems = check_values(self.schemas[key], parameters, owner)
        if problems:
            at = ", ".join(f"{axis} {level}" for axis, level in coordinates.items())
            raise UserErrors(
                [
                    UserError(
                        f"{problem.what[:-1]} (in {at}).",
                        where=places.get(problem.parameter, places["name"]),
                        fix=problem.fix,
                    )
                    for problem in problems
                ]
            )
        for parameter in parameters:
            if holds_paths(self.schemas[key][parameter].annotation):
                resolved[parameter] = self.located(resolved[parameter], places[parameter])
        return Spec(name, resolved, *origin_of(entry, resolved, places["name"])), entry

    def schema_of(self, kind: type[Part], entry: Entry, owner: str, where: Place) -> Mapping[str, Parameter]:
        """The parameters of a part; of an experiment those of its function, which is its `owner`."""
        if entry.part.name == EXPERIMENT:
            return parameters_of_experiment(owner, where)
        schema = parameters_of(self.catalog.code(entry, where), kind.given, entry.owner)
        check_defaults(schema, entry.owner, where)
        return schema

    def reference(self, text: Any, where: Place) -> str:
        """The function of an experiment, as plans store it."""
        return located_reference(text, Path() if where.source.startswith("--") else self.suite.folder, where)

    def located(self, value: Any, where: Place) -> Any:
        """The value of a parameter that holds paths, with paths as plans store them. Those in the suite are relative to
        its folder. Those of options are relative to the working folder."""
        folder = Path() if where.source.startswith("--") else self.suite.folder
        for path in paths_in(value):
            if not (folder / path).exists() and Path(path).exists():
                what = (
                    f"there is no {path} in {folder}, the folder of the suite, to which paths in a suite are relative."
                )
                fix = f"{path} is in the working folder: write {os.path.relpath(path, folder)}."
                raise UserError(what, where=where, fix=fix)
        return with_stored_paths(value, folder)

    def batch_size(self, values: dict[str, Any], places: Mapping[str, Place]) -> int:
        chosen = {"batch_size": values.pop("batch_size")} if "batch_size" in values else {}
        resolved, problems = check_values({"batch_size": BATCH_SIZE}, chosen, "dataset")
        if problems or resolved["batch_size"] < 1:
            what = problems[0].what if problems else "batch_size must be at least 1."
            raise UserError(what, where=places["batch_size"])
        return int(resolved["batch_size"])

    def fingerprint(self, dataset: Spec, entry: Entry, where: Place) -> str:
        key = digest([dataset.name, dict(dataset.parameters)])
        if key not in self.fingerprints:
            if entry.part.fingerprint is None:
                return ""
            owner = entry.owner
            with user_errors(f"{owner}: its fingerprint failed", where):
                try:
                    self.fingerprints[key] = str(resolve(entry.part.fingerprint, owner, where)(**dataset.parameters))
                except (OSError, ValueError) as error:
                    raise UserError(f"{owner}: {error}.", where=where) from error
        return self.fingerprints[key]

    def check_same_examples(self, trial: Trial, baseline: Trial) -> None:
        """Raise UserError if a level changes the examples: levels are compared on the same ones."""
        # The processes that measure compare the examples of experiments themselves.
        for field in ("batch_size", "seed", "device") if trial.dataset.name == EXPERIMENT else EXAMPLES:
            if getattr(trial, field) != getattr(baseline, field):
                place = self.suite.source.place
                what, where = f"level {trial.level!r}", place(("axes", self.suite.axis, trial.level), key=True)
                fix = "Vary it on an axis of its own."
                if self.factors:
                    factor = self.who_sets(field)
                    what, where = f"factor {factor}", place(("axes", factor), key=True)
                    fix = "Remove it from design.factors; it is then a context."
                what += f" changes the {field} of the baseline, so they cannot be compared on the same examples."
                raise UserError(what, where=where, fix=fix)

    def who_sets(self, field: str) -> str:
        """The first factor that sets this field of a trial."""
        for factor in self.factors:
            for assignment in itertools.chain(*self.axes[factor].values()):
                of, *rest = assignment.path
                if field == ("batch_size" if rest == ["batch_size"] else of):
                    return factor
        raise AssertionError(f"no factor sets {field}")

    def weakest_promise(self, trial: Trial, baseline: Trial) -> str:
        """The weakest promise among the parts in which a trial and the baseline differ."""
        changes = {"rounding"}
        for ours, theirs in ((trial.use, baseline.use), (baseline.use, trial.use)):
            for spec in ours:
                if spec not in theirs:
                    changes.add(self.catalog.find(Optimization, spec.name).part.changes)
        if trial.model != baseline.model and not self.same_function(trial.model, baseline.model):
            changes.add("model")
        return max(changes, key=CHANGES.index)

    def same_function(self, one: Spec, other: Spec) -> bool:
        """Whether two models promise the same function of the same weights: `computes` is equal, parameters of both are
        equal, and parameters of only one have their defaults."""
        parts = [self.catalog.find(Model, spec.name).part for spec in (one, other)]
        if not parts[0].computes or parts[0].computes != parts[1].computes:
            return False
        for spec, against, part in ((one, other, parts[0]), (other, one, parts[1])):
            schema = self.schemas["model", spec.name]
            for name, value in spec.parameters.items():
                if name not in part.implementation and value != against.parameters.get(name, schema[name].default):
                    return False
        return True
