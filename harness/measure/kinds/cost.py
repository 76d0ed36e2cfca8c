"""Counts the operations, page faults and subnormal numbers of a step, and times a cold start.

This code never runs in a process whose speed is measured.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from time import perf_counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from harness.measure.runtime.builder import no_mark
from harness.measure.runtime.gpu import clock_for
from harness.measure.runtime.member import BuiltMember, columns, step_with_marks
from harness.measure.runtime.task import Task

#: The size of the square matrices whose product estimates the peak speed of a device, and the number of products.
PRODUCT = {"cpu": 768, "cuda": 4096}
PRODUCTS = 20
#: Namespaces whose operators are in the counter's table or multiply no matrices, except for those named below.
KNOWN = ("aten", "prim", "prims", "profiler")
#: Words in the names of torch's own operators that multiply matrices and that the counter's table may lack.
PRODUCT_WORDS = frozenset(
    {"rnn", "lstm", "gru", "linear", "mkldnn", "convolution", "attention", "transformer", "cdist", "addbmm"}
)

Shape = Sequence[int]


def measure_cost(task: Task) -> dict[str, Any]:
    """The cost of each batch of one trial's work set, as JSON values.

    `flops` has a list for each phase, one number per batch: floating-point operations of matrix products, where a
    multiplication with an addition counts two. `uncounted` names operators that multiply matrices and have no formula;
    if there are any, the sums are too small. `faults` are minor page faults per batch in steady state. `written` is how
    many nonzero numbers the backward pass wrote, and `subnormal` how many of these were subnormal. `product` has the
    nanoseconds of a square matrix product.
    """
    member = task.member()
    member.run_work_set(passes=2)
    faults = page_faults(member)
    flops = []
    observer = OperatorObserver()
    for batch in range(len(member.batches)):
        task.doing(f"one {task.mode} step that counts operations")
        flops.append(operations(member, batch, observer))
    task.doing("timing a matrix product")
    product = product_times(member.built.device)
    return {
        "flops": columns(flops),
        "uncounted": sorted(observer.uncounted),
        "written": observer.written,
        "subnormal": observer.subnormal,
        "faults": faults,
        "product": {"size": PRODUCT[member.built.device.type], "nanoseconds": product},
        "counts": member.counts(),
        "device": member.built.device.type,
    }


def page_faults(member: BuiltMember) -> list[int]:
    """The minor page faults of one step on each batch. They are caused by pages that are new, or that the allocator had
    returned to the system."""
    found = []
    for batch in range(len(member.batches)):
        member.before(batch)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        member.step(batch, no_mark)
        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return found


def operations(member: BuiltMember, batch: int, observer: OperatorObserver) -> dict[str, int]:
    """The floating-point operations of each phase of one step."""
    counter = FlopCounterMode(display=False, custom_mapping=formulas())
    observer.known = counter.flop_registry
    found: dict[str, int] = {}
    before = 0

    def mark(phase: str) -> None:
        nonlocal before
        total = counter.get_total_flops()
        found[phase] = found.get(phase, 0) + total - before
        before = total

    # The mode that is entered last sees an operator first, and may decompose it.
    with observer, observer.backward_of(member), counter:
        step_with_marks(member, batch, mark)
    return found


class OperatorObserver(TorchDispatchMode):  # type: ignore[misc]
    """Observes every operator: which ones have no formula, and how many subnormal numbers backward passes write."""

    def __init__(self) -> None:
        super().__init__()
        self.known: Any = {}
        self.uncounted: set[str] = set()
        self.written = self.subnormal = 0
        self.in_backward = False

    @contextmanager
    def backward_of(self, member: BuiltMember) -> Iterator[None]:
        """Count what is written while the backward pass of the member runs."""
        built, inner = member.built, member.built.backward

        def backward(model: Any, loss: Any) -> None:
            self.in_backward = True
            try:
                inner(model, loss)
            finally:
                self.in_backward = False

        built.backward = backward
        try:
            yield
        finally:
            built.backward = inner

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and observe it."""
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket not in self.known and multiplies(func):
            self.uncounted.add(str(func._overloadpacket))
        if self.in_backward and not any(returned.alias_info for returned in func._schema.returns):
            for tensor in out if isinstance(out, (tuple, list)) else (out,):
                self.count_numbers(tensor)
        return out

    def count_numbers(self, tensor: Any) -> None:
        """Count the nonzero numbers of a tensor, and the subnormal ones among them."""
        if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or not tensor.is_floating_point():
            return
        size = tensor.detach().abs()
        self.written += int((size > 0).sum())
        self.subnormal += int(((size > 0) & (size < torch.finfo(tensor.dtype).tiny)).sum())


