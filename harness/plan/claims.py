"""Resolves the claims of a suite: which measure each is about, and which direction better or worse means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from harness.analysis import stats
from harness.analysis.grouping import FEWEST, number
from harness.analysis.growth import STEP_TIME
from harness.analysis.samples import OF_PROGRAMS, PEAK_MEMORY
from harness.errors import UserError, did_you_mean
from harness.modes import PROGRAM
from harness.plugins.catalog import Catalog
from harness.plugins.kinds import Quantity
from harness.plugins.parts import Metric, Score
from harness.plugins.scores import TARGETED, scores_of
from harness.records.plan import LEARNING, Block, Claim
from harness.records.settings import Learning
from harness.records.value_types import BYTES, SECONDS
from harness.suite.loader import Suite

Complain = Callable[[UserError], None]
#: Less is better for everything that is counted or timed.
LESS = Score("lower", "ratio")
#: The units of a time of a step.
DURATIONS = ("us", *SECONDS)


def resolve_claims(
    suite: Suite, blocks: Sequence[Block], catalog: Catalog, complain: Complain, *, complete: bool
) -> tuple[Claim, ...]:
    """The claims with their measure and direction. Reports each claim that no measurement can decide. Unless the blocks
    are `complete`, a claim may be about one that could not be planned, which is another mistake."""
    found = []
    for index, claim in enumerate(suite.claims):
        if not complete and not claim.blocks_in(blocks):
            continue
        try:
            found.append(_Resolver(suite, index, claim, blocks, catalog).resolve())
        except UserError as error:
            complain(error)
    return tuple(found)


class _Resolver:
    def __init__(self, suite: Suite, index: int, claim: Claim, blocks: Sequence[Block], catalog: Catalog) -> None:
        self.suite, self.index, self.claim, self.catalog = suite, index, claim, catalog
        self.blocks = claim.blocks_in(blocks)
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
                    untimed = "Use steps_to_target." if self.suite.factors else "Measure the speed of training too."
                    fix = "Set measure.learning.target." if learning.target is None else untimed
                raise self.error("metric", f"{block.baseline.dataset.name} has no score {claim.metric!r}.", fix)
        if (seeds := len(learning.seeds)) < (least := stats.MIN_REPLICATES):
            fix = f"Set measure.learning.seeds to at least {least}; 10 is the default."
            raise self.error("says", f"{seeds} seeds are too few to decide a claim.", fix)
        score: Score = self.scores[0][claim.metric] if self.scores else Score()
        if claim.is_value:
            return self.of_score_value(score)
        settings = self.blocks[0].measures.learning if self.blocks else None
        return self.directed(score, LEARNING, settings.margin_of(claim.metric) if settings else 0.0)

    def of_score_value(self, score: Score) -> Claim:
        """A claim about a score of the level itself. Scores that are compared by their difference may be given in %."""
        claim = self.claim
        if claim.metric == "time_to_target":
            what = "time_to_target has an interval only against the baseline."
            raise self.error("expect", what, "Claim a value of steps_to_target, or a difference: at least 5% better.")
        allowed = ("", "%") if score.compared == "difference" else ("",)
        if claim.unit not in allowed:
            example = f"a share, such as {claim.expect} 90%" if "%" in allowed else f"a number: {claim.expect} 0.3"
            raise self.error("expect", f"{claim.metric} is not given in {claim.unit}.", f"Use {example}.")
        if claim.by <= 0 and score.compared == "ratio":
            raise self.error("expect", f"{claim.metric} is above 0, so the value must be too.")
        return replace(claim, of=LEARNING)

    def check_growth(self) -> None:
        """Check that the metric can grow along the axis, and that the claim only says which of two grows faster."""
        claim, axes = self.claim, self.suite.axes
        if self.suite.factors:
            raise self.error("along", "an ablation design fits no exponents.", "Use a grid, which compares levels.")
        if claim.along not in axes:
            fix = did_you_mean(claim.along, [axis for axis in axes if axis != self.suite.axis])
            raise self.error("along", f"there is no axis {claim.along!r}.", fix)
        if claim.along == self.suite.axis:
            fix = "Name another axis, whose levels are numbers."
            raise self.error("along", f"{claim.along} is the compared axis.", fix)
        names = [level for level in axes[claim.along] if number(level) is None]
        if names:
            fix = "Growth needs an axis whose levels are numbers."
            raise self.error("along", f"the level {names[0]!r} of {claim.along} is not a number above zero.", fix)
        if len(axes[claim.along]) < FEWEST:
            what = f"{claim.along} has {len(axes[claim.along])} levels; an exponent needs at least {FEWEST}."
            raise self.error("along", what, "Add levels to it.")
        if claim.along in claim.where:
            fix = "An exponent uses all levels of its axis: remove it from where."
            raise self.error("where", f"the exponent is along {claim.along}.", fix)
        growing = [name for name, (_, quantity) in self.quantities.items() if quantity.grows]
        if claim.metric not in (*growing, STEP_TIME):
            fix = did_you_mean(claim.metric, [*growing, STEP_TIME])
            raise self.error("metric", f"no exponent of {claim.metric} is fitted.", fix)
        if claim.of == LEARNING:
            raise self.error("of", "exponents are fitted to single steps.", "Use of: train, or of: inference.")
        if claim.scale:
            without = claim.expect != "equal" and not claim.is_value
            fix = f"Use {claim.expect} without an amount." if without else "Use lower or higher."
            what = "a difference of exponents has no amount: it is neither a share of a ratio nor points."
            raise self.error("expect", what, fix)
        if claim.expect.endswith(("faster", "slower")):
            what = f"{claim.expect} may mean a time or its growth."
            raise self.error("expect", what, "Use lower or higher: the exponent of the level against the baseline's.")

    def of_steps(self, known: set[str]) -> Claim:
        claim = self.claim
        if claim.metric in self.catalog.entries(Metric):
            return self.of_times(known)
        if claim.metric in known:
            raise self.error("of", f"{claim.metric} is a score of learning.", "Remove of.")
        stem, _, amount = claim.metric.partition("/")
        measure, quantity = self.quantities.get(stem, ("", None))
        if quantity and quantity.judged == "exact" and (quantity.per_amount or not amount):
            return self.of_exact_quantity(measure, quantity)
        if quantity and not amount:
            what = f"{claim.metric} is neither exact nor does it have an interval, so it cannot decide a claim."
            raise self.error("metric", what, "Use a time, or an exact quantity such as kept_bytes.")
        metrics = {name for name, entry in self.catalog.entries(Metric).items() if entry.part.per == "sample"}
        exact = {name for name, (_, quantity) in self.quantities.items() if quantity.judged == "exact"}
        fix = did_you_mean(claim.metric, {*metrics, *known, *exact})
        raise self.error("metric", f"there is no metric named {claim.metric!r}.", fix)

    @cached_property
    def quantities(self) -> dict[str, tuple[str, Quantity]]:
        """The quantities of all kinds of measurement by name, with the name of their kind."""
        kinds = {name: measure.kind for name, measure in self.catalog.measures.items()}
        return {name: (kind, quantity) for kind, one in kinds.items() for name, quantity in one.quantities.items()}

    def of_exact_quantity(self, measure: str, quantity: Quantity) -> Claim:
        claim, settings = self.claim, self.suite.measures.get(measure, self.catalog.measures[measure].settings)
        if self.suite.factors:
            what = f"an ablation design estimates no effects on {claim.metric}."
            raise self.error("metric", what, "Use a grid, which compares levels.")
        if settings is None:
            raise self.error("metric", f"{claim.metric} is not measured.", f"Add measure.{measure}.")
        modes: tuple[str, ...] = getattr(settings, "of", None) or ("",)
        having = [mode for mode in modes if mode in quantity.modes or not mode]
        if claim.of and claim.of not in modes:
            fix = f"measure.{measure}.of is {', '.join(modes)}." if modes != ("",) else "Remove of."
            raise self.error("of", f"{claim.of} is not measured.", fix)
        if not having or (claim.of and claim.of not in having):
            fix = "Use of: train." if having else f"Add train to measure.{measure}.of."
            raise self.error("metric", f"inference has no {claim.metric}.", fix)
        mode = claim.of or having[0]
        if not claim.is_value:
            return replace(self.directed(LESS, mode, 0.0), exact=True)
        if claim.unit not in (units := ("", *BYTES) if quantity.unit == "bytes" else ("",)):
            example = f"{claim.expect} {'100 MB' if len(units) > 1 else '1000'}"
            raise self.error("expect", f"{claim.metric} is not given in {claim.unit}.", f"Example: {example}.")
        return replace(claim, of=mode, exact=True)

    def of_times(self, known: set[str]) -> Claim:
        claim, speed = self.claim, self.suite.measures.speed
        metrics = self.catalog.entries(Metric)
        if speed is None:
            fix = f"Add measure.speed, or use one of {', '.join(sorted(known))}." if known else "Add measure.speed."
            raise self.error("metric", f"{claim.metric} is not measured.", fix)
        if metrics[claim.metric].part.per != "sample":
            fix = "Use step_time: on the same examples, the two say the same."
            raise self.error("metric", f"{claim.metric} has no interval of its own.", fix)
        mode = claim.of or speed.of[0]
        if claim.metric in OF_PROGRAMS and mode != PROGRAM:
            raise self.error("metric", f"{claim.metric} is known of commands only.", "Use step_time, or memory.")
        if mode not in speed.of:
            raise self.error("of", f"{mode} is not measured.", f"measure.speed.of is {', '.join(speed.of)}.")
        if not claim.is_value:
            return self.directed(LESS, mode, speed.margin, is_time=True)
        is_memory = claim.metric == PEAK_MEMORY
        units = tuple(BYTES) if is_memory else DURATIONS
        if claim.unit not in units or claim.by <= 0:
            what = f"{claim.metric} is {'memory' if is_memory else 'a time'} above 0 with its unit: {', '.join(units)}."
            example = "20 MB" if is_memory else "20 ms"
            fix = f"Example: {claim.expect} {example}. A difference to the baseline has a direction: at most 5% slower."
            raise self.error("expect", what, fix)
        return replace(claim, of=mode)

    def directed(self, score: Score, mode: str, margin: float, *, is_time: bool = False) -> Claim:
        """The claim with a direction that is lower or higher. A limit without an amount allows the `margin` of the
        suite; for exact quantities and exponents it allows nothing. Raises if the amount has the wrong scale."""
        claim = self.claim
        if claim.scale and claim.scale != score.compared:
            words = {"difference": "by its difference: use points, such as 1 point", "ratio": "by its ratio: use %"}
            words["number"] = "by the difference of numbers: give the direction alone, such as better"
            raise self.error("expect", f"{claim.metric} is compared {words[score.compared]}.")
        *negated, word = claim.expect.split()
        if word in ("faster", "slower") and not is_time and claim.metric != "time_to_target":
            fix = f"Use {claim.expect.replace(word, 'better' if word == 'faster' else 'worse')}."
            raise self.error("expect", f"{claim.metric} is not a time.", fix)
        other: Mapping[str, str] = {"higher": "lower", "lower": "higher"}
        directions = {"better": score.better, "worse": other[score.better], "faster": "lower", "slower": "higher"}
        directions |= {"less": "lower", "more": "higher"}
        by = claim.by
        if claim.is_limit and not claim.scale and not claim.along and (mode == LEARNING or is_time):
            by = margin
            if not by:
                example = "2%" if score.compared == "ratio" else "1 point"
                what = f"{claim.expect} needs an amount, since {claim.metric} has no margin."
                raise self.error("expect", what, f"Example: {claim.expect} by {example}.")
        expect = " ".join([*negated, directions.get(word, word)])
        return replace(claim, expect=expect, by=by, of=mode, scale=score.compared)
