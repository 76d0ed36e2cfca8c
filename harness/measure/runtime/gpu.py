"""The clock of a device, and the state of a GPU according to nvidia-smi."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from harness.measure.runtime.clock import Clock

#: The bits of clocks_event_reasons.active that mean throttling: hardware slowdown, thermal slowdown by software and by
#: hardware, and power brake (NVML, nvmlClocksEventReasons). The software power cap is not among them, because it is
#: normal for many cards at full load.
THROTTLED = 0x8 | 0x20 | 0x40 | 0x80
#: Bound before any plugin is imported, so that no plugin can replace them.
EVENT, SYNCHRONIZE = torch.cuda.Event, torch.cuda.synchronize


def clock_for(device: torch.device) -> Clock:
    """The clock of a device. On a GPU, events on the stream mark the phases, and each sample ends with a
    synchronization."""
    if device.type != "cuda":
        return Clock()
    return Clock(events=partial(EVENT, enable_timing=True), wait=partial(SYNCHRONIZE, device))


def cold_caches(device: torch.device) -> Callable[[], None]:
    """A function that removes a model's data from the last-level cache, to be called before each sample. It overwrites
    twice the size of a GPU's L2 cache, and 64 MiB on a CPU."""
    size = 2 * torch.cuda.get_device_properties(device).L2_cache_size if device.type == "cuda" else 64 << 20
    buffer = torch.empty(size, dtype=torch.uint8, device=device)

    def flush() -> None:
        buffer.zero_()

    return flush


def card_state(device: torch.device) -> dict[str, Any]:
    """The state of a GPU (see `query_card`); empty for a CPU."""
    if device.type != "cuda":
        return {}
    return query_card(f"GPU-{torch.cuda.get_device_properties(device).uuid}")


def query_card(card: str) -> dict[str, Any]:
    """Throttle reasons, clock (MHz), temperature (degrees Celsius) and the number of other processes; empty if
    nvidia-smi is not installed or does not answer."""
    lines = _smi(card, "--query-gpu=clocks_event_reasons.active,clocks.sm,temperature.gpu")
    if not lines:
        return {}
    reasons, megahertz, degrees = (cell.strip() for cell in lines[0].split(","))
    processes = [int(line) for line in _smi(card, "--query-compute-apps=pid") if line.strip().isdigit()]
    return {
        "forced_down": bool(int(reasons, 16) & THROTTLED) if reasons.startswith("0x") else None,
        "reasons": reasons,
        "sm_mhz": int(megahertz) if megahertz.isdigit() else None,
        "celsius": int(degrees) if degrees.isdigit() else None,
        "others": sum(pid != os.getpid() for pid in processes),
    }


def cards() -> dict[str, Any]:
    """The models of the machine's GPUs and their driver, without starting CUDA; empty if nvidia-smi does not answer."""
    rows = [line.rpartition(",") for line in _smi("", "--query-gpu=name,driver_version")]
    return {"gpu_models": [name.strip() for name, _, _ in rows], "gpu_driver": rows[0][2].strip()} if rows else {}


def _smi(card: str, query: str) -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    which = ["-i", card] if card else []
    command = ["nvidia-smi", *which, query, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
