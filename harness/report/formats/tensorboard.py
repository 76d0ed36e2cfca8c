"""A run for TensorBoard: the answer as text, plots as images, learning curves as scalars, and trials as sessions of its
plugin for hyperparameters.

``tensorboard/answer`` has the summary and the plots. ``tensorboard/<context>.<level>/seed-N`` has the curves of one
training run, ``.../mean`` their mean over seeds and, as a session, the trial's parameters and results. A single number
is no curve, so results are columns beside the parameters. TensorBoard sorts these by name; the ratio comes first.

The `tensorboard` package is an extra and is imported only to write. Its own writers start a thread and put the time and
the machine into file names; here the same data give the same bytes under the same name.
"""

from __future__ import annotations

import io
import json
import math
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis.learning import Learned
from harness.analysis.seed_stats import average
from harness.records.plan import Block, Plan, Trial
from harness.records.record import Record
from harness.records.store import replace_file
from harness.report.cells import verdict_word
from harness.report.plots.figures import file_name
from harness.report.plots.learning_curves import SeedCurve
from harness.report.plots.plots import by_turns, drawn_as, main_plot, plots_of
from harness.report.report import Report

#: The most steps of one curve, of which TensorBoard shows a thousand; the most steps of all curves together; and the
#: fewest of one curve. So that a report is written in about a second.
MOST, TOGETHER, FEWEST = 1000, 50_000, 50
Scalars = dict[int, tuple[float, dict[str, float]]]
#: At most this many plots are images, and how many dots per inch they have.
MOST_IMAGES, DPI = 5, 100
#: TensorBoard takes files with "tfevents" in their names.
NAME = "events.out.tfevents.harness"


@dataclass(frozen=True)
class Events:
    """The content of one file: values by name at each step, with the time of the step in seconds since 1970. With
    hyperparameters it is a session, which may have failed."""

    start: float
    scalars: Scalars
    hyperparameters: Mapping[str, bool | float | str] = field(default_factory=dict)
    failed: bool = False

    @property
    def end(self) -> float:
        """The time of the last value."""
        return max((time for time, _ in self.scalars.values()), default=self.start)


def write(report: Report, folder: Path) -> list[Path]:
    """Write the event files and remove outdated ones of an earlier report; does nothing where TensorBoard is not
    installed."""
    if not find_spec("tensorboard"):
        return []
    folder = folder / "tensorboard"
    every = events_of(report)
    files = {"answer": encoded_answer(report, min((events.start for events in every.values()), default=0.0))}
    files |= {name: encoded(events) for name, events in every.items()}
    written = [write_if_changed(folder / name, content) for name, content in files.items()]
    for old in set(folder.rglob(NAME)) - set(written):
        old.unlink()
        if not any(old.parent.iterdir()):
            old.parent.rmdir()
    return written


def missing_curves(report: Report) -> str:
    """A line where there are curves or traces and TensorBoard is not installed; empty otherwise."""
    findings = report.findings
    learned = any(runs for one in findings.learning.learned for runs in one.runs.values())
    if not (learned or findings.profiles) or find_spec("tensorboard"):
        return ""
    what = " and ".join([*(["curves"] if learned else []), *(["traces"] if findings.profiles else [])])
    return f'TensorBoard shows {what} of this run: pip install "rnn-harness[tensorboard]", then harness report.'


