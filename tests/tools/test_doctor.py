"""``harness doctor`` on simulated machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.stats import estimate
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.tools.selftest import doctor
from harness.tools.selftest.calibration import block_of
from harness.tools.selftest.doctor import Result


@pytest.fixture
def roots(tmp_path: Path):
    """A machine that reports only what a test writes."""

    def write(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def by_name(results) -> dict[str, Result]:
    return {result.name: result for result in results}


FREQUENCY = "sys__devices__system__cpu__cpu0__cpufreq__scaling_governor"


@pytest.mark.parametrize(("governor", "state"), [("performance", "ok"), ("powersave", "note"), ("schedutil", "note")])
def test_governors(roots, governor, state):
    found = by_name(doctor.frequency(roots(**{FREQUENCY: governor + "\n"})))["governor"]
    assert (found.state, found.what) == (state, governor)
    assert ("cpupower" in found.fix) == (state == "note")


@pytest.mark.parametrize(
    ("file", "on", "off"),
    [
        ("sys__devices__system__cpu__intel_pstate__no_turbo", "0", "1"),
        ("sys__devices__system__cpu__cpufreq__boost", "1", "0"),
    ],
)
def test_turbo(roots, file, on, off):
    found = by_name(doctor.frequency(roots(**{file: on})))["turbo"]
    assert found.state == "note"
    assert f"echo {off} | sudo tee /{file.replace('__', '/')}" in found.fix
    assert by_name(doctor.frequency(roots(**{file: off})))["turbo"].state == "ok"


@pytest.mark.parametrize(
    ("limit", "state"), [("max 100000", "ok"), ("50000 100000", "problem"), ("400000 100000", "note")]
)
def test_a_container_s_quota(roots, limit, state):
    system = roots(sys__fs__cgroup__here="")
    (system / "sys" / "fs/cgroup/cpu.max").write_text(limit)
    (system / "sys" / "fs/cgroup/cpu.stat").write_text("usage_usec 5\nnr_throttled 7\n")
    (found,) = doctor.quota(system)
    assert found.state == state
    assert ("throttled 7 times" in found.what) == (state != "ok")


def process(ticks: int) -> str:
    return f"12 (a (b) c) R 1 {' '.join(['0'] * 9)} {ticks} 1 0 0"


def test_other_load_and_steal(roots):
    system = roots(proc__stat="cpu  100 0 0 100 0 0 0 0\ncpu0 x\ncpu1 x\nintr 1\n", proc__12__stat=process(50))

    def a_second(_: float) -> None:
        roots(proc__stat="cpu  160 0 0 120 0 0 0 20\ncpu0 x\ncpu1 x\nintr 1\n", proc__12__stat=process(110))

    found = by_name(doctor.other_load(system, a_second))
    assert found["steal"].what.startswith("20% of the time went to other virtual machines")
    assert found["other load"].what == "1.2 of 2 cores busy: a (b) c (12)"
    assert {f.state for f in found.values()} == {"note"}


def test_quiet_machine_is_ok(roots):
    system = roots(proc__stat="cpu  100 0 0 100 0 0 0 0\ncpu0 x\n")

    def a_second(_: float) -> None:
        roots(proc__stat="cpu  101 0 0 199 0 0 0 0\ncpu0 x\n")

    assert {result.state for result in doctor.other_load(system, a_second)} == {"ok"}


def test_missing_system_files_are_ok(roots):
    found = list(doctor.machine(roots(), sleep=lambda seconds: None))
    assert {result.name for result in found} >= {"governor", "cgroup quota", "load", "clock"}
    assert all(result.state == "ok" for result in found if result.name != "clock")


def test_low_memory_is_reported(roots):
    (found,) = doctor.memory(roots(proc__meminfo="MemTotal: 8388608 kB\nMemAvailable: 1048576 kB\n"))
    assert (found.state, found.what) == ("note", "1.0 of 8.0 GiB free")


def test_the_code_of_every_part_is_imported(tmp_path):
    plugin = tmp_path / "bad.py"
    plugin.write_text(
        "import harness\n@harness.hookimpl\ndef provide_models():\n"
        "    yield harness.Model('gone', 'no_such_module:model')\n"
        "    yield harness.Model('fine', lambda facts: None)\n"
    )
    found = list(doctor.plugins(Catalog(load_plugins([plugin]))))
    assert found[0].name == "model gone"
    assert found[0].state == "problem"
    assert "importing no_such_module failed" in found[0].what
    assert found[-1].what.endswith("1 cannot be used")


def test_shared_gpu_is_reported(monkeypatch, tmp_path):
    facts = {
        "torch": "2.13.0", "torch_cpu_capability": "AVX2", "torch_blas": "mkl", "mkldnn": True, "threads": 1, "cores": 2,
        "python": "3.11", "gpus": 1, "cudnn": 90000,
    }  # fmt: skip
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '17, python'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    found = by_name(doctor.torch_build(facts))["GPU"]
    assert (found.state, found.what) == ("note", "1, shared with 17, python")
    smi.write_text("#!/bin/sh\n")
    assert by_name(doctor.torch_build(facts))["GPU"].state == "ok"


@pytest.mark.parametrize(
    ("values", "share", "states"),
    [
        ([0.0001, -0.0001, 0.0002, 0.0, -0.0002], 0.99, {"ok"}),
        ([0.05, -0.05, 0.02, 0.0, -0.03], 0.99, {"ok", "note"}),
        ([0.0001, -0.0001, 0.0002, 0.0, -0.0002], 0.5, {"ok", "note"}),
    ],
)
def test_sensitivity(values, share, states):
    from harness.analysis.timing import Comparison

    comparison = Comparison(
        block=block_of(gate=True), level="b", mode="train", metric="step_time", estimate=estimate(values), cpu_share=share,
        values=tuple(values),
    )  # fmt: skip
    found = by_name(doctor.sensitivity(comparison, 10.0))
    assert {result.state for result in found.values()} == states
    words = found["sensitivity"].what
    assert "in 5 processes (10 s)" in words
    assert "in 20 processes (40 s)" in words
