"""Traces in the layout of TensorBoard's profiler plugin, read by the plugin itself."""

from __future__ import annotations

import gzip
import json
import time
from types import SimpleNamespace

import pytest
from tasks import task

from harness.measure.kinds.profile import _file_name, profile_trial
from harness.records.settings import Profile


@pytest.fixture(scope="module")
def traced(planned, catalog, tmp_path_factory):
    (block,) = planned("backwards: {use: [reverse]}", "measure.profile.steps=2").blocks
    traces = tmp_path_factory.mktemp("traces")
    data = profile_trial(
        task(block, "backwards", catalog, settings=block.measures.get("profile", Profile), folder=traces)
    )
    return data, traces / "traces"


def test_trace_is_gzipped_json(traced):
    data, traces = traced
    with gzip.open(traces / data["trace"]) as file:
        trace = json.load(file)
    names = {event.get("name") for event in trace["traceEvents"]}
    assert any(str(name).startswith("aten::") for name in names)
    assert {"ProfilerStep#0", "ProfilerStep#1", "collate", "forward", "backward", "update"} <= names
    assert not list(traces.rglob("*.json"))


def test_the_plugin_of_tensorboard_reads_the_trace(traced):
    pytest.importorskip("torch_tb_profiler", reason="comes with the extra rnn-harness[tensorboard]")
    from torch_tb_profiler.plugin import TorchProfilerPlugin
    from werkzeug.test import Client

    data, traces = traced
    plugin = TorchProfilerPlugin(SimpleNamespace(logdir=str(traces)))
    apps = plugin.get_plugin_apps()

    def ask(route: str, **query: str):
        response = Client(apps[route]).get(route, query_string=query)
        assert response.status_code == 200, response.data
        return json.loads(response.data)

    deadline = time.monotonic() + 60
    while (runs := ask("/runs"))["loading"] or not runs["runs"]:
        assert time.monotonic() < deadline, runs
        time.sleep(0.2)
    (run,) = runs["runs"]
    assert run == data["trace"].split("/")[0]
    assert "Operator" in ask("/views", run=run)
    (worker,) = ask("/workers", run=run, view="Overview")
    (span,) = ask("/spans", run=run, worker=worker)
    overview = ask("/overview", run=run, worker=worker, span=span, view="Overview")
    assert len(overview["steps"]["rows"]) == 2
    table = ask("/operation/table", run=run, worker=worker, span=span, group_by="Operation")
    assert {row["name"] for row in table["data"]} >= {
        name for name in data["operators"]["name"] if name.startswith("aten::mm")
    }


def test_levels_with_similar_names_have_traces_of_their_own():
    names = ["a b", "a+b", "a-b", "é" * 99, "é" * 98 + "x"]
    assert len({_file_name(name) for name in names}) == len(names)
    assert all(len(_file_name(name).encode()) < 120 for name in names)
    assert _file_name("a-b") == "a-b"
