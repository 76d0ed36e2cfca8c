"""TensorBoard itself reads the files of a run: the answer, plots, curves, hyperparameters with results, and traces."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from made import block, learning_block, record, run
from tasks import task

from harness.measure.kinds.profile import profile_trial
from harness.records.plan import Plan, Spec
from harness.records.record import Record
from harness.records.settings import Profile, Speed
from harness.report.formats import github, markdown, tensorboard, terminal
from harness.report.plots.plots import plots_of
from harness.report.report import report_of

NEEDED = "comes with the extra rnn-harness[tensorboard]"
AT = "2026-01-02T03:04:05+00:00"


def learnt(catalog, *levels: str, **more):
    """A report of two levels, trained under two seeds; the second level diverged under seed 1."""
    a, b = levels or ("plain", "fast & loose")
    this = learning_block(a, b, metric="error", speed=Speed(), **more)
    curve = {"loss": [4.0, 3.0, None, *[1.0] * 17], "gradient_norm": [1.0] * 20, "learning_rate": [0.1]}
    times = {"elapsed": [0.0, 1.0, 2.0, 3.0, 4.0]}
    records = []
    for level in (a, b):
        for seed in (0, 1):
            diverges = level == b and seed == 1
            values = {"close": [0.1, 0.2, 0.3, 0.4, 0.5 + seed / 10], "error": [9.0, 4.0, 3.0, 2.0, 1.0 + 3 * seed]}
            if diverges:
                values = {name: series[:2] for name, series in values.items()}
            one = run(this, level, seed, **values, **({"diverged_at": 7, "steps": 7} if diverges else {}))
            length = 7 if diverges else 20
            data = {
                **one.data,
                **{name: series[:length] for name, series in curve.items()},
                "elapsed": times["elapsed"][: 2 if diverges else 5],
            }
            records.append(replace(one, data=data, at=AT))
        records += [record(this, level, n, [1e6 if level == a else 2e6] * 10) for n in range(5)]
    return report_of(Plan("s", "q", "what", (this,)), records, catalog, {}, "s/r")


@pytest.fixture
def files(catalog, tmp_path):
    pytest.importorskip("tensorboard", reason=NEEDED)
    report = learnt(catalog)
    return report, tensorboard.write(report, tmp_path), tmp_path


def scalars_in(path) -> dict[str, list[tuple[int, float, float]]]:
    """Step, value and time of each point of a file by tag, as TensorBoard's own loader reads them."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    found: dict[str, list[tuple[int, float, float]]] = {}
    for event in LegacyEventFileLoader(str(path)).Load():
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value, event.wall_time))
    return found


def test_each_run_has_its_curves(files):
    _, written, folder = files
    assert {path.parent.relative_to(folder / "tensorboard").as_posix() for path in written} == {
        "answer", *(f"all.{level}/{each}" for level in ("plain", "fast-loose") for each in ("seed-0", "seed-1", "mean"))
    }  # fmt: skip
    found = scalars_in(folder / "tensorboard" / "all.plain" / "seed-1" / "events.out.tfevents.harness")
    assert set(found) == {"train/loss", "train/gradient_norm", "held out/loss", "held out/close", "held out/error"}
    assert [step for step, _, _ in found["held out/error"]] == [0, 5, 10, 15, 20]
    assert [value for _, value, _ in found["held out/error"]] == [9.0, 4.0, 3.0, 2.0, 4.0]
    # values that are not finite are left out, and the time of a point is the time of its evaluation
    assert [step for step, _, _ in found["train/loss"]] == [1, 2, *range(4, 21)]
    times = {step: time for step, _, time in found["train/loss"]}
    assert times[20] - times[5] == pytest.approx(3.0)
    assert times[20] == pytest.approx(1767323045.0)


def test_mean_curve_equals_the_report(files):
    report, _, folder = files
    found = scalars_in(folder / "tensorboard" / "all.fast-loose" / "mean" / "events.out.tfevents.harness")
    one = report.findings.learning.learned[0]
    # a diverged seed counts as untrained from then on; ratios are averaged as logarithms
    assert found["held out/error"][-1][:2] == (20, pytest.approx(np.sqrt(1.0 * 9.0)))
    assert found["held out/close"][-1][1] == pytest.approx(one.values("fast & loose", "close", (0, 1)).mean())


