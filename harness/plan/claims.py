"""What the claims of a suite speak of: each held against what is measured, better and worse turned into a direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from harness.analysis import stats
from harness.analysis.grouping import FEWEST
from harness.analysis.growth import GROWN, number
from harness.analysis.resources import INEXACT, OVER_AMOUNTS, exact_names
from harness.errors import UserError, did_you_mean
from harness.plugins.catalog import Catalog
from harness.plugins.parts import Metric, Score
from harness.plugins.scores import TARGETED, scores_of
from harness.records.plan import LEARNING, Block, Claim, Learning, spoken_of
from harness.suite.loader import Suite

Complain = Callable[[UserError], None]
#: Of all that is counted or timed, less is better.
LESS = Score("lower", "ratio")


def resolve_claims(suite: Suite, blocks: Sequence[Block], catalog: Catalog, complain: Complain) -> tuple[Claim, ...]:
    """The claims with their measure and direction, complaining of each that nothing measured can settle."""
    found = []
    for index, claim in enumerate(suite.claims):
        try:
            found.append(_Resolver(suite, index, claim, blocks, catalog).resolve())
        except UserError as error:
            complain(error)
    return tuple(found)


class _Resolver:
    def __init__(self, suite: Suite, index: int, claim: Claim, blocks: Sequence[Block], catalog: Catalog) -> None:
        self.suite, self.index, self.claim, self.catalog = suite, index, claim, catalog
        self.blocks = spoken_of(claim, blocks)
        self.learning = suite.measures.learning
        speed = suite.measures.speed
        timed = speed is not None and "train" in speed.of and not suite.factors  # no effect is of two measures
        self.scores = [scores_of(b.measures.learning, timed=timed) for b in self.blocks if b.measures.learning]

    def error(self, field: str, what: str, fix: str = "") -> UserError:
        return UserError(what, where=self.suite.source.place(("claims", self.index, field)), fix=fix)

    def resolve(self) -> Claim:
        claim = self.claim
        known = {name for scores in self.scores for name in scores}
        if claim.along:
            self.check_growth()
            return replace(self.of_steps(set()), scale="exponent")
        if self.learning and (claim.of == LEARNING or (not claim.of and claim.metric in {*known, *TARGETED})):
            return self.of_learning(self.learning)
        if claim.of == LEARNING:
            raise self.error("of", "learning is not measured.", "Add measure.learning.")
        return self.of_steps(known)

    def of_learning(self, learning: Learning) -> Claim:
        claim = self.claim
        for block, scores in zip(self.blocks, self.scores, strict=True):
            if claim.metric not in scores:
                fix = did_you_mean(claim.metric, scores)
                if claim.metric in TARGETED:
                    untimed = "Claim steps_to_target." if self.suite.factors else "Measure the speed of training, too."
                    fix = "Give measure.learning.target." if learning.target is None else untimed
                raise self.error("metric", f"{block.baseline.dataset.name} has no score {claim.metric!r}.", fix)
        if len(learning.seeds) < stats.LEAST:
            what = f"{len(learning.seeds)} seeds settle no claim."
            raise self.error("says", what, f"Give measure.learning.seeds at least {stats.LEAST}; 10 is the default.")
        score: Score = self.scores[0][claim.metric] if self.scores else Score()
        return directed(claim, score, LEARNING, self.error)

    def check_growth(self) -> None:
        """That the metric can grow along the axis, and that the claim asks no more than which of two grows faster."""
        claim, axes = self.claim, self.suite.axes
        if self.suite.factors:
            raise self.error("along", "an ablation design fits no exponents.", "Compare levels of one axis: a grid.")
        if claim.along not in axes:
            fix = did_you_mean(claim.along, [axis for axis in axes if axis != self.suite.axis])
            raise self.error("along", f"there is no axis {claim.along!r}.", fix)
        if claim.along == self.suite.axis:
            fix = "Growth is along another one, whose levels are numbers."
            raise self.error("along", f"the levels of {claim.along} are what is compared.", fix)
        names = [level for level in axes[claim.along] if number(level) is None]
        if names:
            fix = "Growth is along an axis whose levels are numbers."
            raise self.error("along", f"the level {names[0]!r} of {claim.along} is no number above zero.", fix)
        if len(axes[claim.along]) < FEWEST:
            what = f"{claim.along} has {len(axes[claim.along])} levels, and an exponent is fitted to {FEWEST} or more."
            raise self.error("along", what, "Add levels to it.")
        if claim.along in claim.where:
            fix = "An exponent is of all of its levels: leave it out of where."
            raise self.error("where", f"{claim.along} is what the metric grows along.", fix)
        if claim.metric not in GROWN:
            raise self.error("metric", f"no exponent of {claim.metric} is fitted.", did_you_mean(claim.metric, GROWN))
        if claim.of == LEARNING:
            raise self.error("of", "exponents are of single steps.", "Write of: train, or of: inference.")
        if claim.scale:
            fix = f"Write {claim.expect}." if claim.expect != "equal" else "Write lower or higher."
            what = "amounts are shares of a ratio or points, and a difference of exponents is neither."
            raise self.error("expect", what, fix)

    def of_steps(self, known: set[str]) -> Claim:
        claim = self.claim
        if claim.metric in self.catalog.entries(Metric):
            return self.of_times(known)
        if claim.metric in known:
            raise self.error("of", f"{claim.metric} is of learning.", "Leave of out.")
        for measure in ("memory", "cost"):
            stem, _, amount = claim.metric.partition("/")
            if stem in exact_names(measure, "train") and (not amount or stem in OVER_AMOUNTS):
                return self.of_what_is_exact(measure, stem)
        if claim.metric in INEXACT:
            what = f"{claim.metric} is neither exact nor has it an interval, so it settles no claim."
            raise self.error("metric", what, "Claim a time, or what is exact, such as kept_bytes.")
        metrics = {name for name, entry in self.catalog.entries(Metric).items() if entry.part.per == "sample"}
        claimed = {*metrics, *known, *exact_names("memory", "train"), *exact_names("cost", "train")}
        fix = did_you_mean(claim.metric, claimed)
        raise self.error("metric", f"there is no metric named {claim.metric!r}.", fix)

    def of_what_is_exact(self, measure: Literal["memory", "cost"], stem: str) -> Claim:
        claim, settings = self.claim, getattr(self.suite.measures, measure)
        if self.suite.factors:
            what = f"an ablation design estimates no effects on {claim.metric}."
            raise self.error("metric", what, "Compare levels of one axis: a grid.")
        if settings is None:
            raise self.error("metric", f"{claim.metric} is not measured.", f"Add measure.{measure}.")
        having = [mode for mode in settings.of if stem in exact_names(measure, mode)]
        if claim.of and claim.of not in settings.of:
            raise self.error("of", f"{claim.of} is not measured.", f"measure.{measure}.of is {', '.join(settings.of)}.")
        if not having or (claim.of and claim.of not in having):
            fix = "Write of: train." if having else f"Add train to measure.{measure}.of."
            raise self.error("metric", f"inference has no {claim.metric}.", fix)
        return replace(directed(claim, LESS, claim.of or having[0], self.error), exact=True)

    def of_times(self, known: set[str]) -> Claim:
        claim, speed = self.claim, self.suite.measures.speed
        metrics = self.catalog.entries(Metric)
        if speed is None:
            fix = f"Name one that is: metric: {', '.join(sorted(known))}." if known else "Add measure.speed."
            raise self.error("metric", f"{claim.metric} is not measured: an interval settles a claim.", fix)
        if metrics[claim.metric].part.per != "sample":
            fix = "On the same examples it mirrors step_time: claim that."
            raise self.error("metric", f"{claim.metric} has no interval of its own.", fix)
        mode = claim.of or speed.of[0]
        if mode not in speed.of:
            raise self.error("of", f"{mode} is not measured.", f"measure.speed.of is {', '.join(speed.of)}.")
        return directed(claim, LESS, mode, self.error)


def directed(claim: Claim, score: Score, mode: str, error: Callable[..., UserError]) -> Claim:
    """The claim about this score, higher or lower where it said better or worse; raises where its amount is of the
    wrong kind."""
    if claim.by and claim.scale != score.compared:
        words = {"difference": "by its difference: write points, such as 1 point", "ratio": "by its ratio: write %"}
        raise error("expect", f"{claim.metric} is compared {words[score.compared]}.")
    other: Mapping[str, str] = {"higher": "lower", "lower": "higher"}
    expect = {"better": score.better, "worse": other[score.better]}.get(claim.expect, claim.expect)
    return replace(claim, expect=expect, of=mode, scale=score.compared)  # type: ignore[arg-type]  # one of the three