def multiplies(func: Any) -> bool:
    """Whether an operator may multiply matrices. torch's own operators are recognised by name; all others may."""
    if func.namespace not in KNOWN:
        return True
    words = func._overloadpacket.__name__.strip("_").split("_")
    return words[0] != "thnn" and not PRODUCT_WORDS.isdisjoint(words)  # thnn: the pointwise part of a cell


def formulas() -> dict[Any, Callable[..., int]]:
    """Formulas for operators that torch's own table lacks: recurrent layers, attention on a CPU, and products with a
    vector.

    A recurrent layer multiplies each row of its input by each of its weight matrices once. Its backward pass needs two
    products for each of these: the gradients of the input and of the weights. Attention needs two products, and five in
    its backward pass, which computes the scores again.
    """
    aten = torch.ops.aten

    def mkldnn_layer(x: Shape, weight_ih: Shape, weight_hh: Shape, *rest: Any, **more: Any) -> int:
        return 2 * prod(x[:-1]) * (prod(weight_ih) + prod(weight_hh))  # x (T, B, I), weights (4H, I) and (4H, H)

    def cudnn_layers(x: Shape, weights: Sequence[Shape], *rest: Any, **more: Any) -> int:
        return 2 * prod(x[:-1]) * sum(prod(weight) for weight in weights if len(weight) == 2)  # packed x is (rows, I)

    def attention(q: Shape, k: Shape, v: Shape, *rest: Any, **more: Any) -> int:
        return 2 * prod(q[:-1]) * k[-2] * (q[-1] + v[-1])  # q (B, heads, T, D), k and v (B, heads, S, D)

    def attention_backward(gradient: Shape, q: Shape, k: Shape, v: Shape, *rest: Any, **more: Any) -> int:
        return 2 * prod(q[:-1]) * k[-2] * (3 * q[-1] + 2 * v[-1])

    def twice(forward: Callable[..., int]) -> Callable[..., int]:
        return lambda *shapes, **more: 2 * forward(*shapes, **more)

    return {
        aten.mkldnn_rnn_layer: mkldnn_layer,
        aten.mkldnn_rnn_layer_backward: twice(mkldnn_layer),
        aten._cudnn_rnn: cudnn_layers,
        aten._cudnn_rnn_backward: twice(cudnn_layers),
        aten._scaled_dot_product_flash_attention_for_cpu: attention,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: attention_backward,
        aten.mv: lambda matrix, *rest, **more: 2 * prod(matrix),
        aten.addmv: lambda added, matrix, *rest, **more: 2 * prod(matrix),
        aten.dot: lambda vector, *rest, **more: 2 * prod(vector),
    }


def product_times(device: torch.device) -> list[int]:
    """Nanoseconds of each of `PRODUCTS` products of square float32 matrices, with the threads of a step."""
    rows = PRODUCT[device.type]
    a, b = torch.rand(rows, rows, device=device), torch.rand(rows, rows, device=device)
    out = torch.empty_like(a)
    clock = clock_for(device)
    times = []
    for _ in range(PRODUCTS + 3):  # the first are warm-up
        begun = clock.wall()
        torch.mm(a, b, out=out)
        if clock.wait:
            clock.wait()
        times.append(clock.wall() - begun)
    return times[3:]


def measure_cold(task: Task) -> dict[str, Any]:
    """Seconds since this process was forked: when the trial was built, and at the end of each step of two passes over
    its work set."""
    member = task.member()
    wait = clock_for(member.built.device).wait
    construction = perf_counter() - task.forked
    ends = []
    for _ in range(2):
        for batch in range(len(member.batches)):
            task.doing(f"one {task.mode} step")
            member.step(batch, no_mark)
            if wait:
                wait()
            ends.append(perf_counter() - task.forked)
    return {"built": construction, "ends": ends}
