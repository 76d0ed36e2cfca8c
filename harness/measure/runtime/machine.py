"""Facts about the machine and its software."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import torch

from harness.measure.children import in_child
from harness.measure.machine_facts import OURS, describe_machine, versions_of
from harness.measure.runtime import gpu


def describe() -> dict[str, Any]:
    """Processor, memory, threads, torch build, devices and package versions.

    If torch is built for CUDA, a forked child collects them: reading the build and the version of cuDNN starts CUDA,
    and a process that has started CUDA must not fork."""
    return facts_of_child(_facts) if torch.version.cuda else _facts()


def facts_of_child(collect: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The facts that `collect` returns in a forked child. Raises RuntimeError if the child ends without an answer."""
    text, _ = in_child(lambda pipe: json.dump(collect(), pipe))
    if not text:
        raise RuntimeError("the process that collects facts about this machine ended without an answer")
    found: dict[str, Any] = json.loads(text)
    return found


def _facts() -> dict[str, Any]:
    build = torch.__config__.show()
    found: dict[str, Any] = {
        **describe_machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch_blas": match.group(1) if (match := re.search(r"BLAS_INFO=([^,\s]+)", build)) else "unknown",
        "mkldnn": bool(torch.backends.mkldnn.is_available()),
        "cuda_build": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if torch.version.cuda else None,
        "gpus": torch.cuda.device_count() if torch.version.cuda else 0,
        "packages": versions_of((*OURS, "torch", "numpy")),
    }
    return found | (gpu.cards() if found["gpus"] else {})


def torch_build() -> str:
    """The description of torch's build that torch prints."""
    return str(torch.__config__.show()).strip()
