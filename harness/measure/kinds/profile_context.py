"""What a step computes with: flags as they are inside it, types of numbers, page faults, subnormal numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from harness.analysis.profiles import COMPILED, kernel_paths_of
from harness.measure.kinds.cost import OperatorWatch, page_faults
from harness.measure.runtime.member import BuiltMember


def fingerprint(member: BuiltMember, operators: Iterable[str]) -> dict[str, Any]:
    """The flags of a step, the types of the weights, the median of page faults a step, and of the numbers other than
    zero that the first batch's backward pass writes, the share that is subnormal (None where nobody can look)."""
    faults = []
    for batch in range(len(member.batches)):
        member.before()
        faults.append(page_faults(member, batch))
    compiled = COMPILED in kernel_paths_of(operators)
    return {
        "flags": flags_inside(member),
        "types": sorted({_short(parameter.dtype) for parameter in member.built.model.parameters()}),
        "page_faults": median(faults),
        "subnormal": None if compiled or member.mode != "train" else subnormal_share(member),
    }


def subnormal_share(member: BuiltMember) -> float:
    """Of the numbers other than zero that one backward pass writes, the share that is subnormal."""
    watch = OperatorWatch()
    member.before()
    with watch, watch.backward_of(member):
        member.step(0, lambda phase: None)
    return watch.subnormal / watch.written if watch.written else 0.0


def flags_inside(member: BuiltMember) -> dict[str, Any]:
    """The flags as the first module finds them that a step calls, and where none is called as the first phase's end
    does: what an optimization sets for its own part of the step is seen too."""
    found: list[dict[str, Any]] = []
    device = member.built.device.type

    def read(*_: Any) -> None:
        if not found:
            found.append(flags(device))

    member.before()
    with hooked(read):
        member.step(0, lambda phase: read() if phase != "collate" else None)
    return found[0]


@contextmanager
def hooked(read: Any) -> Iterator[None]:
    """Have `read` called before every module's forward."""
    handle = register_module_forward_pre_hook(read)
    try:
        yield
    finally:
        handle.remove()


def flags(device: str) -> dict[str, Any]:
    """What of torch's global state changes which kernels run, or how."""
    autocast = torch.is_autocast_enabled(device)
    found = {
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "autocast": _short(torch.get_autocast_dtype(device)) if autocast else False,
        "subnormals flushed": bool((torch.tensor(1e-30) * torch.tensor(1e-10)) == 0),
    }
    if device == "cuda":
        cudnn = torch.backends.cudnn
        return found | {"cuDNN": cudnn.enabled, "cuDNN benchmark": cudnn.benchmark, "cuDNN TF32": cudnn.allow_tf32}
    return found | {"oneDNN": torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled}


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
