"""The state of a GPU from a fake nvidia-smi, and tests that need a real GPU."""

from __future__ import annotations

import os

import pytest
import torch
from commands import harness
from made import block, record
from toy_suite import SUITE

from harness.analysis.timing import Measured
from harness.measure.runtime import gpu, machine
from harness.measure.runtime.warm import warm
from harness.records.store import Store


@pytest.fixture
def smi(tmp_path, monkeypatch):
    def says(card: str, processes: str = "") -> None:
        script = f'#!/bin/sh\ncase "$*" in *query-gpu*) echo "{card}";; *) printf "{processes}";; esac\n'
        (tmp_path / "nvidia-smi").write_text(script)
        (tmp_path / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    return says


@pytest.mark.parametrize(
    ("reasons", "forced_down"),
    [("0x0000000000000000", False), ("0x0000000000000004", False), ("0x0000000000000044", True), ("0x08", True),
     ("[N/A]", None)],
)  # fmt: skip
def test_throttled_gpu_is_detected(smi, reasons, forced_down):
    smi(f"{reasons}, 1980, 54", f"{os.getpid()}\\n17\\n")
    found = gpu.query_card("GPU-1")
    assert found == {"forced_down": forced_down, "reasons": reasons, "sm_mhz": 1980, "celsius": 54, "others": 1}


def test_gpu_models_are_read(smi):
    smi("NVIDIA H100, 80GB, 550.54.15")
    assert gpu.cards() == {"gpu_models": ["NVIDIA H100, 80GB"], "gpu_driver": "550.54.15"}


def test_without_nvidia_smi(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.query_card("GPU-1") == {}
    assert gpu.cards() == {}
    assert gpu.card_state(torch.device("cpu")) == {}
    assert gpu.clock_for(torch.device("cpu")).events is None


def test_a_throttled_run_is_invalid():
    this = block("a", "b")
    records = [
        record(this, level, n, [1e6] * 10, flags=["throttled"] if n < throttled and level == "b" else [])
        for throttled in [3]
        for n in range(5)
        for level in "ab"
    ]
    result = Measured(this, records, "train").compare(this.trials[1], "step_time", lambda s: s.seconds, 0.003, False)
    assert result.verdict == "invalid"
    assert result.reason.startswith("throttled")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_events_of_a_real_gpu_agree_with_wall_time():
    import time

    device = torch.device("cuda")
    clock = gpu.clock_for(device)
    x = torch.randn(4096, 4096, device=device)
    assert clock.events is not None
    assert clock.wait is not None
    for _ in range(3):
        first, last = clock.events(), clock.events()
        clock.wait()
        begun = time.perf_counter()
        first.record()
        for _ in range(50):
            x = torch.tanh(x @ x)
        last.record()
        clock.wait()
        wall = time.perf_counter() - begun
    assert first.elapsed_time(last) * 1e-3 == pytest.approx(wall, rel=0.1)


def test_a_server_takes_no_step_if_there_is_a_gpu(monkeypatch):
    """A process that has run a backward pass on a GPU, or read its state, must not fork."""
    done = []
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch.Tensor, "backward", lambda self: done.append("backward"))
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: done.append("step"))
    warm(gpus=0)
    assert done == ["backward", "step"]
    warm(gpus=1)
    torch.set_num_threads(threads)
    assert done == ["backward", "step"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_suite_runs_on_a_real_gpu(tmp_path):
    measured = "measure: {speed: {of: [train, inference], warm_up: 1 ms, seconds: 10 ms},"
    text = SUITE.replace("use: [descent]", "use: [descent]\n  device: cuda").split("measure:")[0]
    (tmp_path / "toy.yaml").write_text(f"{text}{measured} learning: {{seeds: 2, steps: 5, evaluations: 1}}}}\n")
    done = harness("run", "toy.yaml", "--quick", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (tmp_path / "results" / "toy").iterdir()
    records = Store.open(folder).records()
    assert {record.outcome for record in records} == {"ok"}
    assert {record.measure.partition(".")[0] for record in records} == {"verify", "speed", "learning"}


def test_a_child_collects_facts_that_start_cuda():
    mine = os.getpid()
    found = machine.facts_of_child(lambda: {"cudnn": 91900, "gpus": int(os.getpid() != mine)})
    assert found == {"cudnn": 91900, "gpus": 1}
    with pytest.raises(RuntimeError, match="without an answer"):
        machine.facts_of_child(lambda: os._exit(1))  # a driver that crashes
