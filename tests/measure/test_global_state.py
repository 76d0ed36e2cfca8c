"""Changes of global state are found and undone."""

from __future__ import annotations

import time

import pytest
import torch

from harness.measure.runtime.global_state import FUNCTIONS, SETTINGS, GlobalState

CHANGES = {
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "the number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "whether gradients are on": lambda: torch.set_grad_enabled(False),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "the precision of float32 products": lambda: torch.set_float32_matmul_precision("high"),
    "cuDNN's TensorFloat-32": lambda: setattr(torch.backends.cudnn, "allow_tf32", not torch.backends.cudnn.allow_tf32),
    "cuDNN's benchmark mode": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "whether cuDNN is used": lambda: setattr(torch.backends.cudnn, "enabled", False),
    "whether oneDNN is used": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "anomaly detection": lambda: torch.set_anomaly_enabled(True),
    "whether subnormal numbers are flushed": lambda: torch.set_flush_denormal(True),
    "hooks on all modules": lambda: torch.nn.modules.module.register_module_forward_hook(lambda *given: None),
}


def test_every_setting_has_a_test_case():
    assert CHANGES.keys() == SETTINGS.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_is_restored(name):
    state = GlobalState()
    CHANGES[name]()
    assert state.restore() == [name]
    assert state.restore() == []
    assert SETTINGS[name].read() == state.before[name]


@pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="this torch has no attribute fp32_precision"
)
def test_a_setting_with_two_names_is_restored():
    state = GlobalState()
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    assert state.restore() == ["the precision of float32 products"]
    torch.backends.cudnn.rnn.fp32_precision = "ieee"
    assert state.restore() == ["cuDNN's TensorFloat-32"]
    assert state.restore() == []
    assert torch.get_float32_matmul_precision() == state.before["the precision of float32 products"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_restored(name):
    state = GlobalState()
    before = FUNCTIONS[name].read()
    FUNCTIONS[name].write(lambda *given: 0)
    assert name in state.restore()
    assert FUNCTIONS[name].read() is before


def test_functions_that_torch_wraps_are_not_restored():
    state = GlobalState()
    before = torch.manual_seed
    try:
        torch.manual_seed = torch._disable_dynamo(before)
        assert state.restore() == []
    finally:
        torch.manual_seed = before


def test_the_clock_binds_its_functions_early(monkeypatch):
    from harness.measure.runtime.clock import Clock

    monkeypatch.setattr(time, "perf_counter_ns", lambda: 0)
    monkeypatch.setattr(time, "thread_time_ns", lambda: 0)
    clock = Clock()
    assert clock.wall() > 0
    assert clock.cpu() > 0
