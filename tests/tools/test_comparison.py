"""Comparison of two runs with known differences: verdicts, flags, claims and the gate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made import SPEC, block
from made_runs import FACTS, TWO, failure, timed

from harness.analysis.stats import Estimate
from harness.errors import UserError
from harness.records.plan import Block, Claim, Trial
from harness.records.settings import Measures, Speed
from harness.tools.comparison.comparison import ComparisonOptions, compare_runs, to_json
from harness.tools.comparison.gate import Gate, gate_of
from harness.tools.comparison.pairs import RunData
from harness.tools.comparison.tables import comparison_sections
from harness.tools.comparison.times import EarlierRuns, coordinates_of


def outcome(a: RunData, b: RunData, past: EarlierRuns | None = None, **options) -> tuple[list[tuple[str, str]], Gate]:
    """Level and verdict of each ratio, and the gate."""
    comparison = compare_runs(a, b, ComparisonOptions(**options), past)
    return [(change.level, change.verdict) for change in comparison.ratios], gate_of(comparison)


def test_equal_runs_pass_the_gate(run_of):
    verdicts, answer = outcome(run_of(1.1, 1), run_of(1.1, 2))
    assert verdicts == [("other", "equivalent")]
    assert (answer.code, answer.worse, answer.open) == (0, (), ())


def test_five_percent_slower_fails_the_gate_and_faster_does_not(run_of):
    verdicts, answer = outcome(run_of(1.1, 1), run_of(1.1 * 1.05, 2))
    assert verdicts == [("other", "slower")]
    assert answer.code == 1
    assert "all · train · other: slower, 1.0" in answer.worse[0]
    verdicts, answer = outcome(run_of(1.1, 1), run_of(1.1 / 1.05, 2))
    assert verdicts == [("other", "faster")]
    assert answer.code == 0


def test_margin_is_the_given_one_or_the_smaller_of_both_suites(run_of):
    wide = block("plain", "other", speed=Speed(margin=0.2))
    assert outcome(run_of(1.1, 1), run_of(1.155, 2, wide))[1].code == 1
    assert outcome(run_of(1.1, 1, wide), run_of(1.155, 2, wide))[1].code == 0
    assert outcome(run_of(1.1, 1), run_of(1.155, 2), margin=0.2)[1].code == 0


def test_different_processor_leaves_the_gate_open_unless_allowed(run_of):
    there = {**FACTS, "processor": "Made 2", "platform": "Linux 2"}
    a, b = run_of(1.1, 1), run_of(1.155, 2, facts=there)
    comparison = compare_runs(a, b, ComparisonOptions())
    (ratio,) = comparison.ratios
    assert (ratio.verdict, ratio.flags) == ("slower", ("other machine",))
    assert gate_of(comparison).code == 4
    assert {change.verdict for change in comparison.times} == {"not comparable"}
    assert comparison.flags == {"other machine"}
    comparison = compare_runs(a, b, ComparisonOptions(allowed=frozenset({"processor"})))
    assert comparison.ratios[0].flags == ()
    assert gate_of(comparison).code == 1
    # the operating systems still differ
    assert {change.verdict for change in comparison.times} == {"not comparable"}


@pytest.mark.parametrize("fact", ["python", "torch", "git", "plugins"])
def test_different_versions_are_shown_and_stay_comparable(run_of, fact):
    values = {"git": {"commit": "b" * 40, "dirty": True}, "plugins": {"test": "1"}}
    comparison = compare_runs(
        run_of(1.1, 1), run_of(1.1, 2, facts={**FACTS, fact: values.get(fact, "9.9")}), ComparisonOptions()
    )
    assert comparison.differences
    assert all(not difference.rules_out for difference in comparison.differences)
    assert comparison.ratios[0].flags == ()
    assert {change.verdict for change in comparison.times} == {"shown"}
    assert gate_of(comparison).code == 0


def changed(made: Block, level: str | None = None, **fields) -> Block:
    """The block with one trial, or all of them, changed."""
    trials = tuple(replace(t, **fields) if level in (None, t.level) else t for t in made.trials)
    return replace(made, trials=trials)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"fingerprint": "others"}, "fingerprint"),
        ({"batch_size": 2}, "batch_size"),
        ({"seed": 1}, "seed"),
        ({"model": replace(SPEC, parameters={"width": 2})}, "model"),
        ({"use": (SPEC,)}, "use"),
        ({"environment": {"MALLOC": "other"}}, "environment"),
    ],
)
def test_different_trials_are_not_comparable(run_of, fields, field):
    a, b = run_of(1.1, 1), run_of(1.1, 2, changed(TWO, **fields))
    comparison = compare_runs(a, b, ComparisonOptions())
    (ratio,) = comparison.ratios
    assert ratio.verdict == "not comparable"
    assert field in ratio.reason
    assert ratio.size is None
    assert gate_of(comparison).code == 4
    assert outcome(a, b, allowed=frozenset({field}))[1].code == 0


def test_a_changed_baseline_rules_out_all_ratios_and_a_changed_level_its_own(side):
    three = block("plain", "other", "third")
    a = side(timed(three, {"other": 1.1, "third": 1.2}, seed=1), three)
    for level, expected in (("plain", ["not comparable"] * 2), ("other", ["not comparable", "equivalent"])):
        newer = changed(three, level, seed=1)
        b = side(timed(newer, {"other": 1.1, "third": 1.2}, seed=2), newer)
        assert [verdict for _, verdict in outcome(a, b)[0]] == expected


def test_a_version_of_a_plugin_is_shown(run_of):
    comparison = compare_runs(
        run_of(1.1, 1), run_of(1.1, 2, changed(TWO, model=replace(SPEC, version="1"))), ComparisonOptions()
    )
    (difference,) = comparison.differences
    assert (difference.name, difference.a, difference.b) == ("versions: model", "test 0", "test 1")
    assert difference.places == ("all · plain", "all · other")
    assert gate_of(comparison).code == 0


def test_different_work_set_is_not_comparable_but_budget_is(run_of):
    assert outcome(run_of(1.1, 1), run_of(1.1, 2, block("plain", "other", speed=Speed(batches=4))))[1].code == 4
    assert outcome(run_of(1.1, 1), run_of(1.1, 2, block("plain", "other", speed=Speed(cache="cold"))))[1].code == 4
    assert outcome(run_of(1.1, 1), run_of(1.1, 2, block("plain", "other", speed=Speed(budget=4))))[1].code == 0


def test_different_device_is_flagged(run_of):
    comparison = compare_runs(run_of(1.1, 1), run_of(1.1, 2, changed(TWO, device="cuda")), ComparisonOptions())
    assert comparison.ratios[0].flags == ("other machine",)
    assert comparison.times[0].verdict == "not comparable"
    assert gate_of(comparison).code == 4


def test_failure_in_b_takes_precedence_over_slower(side):
    three = block("plain", "other", "third")
    a = side(timed(three, {"other": 1.1, "third": 1.1}, seed=1), three)
    b = side([failure(three, "third"), *timed(three, {"other": 1.2}, seed=2)], three)
    verdicts, answer = outcome(a, b)
    assert verdicts == [("other", "slower"), ("third", "invalid")]
    assert answer.code == 3
    assert answer.failed == ("all, third: failed in verify: it broke",)
    assert answer.worse
    # With --only for a level that did not fail, it is slower. A failure in A alone leaves the gate undecided.
    assert outcome(a, b, only={"what": ["other"]})[1].code == 1
    verdicts, answer = outcome(b, a, only={"what": ["third"]})
    assert verdicts == [("third", "invalid")]
    assert answer.code == 4
    assert "in A: failed: it broke" in answer.open[0]


def test_noisy_comparison_is_undecided(run_of):
    verdicts, answer = outcome(run_of(1.1, 1, noise=0.05), run_of(1.1, 2, noise=0.05))
    assert verdicts == [("other", "undecided")]
    assert answer.code == 4
    assert "interval is ±" in answer.open[0]


def test_runs_far_apart_are_assumed_to_differ_by_more(run_of):
    """Runs without a known time are also assumed to be far apart."""
    now = compare_runs(run_of(1.1, 1), run_of(1.1, 2), ComparisonOptions()).ratios[0]
    for at in ("2030-01-02T00:00:00+00:00", "2030-01-01T00:00:00", ""):
        later = compare_runs(run_of(1.1, 1), run_of(1.1, 2, at=at), ComparisonOptions()).ratios[0]
        assert (later.verdict, later.flags) == ("undecided", ("far apart",))
        assert later.estimate.half_width() == pytest.approx(2 * now.estimate.half_width(), rel=0.1)
    past = EarlierRuns(
        {coordinates_of({}, "other", "train"): [Estimate(0.1 + 0.001 * (i % 2), 0.001, 4, 5) for i in range(8)]}
    )
    measured = compare_runs(
        run_of(1.1, 1), run_of(1.1, 2, at="2030-02-01T00:00:00+00:00"), ComparisonOptions(), past
    ).ratios[0]
    assert (measured.verdict, measured.flags) == ("equivalent", ())


def test_first_look_and_few_processes_are_undecided(run_of):
    quick = block("plain", "other", speed=Speed(quick=True))
    verdicts, answer = outcome(run_of(1.1, 1), run_of(1.5, 2, quick, processes=1))
    assert verdicts == [("other", "undecided")]
    assert "a first look: B" in answer.open[0]
    verdicts, answer = outcome(run_of(1.1, 1, processes=3), run_of(1.5, 2))
    assert verdicts == [("other", "invalid")]
    assert "in A: 3 of at least 5 processes" in answer.open[0]
    assert answer.code == 4


def test_both_runs_use_cpu_time_if_one_needs_it(side):
    """In A, another program used the core: the wall time is twice the CPU time."""
    shared = timed(TWO, {"other": 1.1}, seed=1)
    for each in shared:
        each.data["wall"] = [2 * x for x in each.data["wall"]]
        each.data["switches"] = [1] * len(each.data["wall"])
    quiet = timed(TWO, {"other": 1.1}, seed=2)
    for each in quiet:
        each.data["wall"] = [int(x * 1.05) for x in each.data["wall"]]
        each.data["switches"] = [1] * len(each.data["wall"])
    comparison = compare_runs(side(shared, TWO), side(quiet, TWO), ComparisonOptions())
    (ratio,) = comparison.ratios
    assert (ratio.verdict, ratio.flags[0]) == ("equivalent", "cpu-clock")
    assert ratio.b == pytest.approx(1.1, abs=0.01)


def test_declared_wrong_answer_is_unranked(run_of):
    wrong = changed(TWO, "other", changes="answer")
    verdicts, answer = outcome(run_of(1.1, 1, wrong), run_of(1.5, 2, wrong))
    assert verdicts == [("other", "unranked")]
    assert answer.code == 4
    assert answer.open == ("the two runs have nothing that can be compared",)


def test_levels_and_contexts_of_one_run_are_listed(side):
    a_only, shared = replace(TWO, context={"cell": "a"}), replace(TWO, context={"cell": "b"})
    bigger = replace(block("plain", "other", "more"), context={"cell": "b"})
    b_only = replace(TWO, context={"cell": "c"})
    a = side([*timed(a_only, {"other": 1.1}), *timed(shared, {"other": 1.1})], a_only, shared)
    b = side([*timed(bigger, {"other": 1.1, "more": 3}, seed=1), *timed(b_only, {"other": 1})], bigger, b_only)
    comparison = compare_runs(a, b, ComparisonOptions())
    assert [(c.level, c.verdict) for c in comparison.ratios] == [("other", "equivalent"), ("more", "new")]
    assert (comparison.only_in_a, comparison.only_in_b) == (("a",), ("c",))
    assert gate_of(comparison).open == ("a: only in A",)
    assert gate_of(comparison).code == 4
    assert outcome(a, b, only={"cell": ["b"]})[1].code == 0
    back = compare_runs(b, a, ComparisonOptions(only={"cell": ["b"]}))
    assert [(c.level, c.verdict) for c in back.ratios] == [("other", "equivalent"), ("more", "missing")]
    assert gate_of(back).code == 4


def test_different_axis_or_context_leaves_nothing_to_compare(side):
    a = side(timed(TWO, {"other": 1.1}), TWO)
    b = side(timed(block("plain", "other"), {"other": 1.1}), block("plain", "other"))
    b = replace(b, plan=replace(b.plan, axis="something else"))
    verdicts, answer = outcome(a, b)
    assert verdicts == [("other", "not comparable")]
    assert answer.code == 4
    elsewhere = replace(TWO, context={"cell": "x"})
    verdicts, answer = outcome(a, side(timed(elsewhere, {"other": 1}), elsewhere))
    assert verdicts == []
    assert answer.code == 4


def test_mode_that_one_run_does_not_time_is_missing(side):
    both = block("plain", "other", speed=Speed(of=("train", "inference")))
    a = side(timed(both, {"other": 1.1}), both)
    b = side(timed(TWO, {"other": 1.1}, seed=1), TWO)
    comparison = compare_runs(a, b, ComparisonOptions())
    assert comparison.only_in_a == ("all · inference",)
    assert gate_of(comparison).code == 4
    assert compare_runs(b, a, ComparisonOptions()).only_in_b == ("all · inference",)


def test_errors_suggest_known_names(run_of):
    a, b = run_of(1.1, 1), run_of(1.1, 2)
    for options, words in (
        ({"only": {"wath": ["x"]}}, "there is no axis named 'wath'. Did you mean what?"),
        ({"only": {"what": ["othre"]}}, "there is no level named 'othre'. Did you mean other?"),
        ({"metrics": ("step_tme",)}, "there is no metric named 'step_tme'. Did you mean step_time?"),
    ):
        with pytest.raises(UserError) as error:
            compare_runs(a, b, ComparisonOptions(**options))
        assert words in str(error.value)


def test_one_slower_level_among_many_is_undecided(side):
    """A difference that is barely significant alone is not significant among twelve."""
    names = [f"l{i:02}" for i in range(12)]
    many, two = block("plain", *names), block("plain", "l00")
    slow = {"l00": 1.0165}

    def verdict(made: Block) -> str:
        levels = [trial.level for trial in made.trials[1:]]
        a = side(timed(made, dict.fromkeys(levels, 1.0), seed=3, noise=0.0005), made)
        b = side(timed(made, {**dict.fromkeys(levels, 1.0), **slow}, seed=4, noise=0.0005), made)
        return next(c for c in compare_runs(a, b, ComparisonOptions(margin=0.001)).ratios if c.level == "l00").verdict

    assert verdict(two) == "slower"
    assert verdict(many) == "undecided"


CLAIM = Claim("Other is slower", "other", "step_time", "higher", 0.05, "train", {}, "all", "ratio")


def test_changed_claims_decide_the_gate(side):
    def run(ratio: float, seed: int, claim: Claim = CLAIM, noise: float = 0.002, facts=FACTS) -> RunData:
        return side(timed(TWO, {"other": ratio}, seed=seed, noise=noise), TWO, claims=(claim,), facts=facts)

    def answer(a: RunData, b: RunData, margin=1.0) -> tuple[str, int]:
        comparison = compare_runs(a, b, ComparisonOptions(margin=margin))
        (claim,) = comparison.claims
        return claim.not_comparable or claim.change, gate_of(comparison).code

    assert answer(run(1.1, 1), run(1.02, 2)) == ("holds, now fails", 1)
    assert answer(run(1.1, 1), run(1.1, 2)) == ("holds in both", 0)
    assert answer(run(1.02, 1), run(1.02, 2)) == ("fails in both", 0)
    assert answer(run(1.02, 1), run(1.1, 2)) == ("fails, now holds", 0)
    assert answer(run(1.1, 1), run(1.06, 2, noise=0.03)) == ("holds, now undecided", 4)
    assert answer(run(1.06, 1, noise=0.03), run(1.02, 2)) == ("undecided, now fails", 4)
    assert answer(run(1.1, 1), run(1.02, 2, replace(CLAIM, by=0.01))) == ("the claim itself was changed", 4)
    # fields that another version of the planner adds are no change of the claim
    assert answer(run(1.1, 1, replace(CLAIM, scale="")), run(1.1, 2)) == ("holds in both", 0)
    # on a different machine, a change says nothing about the code
    assert answer(run(1.1, 1), run(1.02, 2, facts={**FACTS, "cores": 64})) == ("holds, now fails", 4)
    a, b = run(1.1, 1), side(timed(TWO, {"other": 1.1}), TWO)
    assert compare_runs(a, b, ComparisonOptions()).claims[0].change == "removed (was: holds)"
    assert compare_runs(b, a, ComparisonOptions()).claims[0].change == "new: holds"


@pytest.mark.parametrize(
    ("expect", "by", "ratio", "change", "code"),
    [
        ("equal", 0.02, 0.69, "holds, now fails", 0),  # the level became faster: a gate is against slower ones
        ("equal", 0.02, 1.31, "holds, now fails", 1),
        ("not higher", 0.02, 0.69, "holds in both", 0),
        ("not higher", 0.02, 1.31, "holds, now fails", 1),
        ("lower", 0.0, 0.69, "fails, now holds", 0),
    ],
)
def test_gate_is_against_slower_levels(side, expect, by, ratio, change, code):
    made = replace(CLAIM, expect=expect, by=by)

    def run(ratio: float, seed: int) -> RunData:
        return side(timed(TWO, {"other": ratio}, seed=seed, noise=0.001), TWO, claims=(made,))

    # In A the level is as fast as the baseline, and 1 % slower where "lower" must be false.
    comparison = compare_runs(run(1.01 if expect == "lower" else 1.0, 1), run(ratio, 2), ComparisonOptions())
    (slower,) = (c for c in comparison.ratios if c.metric == "step_time")
    assert slower.verdict == ("faster" if ratio < 1 else "slower")
    assert (comparison.claims[0].change, gate_of(comparison).code) == (change, code)


def test_value_of_a_time_is_not_comparable_between_machines(side):
    """An absolute time is about one machine, even where ratios are compared."""
    made = replace(CLAIM, expect="at most", by=0.002, scale="value", unit="ms")

    def run(ratio: float, seed: int, facts=FACTS) -> RunData:
        return side(timed(TWO, {"other": ratio}, seed=seed, noise=0.001), TWO, claims=(made,), facts=facts)

    def answer(a: RunData, b: RunData) -> tuple[str, int]:
        comparison = compare_runs(a, b, ComparisonOptions(margin=1.0))
        return comparison.claims[0].not_comparable or comparison.claims[0].change, gate_of(comparison).code

    assert answer(run(1.5, 1), run(2.5, 2)) == ("holds, now fails", 1)
    assert answer(run(1.5, 1), run(1.5, 2)) == ("holds in both", 0)
    words, code = answer(run(1.5, 1), run(2.5, 2, {**FACTS, "cores": 64}))
    assert ("cores" in words, code) == (True, 4)


def test_combinations_of_a_design_are_compared(side):
    trials = [Trial(name, SPEC, SPEC, (), 1, 0, "cpu", name, "rounding", on=on) for name, on in
              (("all", ("a", "b")), ("all-a", ("b",)), ("all-b", ("a",)))]  # fmt: skip
    made = Block({}, tuple(trials), Measures.of(speed=Speed()))
    design = {"design": "leave-one-out", "factors": ("a", "b")}
    a = side(timed(made, {"all-a": 1.1, "all-b": 1.1}, seed=1), made, **design)
    b = side(timed(made, {"all-a": 1.1, "all-b": 1.2}, seed=2), made, **design)
    verdicts, answer = outcome(a, b)
    assert verdicts == [("all-a", "equivalent"), ("all-b", "slower")]
    assert answer.code == 1
    other = replace(b, plan=replace(b.plan, design="mirror"))
    assert {verdict for _, verdict in outcome(a, other)[0]} == {"not comparable"}


def test_earlier_runs_determine_the_scatter(run_of):
    """If earlier runs scatter by 3 %, a difference of 5 % is undecided. Absolute times are then judged, too."""
    a, b = run_of(1.1, 1), run_of(1.155, 2)
    where = coordinates_of({}, "other", "train")
    scattered = [Estimate(0.1 + 0.03 * (-1) ** i, 0.001, 4, 5) for i in range(8)]
    verdicts, answer = outcome(a, b, EarlierRuns({where: scattered}))
    assert verdicts == [("other", "undecided")]
    assert answer.code == 4
    assert outcome(a, b, EarlierRuns({where: scattered[:4]}))[0] == [("other", "slower")]
    usual = [1e-3 * factor for factor in (0.99, 1.0, 1.01, 1.0, 0.99, 1.0, 1.01)]
    comparison = compare_runs(a, b, ComparisonOptions(margin=0.1), EarlierRuns({}, {where: usual}))
    assert {c.level: c.verdict for c in comparison.times} == {"plain": "shown", "other": "slower"}
    assert gate_of(comparison).code == 1


def test_comparison_has_all_sections_and_plain_json(side, run_of):
    import json

    strange = replace(TWO, context={"größe": "a | b, *c*"})
    a = side(timed(strange, {"other": 1.1}, seed=1), strange, claims=(CLAIM,))
    b = side(timed(strange, {"other": 1.2}, seed=2), strange, claims=(CLAIM,), facts={**FACTS, "torch": "9"})
    comparison = compare_runs(a, b, ComparisonOptions())
    titles = [section.title for section in comparison_sections(comparison)]
    assert titles == ["Differences between A and B", "Ratios to the baseline", "Claims", "Absolute times"]
    (table,) = comparison_sections(comparison)[1].tables
    assert table.title == "a | b, *c* · train"
    assert table.rows[0][-1] == "slower"
    found = json.loads(json.dumps(to_json(comparison)))
    assert gate_of(comparison).code == 1
    assert found["differences"][0]["field"] == "torch"
    assert found["ratios"][0]["interval"][0] < found["ratios"][0]["ratio"]
    nothing = compare_runs(side([], TWO, facts={}), side([], TWO, facts={}), ComparisonOptions())
    assert [change.verdict for change in nothing.ratios] == ["invalid"]
    assert gate_of(nothing).code == 4
