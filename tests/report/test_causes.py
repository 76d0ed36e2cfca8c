"""Sentences and rows that say why a level takes longer: they add up, and nothing is explained that is not there."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from made_profiles import BLOCK, FUSED, LOOP, explained, profile, timed

from harness.analysis.explain import explain, explanations
from harness.analysis.profiles import Profiled
from harness.analysis.verdicts import Verdict
from harness.report.tables.causes import sentence_of, why_in_a_line
from harness.report.tables.explain import explanation_table, in_json, operators_table, rows_above


def test_sentence_names_the_largest_causes():
    times = timed(plain=3.0, loop=6.0)
    profiles = {(BLOCK.id, "train"): [Profiled(profile(*p)) for p in (("plain", FUSED), ("loop", LOOP))]}
    (one,) = explanations([times], profiles)
    assert sentence_of(one).startswith("loop takes 1.747× as long as plain for a training step (95 % CI 1.743–1.751)")
    assert "), +2.99 ms per step: " in sentence_of(one)
    assert "50 more operator calls (6 to 55)" in sentence_of(one)
    assert "it ran operator by operator (+" in sentence_of(one)
    table = explanation_table(one)
    assert table.rows[-1][0] == "sum"
    assert [row[0] for row in table.rows][:2] == ["mm", "mkldnn_rnn_layer"]
    assert any("overhead of 0 ns per operator" in note for note in table.notes)
    assert [row[0] for row in explanation_table(one, 1).rows] == ["mm", "4 others", "sum"]
    assert json.loads(json.dumps(in_json(one)))["rows"][0]["operator"] == "aten::mm"
    shown = operators_table(BLOCK, one.b, 0.0)
    assert shown.rows[0][:3] == ("forward", "mm", "64%")


def test_no_difference_is_not_explained():
    one = explained(3.0, 3.0)
    assert not one.explained
    low, high = one.interval or ()
    assert why_in_a_line(one) == sentence_of(one)
    assert why_in_a_line(one) == (
        f"loop: no difference to explain. {one.ratio:.3f} [{low:.3f}, {high:.3f}] is equivalent within the margin of 2 %."
    )
    assert "includes no difference." in why_in_a_line(replace(one, verdict=Verdict.UNDECIDED))


def test_a_difference_that_the_profile_does_not_show_is_not_explained():
    """The steps beside the profiler do not differ."""
    a, b = Profiled(profile("plain", FUSED)), Profiled(profile("loop", LOOP, plain=2e6 * 4.0))
    one = explain(timed(plain=3.0, loop=6.0), a, b, 0.0)
    assert one is not None
    assert one.decided
    assert not one.explained
    assert "1.000× beside the profiler: the profile does not show why" in why_in_a_line(one)


def numbers_in(text: str) -> list[float]:
    """The differences in milliseconds that a sentence gives, in its order."""
    return [float(number) for number in re.findall(r"([+-][\d.]+) ms", text)]


def test_increases_and_decreases_are_named_and_add_up():
    one = explained(
        6.0, 5.0, rows=[("forward", "aten::mkldnn_rnn_layer", 1, 200_000), ("forward", "aten::cat", 9, 250_000)]
    )
    whole, *parts = numbers_in(sentence_of(one))
    assert "largest increases: cat (+" in sentence_of(one)
    assert "largest decreases: mkldnn_rnn_layer (-" in sentence_of(one)
    assert sum(parts) == pytest.approx(whole)
    line = why_in_a_line(one)
    assert line.startswith("loop spends less time in mkldnn_rnn_layer (-")
    assert "and more time in cat (+" in line


def test_kernel_paths_have_their_times():
    one = explained(3.0, 6.0)
    line = why_in_a_line(one)
    assert re.fullmatch(
        r"loop runs operator by operator \(\+[\d.]+ ms\) instead of oneDNN's fused recurrent layer \(-[\d.]+ ms\)\.",
        line,
    )
    assert sum(numbers_in(line)) == pytest.approx(1e3 * one.difference, abs=0.011)
    back = replace(one, a=one.b, b=one.a, rows=tuple(replace(r, seconds=r.seconds[::-1]) for r in one.rows))
    assert back.path_change.seconds == pytest.approx([-second for second in reversed(one.path_change.seconds or ())])


def test_rows_below_the_sensitivity_are_put_together():
    small = [("forward", f"aten::op{i}", 1, 100 + i) for i in range(5)]
    one = explained(3.0, 6.0, rows=[*LOOP, *small])
    table = explanation_table(one, share=0.0)
    assert not any(row[0].startswith("op") for row in table.rows)
    assert all(abs(row.difference) >= one.sensitivity for row in rows_above(one, 0.0))
    shown = [float(row[4]) for row in table.rows]
    assert sum(shown[:-1]) == pytest.approx(shown[-1], abs=0.005 * len(shown))
    assert len(rows_above(one, 0.5)) < len(rows_above(one, 0.0))


def test_more_calls_in_less_time_are_reported():
    assert "despite 50 more operator calls" in sentence_of(explained(6.0, 3.0))
