"""Measures the context of a profile: torch's flags, types of weights, page faults and subnormal numbers."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from harness.analysis.profiles import COMPILED, kernel_paths_of
from harness.measure.kinds.cost import OperatorObserver, page_faults
from harness.measure.runtime.builder import no_mark
from harness.measure.runtime.dtypes import dtype_name
from harness.measure.runtime.member import BuiltMember


def context_of(member: BuiltMember, operators: Iterable[str]) -> dict[str, Any]:
    """The flags inside a step, the types of the weights, the median number of page faults per step, and the share of
    subnormal numbers among the nonzero numbers that the backward pass of the first batch writes (None if the step is
    compiled or has no backward pass)."""
    faults = page_faults(member)
    compiled = COMPILED in kernel_paths_of(operators)
    return {
        "flags": flags_inside(member),
        "types": sorted({dtype_name(parameter.dtype) for parameter in member.built.model.parameters()}),
        "page_faults": median(faults),
        "subnormal": None if compiled or member.mode != "train" else subnormal_share(member),
    }


def subnormal_share(member: BuiltMember) -> float:
    """The share of subnormal numbers among the nonzero numbers that one backward pass writes."""
    observer = OperatorObserver()
    member.before(0)
    with observer, observer.backward_of(member):
        member.step(0, no_mark)
    return observer.subnormal / observer.written if observer.written else 0.0


def flags_inside(member: BuiltMember) -> dict[str, Any]:
    """The flags at the first call of a module in a step, or at the end of the first phase if no module is called. They
    include flags that an optimization sets only inside the step."""
    found: list[dict[str, Any]] = []
    device = member.built.device.type

    def read(*_: Any) -> None:
        if not found:
            found.append(flags(device))

    member.before(0)
    with register_module_forward_pre_hook(read):  # removed at the end
        member.step(0, lambda phase: read() if phase != "collate" else None)
    return found[0]


def flags(device: str) -> dict[str, Any]:
    """The global settings of torch that change which kernels run, or how."""
    autocast = torch.is_autocast_enabled(device)
    found = {
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "autocast": dtype_name(torch.get_autocast_dtype(device)) if autocast else False,
        "subnormals flushed": bool((torch.tensor(1e-30) * torch.tensor(1e-10)) == 0),
    }
    if device == "cuda":
        cudnn = torch.backends.cudnn
        return found | {"cuDNN": cudnn.enabled, "cuDNN benchmark": cudnn.benchmark, "cuDNN TF32": cudnn.allow_tf32}
    return found | {"oneDNN": torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled}
