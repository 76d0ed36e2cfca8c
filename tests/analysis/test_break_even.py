"""Break-evens: where the lines through the logarithms of ratios cross 0, and the range that the intervals allow."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from made import block, record

from harness.analysis.break_even import BreakEven, RatioPoint, crossings, find_break_evens
from harness.analysis.findings import find
from harness.analysis.grouping import numbers_of
from harness.records.plan import Plan
from harness.report.cells import few_digits
from harness.report.report import report_of
from harness.report.tables.along_axes import break_even_tables, range_in_words


def points(*of: tuple[float, float], half: float = 0.1, verdict: str = "faster") -> list[RatioPoint]:
    return [RatioPoint(x, mean, mean - half, mean + half, verdict) for x, mean in of]


def test_crossing_and_its_range_are_correct():
    (one,) = crossings(points((0, 1.0), (10, -1.0)))
    assert (one.at, one.low, one.high, one.faster) == (5.0, pytest.approx(4.5), pytest.approx(5.5), "above")
    (one,) = crossings(points((0, -1.0), (10, 3.0)))
    assert (one.at, one.faster) == (2.5, "below")
    assert (one.low, one.high) == (pytest.approx(2.25), pytest.approx(2.75))


def test_range_spans_several_points_and_may_be_open():
    (one,) = crossings(points((0, 0.5), (1, 0.05), (2, -0.05), (3, -0.5)))
    assert one.at == 1.5
    assert one.low == pytest.approx(1 - 0.05 / 0.45)
    assert one.high == pytest.approx(2 + 0.05 / 0.45)
    (one,) = crossings(points((0, 0.05), (1, -0.5)))
    assert (one.low, one.high) == (None, pytest.approx(0.15 / 0.55))
    assert crossings(points((0, 0.05), (1, -0.05))) == []


def test_logs_space_numbers_that_span_decades():
    (one,) = crossings(points((1, 1.0), (100, -1.0)), log=True)
    assert one.at == pytest.approx(10)
    assert one.low == pytest.approx(10 ** (2 * 0.45))


def test_no_crossing_several_and_points_of_the_same_number():
    assert crossings(points((0, 1.0), (1, 0.5), (2, 0.2))) == []
    assert crossings(points((0, 0.0), (1, 0.0))) == []
    assert [one.faster for one in crossings(points((0, 1), (1, -1), (2, 1)))] == ["above", "below"]
    (one,) = crossings(points((0, 1.0), (0, 0.5), (1, -0.75)))
    assert one.at == pytest.approx(0.5)
    assert [one.at for one in crossings(points((0, 1.0), (1, 0.0), (2, -1.0)))] == [1.0]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (1.0, 2.0, "1 to 2"),
        (None, 2.0, "up to 2"),
        (1.0, None, "from 1"),
        (None, 0.0, "up to 0"),
    ],
)
def test_ranges_in_words(low, high, words):
    assert range_in_words(BreakEven(1.5, low, high, "above"), "{:g}".format) == words


@pytest.mark.parametrize(
    ("levels", "numbers"),
    [
        (["20", "30"], [20, 30]), (["lag 20", "lag_3e2"], [20, 300]), (["20", "lag=0"], [20, 0]), (["a", "b"], None),
        (["w20", "w30"], None), (["inf", "1"], None), (["", "1"], None),
    ],
)  # fmt: skip
def test_levels_that_are_numbers(levels, numbers):
    assert numbers_of("lag", levels) == numbers


@pytest.mark.parametrize(
    ("number", "words"), [(15.874, "15.9"), (0.25, "0.25"), (512.4, "512"), (20000.0, "20,000"), (-3.0, "-3")]
)
def test_numbers_have_few_digits(number, words):
    assert few_digits(number) == words


def many(contexts, time):
    blocks, records = [], []
    for context in contexts:
        this = replace(block("plain", "new"), context=context)
        blocks.append(this)
        for n in range(5):
            records.append(record(this, "plain", n, [1e6 * (1 + n / 1000)] * 10))
            records.append(record(this, "new", n, [1e6 * time(context)] * 10))
    return Plan("s", "q", "what", tuple(blocks)), records


CONTEXTS = [{"cell": cell, "length": str(length)} for cell in ("x", "y") for length in (10, 20, 30)]


def test_each_axis_of_numbers_in_each_other_context(catalog):
    plan, records = many(CONTEXTS, lambda c: {"x": 15, "y": 5}[c["cell"]] / float(c["length"]))
    found = [one for one in find(plan, records, catalog).break_evens if one.what == "length"]
    assert [(one.rest, one.mode) for one in found] == [({"cell": "x"}, "train"), ({"cell": "y"}, "train")]
    (line,) = found[0].curves
    assert [point.x for point in line.points] == [10, 20, 30]
    assert line.crossings[0].at == pytest.approx(10 + 10 * math.log(1.5) / math.log(2), rel=3e-3)
    assert not found[1].curves[0].crossings
    (table,) = break_even_tables(found, "what")
    assert table.headers == ("cell", "what", "break-even length", "range", "is faster")
    assert table.rows[0][:3] == ("x", "new", f"{line.crossings[0].at:.3g}")
    assert table.rows[1] == ("y", "new", "none", "", "faster in all 3 contexts")


def test_amounts_are_an_axis_where_they_differ_by_themselves(catalog):
    """Counted amounts need metrics of plugins. This test defines one."""
    from harness.plugins.parts import Metric

    share = {"10": 0.1, "20": 0.5, "30": 0.8}
    plan, records = many(CONTEXTS, lambda c: 2 * (1 - share[c["length"]]))
    findings = find(plan, records, catalog)
    metric = Metric("spare", "x:y", "", per="counts", scale=100, unit="%", formats=".0f")
    numbers = {(b.id, t.level, "train", "spare"): share[b.context["length"]] for b in plan.blocks for t in b.trials}
    found = find_break_evens(plan, findings.comparisons, numbers, {"spare": metric})
    found = [one for one in found if one.what == "spare"]
    assert [one.rest for one in found] == [{"cell": "x"}, {"cell": "y"}]
    assert found[0].numbers == [0.1, 0.5, 0.8]
    assert found[0].curves[0].crossings[0].at == pytest.approx(0.5, abs=0.01)
    (table,) = break_even_tables(found, "what")
    assert table.rows[0][2] == "50%"


def test_two_numbers_or_names_are_no_numeric_axis(catalog):
    for contexts in ([{"n": "1"}, {"n": "2"}], [{"n": name} for name in "abc"], [{}]):
        plan, records = many(contexts, lambda c: 2.0)
        assert find(plan, records, catalog).break_evens == ()


@pytest.mark.parametrize(("at", "shown"), [(15, True), (5, False)])
def test_report_has_the_break_even(catalog, at, shown):
    plan, records = many(CONTEXTS, lambda c: at / float(c["length"]))
    titles = [section.title for section in report_of(plan, records, catalog, {}).sections]
    assert ("Break-even" in titles) == shown
