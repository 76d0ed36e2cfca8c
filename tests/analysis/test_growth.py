"""Growth along an axis (exponents), and claims about exponents and about exact quantities."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from commands import harness, the_run
from made import block, trial
from scipy.stats import linregress

from harness.analysis.claims import settle
from harness.analysis.findings import blocks_to_remeasure, find
from harness.analysis.grouping import groups_along, number
from harness.analysis.growth import find_growth, slope
from harness.analysis.quantities import TrialData, compared
from harness.analysis.stats import t_quantile
from harness.builtin import provide_measures
from harness.builtin.memory import Memory
from harness.records.plan import Claim, Plan
from harness.records.record import Record
from harness.records.settings import Measures, Speed
from harness.report.tables.along_axes import exponent_cell, growth_tables
from harness.report.tables.claims import claim_row

LENGTHS = ["100", "200", "400", "800"]
TRAIN = Memory(of=("train",))
MEMORY = next(kind for kind in provide_measures() if kind.name == "memory")


# exponents


def test_exponent_of_an_exact_power_law_is_exact():
    x = np.log([64.0, 100.0, 128.0, 999.0])
    for b in (-1.5, 0.0, 1 / 3, 1.0, 2.0):
        found = slope(x, np.log(3e7) + b * x)
        assert found.mean == pytest.approx(b, abs=1e-12)
        assert (found.error, found.df, found.k) == (0.0, 2, 4)
        assert found.interval()[0] == found.interval()[1]


@pytest.mark.parametrize("n", [3, 4, 9])
def test_interval_equals_least_squares(n):
    random = np.random.default_rng(n)
    x = np.log(random.uniform(10, 1000, n))
    y = 5 + 1.3 * x + random.normal(0, 0.2, n)
    found, oracle = slope(x, y), linregress(x, y)
    half = t_quantile(0.975, n - 2) * oracle.stderr
    assert found.mean == pytest.approx(oracle.slope, rel=1e-12)
    assert found.interval() == pytest.approx((oracle.slope - half, oracle.slope + half), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "value"),
    [("64", 64.0), ("1e3", 1000.0), ("0.5", 0.5), ("0", None), ("-1", None), ("nan", None), ("inf", None), ("x", None)],
)
def test_numeric_levels_are_positive_numbers(name, value):
    assert number(name) == value


def contexts(lengths=LENGTHS, sizes=("s",), changes="rounding", **measures):
    """Blocks of levels a (the baseline) and b for every length and size."""
    this = replace(block("a", "b", changes=changes), measures=Measures.of(memory=TRAIN, **measures))
    return tuple(replace(this, context={"length": n, "size": size}) for size in sizes for n in lengths)


def test_groups_vary_one_axis_in_order():
    blocks = contexts(["400", "1e2", "200"], sizes=("s", "t"))
    groups = groups_along("length", blocks)
    assert [[each.context["length"] for each in group] for group in groups] == [["1e2", "200", "400"]] * 2
    assert [{each.context["size"] for each in group} for group in groups] == [{"s"}, {"t"}]
    assert groups_along("size", blocks) == groups_along("depth", blocks) == []


def grown(blocks, laws, name="kept_bytes", claims=(), times=None):
    """The plan, quantities and growth if `laws[level](length, size)` is the amount of a level, or None for an unknown
    amount."""
    plan = Plan("s", "q", "what", blocks, claims=tuple(claims))
    quantities = []
    for each in blocks:
        value = {level: law(float(each.context["length"]), each.context["size"]) for level, law in laws.items()}
        trials = {trial.level: TrialData(each, trial, "train", {}) for trial in each.trials}
        known = {level: {} if bytes_ is None else {name: bytes_} for level, bytes_ in value.items()}
        quantities += compared(MEMORY, [(trials[level], found) for level, found in known.items()])
    return plan, quantities, find_growth(plan, quantities, times or {})


QUADRATIC, LINEAR = (lambda n, _: 8 * n * n), (lambda n, _: 40 * n)


def test_growth_of_a_level_its_baseline_and_their_difference():
    blocks = contexts()
    times = {(each.id, "a", "train"): 1e-3 * float(each.context["length"]) for each in blocks}
    _, _, growth = grown(blocks, {"a": QUADRATIC, "b": LINEAR}, times=times)
    a, b, time = growth
    assert (a.level, a.quantity, a.exponent.mean, a.estimate, a.verdict) == ("a", "kept_bytes", 2.0, None, "")
    assert (b.exponent.mean, b.base.mean, b.size, b.interval) == (1.0, 2.0, -1.0, (-1.0, -1.0))
    assert (b.metric, b.context, b.block) == ("kept_bytes along length", {"size": "s"}, blocks[-1])
    assert (time.level, time.quantity, time.exponent.mean) == ("a", "step_time", 1.0)
    (table,) = growth_tables(growth, "what")
    assert table.title == "s · train: growth along length"
    assert table.headers == ("what", "kept for backward", "time of a step")
    assert table.rows == (("a", "2.00 (2.00 to 2.00)", "1.00 (1.00 to 1.00)"), ("b", "1.00 (1.00 to 1.00)", "-"))
    assert table.notes[1:] == ("4 contexts, up to length 800.",)


def test_the_difference_is_the_line_through_the_ratio():
    random = np.random.default_rng(1)
    noise = {n: random.normal(0, 0.1, 2) for n in map(float, LENGTHS)}
    laws = {"a": lambda n, _: 8 * n * np.exp(noise[n][0]), "b": lambda n, _: 8 * n**1.2 * np.exp(noise[n][1])}
    _, _, (a, b) = grown(contexts(), laws)
    x = np.log(list(noise))
    oracle = linregress(x, 0.2 * x + np.diff(list(noise.values()), axis=1)[:, 0])
    assert (b.size, b.estimate.error) == pytest.approx((oracle.slope, oracle.stderr), rel=1e-9)
    assert b.base == a.exponent
    assert b.size == pytest.approx(b.exponent.mean - b.base.mean)
    assert exponent_cell(replace(b.exponent, mean=-0.001, error=0.0)) == "0.00 (0.00 to 0.00)"


def test_two_contexts_give_no_growth_and_missing_values_are_reported():
    assert grown(contexts(LENGTHS[:2]), {"a": LINEAR, "b": LINEAR})[2] == ()
    gap = {"a": LINEAR, "b": lambda n, _: None if n == 200 else 40 * n}
    _, _, growth = grown(contexts(), gap)
    assert [(one.level, one.fitted, one.verdict) for one in growth] == [("a", 4, ""), ("b", 3, "invalid")]
    (table,) = growth_tables(growth, "what")
    assert table.notes[2] == "b: kept for backward is known in 3 of them."
    (three,) = growth_tables(grown(contexts(LENGTHS[:3]), {"a": LINEAR, "b": LINEAR})[2], "what")
    assert three.notes[1:] == ("3 contexts, up to length 400. With one degree of freedom, t is 12.7.",)


# claims about exponents


def claim(expect="lower", by=0.0, metric="kept_bytes", **more) -> Claim:
    return Claim(
        "s", "b", metric, expect, by, "train", {}, more.pop("inside", "all"), "ratio", **{"exact": True, **more}
    )


def along(expect="lower", **more) -> Claim:
    return replace(claim(expect, **more), along="length", scale="exponent")


def noisy(n, size):
    """Linear with alternating deviations; quadratic in context t."""
    return (n if size == "s" else n * n / 50) * (1.3 if n in (200, 800) else 1.0)


@pytest.mark.parametrize(
    ("laws", "expect", "answer", "words"),
    [
        ({"a": QUADRATIC, "b": LINEAR}, "lower", "holds", "exponent -1.00 [-1.00, -1.00] relative to the baseline's (1.00 and 2.00)"),
        ({"a": QUADRATIC, "b": LINEAR}, "higher", "fails", "s · along length: exponent -1.00"),
        ({"a": LINEAR, "b": lambda n, _: 41 * n}, "lower", "fails", "exponent +0.00 [+0.00, +0.00]"),
        ({"a": LINEAR, "b": noisy}, "lower", "undecided", "the effect is too small for 100 processes to show: exponent +0.0"),
        ({"a": QUADRATIC, "b": noisy}, "lower", "holds", "relative to the baseline's (1.08 and 2.00)"),
        ({"a": LINEAR, "b": lambda n, _: n if n < 800 else None}, "lower", "undecided",
         "no exponent up to 800 · s: it takes 3 contexts with both levels measured in each"),
    ],
)  # fmt: skip
def test_growth_claims(laws, expect, answer, words):
    plan, quantities, growth = grown(contexts(), laws, claims=[along(expect)])
    (result,) = settle(plan, [*quantities, *growth], 0.003, True)  # bytes have no timing bias
    assert result.answer == answer
    assert words in result.reason
    assert result.against == ()


def test_a_group_of_contexts_counts_as_one():
    laws = {"a": LINEAR, "b": noisy}
    for inside, where, answer in (("all", {}, "fails"), ("any", {}, "undecided"), ("all", {"size": ("t",)}, "fails")):
        plan, _, growth = grown(contexts(sizes=("s", "t")), laws, claims=[replace(along(inside=inside), where=where)])
        (result,) = settle(plan, growth, 0.003, False)
        assert (result.answer, result.contexts) == (answer, 1 if where else 2)
    assert result.reason.startswith("t · along length: exponent +1.0")
    assert claim_row("suite.yaml", result)[1:6] == (
        "false", "a lower exponent", f"{result.decisive.size:+.2f}", "{:+.2f} to {:+.2f}".format(*result.decisive.interval),
        "800 · t (kept bytes along length)",
    )  # fmt: skip


def test_growth_of_times_is_undecided_in_a_first_look():
    for quick, answer in ((False, "holds"), (True, "undecided")):
        blocks = contexts(speed=Speed(quick=quick))
        times = {
            (each.id, level, "train"): float(each.context["length"]) ** b
            for each in blocks
            for level, b in (("a", 2), ("b", 1))
        }
        plan = Plan("s", "q", "what", blocks, claims=(along(metric="step_time", exact=False),))
        growth = find_growth(plan, [], times)
        assert settle(plan, growth, 0.003, False)[0].answer == answer
        assert settle(plan, growth, 0.003, True)[0].answer == "undecided"


def test_different_answer_decides_no_growth():
    plan, _, growth = grown(contexts(changes="answer"), {"a": QUADRATIC, "b": LINEAR}, claims=[along()])
    assert growth[1].verdict == "unranked"
    assert settle(plan, growth, 0.003, False)[0].answer == "undecided"


# claims about what is exact


@pytest.mark.parametrize(
    ("expect", "by", "base", "value", "answer", "words"),
    [
        ("lower", 0.0, 100, 64, "holds", "exactly 0.64"),
        ("lower", 0.0, 10**9, 10**9 - 1, "holds", "exactly 0.999999999"),
        ("lower", 0.0, 100, 100, "fails", "exactly 1"),
        ("higher", 0.0, 100, 100, "fails", "exactly 1"),
        ("lower", 0.2, 100, 80, "holds", "exactly 0.8"),
        ("lower", 0.3, 100, 70, "holds", "exactly 0.7"),
        ("lower", 0.2, 10**6, 800_001, "fails", "exactly 0.8"),
        ("higher", 0.1, 1000, 1100, "holds", "exactly 1.1"),
        ("equal", 0.0, 7, 7, "holds", "exactly 1"),
        ("equal", 0.0, 10**6, 10**6 + 1, "fails", "exactly 1.000001"),
        ("equal", 0.02, 100, 102, "holds", "exactly 1.02"),
        ("higher", 0.5, 0, 10, "holds", "more than the baseline's 0"),
        ("lower", 0.0, 0, 0, "fails", "0, as the baseline"),
        ("lower", 0.5, 10, 0, "holds", "exactly 0"),
    ],
)
def test_exact_quantities_decide_claims(expect, by, base, value, answer, words):
    blocks = contexts(["1"])
    plan, quantities, _ = grown(blocks, {"a": lambda *_: base, "b": lambda *_: value}, claims=[claim(expect, by)])
    (result,) = settle(plan, quantities, 0.5, True)  # exact quantities have neither a floor nor a timing bias
    assert (result.answer, result.against) == (answer, ())
    assert result.reason.removeprefix("length 1 · s: ") == words
    assert claim_row("suite.yaml", result)[4] == "exact"


def test_deciding_context_is_named():
    laws = {"a": lambda *_: 1000, "b": lambda n, _: n}
    plan, quantities, _ = grown(contexts(), laws, claims=[claim(by=0.2), claim(inside="any", by=0.9)])
    every, some = settle(plan, quantities, 0.003, False)
    assert (every.answer, every.reason) == (
        "holds",
        "from exactly 0.1 (length 100 · s) to exactly 0.8 (length 800 · s)",
    )
    assert (some.answer, some.reason) == ("holds", "length 100 · s: exactly 0.1")
    assert claim_row("suite.yaml", every)[2:6] == ("at least 20 % lower", "0.8×", "exact", "800 · s (kept bytes), of 4")
    plan, quantities, _ = grown(contexts(), {**laws, "b": lambda n, _: n if n > 100 else None}, claims=[claim()])
    (missing,) = settle(plan, quantities, 0.003, False)
    assert (missing.answer, missing.reason) == ("undecided", "kept_bytes is not known for 100 · s")


def test_exact_claims_do_not_count_in_the_correction():
    """Exact claims, whether true, false or undecided, do not change the correction of a claim about noisy growth."""
    laws = {"a": lambda n, _: n**2.0, "b": noisy}
    exact = [claim(), claim("higher"), *[claim(metric="peak_bytes")] * 30]
    plan, quantities, growth = grown(contexts(), laws, claims=[*exact, along(), *exact])
    results = settle(plan, [*quantities, *growth], 0.003, False)
    assert [result.answer for result in results[:3]] == ["holds", "fails", "undecided"]
    (alone,) = settle(replace(plan, claims=(along(),)), growth, 0.003, False)
    assert results[len(exact)] == alone
    assert alone.answer == "holds"
    crowd = replace(plan, claims=(along(), *[along(metric="peak_bytes")] * 30))
    assert settle(crowd, growth, 0.003, False)[0].answer == "undecided"  # claims without data do count


def test_exact_claims_are_not_measured_again(catalog):
    this = replace(block("a", "b"), measures=Measures.of(memory=TRAIN))
    fixed = {"parameters": 10, "parameter_bytes": 40, "optimizer_bytes": 0, "counts": {}}
    records = [
        Record(this.id, level, level, "memory.train", "variant", 0, 1, "ok", "",
               {**fixed, "peak": {"step": [peak]}, "kept": [7]})
        for level, peak in (("a", 10), ("b", 20))
    ]  # fmt: skip
    plan = Plan("s", "q", "what", (this,), claims=(claim(metric="peak_bytes"), claim("equal", metric="kept_bytes")))
    found = find(plan, records, catalog)
    assert [(r.answer, r.reason) for r in found.claims] == [("fails", "all: exactly 2"), ("holds", "exactly 1")]
    assert blocks_to_remeasure(plan, records, catalog) == []
    unranked = replace(this, trials=(trial("a"), trial("b", "answer")))
    assert find(replace(plan, blocks=(unranked,)), records, catalog).claims[0].answer == "undecided"


def test_run_over_three_sizes_reports_growth(tmp_path):
    (tmp_path / "toy.yaml").write_text("""
