"""What a GPU says of itself, by nvidia-smi: whether it was throttled, how fast it ran, who else uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import torch

from harness.measure.runtime.clock import Clock

#: Bits of clocks_event_reasons.active that mean the clock was forced down: hardware slowdown, thermal slowdown by
#: software and by hardware, power brake (NVML, nvmlClocksEventReasons). The software power cap is not among them: at
#: full load it is the normal state of many cards.
FORCED_DOWN = 0x8 | 0x20 | 0x40 | 0x80


def clock_for(device: torch.device) -> Clock:
    """The clock of a device: on a GPU, events on the stream mark the phases, and each sample ends with a wait."""
    if device.type == "cuda":
        return Clock(
            events=lambda: torch.cuda.Event(enable_timing=True),
            wait=lambda: torch.cuda.synchronize(device),
        )
    return Clock()


def cold_caches(device: torch.device) -> Callable[[], None]:
    """Something to call before each sample that leaves none of a model's data in the last cache: it writes over twice
    its size (a GPU's L2 as the device tells it, 64 MiB on a CPU)."""
    size = 2 * torch.cuda.get_device_properties(device).L2_cache_size if device.type == "cuda" else 64 << 20
    buffer = torch.empty(size, dtype=torch.uint8, device=device)

    def flush() -> None:
        buffer.zero_()

    return flush


def reading(device: torch.device) -> dict[str, Any]:
    """Throttle reasons, clock (MHz), temperature (degrees Celsius) and other processes; empty where nothing tells."""
    if device.type != "cuda":
        return {}
    return ask(f"GPU-{torch.cuda.get_device_properties(device).uuid}")


def ask(card: str) -> dict[str, Any]:
    """What nvidia-smi says of a card; empty where it is not installed or does not answer."""
    told = _smi(card, "--query-gpu=clocks_event_reasons.active,clocks.sm,temperature.gpu")
    if not told:
        return {}
    reasons, megahertz, degrees = (cell.strip() for cell in told[0].split(","))
    processes = [int(line) for line in _smi(card, "--query-compute-apps=pid") if line.strip().isdigit()]
    return {
        "forced_down": bool(int(reasons, 16) & FORCED_DOWN) if reasons.startswith("0x") else None,
        "reasons": reasons,
        "sm_mhz": int(megahertz) if megahertz.isdigit() else None,
        "celsius": int(degrees) if degrees.isdigit() else None,
        "others": sum(pid != os.getpid() for pid in processes),
    }


def cards() -> dict[str, Any]:
    """The models of the machine's cards and their driver, without waking one; empty where nothing tells."""
    told = [line.rpartition(",") for line in _smi("", "--query-gpu=name,driver_version")]
    if not told:
        return {}
    return {"gpu_models": [name.strip() for name, _, _ in told], "gpu_driver": told[0][2].strip()}


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
