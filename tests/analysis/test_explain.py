"""Explanations of a time difference: two profiles add up to the measured difference."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from commands import harness
from made_profiles import BLOCK, FLAGS, FUSED, LOOP, measured, profile, timed, times_of
from reference_findings import RUNS
from tasks import task

from harness.analysis.explain import Explanation, explain, explanations
from harness.analysis.findings import find
from harness.analysis.profiles import UNATTRIBUTED, Profiled, profiler_cost
from harness.measure.kinds.profile import profile_trial
from harness.measure.kinds.profile_context import context_of, flags
from harness.measure.runtime.builder import TrialBuilder
from harness.modes import step_note
from harness.records.record import Record
from harness.records.settings import Measures, Profile, Speed
from harness.records.store import Store
from harness.report.tables.causes import sentence_of
from harness.report.tables.comparisons import comparison_table
from harness.report.tables.explain import (
    kernel_path_table,
    kernels_table,
    warnings,
)

RUN = RUNS / "why"


def test_the_rows_sum_to_the_measured_difference_phase_by_phase():
    times = timed(plain=3.0, loop=6.0)
    a, b = (Profiled(r) for r in (profile("plain", FUSED), profile("loop", LOOP)))
    one = explain(times, a, b, 0.0)
    assert one is not None
    assert sum(row.difference for row in one.rows) == pytest.approx(one.difference, rel=1e-12)
    assert one.difference == pytest.approx(3e-3, rel=0.02)
    assert one.interval is not None
    assert one.interval[0] < one.ratio < one.interval[1]
    assert one.ratio == pytest.approx(7 / 4, rel=0.01)
    rows = {(row.phase, row.operator): row for row in one.rows}
    scale = one.seconds[1] / 7  # in the loop's forward phase, 1.2 ms under the profiler correspond to 6 ms measured
    assert rows["forward", "aten::mm"].seconds == pytest.approx((0.0, 6 * 0.9 / 1.2 * scale), rel=0.01)
    assert rows["forward", "aten::mkldnn_rnn_layer"].seconds[1] == 0.0
    assert rows["backward", UNATTRIBUTED].difference == pytest.approx(0.0, abs=2e-5)
    assert one.rows[0].operator == "aten::mm"
    assert rows["forward", "aten::mm"].calls == (0, 50)


def test_cpu_time_is_used_on_a_shared_core():
    shared = measured(plain=3.0, loop=6.0)
    for process in shared.processes:
        for key, samples in process.items():
            preempted = np.ones(len(samples.wall), dtype=int)
            process[key] = replace(samples, cpu=samples.wall / 2, switches=preempted)
    shared.choose_clock()
    assert shared.clock == "cpu"
    one = explain(times_of(shared), *(Profiled(profile(*p)) for p in (("plain", FUSED), ("loop", LOOP))), 0.0)
    assert one is not None
    assert one.seconds == pytest.approx((2e-3, 3.5e-3), rel=0.01)
    assert sum(row.difference for row in one.rows) == pytest.approx(one.difference, rel=1e-12)


def test_profiler_overhead_is_subtracted():
    """Under the profiler, each operator takes 500 ns more, half of it in the operator itself. The rows stay the same."""
    times = timed(plain=3.0, loop=6.0)
    plain, dear = (
        {level: Profiled(profile(level, rows, cost=cost)) for level, rows in (("plain", FUSED), ("loop", LOOP))}
        for cost in (0.0, 500.0)
    )  # fmt: skip
    cost = profiler_cost({("b", "train"): list(dear.values())})
    assert cost == pytest.approx(500e-9)
    assert profiler_cost({("b", "train"): list(plain.values())}) == 0.0
    first = explain(times, plain["plain"], plain["loop"], 0.0)
    second = explain(times, dear["plain"], dear["loop"], cost)
    assert first is not None
    assert second is not None
    for row, same in zip(first.rows, second.rows, strict=True):
        assert row.operator == same.operator
        assert same.seconds == pytest.approx(row.seconds, rel=1e-9)


def test_two_levels_other_than_the_baseline_are_explained():
    times = timed(plain=3.0, loop=6.0, other=2.0)
    one = explain(times, *(Profiled(profile(level, LOOP)) for level in ("loop", "other")), 0.0)
    assert one is not None
    assert one.ratio == pytest.approx(3 / 7, rel=0.01)
    assert sum(row.difference for row in one.rows) == pytest.approx(one.difference, rel=1e-12)
    assert sentence_of(one).startswith("other takes 0.429×")


def test_untimed_level_is_not_explained():
    a, b = (Profiled(profile(*p)) for p in (("plain", FUSED), ("loop", LOOP)))
    assert explain(timed(plain=3.0), a, b, 0.0) is None
    assert explanations([timed(plain=3.0, loop=6.0)], {(BLOCK.id, "train"): [b]}) == []


def test_gpu_rows_are_kernels_and_waiting():
    """The profile is synthetic, since there is no GPU here."""
    kernels = {"phase": ["forward"], "name": ["void gemm"], "calls": [200], "device": [4_000_000]}

    def on_device(level: str, nanoseconds: int) -> Profiled:
        made = profile(level, [("forward", "aten::mm", 100, 1)], device="cuda", kernels=kernels)
        made.data["operators"].update(device=[nanoseconds], kernels=[100])
        return Profiled(made)

    one = explain(timed(plain=3.0, loop=6.0), on_device("plain", 4_000_000), on_device("loop", 5_000_000), 1e-6)
    assert one is not None
    rows = {(row.phase, row.operator): row for row in one.rows}
    assert rows["forward", "aten::mm"].seconds == pytest.approx((2e-3, 2.5e-3))
    assert rows["forward", UNATTRIBUTED].difference == pytest.approx(2.5e-3, rel=0.02)
    assert sum(row.difference for row in one.rows) == pytest.approx(one.difference, rel=1e-12)
    assert one.a.launches == 50
    table = kernels_table(BLOCK, one.a)
    assert table.rows == (("forward", "void gemm", "100%", "2.000", "100"),)
    assert table.notes == ("50 kernels per step take 2.000 ms on the device together.",)


def test_a_warning_names_different_kernel_paths_and_settings():
    def group(**more):
        return [Profiled(profile("plain", FUSED)), Profiled(profile("loop", LOOP, **more))]

    (paths,) = warnings([BLOCK], {(BLOCK.id, "train"): group()})
    assert "plain ran oneDNN's fused recurrent layer, loop ran operator by operator. The ratio includes" in paths
    context = {**FLAGS, "flags": {"threads": 2, "oneDNN": True}, "types": ["bfloat16"], "subnormal": 0.2}
    texts = warnings([BLOCK], {(BLOCK.id, "train"): group(fingerprint=context)})
    assert len(texts) == 4
    assert any("Different settings of threads: plain had 1, loop had 2." in text for text in texts)
    assert any("types of weights: plain had float32, loop had bfloat16." in text for text in texts)
    assert any("The backward pass of loop uses subnormal numbers" in text for text in texts)
    alike = [Profiled(profile("plain", LOOP)), Profiled(profile("loop", LOOP))]
    assert warnings([BLOCK], {(BLOCK.id, "train"): alike}) == []
    again = replace(BLOCK, context={"cell": "gru"})
    (both,) = warnings([BLOCK, again], {(BLOCK.id, "train"): group(), (again.id, "train"): group()})
    assert both.endswith(" (all · train, gru · train).")


def test_the_kernel_paths_of_a_block():
    group = [Profiled(profile("plain", FUSED)), Profiled(profile("loop", LOOP))]
    table = kernel_path_table(BLOCK, "train", group, "code", ["Because."])
    assert table.headers == (
        "code",
        "kernel path",
        "operator calls per step",
        "launches",
        "launches / point",
        "page faults",
        "subnormal",
    )
    assert table.rows[1] == ("loop", "operator by operator", "55", "55", "6.9", "0", "0.0%")
    assert table.notes[:2] == (*step_note("train"), "Because.")
    assert "Settings of plain: threads 1, oneDNN on, types of weights float32." in table.notes[2]


# -- with torch


@pytest.fixture
def toy(planned):
    (made,) = planned("busy: {use: [busy]}").blocks
    measures = Measures.of(speed=Speed(batches=2), profile=Profile(steps=2))
    return replace(made, measures=measures)


def test_profile_has_each_operator_of_each_phase(toy, catalog, tmp_path):
    data = profile_trial(task(toy, "busy", catalog, settings=Profile(steps=2), folder=tmp_path))
    assert json.loads(json.dumps(data)) == data
    assert (data["batches"], data["passes"], data["trace_steps"], data["trace_cut"]) == ([0, 1], 5, 2, False)
    assert data["phases"]["phase"] == ["collate", "forward", "backward", "update"]
    operators = data["operators"]
    calls = dict(zip(zip(operators["phase"], operators["name"], strict=True), operators["calls"], strict=True))
    assert calls["forward", "aten::sin"] == 200
    assert calls["forward", "aten::addmm"] == 2
    assert calls["update", "Optimizer.step#SGD.step"] == 2
    assert ("backward", "aten::sin") not in calls
    for phase, wall, between in zip(*(data["phases"][key] for key in ("phase", "wall", "between")), strict=True):
        own = sum(own for where, own in zip(operators["phase"], operators["own"], strict=True) if where == phase)
        assert own + between == pytest.approx(wall, rel=0.5)  # medians need not add up
        assert between >= 0
    assert data["plain"] > 0
    assert 0 < data["cost"] < 1e5
    assert data["counts"]["points"] == 16
    assert data["fingerprint"]["flags"]["threads"] >= 1
    assert data["fingerprint"]["types"] == ["float32"]
    assert data["fingerprint"]["subnormal"] == 0.0
    (path,) = tmp_path.glob("traces/*/worker.pt.trace.json.gz")
    assert path.parent.name == data["trace"].partition("/")[0] == f"{toy.id}.busy.train"


def test_steps_with_many_operators_are_profiled_less(toy, catalog, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.measure.kinds.profile.MOST_EVENTS", 300)
    monkeypatch.setattr("harness.measure.kinds.profile.TRACE_EVENTS", 100)
    data = profile_trial(task(toy, "busy", catalog, settings=Profile(steps=2), folder=tmp_path))
    assert (data["batches"], data["passes"], data["trace_steps"], data["trace_cut"]) == ([0], 1, 1, True)
    assert data["counts"]["points"] == 8


def test_long_steps_are_profiled_less(toy, catalog, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.measure.kinds.profile.MOST_SECONDS", 1e-9)
    data = profile_trial(task(toy, "plain", catalog, settings=Profile(steps=2), folder=tmp_path))
    assert (data["batches"], data["passes"]) == ([0], 1)


def test_flags_are_read_inside_the_step(toy, catalog):
    import torch

    member = task(toy, "plain", catalog).member()
    inner = member.built.forward

    def under(model, batch):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return inner(model, batch)

    member.built.forward = under
    assert context_of(member, [])["flags"]["autocast"] == "bfloat16"
    assert flags("cpu")["autocast"] is False


def test_a_planted_cost_is_found(planned, catalog, tmp_path):
    """The planted cost is sines, and the explanation names sines. The test compares shares of time, not times."""
    (made,) = planned("busy: {use: [{name: busy, times: 400}]}").blocks
    toy = replace(made, measures=Measures.of(speed=Speed(batches=2), profile=Profile(steps=1)))
    builder = TrialBuilder(catalog)
    profiles = []
    for level in ("plain", "busy"):
        data = profile_trial(task(toy, level, builder, settings=Profile(steps=1), folder=tmp_path))
        profiles.append(Profiled(Record(toy.id, level, level, "profile.train", "variant", 0, 1, "ok", "", data)))
    cost = profiler_cost({(toy.id, "train"): profiles})
    seconds = profiles[1].seconds(cost)
    forward = {name: time for (phase, name), time in seconds.items() if phase == "forward"}
    assert max((name for name in forward if name != UNATTRIBUTED), key=forward.__getitem__) == "aten::sin"
    assert profiles[1].calls["forward", "aten::sin"] == 400


def test_explain_from_the_command_line(tmp_path, monkeypatch):
    from toy_suite import SUITE

    # On a busy machine, so short a measurement may show nothing to explain.
    monkeypatch.setattr(Explanation, "explained", True)

    text = SUITE.replace("backwards: {use: [reverse]}", "backwards: {use: [reverse]}\n    busy: {use: [busy]}")
    (tmp_path / "toy.yaml").write_text(text + "  profile: {steps: 1}\n")
    done = harness("run", "toy.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Why: " in done.stdout
    (folder,) = (tmp_path / "results" / "toy").iterdir()
    report = (folder / "report.md").read_text()
    assert "## Why" in report
    assert "busy against plain" in report
    assert "all · train · busy: operators" in report
    shown = harness("explain", "latest", "plain", "busy", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "all · train: busy against plain" in shown.stdout
    assert "\nsum " in shown.stdout
    found = json.loads(harness("explain", folder, "busy", "--json", cwd=tmp_path).stdout)
    (one,) = found["explanations"]
    assert sum(row["difference"] for row in one["rows"]) == pytest.approx(one["difference"], rel=1e-9)
    assert one["rows"][0]["operator"] in ("aten::sin", None)
    assert len(json.loads(harness("explain", folder, "--json", cwd=tmp_path).stdout)["explanations"]) == 2
    swapped = json.loads(harness("explain", folder, "busy", "backwards", "--json", cwd=tmp_path).stdout)
    assert swapped["explanations"][0]["ratio"] < 1
    for arguments, message in (
        (("bussy",), "Did you mean busy?"),
        (("plain", "busy", "--mode", "inference"), "this run has nothing to explain for these levels"),
        (("plain", "busy", "backwards"), "expected at most two levels, got 3"),
        (("busy", "--only", "cell=gru"), "there is no axis of the context named 'cell'"),
    ):
        bad = harness("explain", folder, *arguments, cwd=tmp_path)
        assert bad.returncode == 2
        assert message in bad.stderr


def test_run_without_profiles_has_a_fix(tmp_path):
    from toy_suite import SUITE

    (tmp_path / "toy.yaml").write_text(SUITE)
    assert harness("run", "toy.yaml", cwd=tmp_path).returncode == 0
    bad = harness("explain", "latest", cwd=tmp_path)
    assert bad.returncode == 2
    assert "Add speed and profile to the measures of the suite" in bad.stderr


def test_autograd_node_and_engine_are_one_row():
    engine = "autograd::engine::evaluate_function: MulBackward0"
    rows = [("backward", engine, 10, 100_000), ("backward", "MulBackward0", 10, 300_000), *FUSED]
    one = explain(timed(plain=3.0, loop=6.0), *(Profiled(profile(level, rows)) for level in ("plain", "loop")), 0.0)
    assert one is not None
    (row,) = (row for row in one.rows if "MulBackward0" in row.operator)
    assert (row.operator, row.calls) == ("MulBackward0", (5, 5))
    assert row.seconds[0] == pytest.approx(1e-3 * 4 / 6, rel=0.02)  # the rest of the phase is outside any operator
    assert sum(each.difference for each in one.rows) == pytest.approx(one.difference, rel=1e-12)


@pytest.mark.skipif(not RUN.exists(), reason="a source distribution has no reference runs")
def test_the_whole_times_of_an_explanation_are_those_of_the_table(catalog):
    """For every explanation of the stored run, to the digits that are shown, with the same ratio and interval."""
    store = Store.open(RUN)
    findings = find(store.plan(), store.records(), catalog)
    assert findings.explained
    for one in findings.explained:
        table = comparison_table(findings, one.block, one.mode)
        rows = {row[0]: dict(zip(table.headers, row, strict=True)) for row in table.rows}
        shown = [rows[level]["step time"] for level in (one.baseline, one.level)]
        assert [f"{1e3 * seconds:.2f} ms" for seconds in one.seconds] == shown
        assert f"{one.ratio:.3f}" == rows[one.level]["ratio"]
        assert " to ".join(map(one.in_words, one.interval)) == rows[one.level]["95 % interval"]
        assert sum(row.difference for row in one.rows) == pytest.approx(one.difference, rel=1e-9)


@pytest.mark.skipif(not RUN.exists(), reason="a source distribution has no reference runs")
def test_eight_rows_are_shown_unless_more_are_asked_for(tmp_path):
    """The first row is the header, the second a rule; the others and the sum come after the rows."""

    def rows(*more: str) -> tuple[int, bool]:
        text = harness("explain", RUN, "packed", "--only", "cell=lstm", "--mode", "train", *more, cwd=tmp_path).stdout
        lines = text.splitlines()
        return lines.index(next(line for line in lines if " others " in line)) - 4, "--rows N" in text

    assert rows() == (8, True)
    assert rows("--rows", "3") == (3, True)
    assert rows("--rows", "99") == (16, False)
