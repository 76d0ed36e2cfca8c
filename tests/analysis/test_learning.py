"""Learning analysis of synthetic runs: values, failure rates, times to a target, margins and flags."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made import learning_block, run, runs
from scipy.stats import ttest_rel

from harness.analysis import seed_stats as seeds
from harness.analysis.findings import find
from harness.analysis.learning import Learned, RateDifference, value_of
from harness.records.plan import Claim, Plan
from harness.report.summary import summary_of
from harness.report.tables.learning import learning_table, notes, reached_cell

BASE = np.linspace(0.5, 0.6, 10)


def learned(block, *records) -> Learned:
    return Learned(block, [record for some in records for record in some])


def test_mean_score_excludes_the_untrained_model():
    block = learning_block("a", "b")
    one = run(block, "a", 0, close=[0.1, 0.2, 0.4, 0.6, 0.8], error=[9, 8, 4, 2, 1])
    settings = block.measures.learning
    assert value_of(one, "close", settings, 20) == 0.8
    assert value_of(one, "mean_close", settings, 20) == pytest.approx(0.5)
    assert value_of(one, "mean_error", settings, 20) == pytest.approx(15 / 4)
    assert value_of(one, "diverged", settings, 20) == 0.0


def test_diverged_run_counts_as_untrained():
    block = learning_block("a", "b", target=0.2)
    settings = block.measures.learning
    one = run(block, "a", 0, diverged_at=12, close=[0.1, 0.4, 0.7], steps=13)
    assert value_of(one, "close", settings, 20) == 0.1
    assert value_of(one, "mean_close", settings, 20) == pytest.approx((0.4 + 0.7 + 0.1 + 0.1) / 4)
    assert value_of(one, "diverged", settings, 20) == 1.0
    assert value_of(one, "reached", settings, 20) == 0.0, "it was there, and did not stay"
    assert value_of(one, "steps_to_target", settings, 20) == 20


def test_mean_of_a_short_run_covers_its_planned_evaluations():
    """Two epochs of two batches are evaluated four times, whatever the settings request."""
    block = learning_block("a", "b", steps=0, epochs=2.0, evaluations=20)
    one = run(block, "a", 0, diverged_at=2, evaluated=(0, 1, 2), planned=4, close=[0.1, 0.5, 0.6])
    assert value_of(one, "mean_close", block.measures.learning, 4) == pytest.approx((0.5 + 0.6 + 0.1 + 0.1) / 4)


def test_unreached_target_counts_as_the_whole_run():
    block = learning_block("a", "b", target=0.5)
    one = learned(
        block,
        [run(block, "a", seed, close=[0.1, 0.2, 0.5, 0.6, 0.7]) for seed in range(5)],
        [run(block, "b", seed, close=[0.1, 0.2, 0.3, 0.4, 0.45 + seed / 20]) for seed in range(5)],
    )
    assert one.reached("a") == [10] * 5
    assert one.reached("b") == [None, 20, 20, 20, 20]
    assert one.compare("b", "steps_to_target").values == (20.0,) * 5
    assert one.compare("b", "steps_to_target").size == pytest.approx(2.0)
    assert one.compare("b", "reached").values == (0.0, 1.0, 1.0, 1.0, 1.0)
    assert one.compare("b", "reached").size == pytest.approx(-0.2)
    assert reached_cell(one.reached("b")) == "20 (4/5)"
    assert reached_cell([None, None, 5]) == "never (1/3)"
    assert reached_cell([None, 10, 5]) == "10 (2/3)"


def test_target_met_by_the_untrained_model_takes_one_step():
    """The logarithm of the diverged loss would dominate all other seeds."""
    block = learning_block("a", "b", target=0.1)
    one = learned(block, runs(block, "a", close=[0.9] * 5), runs(block, "b", close=[0.9] * 5))
    assert one.reached("a") == [0] * 5
    assert one.compare("b", "steps_to_target").baseline_values == (1.0,) * 5


@pytest.mark.parametrize("diverged_at", [None, 3])
def test_run_limited_by_time_gains_nothing_from_few_steps(diverged_at):
    """Runs that do not reach the target count with the largest number of steps of any run, for both slow and diverged
    runs."""
    block = learning_block("a", "b", steps=0, seconds=1.0, target=0.5)
    there = [run(block, "a", s, close=[0.1, 0.6], evaluated=(0, 80), steps=100, planned=0) for s in range(5)]
    short = [
        run(block, "b", s, close=[0.1, 0.2], evaluated=(0, 30), steps=30, planned=0, diverged_at=diverged_at)
        for s in range(5)
    ]
    compared = learned(block, there, short).compare("b", "steps_to_target")
    assert compared.baseline_values == (80.0,) * 5
    assert compared.values == (100.0,) * 5
    assert compared.verdict == "worse"


def test_failure_rates_are_compared_by_discordant_seeds():
    block = learning_block("a", "b")
    fine, bad = runs(block, "a", close=BASE), [run(block, "b", s, diverged_at=2, close=[0.1]) for s in range(7)]
    one = learned(block, fine, bad, [run(block, "b", s, close=0.6) for s in range(7, 10)])
    compared = one.compare("b", "diverged")
    assert isinstance(compared.estimate, RateDifference)
    assert compared.size == pytest.approx(0.7)
    expected = seeds.failure_difference([False] * 10, [True] * 7 + [False] * 3)
    assert compared.interval == pytest.approx(expected[1:])
    assert compared.estimate.p_value() == pytest.approx(2 * 0.5**7)
    assert compared.estimate.half_width() == pytest.approx((expected[2] - expected[1]) / 2)
    assert compared.verdict == "worse"
    assert compared.sign_flip is None
    assert "diverged" not in compared.flags, "it is what is compared"


def test_diverged_seed_stays_in_the_mean():
    block = learning_block("a", "b")
    better = [run(block, "b", seed, close=value + 0.1) for seed, value in enumerate(BASE[:9])]
    one = learned(block, runs(block, "a", close=BASE), better, [run(block, "b", 9, diverged_at=2, close=[0.1])])
    compared = one.compare("b", "close")
    assert compared.size == pytest.approx((9 * 0.1 + (0.1 - BASE[9])) / 10)
    assert compared.survivors is not None
    assert compared.survivors.k == 9
    assert compared.survivors.mean == pytest.approx(0.1)
    assert compared.flags == ("diverged",)
    assert compared.verdict == "undecided"
    assert "b without the seeds that diverged: +10.0 (+10.0 to +10.0), 9 seeds." in notes(one, [compared])


def test_the_interval_is_the_paired_t_test_s():
    block = learning_block("a", "b")
    theirs = BASE + np.random.default_rng(0).normal(0.02, 0.03, 10)
    one = learned(block, runs(block, "a", close=BASE, error=BASE), runs(block, "b", close=theirs, error=theirs))
    difference, ratio = one.compare("b", "close"), one.compare("b", "error")
    test = ttest_rel(theirs, BASE)
    assert difference.size == pytest.approx((theirs - BASE).mean())
    assert difference.interval == pytest.approx(test.confidence_interval())
    assert difference.estimate.p_value() == pytest.approx(test.pvalue)
    test = ttest_rel(np.log(theirs), np.log(BASE))
    assert np.log(ratio.interval) == pytest.approx(test.confidence_interval())
    assert ratio.size == pytest.approx(np.exp(np.log(theirs / BASE).mean()))


@pytest.mark.parametrize(
    ("metric", "change", "verdict"),
    [("close", 0.1, "better"), ("close", -0.1, "worse"), ("error", 0.1, "worse"), ("error", -0.1, "better")],
)
def test_better_follows_the_direction_of_the_score(metric, change, verdict):
    block = learning_block("a", "b", metric=metric)
    noise = np.random.default_rng(1).normal(0, 0.01, 10)
    one = learned(block, runs(block, "a", **{metric: BASE}), runs(block, "b", **{metric: BASE + change + noise}))
    assert one.compare("b", metric).verdict == verdict
    assert one.compare("b", f"mean_{metric}").verdict == verdict


def test_margin_applies_to_its_metric_only():
    block = learning_block("a", "b", metric="error", margin=0.05, margin_of="ratio")
    close = np.random.default_rng(2).normal(1, 0.01, 10)
    one = learned(
        block, runs(block, "a", close=BASE, error=BASE), runs(block, "b", close=BASE * close, error=BASE * close)
    )
    assert one.margin("error") == one.margin("mean_error") == pytest.approx(math.log(1.05))
    assert one.margin("close") is one.margin("loss") is one.margin("diverged") is None
    assert one.compare("b", "error").verdict == "equivalent"
    assert one.compare("b", "close").verdict == "undecided"
    points = learning_block("a", "b", margin=0.01, margin_of="difference")
    assert learned(points).margin("close") == 0.01


def test_fewer_than_five_seeds_are_insufficient(catalog):
    block = learning_block("a", "b")
    one = learned(block, runs(block, "a", close=[0.1] * 4), runs(block, "b", close=[0.8, 0.9, 0.8, 0.9]))
    compared = one.compare("b", "close")
    assert (compared.verdict, compared.reason) == ("insufficient", "4 of at least 5 seeds")
    (title, *rest) = learning_table(find(plan_of(block), list(one_records(one)), catalog), one).rows
    assert title[1] == "10.0% 10.0% 10.0% 10.0%", "each seed by itself"
    assert rest[0][1] == "80.0% 90.0% 80.0% 90.0%"


def plan_of(block) -> Plan:
    return Plan("s", "q?", "what", (block,))


def one_records(one: Learned):
    return (record for level in one.runs.values() for record in level.values())


def test_only_common_seeds_are_compared():
    block = learning_block("a", "b")
    one = learned(block, runs(block, "a", close=BASE), runs(block, "b", close=BASE[:6] + 0.1))
    assert one.compare("b", "close").seeds == (0, 1, 2, 3, 4, 5)
    assert len(one.compare("b", "close").baseline_values) == 6


def test_failed_level_is_invalid_with_a_reason():
    block = learning_block("a", "b", "c")
    failed = replace(run(block, "b", 3, close=0.1), outcome="failed", reason="it broke", data={"seed": 3})
    one = learned(
        block, *(runs(block, level, close=BASE) for level in "ac"), runs(block, "b", close=BASE[:3]), [failed]
    )
    assert (one.compare("b", "close").verdict, one.compare("b", "close").reason) == ("invalid", "failed: it broke")
    assert one.compare("c", "close").verdict == "undecided"
    missing = learned(block, runs(block, "a", close=BASE)).compare("b", "close")
    assert (missing.verdict, missing.reason, missing.interval) == ("invalid", "not trained", None)


def test_seeds_added_later_flag_the_table():
    for planned, flags in ((5, ("extended",)), (10, ())):
        block = learning_block("a", "b", planned=planned)
        one = learned(block, runs(block, "a", close=BASE), runs(block, "b", close=BASE + 0.1))
        assert one.compare("b", "close").flags == flags


def test_disagreeing_tests_are_flagged():
    """All seeds improve, one of them by thirty times as much: the sign-flip test is significant, but the t interval
    contains zero."""
    block = learning_block("a", "b")
    gains = np.array([0.01] * 5 + [0.3])
    one = learned(block, runs(block, "a", close=BASE[:6]), runs(block, "b", close=BASE[:6] + gains))
    compared = one.compare("b", "close")
    assert compared.verdict == "undecided"
    assert compared.sign_flip == pytest.approx(2 / 64)
    assert compared.flags == ("flips-disagree",)
    again = learned(block, runs(block, "a", close=BASE[:6]), runs(block, "b", close=BASE[:6] + 0.1 + gains / 10))
    assert again.compare("b", "close").flags == ()


# Where there is nothing to compare


def with_data(records, **data):
    return [replace(record, data={**record.data, **data}) for record in records]


def test_identical_runs_are_said_to_be_so_and_get_no_verdict(catalog):
    block = learning_block("a", "b", margin=0.05, margin_of="difference")
    first = runs(block, "a", close=BASE)
    same = [replace(record, level="b") for record in first]
    one = learned(block, first, same)
    for metric in one.scores:
        assert one.compare("b", metric).verdict == "identical", metric
    # The same score of every seed, but other losses: with a margin it is equivalent, as before.
    other = learned(block, first, with_data(same[:1], loss=[9.0]), same[1:])
    assert other.compare("b", "close").verdict == "equivalent"
    few = learned(block, first[:2], same[:2])
    assert few.compare("b", "close").verdict == "identical", "also with few seeds"
    found = find(replace(plan_of(block), claims=(equal(0.05),)), [*first, *same], catalog)
    (claim,) = found.claims
    assert claim.answer == "undecided"
    assert claim.reason == "no verdict for all: every loss and score of every seed is the same to the last bit"
    assert learning_table(found, one).rows[1][-1].startswith("identical: every loss")
    assert summary_of(found)[-1].startswith("b is identical to a: every loss")


def equal(by: float) -> Claim:
    return Claim("they are equal", "b", "close", "equal", by, "learning", {}, "all", "difference")


def test_nothing_learned_is_said_first_and_decides_nothing(catalog):
    """Both levels are alike, and equivalent, but neither is better than its untrained model."""
    block = learning_block("a", "b", margin=0.05, margin_of="difference")
    noise = np.random.default_rng(3).normal(0, 0.01, 10)
    records = [*runs(block, "a", close=0.1 + noise), *runs(block, "b", close=0.1 + noise[::-1])]
    found = find(replace(plan_of(block), claims=(equal(0.05),)), records, catalog)
    (one,) = found.learning.learned
    for metric in ("close", "mean_close", "loss"):
        compared = one.compare("b", metric)
        assert (compared.verdict, compared.reason) == ("unranked", "nothing learned")
    assert one.compare("b", "diverged").verdict == "undecided"
    assert (found.claims[0].answer, found.claims[0].reason) == ("undecided", "no verdict for all: nothing learned")
    words = "Nothing learned: no level is shown to have a better close than its own untrained model (95 % intervals)."
    assert summary_of(found)[0] == words
    table = learning_table(found, one)
    assert table.title.endswith("close (nothing learned)")
    assert table.notes[0] == words


def test_one_level_that_learned_is_enough():
    block = learning_block("a", "b")
    one = learned(block, runs(block, "a", close=[0.1] * 10), runs(block, "b", close=BASE))
    assert one.compare("b", "close").verdict == "better"


def test_learning_must_beat_the_constant_answer_where_it_is_known(catalog):
    block = learning_block("a", "b")
    base = with_data(runs(block, "a", close=BASE), constant={"close": 0.9})
    records = [*base, *runs(block, "b", close=BASE + 0.1)]
    found = find(plan_of(block), records, catalog)
    (one,) = found.learning.learned
    assert one.compare("b", "close").reason == "nothing learned"
    table = learning_table(found, one)
    assert table.rows[-1][:2] == ("constant answer", "90.0%")
    assert [row[2] for row in table.rows] == ["10.0%", "10.0%", ""]
    assert "than a constant answer and than its own untrained model" in table.notes[0]
    better = learned(block, base, runs(block, "b", close=BASE + 0.5))
    assert better.compare("b", "close").verdict == "better"
    lower = learned(
        block, with_data(runs(block, "a", error=BASE), constant={"error": 0.3}), runs(block, "b", error=BASE + 0.1)
    )
    assert lower.compare("b", "error").reason == "nothing learned", "lower is better"


def test_with_few_seeds_nothing_is_said_about_learning():
    block = learning_block("a", "b")
    one = learned(block, runs(block, "a", close=[0.1] * 4), runs(block, "b", close=[0.1] * 4))
    assert one.compare("b", "close").verdict == "insufficient"


def test_losses_of_different_functions_are_not_compared(catalog):
    block = learning_block("a", "b", metric="loss", target=0.4)
    ours = with_data(runs(block, "b", close=BASE, loss=BASE / 2), own_objective="it differs")
    records = [*runs(block, "a", close=BASE, loss=BASE), *ours]
    found = find(plan_of(block), records, catalog)
    (one,) = found.learning.learned
    for metric in ("loss", "mean_loss", "reached", "steps_to_target"):
        compared = one.compare("b", metric)
        assert (compared.verdict, compared.reason) == ("unranked", "it differs"), metric
        assert "own objective" in compared.flags
    assert one.compare("b", "close").verdict == "undecided"
    assert "own objective" not in one.compare("b", "close").flags


def test_a_table_names_shared_tensors_and_batches_of_the_training_size(catalog):
    block = learning_block("a", "b")
    ours = with_data(
        runs(block, "b", close=BASE),
        shared=["one", "two", "three", "four"],
        tensors=6,
        batch_dependent=True,
        size_dependent=True,
    )
    found = find(plan_of(block), [*runs(block, "a", close=BASE + 0.01), *ours], catalog)
    text = list(notes(found.learning.learned[0], []))
    assert text[-3] == "Under the same seed, b shares 4 of 6 tensors with a: one, two, three, and 1 more."
    assert text[-2].startswith("The predictions of b depend on the other examples of a batch")
    assert text[-1].startswith("The loss of b is not a mean over examples, so it depends on the batch size")
