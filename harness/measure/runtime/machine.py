"""Facts about the machine and the software that measure."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from harness.measure.runtime import gpu

#: Packages whose version can move a measurement.
PACKAGES = ("rnn-harness", "rnn-harness-plugins", "torch", "numpy")


def describe() -> dict[str, Any]:
    """Processor, memory, threads, torch build, devices and package versions.

    Where torch is built for CUDA a forked process is asked: torch's own account of its build and cuDNN's version wake
    CUDA, and whoever has woken it cannot be forked from."""
    return asked_in_a_child(_facts) if torch.version.cuda else _facts()


def asked_in_a_child(question: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a forked process answers, in JSON. Raises RuntimeError where it ends without an answer."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(question()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    if not text:
        raise RuntimeError("the process that was asked about this machine ended without an answer")
    found: dict[str, Any] = json.loads(text)
    return found


def _facts() -> dict[str, Any]:
    build = torch.__config__.show()
    found: dict[str, Any] = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch_blas": match.group(1) if (match := re.search(r"BLAS_INFO=([^,\s]+)", build)) else "unknown",
        "mkldnn": bool(torch.backends.mkldnn.is_available()),
        "cuda_build": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if torch.version.cuda else None,
        "gpus": torch.cuda.device_count() if torch.version.cuda else 0,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }
    return found | (gpu.cards() if found["gpus"] else {})


def torch_build() -> str:
    """How torch was built, in its own words."""
    return str(torch.__config__.show()).strip()


def processor() -> str:
    """The processor's own name for itself."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
