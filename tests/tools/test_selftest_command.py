"""The commands ``selftest`` and ``doctor``."""

from __future__ import annotations

import json
import sys

import pytest
from commands import harness

from harness.tools.selftest import doctor_command
from harness.tools.selftest.doctor import Result


def test_selftest_replays_noise_and_prints_results(here):
    done = harness("selftest", "--count", "40", "--json", cwd=here)
    found = json.loads(done.stdout)
    assert {"environment": "load", "condition": "default: no difference"}.items() <= found["rates"][-11].items()
    assert done.returncode == (0 if all(c["holds"] for c in found["checks"] if c["binding"]) else 3)
    assert "exclude each other" in harness("selftest", "--live", "--traces", "x.npz", cwd=here).stderr
    assert harness("selftest", "--traces", "nowhere.npz", cwd=here).returncode == 2


@pytest.mark.slow
def test_noise_is_recorded_and_replayed(here):
    done = harness("selftest", "--record", "mine.npz", "--count", "1", "--seconds", "0.5", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "1 of 'nat', 1 of 'load'" in done.stdout
    from harness.tools.selftest.traces import load_traces

    for environment, (trace,) in load_traces(here / "mine.npz").items():
        assert trace.shape[1] == 4
        assert len(trace) >= 40, environment
        assert (trace > 0).all()
    again = harness("selftest", "--traces", "mine.npz", "--count", "5", cwd=here)
    assert "Fewer than 60 traces say little about an environment." in again.stdout


def test_doctor_prints_each_result_before_the_next_check(here, monkeypatch):
    printed = []

    def results(*_, **__):
        for name in ("first", "second"):
            yield Result(name, "ok", "fine")
            printed.append(sys.stdout.getvalue())

    monkeypatch.setattr(doctor_command, "results", results)
    done = harness("doctor", cwd=here)
    assert printed == ["ok    first: fine\n", "ok    first: fine\nok    second: fine\n"]
    assert done.stdout.splitlines()[-1] == "2 results: 2 ok, 0 notes, 0 problems."


@pytest.mark.slow
def test_doctor_checks_and_measures(here):
    found = json.loads(harness("doctor", "--json", cwd=here).stdout)
    names = [result["name"] for result in found]
    assert {"torch", "plugins", "clock", "CPU share", "sensitivity"} <= set(names)
    assert "toy.py" in next(result["what"] for result in found if result["name"] == "plugins")
    looked = harness("doctor", "--no-measure", cwd=here)
    assert looked.returncode == (3 if "BAD " in looked.stdout else 0), looked.stdout
    assert "ok    torch: " in looked.stdout
    assert "sensitivity" not in looked.stdout
