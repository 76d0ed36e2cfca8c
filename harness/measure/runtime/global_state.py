"""Global state of a process: torch's settings, the functions that read clocks and set seeds, and the generators.

If the code of one trial changes them, it changes what the other trials compute, or how fast.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from harness.measure.runtime.warm import use_threads


class Setting(NamedTuple):
    """How a setting is read and written."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


def _flushes() -> bool:
    return float(torch.tensor([1e-310], dtype=torch.float64, device="cpu").mul(0.5)) == 0.0


def _hooks() -> dict[str, dict[int, Any]]:
    """A copy of the hooks on all modules, by the kind of hook."""
    return {name: dict(hooks) for name, hooks in _live_hooks().items() if hooks}


def _live_hooks() -> dict[str, Any]:
    return {
        name: hooks
        for name, hooks in vars(torch.nn.modules.module).items()
        if name.startswith("_global") and isinstance(hooks, dict)
    }


def _set_hooks(before: dict[str, dict[int, Any]]) -> None:
    for name, hooks in _live_hooks().items():
        hooks.clear()
        hooks.update(before.get(name, {}))


def _attribute(owner: Any, name: str) -> Setting:
    return Setting(lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def _read(read: Callable[[], Any]) -> Any:
    """Read a setting that has two names in torch, which raises if the setting was written by the other name."""
    try:
        return read()
    except RuntimeError:
        return "set by another name"


def _set_device(device: torch.device) -> None:
    """Set the default device. Setting the CPU explicitly would slow every call down a little."""
    torch.set_default_device(None if device.type == "cpu" else device)


#: Torch's settings.
SETTINGS: dict[str, Setting] = {
    "torch's default dtype": Setting(torch.get_default_dtype, torch.set_default_dtype),
    "torch's default device": Setting(lambda: torch.empty(0).device, _set_device),
    "the number of threads": Setting(torch.get_num_threads, use_threads),
    "whether gradients are on": Setting(torch.is_grad_enabled, torch.set_grad_enabled),
    "deterministic algorithms": Setting(torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    "the precision of float32 products": Setting(
        lambda: _read(torch.get_float32_matmul_precision), torch.set_float32_matmul_precision
    ),
    "cuDNN's TensorFloat-32": Setting(
        lambda: _read(lambda: torch.backends.cudnn.allow_tf32),
        lambda allowed: setattr(torch.backends.cudnn, "allow_tf32", allowed),
    ),
    "cuDNN's benchmark mode": _attribute(torch.backends.cudnn, "benchmark"),
    "whether cuDNN is used": _attribute(torch.backends.cudnn, "enabled"),
    "whether oneDNN is used": _attribute(torch.backends.mkldnn, "enabled"),
    "autocast": Setting(
        lambda: (torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")),
        lambda on: [torch.set_autocast_enabled(kind, each) for kind, each in zip(("cpu", "cuda"), on, strict=True)],
    ),
    "anomaly detection": Setting(torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    "whether subnormal numbers are flushed": Setting(_flushes, torch.set_flush_denormal),
    "hooks on all modules": Setting(_hooks, _set_hooks),
}

#: Functions that read the time, and functions that make a run reproducible.
FUNCTIONS: dict[str, Setting] = {
    f"{module.__name__}.{name}": _attribute(module, name)
    for module, names in {
        time: ("time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time",
               "process_time_ns", "thread_time", "thread_time_ns", "sleep"),
        torch: ("manual_seed", "seed", "set_num_threads", "set_default_dtype", "get_rng_state", "set_rng_state"),
        torch.random: ("manual_seed", "fork_rng", "get_rng_state", "set_rng_state"),
        torch.cuda: ("synchronize", "Event"),
        random: ("Random", "seed", "getstate", "setstate"),
        np.random: ("seed", "get_state", "set_state"),
    }.items()
    for name in names
}  # fmt: skip


def _variables() -> dict[str, str]:
    """The environment variables, without one that torch's compiler sets."""
    return {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}


def _set_variables(before: dict[str, str]) -> None:
    for name in _variables().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


#: Global state that only the conformance kit compares and restores.
PROCESS: dict[str, Setting] = {"environment variables": Setting(_variables, _set_variables)}


def _numpy_state() -> list[Any]:
    """The state as plain values, which can be compared and saved."""
    return [np.array(part).tolist() for part in np.random.get_state(legacy=True)]


#: How the state of each generator is read, as plain values, and written.
GENERATORS: dict[str, Setting] = {
    "torch's random generator": Setting(
        lambda: torch.get_rng_state().tolist(),
        lambda state: torch.set_rng_state(torch.tensor(state, dtype=torch.uint8)),
    ),
    "NumPy's random generator": Setting(_numpy_state, lambda state: np.random.set_state(tuple(state))),
    "Python's random generator": Setting(
        random.getstate, lambda state: random.setstate((state[0], tuple(state[1]), state[2]))
    ),
}


class GlobalState:
    """A snapshot of the global state, which can be restored."""

    def __init__(self, settings: Mapping[str, Setting] = FUNCTIONS | SETTINGS) -> None:
        self.settings = settings
        self.before = {name: setting.read() for name, setting in self.settings.items()}

    def restore(self) -> list[str]:
        """Restore what has changed since the snapshot. Returns the names of what had changed."""
        changed = [name for name, setting in self.settings.items() if self.is_changed(name, setting.read())]
        for name in changed:
            self.settings[name].write(self.before[name])
        return changed

    def is_changed(self, name: str, now: Any) -> bool:
        """Whether a setting has changed. Torch itself wraps some of its functions when it needs its compiler."""
        by_torch = name in FUNCTIONS and str(getattr(now, "__module__", "")).partition(".")[0] == "torch"
        return bool(now != self.before[name]) and not by_torch


@contextmanager
def restored() -> Iterator[None]:
    """Restore the whole global state afterwards. Inside, torch uses one thread: more do not speed up small batches, and
    spin between operators."""
    state = GlobalState(FUNCTIONS | SETTINGS | PROCESS | GENERATORS)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        state.restore()