def events_of(report: Report) -> dict[str, Events]:
    """The content of each file of a trial by its folder."""
    plan, findings = report.findings.plan, report.findings
    names = folders_of(plan)
    learned = {one.block.id: one for one in findings.learning.learned}
    failed = {(record.block, record.level) for record in findings.broken}
    numbers = numbers_of(report)
    runs = sum(len(by_seed) for one in learned.values() for by_seed in one.runs.values())
    verified = {(record.block, record.level): began(record) for record in findings.verified}
    points = max(FEWEST, min(MOST, TOGETHER // max(1, runs)))
    found = {}
    for block in plan.blocks:
        one = learned.get(block.id)
        for trial in block.trials:
            place = (block.id, trial.level)
            curves: Scalars = {}
            start = verified.get(place, 0.0)
            if one is not None and one.runs[trial.level]:
                curves = mean_curves(one, trial.level)
                start = min(began(record) for record in one.runs[trial.level].values())
                for seed in one.seeds_of(trial.level):
                    record = one.runs[trial.level][seed]
                    found[f"{names[place]}/seed-{seed}"] = Events(began(record), seed_curves(record, points))
            parameters = {**numbers.get(place, {}), **parameters_of(plan, block, trial)}
            found[f"{names[place]}/mean"] = Events(start, curves, parameters, place in failed)
    return found


def folders_of(plan: Plan) -> dict[tuple[str, str], str]:
    """The name of a folder for each level of each block: context and level, or the trial's id where these make no name
    or the same name as others."""
    found: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for block in plan.blocks:
        context = file_name(*block.context.values()) if block.context else "all"
        for trial in block.trials:
            name = f"{context}.{file_name(trial.level)}"
            if not file_name(trial.level) or len(name.encode()) > 200 or name.casefold() in taken:
                name = f"{name[:40]}.{block.id}.{trial.id}"
            found[block.id, trial.level] = name
            taken.add(name.casefold())
    return found


def seed_curves(record: Record, points: int = MOST) -> Scalars:
    """The curves of one run: training by steps, thinned to this many `points`, and held-out scores where they were
    evaluated."""
    data, found = record.data, dict[int, dict[str, float]]()
    training = {name: data.get(name, ()) for name in ("loss", "gradient_norm", "learning_rate")}
    length = max(map(len, training.values()))
    for index in range(0, length, max(1, -(-length // points))):
        values = {f"train/{name}": series[index] for name, series in training.items() if len(series) == length}
        if known := {name: value for name, value in values.items() if value is not None}:
            found[index + 1] = known
    for index, step in enumerate(data["evaluated"]):
        values = {f"held out/{name}": series[index] for name, series in data["scores"].items() if index < len(series)}
        found[step] = {**found.get(step, {}), **{name: v for name, v in values.items() if v is not None}}
    times = times_at(record, sorted(found))
    return {step: (times[step], found[step]) for step in sorted(found)}


def mean_curves(one: Learned, level: str) -> Scalars:
    """The mean of each score over seeds where it was evaluated, computed as in the report."""
    found: Scalars = {}
    runs = one.records(level)
    for name in runs[0].data["scores"] if runs else ():
        drawn = [SeedCurve.of(record, name, one.settings) for record in runs]
        for index in range(max(len(run.scores) for run in drawn)):
            there = [(run, record) for run, record in zip(drawn, runs, strict=True) if index < len(run.scores)]
            values = np.array([run.scores[index] for run, _ in there])
            mean = average(values, one.scores[name].compared if name in one.scores else "difference")
            steps = [steps_at(run, record, index) for run, record in there]
            step = round(float(np.median(steps)))
            time = max(times_at(record, [step])[step] for _, record in there)
            found.setdefault(step, (time, {}))[1][f"held out/{name}"] = mean
    return found


def steps_at(run: SeedCurve, record: Record, index: int) -> float:
    """The step of an evaluation. Where time ends runs, evaluations after a divergence count as at the last step."""
    evaluated = record.data["evaluated"]
    if index < len(evaluated):
        return float(evaluated[index])
    return float(run.x[index]) if record.data.get("planned_steps") else float(record.data["steps"])


def began(record: Record) -> float:
    """When training began, or the record was made, in seconds since 1970; 0 where that is not known."""
    elapsed = record.data.get("elapsed") or [0.0]
    return datetime.fromisoformat(record.at).timestamp() - float(elapsed[-1]) if record.at else 0.0


def times_at(record: Record, steps: list[int]) -> dict[int, float]:
    """When a run had made these steps, interpolated between its evaluations."""
    elapsed = record.data.get("elapsed") or [0.0] * len(record.data["evaluated"])
    times = began(record) + np.interp(steps, record.data["evaluated"], elapsed)
    return dict(zip(steps, map(float, times), strict=True))


def numbers_of(report: Report) -> dict[tuple[str, str], dict[str, float | str]]:
    """The results of each trial by block id and level: first those of comparisons, then single numbers."""
    findings = report.findings
    found: defaultdict[tuple[str, str], dict[str, float | str]] = defaultdict(dict)
    for c in findings.deciding:
        what = c.mode if c.metric == "step_time" else f"{c.mode}/{c.metric}"
        found[c.block.id, c.baseline][f"({c.scale}) {what}"] = float(c.scale == "ratio")
        if c.size is not None:
            found[c.block.id, c.level][f"({c.scale}) {what}"] = c.size
        found[c.block.id, c.level][f"(verdict) {what}"] = verdict_word(c)
    for (block, level, mode, name), value in findings.numbers.items():
        metric = findings.metrics[name]
        unit = f" ({metric.unit})" if metric.unit else ""
        found[block, level][f"(result) {mode}/{name}{unit}"] = float(value) * metric.scale
    for q in findings.quantities:
        unit = f" ({q.quantity.unit})" if q.quantity.unit else ""
        found[q.block.id, q.level][f"(result) {q.mode}/{q.metric}{unit}"] = q.value
    for one in findings.learning.learned:
        for level in filter(one.runs.get, one.runs):
            for name, score in one.scores.items():
                mean = average(one.values(level, name), score.compared)
                found[one.block.id, level][f"(result) learning/{name}"] = float(mean)
    return found


def parameters_of(plan: Plan, block: Block, trial: Trial) -> dict[str, bool | float | str]:
    """All that determines a trial, by name, and its place in the suite."""
    found: dict[str, Any] = {"batch_size": trial.batch_size, "device": trial.device}
    found["use"] = " + ".join(spec.name for spec in trial.use) or "nothing"
    for kind, spec in (("model", trial.model), ("dataset", trial.dataset), *((one.name, one) for one in trial.use)):
        found |= {f"{kind}.{name}": value for name, value in spec.parameters.items()}
    found |= {"model": trial.model.name, "dataset": trial.dataset.name}
    found |= {**block.context, plan.axis: trial.level}
    return {name: _simple(value) for name, value in found.items()}


def _simple(value: Any) -> bool | float | str:
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, Mapping):
        value = dict(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def write_if_changed(folder: Path, content: bytes) -> Path:
    """Write the folder's file, unless it has this content already, so that a running TensorBoard reads it only once."""
    path = folder / NAME
    if not path.is_file() or path.read_bytes() != content:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    return path


def encoded(events: Events) -> bytes:
    """The file as bytes, without values that are not finite and without curves of a single point."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    found = [Event(wall_time=events.start, file_version="brain.Event:2")]
    if events.hyperparameters:
        for time, summary in zip((events.start, events.end), _session(events), strict=True):
            found.append(Event(wall_time=time, summary=summary))
    points = Counter(tag for _, values in events.scalars.values() for tag in values)
    for step, (time, values) in sorted(events.scalars.items()):
        shown = {tag: value for tag, value in values.items() if math.isfinite(value) and points[tag] > 1}
        if shown:
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in shown.items()])
            found.append(Event(wall_time=time, step=step, summary=summary))
    return _records(found)


def encoded_answer(report: Report, time: float) -> bytes:
    """A file with the summary as text, and the plots as images, the one of the answer first."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text.metadata import create_summary_metadata

    from harness.report.formats import github  # which imports Markdown, which says where TensorBoard is missing

    text = TensorProto(
        dtype=DT_STRING, string_val=[github.render(report).encode("utf-8", "replace")], tensor_shape=TensorShapeProto()
    )
    values = [Summary.Value(tag="answer", metadata=create_summary_metadata("answer", ""), tensor=text)]
    plots = plots_of(report)
    main = main_plot(report, plots)
    for number, plot in enumerate(by_turns(sorted(plots, key=lambda plot: plot is not main))[:MOST_IMAGES], 1):
        (png,) = drawn_as(plot, "png", dpi=DPI)
        width, height = struct.unpack(">II", png[16:24])  # of the header of a PNG file
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        values.append(Summary.Value(tag=f"plot {number}: {plot.title}", image=image))
    version = Event(wall_time=time, file_version="brain.Event:2")
    return _records([version, Event(wall_time=time, summary=Summary(value=values))])


def _records(events: Iterable[Any]) -> bytes:
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in events:
        writer.write(event.SerializeToString(deterministic=True))
    return buffer.getvalue()


def _session(events: Events) -> tuple[object, object]:
    """The start and the end of a session for TensorBoard's plugin of hyperparameters, whose own functions need
    TensorFlow."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

    start = SessionStartInfo(start_time_secs=events.start)
    for name, value in events.hyperparameters.items():
        if isinstance(value, bool):
            start.hparams[name].bool_value = value
        elif isinstance(value, str):
            start.hparams[name].string_value = value
        else:
            start.hparams[name].number_value = value
    status = api_pb2.STATUS_FAILURE if events.failed else api_pb2.STATUS_SUCCESS
    end = SessionEndInfo(status=status, end_time_secs=events.end)

    def summary(tag: str, data: HParamsPluginData) -> Summary:
        about = metadata.create_summary_metadata(data)
        content = HParamsPluginData.FromString(about.plugin_data.content)
        # Maps are written in another order in every process where nothing else is asked for.
        about.plugin_data.content = content.SerializeToString(deterministic=True)
        return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)])

    return (
        summary(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start)),
        summary(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end)),
    )
