"""Quantities from records measured after timing: comparison, wording and tables."""

from __future__ import annotations

import pytest
from made import block
from made_quantities import kinds_of, measured, memory, quantities

from harness.analysis.quantities import KindFindings, QuantityFinding, processes_verdict
from harness.builtin.cost import gemm_peaks
from harness.report.cells import amount
from harness.report.table import Table
from harness.report.tables.quantities import cell, section_of

MIB = 2**20


def cost(flops: list[int], **more) -> dict:
    product = {"size": 100, "nanoseconds": [1000] * 10}  # 2 MFLOP in a microsecond
    data = {"flops": {"forward": flops}, "uncounted": [], "written": 100, "subnormal": 0, "faults": [3] * len(flops)}
    return {**data, "product": product, "counts": {"points": [4.0] * len(flops)}, "device": "cpu", **more}


Kinds = dict[str, KindFindings]


def found(records: dict[str, list[tuple[str, dict]]], changes: str = "rounding", **times: float) -> Kinds:
    """The findings of a block with levels a and b, from (measure, data) by level. `times` are seconds per step."""
    return kinds_of(measured(block("a", "b", changes=changes), "train"), records, times)


def of(kinds: Kinds, level: str, name: str) -> QuantityFinding:
    return next(q for q in quantities(kinds) if (q.level, q.metric) == (level, name))


def table(kinds: Kinds, kind: str) -> Table | None:
    problems: list[str] = []
    section = section_of(kinds[kind], problems)
    assert not problems
    return section.tables[0] if section else None


def test_exact_quantities_are_compared_exactly():
    resources = found(
        {"a": [("memory.train", memory([100, 300], [50, 60]))], "b": [("memory.train", memory([100, 301], [30, 60]))]}
    )
    assert of(resources, "a", "peak_bytes").verdict == ""
    peak = of(resources, "b", "peak_bytes")
    assert (peak.value, peak.ratio, peak.verdict) == (301, 301 / 300, "more")
    assert cell(peak) == "301 B (× 1.003, more)"
    assert of(resources, "b", "kept_bytes").verdict == "same"
    assert cell(of(resources, "b", "parameters")) == "10 (same)"
    per_point = of(resources, "b", "kept_bytes/points")
    assert (per_point.value, per_point.verdict) == (90 / 8, "less")


def test_two_zeros_have_no_ratio():
    records = {"a": [("memory.train", memory([0], [0]))], "b": [("memory.train", memory([5], [0]))]}
    peak, kept = (of(found(records), "b", name) for name in ("peak_bytes", "kept_bytes"))
    assert (peak.ratio, peak.verdict, kept.verdict) == (None, "more", "same")
    assert cell(peak) == "5 B (more)"


def test_different_answer_is_not_ranked():
    records = {level: [("memory.train", memory([size], [1]))] for level, size in (("a", 4), ("b", 2))}
    assert of(found(records, changes="answer"), "b", "peak_bytes").verdict == "unranked"


@pytest.mark.parametrize(
    ("values", "against", "verdict"),
    [
        ([10, 10, 10.4], [10, 10.9, 10.5], "same"),
        ([10, 10, 11.5], [10, 10, 10], "noisy"),
        ([12, 12, 12.1], [10, 10, 10], "more"),
        ([8, 8, 8], [10, 10, 10], "less"),
        ([101.5, 101.5, 101.5], [100, 100, 100], "same"),  # within 2 %
        ([103, 103, 103], [100, 100, 100], "more"),
    ],
)
def test_resident_memory_is_the_same_within_a_mebibyte_or_two_percent(values, against, verdict):
    assert processes_verdict([v * MIB for v in values], [v * MIB for v in against], "bytes") == verdict


def test_file_pages_are_not_counted_for_a_model():
    data = {"mark": 100, "mark_file": 30, "peak": 190, "peak_file": 90}
    resources = found({"a": [("resident.train", data)] * 3, "b": [("resident.train", data)] * 3})
    rise = of(resources, "b", "resident_rise")
    assert (rise.value, rise.values, rise.verdict) == (30, (30, 30, 30), "same")