def test_no_curve_has_a_single_point_and_results_are_columns(files):
    report, written, _ = files
    counts = [len(points) for path in written for points in scalars_in(path).values()]
    assert counts
    assert min(counts) > 1
    columns = tensorboard.events_of(report)["all.fast-loose/mean"].hyperparameters
    assert sorted(columns)[0] == "(ratio) learning/error"  # the order in which TensorBoard shows them
    assert columns["(ratio) train"] == pytest.approx(2.0, rel=1e-3)
    assert columns["(verdict) train"] == "slower"
    assert columns["(result) train/step_time (ms)"] == pytest.approx(2.0)
    assert columns["(result) learning/diverged"] == 0.5
    assert tensorboard.events_of(report)["all.plain/mean"].hyperparameters["(ratio) train"] == 1.0


def test_answer_is_text_and_plots_are_images(files):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    report, _, folder = files
    shown = EventAccumulator(str(folder / "tensorboard" / "answer"))
    shown.Reload()
    (text,) = shown.Tensors("answer")
    assert text.tensor_proto.string_val[0].decode() == github.render(report)
    images = shown.Tags()["images"]
    assert images[0].startswith("plot 1: ")
    assert len(images) == min(tensorboard.MOST_IMAGES, len(plots_of(report)))
    image = shown.Images(images[0])[0]
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert image.width > image.height > 100


def test_same_records_give_the_same_bytes(files, catalog):
    report, written, folder = files
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in written}
    assert tensorboard.write(report, folder) == written
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in written} == before
    assert sorted(p for p in (folder / "tensorboard").rglob("*") if p.is_file()) == sorted(written)
    # files that are no longer in the report are removed; other files stay
    (folder / "tensorboard" / "all.plain" / "notes.txt").write_text("mine")
    fewer = report_of(report.findings.plan, [], catalog, {})
    assert [path.parent.name for path in tensorboard.write(fewer, folder)] == ["answer", "mean", "mean"]
    assert not list((folder / "tensorboard").rglob("seed-*"))
    assert (folder / "tensorboard" / "all.plain" / "notes.txt").exists()


def test_long_curves_are_thinned_and_keep_their_last_point(catalog):
    pytest.importorskip("tensorboard", reason=NEEDED)
    this = learning_block("a", "b", steps=5000, evaluations=4)
    one = run(this, "a", 0, close=0.5, evaluated=(0, 1250, 2500, 3750, 5000), planned=5000)
    data = {**one.data, "loss": [1.0] * 5000, "learning_rate": list(np.linspace(1, 0, 5000))}
    curves = tensorboard.seed_curves(replace(one, data=data))
    assert len(curves) <= tensorboard.MOST + 5
    assert len(tensorboard.seed_curves(replace(one, data=data), 50)) <= 55
    assert max(curves) == 5000
    assert "held out/close" in curves[5000][1]
    assert curves[1][1]["train/learning_rate"] == 1.0


def test_invalid_file_names_are_replaced(catalog):
    this = block("a b", "a/b", "a-b", "..", "%", "ключ", "x" * 300)
    names = tensorboard.folders_of(Plan("s", "q", "what", (replace(this, context={"data": "../up"}),)))
    assert len(set(names.values())) == 7
    assert all("/" not in name and len(name.encode()) < 255 for name in names.values())
    assert not {"..", "."} & set(names.values())


def test_every_hyperparameter_appears_once_as_a_plain_value():
    this = block("a", "b")
    trial = replace(
        this.trials[1],
        model=Spec("lstm", {"hidden_size": 64, "bias": True, "act": None, "sizes": [1, 2]}, "p", "0"),
        use=(Spec("adam", {"lr": 0.1}, "p", "0"), Spec("pack", {}, "p", "0")),
    )
    where = replace(this, context={"model": "the big one"})
    found = tensorboard.parameters_of(Plan("s", "q", "what", (where,)), where, trial)
    assert found == {
        "batch_size": 1.0, "device": "cpu", "use": "adam + pack", "model.hidden_size": 64.0, "model.bias": True,
        "model.act": "null", "model.sizes": "[1, 2]", "adam.lr": 0.1, "dataset": "x", "model": "the big one", "what": "b",
    }  # fmt: skip


