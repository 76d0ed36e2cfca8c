"""Event files that TensorBoard reads: scalars, and perhaps the hyperparameters that they came from.

The `tensorboard` package is an extra and is imported only to write. Its own writers start a thread and put the time and
the machine into file names; here the same data give the same bytes under the same name.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: TensorBoard takes files with "tfevents" in their names.
NAME = "events.out.tfevents.harness"


@dataclass(frozen=True)
class Events:
    """The content of one file: values by name at each step, with the time of the step in seconds since 1970. With
    hyperparameters it is a session, which may have failed."""

    start: float
    scalars: Mapping[int, tuple[float, Mapping[str, float]]]
    hyperparameters: Mapping[str, bool | float | str] = field(default_factory=dict)
    failed: bool = False

    @property
    def end(self) -> float:
        """The time of the last value."""
        return max((time for time, _ in self.scalars.values()), default=self.start)


def keep(folder: Path, events: Events) -> Path:
    """Write the folder's file, unless it has this content already, so that a running TensorBoard reads it only once."""
    path, content = folder / NAME, encoded(events)
    if not path.is_file() or path.read_bytes() != content:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name("part")
        temporary.write_bytes(content)
        temporary.replace(path)
    return path


def encoded(events: Events) -> bytes:
    """The file as bytes, without values that are not finite."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    writer.write(Event(wall_time=events.start, file_version="brain.Event:2").SerializeToString())
    if events.hyperparameters:
        for time, summary in zip((events.start, events.end), _session(events), strict=True):
            writer.write(Event(wall_time=time, summary=summary).SerializeToString())
    for step, (time, values) in sorted(events.scalars.items()):
        finite = [Summary.Value(tag=tag, simple_value=v) for tag, v in values.items() if math.isfinite(v)]
        if finite:
            writer.write(Event(wall_time=time, step=step, summary=Summary(value=finite)).SerializeToString())
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