def test_operations_and_share_of_the_peak():
    resources = found(
        {
            "a": [("cost.train", cost([1_000_000, 3_000_000]))],
            "b": [("cost.train", cost([1_000_000, 1_000_000], subnormal=5))],
        },
        a=0.002,
        b=0.002,
    )
    assert of(resources, "a", "flops").value == 2_000_000
    assert of(resources, "b", "flops").verdict == "less"
    assert of(resources, "a", "flops/points").value == 500_000
    assert of(resources, "a", "flops_per_second").value == pytest.approx(1e9)
    assert gemm_peaks(resources["cost"].data) == {"cpu": pytest.approx(2e12)}
    assert of(resources, "a", "share_of_gemm_peak").value == pytest.approx(0.0005)
    assert of(resources, "b", "page_faults").value == 3
    (note,) = [n for n in table(resources, "cost").notes if "ubnormal" in n]
    assert "backward pass of b:" in note
    assert "set_flush_denormal(True)" in note


def test_uncounted_operations_are_reported_without_a_number():
    records = {"a": [("cost.train", cost([8]))], "b": [("cost.train", cost([8], uncounted=["mine.cell"]))]}
    resources = found(records, a=1.0, b=1.0)
    assert not [q for q in quantities(resources) if q.level == "b" and "flops" in q.metric]
    shown = table(resources, "cost")
    assert shown.rows[1][1] == "-"
    assert "The operations of b are not counted: mine.cell has no formula." in shown.notes


def cold(*firsts: float) -> list[tuple[str, dict]]:
    return [("cold.train", {"built": 0.1, "ends": [first, first + 1]}) for first in firsts]


def test_slow_start_pays_off_after_some_steps():
    quick, slow = cold(1.0, 1.1, 1.2), cold(11.0, 11.1, 11.2)
    pay = of(found({"a": quick, "b": slow}, a=0.5, b=0.3), "b", "pay_back")
    assert pay.value == pytest.approx(10 / 0.2)
    assert cell(pay) == "50 steps"
    for records, times in (
        ({"a": quick, "b": slow}, {"a": 0.5, "b": 0.6}),  # not faster
        ({"a": quick, "b": cold(1.1, 1.2, 1.3)}, {"a": 0.5, "b": 0.3}),  # starts no more slowly than this amount
        ({"a": quick, "b": slow}, {}),  # not timed
    ):
        assert not [q for q in quantities(found(records, **times)) if q.metric == "pay_back"]


def test_table_has_columns_for_existing_quantities_only():
    inference = memory([8], [])
    del inference["optimizer_bytes"]
    this = measured(block("a", "b"), "inference")
    kinds = kinds_of(this, {level: [("memory.inference", inference)] for level in "ab"}, {}, "inference")
    assert table(kinds, "memory").headers == ("what", "parameters", "peak of a step", "peak / points")
    assert table(kinds, "cost") is None


def test_other_units_than_bytes_have_a_tolerance_of_two_percent():
    assert processes_verdict([1.0], [1.01], "seconds") == "same"
    assert processes_verdict([1.0], [1.05], "seconds") == "less"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (912, "bytes", "912 B"), (1536, "bytes", "1.50 KiB"), (12.34 * MIB, "bytes", "12.3 MiB"),
        (2.5e9, "FLOP", "2.50 GFLOP"), (1e11, "FLOP/s", "100 GFLOP/s"), (0.1234, "share", "12.3%"),
        (0.0456, "seconds", "46 ms"), (12.3, "seconds", "12.30 s"), (70000, "", "70,000"), (50, "steps", "50 steps"),
    ],
)  # fmt: skip
def test_numbers_have_a_unit_of_a_fitting_size(value, unit, words):
    assert amount(value, unit) == words