def test_missing_tensorboard_is_reported_if_there_are_curves(catalog, tmp_path):
    report = learnt(catalog)
    with patch.object(tensorboard, "find_spec", lambda name: None):
        assert tensorboard.write(report, tmp_path) == []
        for text in (markdown.render(report), terminal.render(report)):
            assert 'TensorBoard shows curves of this run: pip install "rnn-harness[tensorboard]"' in text
        timed = block("a", "b")
        records = [record(timed, level, n, [1e6] * 10) for level in "ab" for n in range(5)]
        nothing = report_of(Plan("s", "q", "what", (timed,)), records, catalog, {})
        assert tensorboard.missing_curves(nothing) == ""
        nothing.findings.profiles[timed.id, "train"] = []
        assert "TensorBoard shows traces of this run" in tensorboard.missing_curves(nothing)
    assert list(tmp_path.iterdir()) == []
    pytest.importorskip("tensorboard", reason=NEEDED)
    assert tensorboard.missing_curves(report) == ""


class Board:
    """TensorBoard's application on a folder, without a server."""

    def __init__(self, folder) -> None:
        from tensorboard import default, program
        from tensorboard.backend.application import TensorBoardWSGIApp
        from tensorboard.backend.event_processing.data_ingester import LocalDataIngester
        from werkzeug.test import Client

        board = program.TensorBoard(plugins=default.get_plugins())
        board.configure(logdir=str(folder), load_fast="false", reload_interval=1)
        ingester = LocalDataIngester(board.flags)
        ingester.start()
        self.client = Client(
            TensorBoardWSGIApp(
                board.flags, board.plugin_loaders, ingester.data_provider, board.assets_zip_provider,
                ingester.deprecated_multiplexer,
            )
        )  # fmt: skip

    def ask(self, route: str, **query: object):
        """The response of a route, as JSON."""
        response = self.client.get(f"/data/{route}", query_string=query)
        assert response.status_code == 200, (route, response.data)
        return json.loads(response.data)

    def post(self, route: str, **body: object):
        """The response of a route to a JSON body."""
        response = self.client.post(f"/data/{route}", json=body)
        assert response.status_code == 200, (route, response.data)
        return json.loads(response.data)

    def wait(self, route: str, is_there, seconds: float = 90.0):
        """The response of a route after all folders have been read, which happens in the background."""
        deadline = time.monotonic() + seconds
        while not is_there(answer := self.ask(route)):
            assert time.monotonic() < deadline, answer
            time.sleep(0.2)
        return answer