question: What grows with the batch?
base: {model: linear, dataset: {name: points, batch_size: 8}, use: [descent]}
axes:
  what: {plain: {}, wide: {model: {name: mlp, hidden_size: 16}}}
  rows: {path: dataset.batch_size, values: [4, 8, 16]}
compare: {axis: what, baseline: plain}
measure: {memory: {}}
claims:
  - {says: The wide one keeps more, level: wide, metric: kept_bytes, expect: higher}
  - {says: It has half the parameters, level: wide, metric: parameters, expect: lower by 50%}
  - {says: It grows more slowly, level: wide, metric: kept_bytes, along: rows, expect: lower}
""")
    done = harness("run", "toy.yaml", "--verbose", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    at = lines.index("all · train: growth along rows")
    assert lines[at + 1].split("  ")[0] == "what"
    assert lines[at + 4].startswith("wide    ")
    # One hidden value per row, with its sign and the dropout mask: all proportional to the number of rows. So the column
    # has the same number in all rows.
    assert any(" 1.00 (1.00 to 1.00)" in line for line in lines if line.startswith("The same in all rows: "))
    assert (
        'True: "The wide one keeps more". wide has 49 times the kept bytes of plain for a training step (exact)'
        in done.stdout
    )
    assert 'False: "It has half the parameters". wide has 17.9 times the parameters' in done.stdout
    folder = the_run(tmp_path)
    assert "## Growth" in (folder / "report.md").read_text()
    with (folder / "tables" / "growth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(r["what"], r["quantity"]) for r in rows} == {
        (w, q) for w in ("plain", "wide") for q in ("kept_bytes", "peak_bytes")
    }
    (kept,) = (r for r in rows if (r["what"], r["quantity"]) == ("wide", "kept_bytes"))
    assert (kept["along"], kept["contexts"], kept["rows"], float(kept["exponent"])) == ("rows", "3", "", 1.0)
    growth = json.loads(harness("report", folder, "--json", cwd=tmp_path).stdout)["growth"]
    assert [(g["level"], g["exponent"]) for g in growth if g["quantity"] == "kept_bytes"] == [
        ("plain", pytest.approx(1.0)), ("wide", 1.0)
    ]  # fmt: skip
