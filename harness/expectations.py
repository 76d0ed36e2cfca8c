"""What the claims of a suite speak of: each held against what is measured, better and worse turned into a direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from harness import stats
from harness.catalog import Catalog
from harness.errors import UserError, did_you_mean
from harness.parts import Metric, Score
from harness.records import LEARNING, Block, Claim, Learning
from harness.scores import TARGETED, scores_of
from harness.suite import Suite

Complain = Callable[[UserError], None]


def resolve_claims(suite: Suite, blocks: Sequence[Block], catalog: Catalog, complain: Complain) -> tuple[Claim, ...]:
    """The claims with their measure and direction, complaining of each that nothing measured can settle."""
    found = []
    for index, claim in enumerate(suite.claims):
        try:
            found.append(_Resolver(suite, index, claim, blocks, catalog).resolve())
        except UserError as error:
            complain(error)
    return tuple(found)


def spoken_of(claim: Claim, blocks: Sequence[Block]) -> list[Block]:
    """The blocks whose contexts the claim's `where` leaves."""
    return [b for b in blocks if all(b.context.get(axis) in levels for axis, levels in claim.where.items())]


class _Resolver:
    def __init__(self, suite: Suite, index: int, claim: Claim, blocks: Sequence[Block], catalog: Catalog) -> None:
        self.suite, self.index, self.claim, self.catalog = suite, index, claim, catalog
        self.blocks = spoken_of(claim, blocks)
        self.learning = suite.measures.learning
        timed = suite.measures.speed is not None and "train" in suite.measures.speed.of
        self.scores = [scores_of(b.measures.learning, timed=timed) for b in self.blocks if b.measures.learning]

    def error(self, field: str, what: str, fix: str = "") -> UserError:
        return UserError(what, where=self.suite.source.place(("claims", self.index, field)), fix=fix)

    def resolve(self) -> Claim:
        claim = self.claim
        known = {name for scores in self.scores for name in scores}
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
                    untimed = "Measure the speed of training, too."
                    fix = "Give measure.learning.target." if learning.target is None else untimed
                raise self.error("metric", f"{block.baseline.dataset.name} has no score {claim.metric!r}.", fix)
        if len(learning.seeds) < stats.LEAST:
            what = f"{len(learning.seeds)} seeds settle no claim."
            raise self.error("says", what, f"Give measure.learning.seeds at least {stats.LEAST}; 10 is the default.")
        score: Score = self.scores[0][claim.metric] if self.scores else Score()
        return directed(claim, score, LEARNING, self.error)

    def of_steps(self, known: set[str]) -> Claim:
        claim, speed = self.claim, self.suite.measures.speed
        metrics = self.catalog.entries(Metric)
        if claim.metric in known - set(metrics):
            raise self.error("of", f"{claim.metric} is of learning.", "Leave of out.")
        if claim.metric not in metrics:
            where = self.suite.source.place(("claims", self.index, "metric"))
            what = f"there is no metric named {claim.metric!r}."
            raise UserError(what, where=where, fix=did_you_mean(claim.metric, {*metrics, *known}))
        if speed is None:
            fix = f"Name one that is: metric: {', '.join(sorted(known))}." if known else "Add measure.speed."
            raise self.error("metric", f"{claim.metric} is not measured: an interval settles a claim.", fix)
        if metrics[claim.metric].part.per != "sample":
            fix = "On the same examples it mirrors step_time: claim that."
            raise self.error("metric", f"{claim.metric} has no interval of its own.", fix)
        mode = claim.of or speed.of[0]
        if mode not in speed.of:
            raise self.error("of", f"{mode} is not measured.", f"measure.speed.of is {', '.join(speed.of)}.")
        return directed(claim, Score("lower", "ratio"), mode, self.error)


def directed(claim: Claim, score: Score, mode: str, error: Callable[..., UserError]) -> Claim:
    """The claim about this score, higher or lower where it said better or worse; raises where its amount is of the
    wrong kind."""
    if claim.by and claim.scale != score.compared:
        words = {"difference": "by its difference: write points, such as 1 point", "ratio": "by its ratio: write %"}
        raise error("expect", f"{claim.metric} is compared {words[score.compared]}.")
    other: Mapping[str, str] = {"higher": "lower", "lower": "higher"}
    expect = {"better": score.better, "worse": other[score.better]}.get(claim.expect, claim.expect)
    return replace(claim, expect=expect, of=mode, scale=score.compared)  # type: ignore[arg-type]  # one of the three