def test_tensorboard_shows_curves_hyperparameters_and_traces(planned, catalog, tmp_path):
    pytest.importorskip("tensorboard", reason=NEEDED)
    pytest.importorskip("torch_tb_profiler", reason=NEEDED)
    (this,) = planned("backwards: {use: [reverse]}", "measure.profile.steps=2").blocks
    traced = profile_trial(task(this, "backwards", catalog, settings=Profile(steps=2), folder=tmp_path))
    tensorboard.write(learnt(catalog), tmp_path)
    board = Board(tmp_path)

    runs = {f"tensorboard/all.{level}/{each}" for level in ("plain", "fast-loose") for each in ("seed-0", "seed-1")}
    means = {f"tensorboard/all.{level}/mean" for level in ("plain", "fast-loose")}
    tags = board.wait("plugin/scalars/tags", lambda tags: runs | means == set(tags))
    assert {"train/loss", "held out/error"} <= set(tags["tensorboard/all.plain/seed-0"])
    points = board.ask("plugin/scalars/scalars", run="tensorboard/all.plain/seed-0", tag="held out/error")
    assert [(step, value) for _, step, value in points] == [(0, 9.0), (5, 4.0), (10, 3.0), (15, 2.0), (20, 1.0)]

    experiment = board.post("plugin/hparams/experiment", experimentName="")
    assert {"what", "model", "dataset", "use", "batch_size"} <= {info["name"] for info in experiment["hparamInfos"]}
    metrics = {info["name"]["tag"] for info in experiment["metricInfos"]}
    assert {"held out/error", "held out/close"} <= metrics
    assert experiment["hparamInfos"][0]["name"].startswith("(ratio) ")
    board.wait("plugin/text/tags", lambda tags: tags)
    texts = board.ask("plugin/text/text", run="tensorboard/answer", tag="answer")
    assert "<strong>" in texts[0]["text"]
    assert "<table>" in texts[0]["text"]
    assert all(info["name"]["group"] == "" for info in experiment["metricInfos"])
    everything = ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING", "STATUS_UNKNOWN"]
    groups = board.post(
        "plugin/hparams/session_groups", colParams=[], allowedStatuses=everything, startIndex=0, sliceSize=10
    )["sessionGroups"]
    assert {group["hparams"]["what"] for group in groups} == {"plain", "fast & loose"}
    assert all(session["status"] == "STATUS_SUCCESS" for group in groups for session in group["sessions"])
    values = {group["hparams"]["what"]: group["metricValues"] for group in groups}
    by_tag = {value["name"]["tag"]: value["value"] for value in values["plain"]}
    assert by_tag["held out/error"] == pytest.approx(2.0)  # the geometric mean of 1 and 4

    listed = board.ask("plugins_listing")
    assert all(listed[name]["enabled"] for name in ("scalars", "hparams", "images", "text", "pytorch_profiler"))
    route = "plugin/pytorch_profiler"
    found = board.wait(f"{route}/runs", lambda answer: answer["runs"] and not answer["loading"])
    assert found["runs"] == [f"traces/{traced['trace'].split('/')[0]}"]
    run_name = found["runs"][0]
    views = board.ask(f"{route}/views", run=run_name)
    assert {"Overview", "Operator", "Trace"} <= set(views)
    (worker,) = board.ask(f"{route}/workers", run=run_name, view="Overview")
    (span,) = board.ask(f"{route}/spans", run=run_name, worker=worker)
    place = {"run": run_name, "worker": worker, "span": span}
    overview = board.ask(f"{route}/overview", **place, view="Overview")
    assert len(overview["steps"]["rows"]) == 2
    assert board.ask(f"{route}/operation", **place, view="Operator", group_by="Operation")
    table = board.ask(f"{route}/operation/table", **place, group_by="Operation")
    assert any(row["name"].startswith("aten::") for row in table["data"])
    trace = board.client.get(f"/data/{route}/trace", query_string=place)
    assert trace.status_code == 200
    plain = gzip.decompress(trace.data) if trace.data.startswith(b"\x1f\x8b") else trace.data
    assert {"ProfilerStep#0", "ProfilerStep#1"} <= {event.get("name") for event in json.loads(plain)["traceEvents"]}


def test_failed_trial_is_a_failed_session(catalog, tmp_path):
    pytest.importorskip("tensorboard", reason=NEEDED)
    this = block("a", "b")
    records = [record(this, level, n, [1e6] * 10) for level in "a" for n in range(5)]
    broken = Record(this.id, "b", "b", "verify", "variant", 0, 1, "failed", "it broke")
    report = report_of(Plan("s", "q", "what", (this,)), [*records, broken], catalog, {})
    events = tensorboard.events_of(report)
    assert events["all.b/mean"].failed
    assert not events["all.a/mean"].failed
    assert set(events) == {"all.a/mean", "all.b/mean"}


def test_runs_limited_by_time_have_curves(catalog):
    this = learning_block("a", "b", steps=0, seconds=4.0, metric="error")
    records = []
    for seed, pace in enumerate((1, 2)):
        one = run(this, "a", seed, error=[9.0, 4.0, 3.0, 2.0, 1.0], evaluated=tuple(5 * pace * i for i in range(5)))
        records.append(replace(one, data={**one.data, "elapsed": [0.0, 1.0, 2.0, 3.0, 4.0], "planned_steps": 0}))
    report = report_of(Plan("s", "q", "what", (this,)), records, catalog, {})
    curve = tensorboard.mean_curves(report.findings.learning.learned[0], "a")
    assert list(curve) == [0, 8, 15, 22, 30]
    assert curve[30][1]["held out/error"] == pytest.approx(1.0)
