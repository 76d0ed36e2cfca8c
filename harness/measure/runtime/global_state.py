"""What everything in a process shares: torch's settings, and the functions that clocks and seeds are.

A trial's code that changes them changes what the others compute, or how fast.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch


class Setting(NamedTuple):
    """How a setting is read, and how it is put back."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


def _flushes() -> bool:
    return float(torch.tensor([1e-310], dtype=torch.float64, device="cpu").mul(0.5)) == 0.0


def _hooks() -> dict[str, dict[int, Any]]:
    """The hooks on all modules, by the kind of hook."""
    return {name: dict(hooks) for name, hooks in _all_hooks().items() if hooks}


def _all_hooks() -> dict[str, Any]:
    return {
        name: hooks
        for name, hooks in vars(torch.nn.modules.module).items()
        if name.startswith("_global") and isinstance(hooks, dict)
    }


def _set_hooks(before: dict[str, dict[int, Any]]) -> None:
    for name, hooks in _all_hooks().items():
        hooks.clear()
        hooks.update(before.get(name, {}))


def _attribute(owner: Any, name: str) -> Setting:
    return Setting(lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def _told(read: Callable[[], Any]) -> Any:
    """A setting that torch has two names for, and does not tell by one where it was set by the other."""
    try:
        return read()
    except RuntimeError:
        return "set by another name"


def _set_threads(count: int) -> None:
    if count != torch.get_num_threads():
        torch.set_num_threads(count)


def _set_device(device: torch.device) -> None:
    """A device that is named costs every call a little, so the usual one is not."""
    torch.set_default_device(None if device.type == "cpu" else device)


#: Torch's settings. Its generator is not among them: it is what seeds are for.
SETTINGS: dict[str, Setting] = {
    "torch's default dtype": Setting(torch.get_default_dtype, torch.set_default_dtype),
    "torch's default device": Setting(lambda: torch.empty(0).device, _set_device),
    "the number of threads": Setting(torch.get_num_threads, _set_threads),
    "whether gradients are on": Setting(torch.is_grad_enabled, torch.set_grad_enabled),
    "deterministic algorithms": Setting(torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    "the precision of float32 products": Setting(
        lambda: _told(torch.get_float32_matmul_precision), torch.set_float32_matmul_precision
    ),
    "cuDNN's TensorFloat-32": Setting(
        lambda: _told(lambda: torch.backends.cudnn.allow_tf32),
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


#: Functions that say what time it is, and that make a run the same twice.
FUNCTIONS: dict[str, Setting] = {
    f"{module.__name__}.{name}": _attribute(module, name)
    for module, names in {
        time: ("time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time",
               "process_time_ns", "thread_time", "thread_time_ns", "sleep"),
        torch: ("manual_seed", "seed", "set_num_threads", "set_default_dtype", "get_rng_state", "set_rng_state"),
        torch.random: ("manual_seed", "fork_rng", "get_rng_state", "set_rng_state"),
        torch.cuda: ("synchronize", "Event"),
        random: ("Random",),
    }.items()
    for name in names
}  # fmt: skip


class GlobalState:
    """Remembers how all of it was; later it names what is no longer so, and puts that back."""

    def __init__(self) -> None:
        self.settings = {**FUNCTIONS, **SETTINGS}
        self.before = {name: setting.read() for name, setting in self.settings.items()}

    def restore(self) -> list[str]:
        """The names of what has changed, which is then as it was."""
        changed = [name for name, setting in self.settings.items() if self.is_changed(name, setting.read())]
        for name in changed:
            self.settings[name].write(self.before[name])
        return changed

    def is_changed(self, name: str, now: Any) -> bool:
        """Whether it is another than it was. Torch itself wraps some of its functions when it needs its compiler."""
        by_torch = name in FUNCTIONS and str(getattr(now, "__module__", "")).partition(".")[0] == "torch"
        return bool(now != self.before[name]) and not by_torch
