"""What is measured of a block: the suite's settings, the dataset's scores, the command line."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.errors import UserError, did_you_mean
from harness.modes import PROGRAM
from harness.plan.commands import scores_of_program, speed_of_programs
from harness.plugins.catalog import Catalog
from harness.plugins.experiment import EXPERIMENT
from harness.plugins.parts import Dataset, Score
from harness.plugins.scores import LOSS, TARGETED, declared, scores_of
from harness.records.plan import Spec
from harness.records.settings import Learning, Measures
from harness.suite.loader import Suite


@dataclass(frozen=True)
class MeasurePlanner:
    """Plans what is measured of a block. `plain` is for results that something depends on: no look before the fifth
    process, and no pooled variance. `seeds` is the least number of seeds for learning; `complain` is called with each
    mistake, and `remark` with each warning."""

    suite: Suite
    catalog: Catalog
    quick: bool
    plain: bool
    seeds: int | None
    complain: Callable[[UserError], None]
    remark: Callable[[str], None]

    def __call__(self, dataset: Spec) -> Measures:
        """The measures of a block with this dataset."""
        measures = self.suite.measures
        of_programs = dataset.name == PROGRAM
        if measures.learning:
            measures = measures.with_(learning=self.learning(measures.learning, dataset))
        if measures.speed and of_programs:
            measures = measures.with_(speed=speed_of_programs(measures.speed, measures.learning))
        elif measures.speed:
            # Effects are contrasts of several levels, for which no variance is expected.
            measures = measures.with_(speed=measures.speed.as_planned(plain=self.plain or bool(self.suite.factors)))
        return self.quick_measures(measures) if self.quick else measures

    def quick_measures(self, measures: Measures) -> Measures:
        """The measures of a quick run: kinds that a quick run leaves out are dropped."""
        settings = {name: measures.get(name, one.settings) for name, one in self.catalog.measures.items()}
        quick = {name: given and given.for_quick_run() for name, given in settings.items()}
        return replace(measures, kinds=Measures.of(**quick).kinds)

    def learning(self, settings: Learning, dataset: Spec) -> Learning:
        """The settings with the dataset's scores. Reports a metric or a margin that does not fit these."""
        claimed = [claim.metric.removeprefix("mean_") for claim in self.suite.claims]
        declares = self.declared_by(dataset, settings)
        learning = settings.changed(
            seeds=self.enough_seeds(settings.seeds),
            evaluations=min(settings.evaluations, settings.steps or settings.evaluations),
            planned=len(settings.seeds),
            of_programs=dataset.name == PROGRAM,
            metric=settings.metric if settings.metric != "loss" or "loss" in declares else next(iter(declares)),
            scores=declared(declares, {*settings.also, settings.score, *claimed}, loss=False),
        )
        place = self.suite.source.places.get(("measure", "learning", "evaluations"))
        if place and learning.evaluations < settings.evaluations:
            self.remark(f"{place}: a run has {settings.steps} steps, so it is evaluated only {settings.steps} times.")
        known = scores_of(learning)
        for name in settings.also:
            if name not in declares:
                self.report("also", f"{dataset.name} has no score {name!r}.", did_you_mean(name, declares))
        metrics = [name for name in known if name not in (*TARGETED, "diverged")]
        metrics += [name for name in declares if name not in metrics]
        if learning.metric not in metrics:
            what = f"{dataset.name} has no score {learning.metric!r}."
            self.report("metric", what, did_you_mean(learning.metric, metrics))
        elif learning.margin and learning.margin_scale != known[learning.metric].compared:
            compared = known[learning.metric].compared
            units = {
                "difference": "points, such as 1 point",
                "ratio": "%, such as 2%",
                "number": "its unit, such as 0.5",
            }
            by = "difference as a number" if compared == "number" else compared
            what = f"{learning.metric} is compared by its {by}, and the margin is a {learning.margin_scale}."
            self.report("margin", what, f"Give the margin in {units[compared]}.")
        return learning

    def declared_by(self, dataset: Spec, settings: Learning) -> dict[str, Score]:
        """The scores of a dataset. Those of an experiment are known only when it is built."""
        if dataset.name == PROGRAM:
            return scores_of_program(dataset)
        if dataset.name == EXPERIMENT:
            wanted = (settings.score, *settings.also)
            own = {name: Score(settings.better.get(name, "higher"), "number") for name in wanted if name != "loss"}
        else:
            own = dict(self.catalog.find(Dataset, dataset.name).part.scores)
        return {"loss": LOSS, **own}

    def enough_seeds(self, seeds: tuple[int, ...]) -> tuple[int, ...]:
        """The suite's seeds, and the smallest other ones if more are needed."""
        others = (seed for seed in itertools.count() if seed not in seeds)
        return (*seeds, *itertools.islice(others, max(0, (self.seeds or 0) - len(seeds))))

    def report(self, field: str, what: str, fix: str) -> None:
        """Report a mistake in a field of `measure.learning`."""
        self.complain(UserError(what, where=self.suite.source.place(("measure", "learning", field)), fix=fix))
