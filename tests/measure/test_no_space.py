"""A full disk in a measuring process is an error of the system, not a failure of a level."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.measure.kinds.profile import exported
from harness.measure.runtime.failure import TrialFailed, failures_of
from harness.measure.servers import Server
from harness.measure.worker import no_space

FULL = OSError(errno.ENOSPC, "No space left on device", "trace.json")


def test_the_cause_of_a_failure_is_found():
    with pytest.raises(TrialFailed) as caught, failures_of("a", "writing"):
        raise FULL
    assert no_space(caught.value) is FULL
    assert no_space(ValueError("no")) is None
    assert no_space(OSError(errno.ENOENT, "No such file")) is None


def test_an_answer_that_says_it_raises_it():
    server = object.__new__(Server)
    answer = {"no_space": [errno.ENOSPC, "No space left on device", "trace.json"]}
    server._answers = io.StringIO(json.dumps(answer) + "\n")
    with pytest.raises(OSError, match=r"No space left on device: 'trace\.json'"):
        server.receive()


@pytest.mark.parametrize("left", [None, '{"traceEvents": ['])
def test_a_trace_that_torch_could_not_write_shows_whether_the_disk_is_full(tmp_path, monkeypatch, left):
    path = tmp_path / "trace.json"
    profiler = SimpleNamespace(export_chrome_trace=lambda name: left and path.write_text(left))
    with pytest.raises((FileNotFoundError, ValueError)):  # there is space, so it is another error
        exported(profiler, path)
    assert not path.exists()

    def fails(self: Path, content: bytes) -> int:
        raise FULL

    monkeypatch.setattr(Path, "write_bytes", fails)
    with pytest.raises(OSError, match="No space left on device"):
        exported(profiler, path)
