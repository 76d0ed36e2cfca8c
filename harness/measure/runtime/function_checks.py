"""Checks of timed functions that run after timing: is all work of a call done in the call?

Each check compares a function with the baseline, which has been measured in the same process. So what the baseline does
too is no mistake.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

import numpy as np
import torch

from harness.measure.runtime.clock import SampleBuffer
from harness.measure.runtime.failure import TrialFailed
from harness.measure.runtime.function_member import FunctionMember
from harness.measure.runtime.functions import Arguments
from harness.measure.runtime.global_state import GlobalState
from harness.measure.runtime.member import BuiltMember
from harness.measure.runtime.nested import mapped

#: The seconds for which a process pauses to see whether work goes on, and the least CPU time in it that counts.
PAUSE, LEAST_CPU = 0.05, 2e-3
#: Calls for at least this many seconds precede a pause.
CALLS = 5e-3
#: Work goes on if the CPU time in the pause is this share of the time of the calls before it, or of the pause.
SHARE, OF_PAUSE = 0.2, 0.1
#: So many calls with new values are compared with as many calls with known values, and they may take this many times as
#: long.
NEW_VALUES, SLOWER = 7, 3.0
#: The flag of a function whose first call takes this many times as long as a later one, and as that of the baseline.
FIRST_CALL = 20.0


class FunctionChecks:
    """The checks of the functions among the members of a block. Other members are not checked. The global state must
    stay as it is when this object is made, before timing."""

    def __init__(self, members: Sequence[BuiltMember]) -> None:
        self.functions = [member for member in members if isinstance(member, FunctionMember)]
        self.state = GlobalState() if self.functions else None

    def run(self, members: Sequence[BuiltMember], buffers: Sequence[SampleBuffer], baseline: str) -> None:
        """Check after timing, given the samples of all members: see `check_work`."""
        if self.state is None:
            return
        for member, buffer in zip(members, buffers, strict=True):
            if isinstance(member, FunctionMember):
                member.later_call = statistics.median(buffer.wall) * 1e-9 / buffer.repeats
        check_work(self.functions, baseline, self.state)


def check_work(functions: Sequence[FunctionMember], baseline: str, state: GlobalState) -> None:
    """Raise TrialFailed for a function that works outside its calls, keeps results between calls, or has changed global
    state since the snapshot; flag one whose first call does much more than later ones."""
    reference = next((member for member in functions if member.level == baseline and member.role == "variant"), None)
    variants = [member for member in functions if member.level != baseline]
    if changed := state.restore():
        level = changer(variants, state) or (variants or functions)[0].level
        raise TrialFailed(level, f"its calls change {', '.join(changed)}, which all functions share")
    sleep(2 * PAUSE)  # what the last timed calls of any function have started has then ended
    background = cpu_time_after_calls(reference)[0] if reference else 0.0
    usual = time_with_new_values(reference) if reference else 1.0
    for member in variants:
        cpu, called = cpu_time_after_calls(member)
        if torch.get_num_threads() > 1:
            cpu = 0.0  # idle threads of OpenMP and of OpenBLAS spin for some time
        if cpu - background > max(LEAST_CPU, min(SHARE * called, OF_PAUSE * PAUSE)):
            raise TrialFailed(
                member.level,
                f"work goes on after a call has returned ({1e3 * cpu:.0f} ms of CPU time in the {1e3 * PAUSE:.0f} ms "
                f"after {1e3 * called:.0f} ms of calls), so its time would be wrong; wait for the work in the call",
            )
        slower = time_with_new_values(member)
        if slower > SLOWER * max(1.0, usual):
            raise TrialFailed(
                member.level,
                f"a call with values that it has not seen before takes {slower:.3g} times as long as a repeated call "
                f"(the baseline: {usual:.2g} times), so it keeps results between calls",
            )
        if reference and member.first_call > FIRST_CALL * max(member.later_call, reference.first_call):
            member.flags.append("slow_first_call")


def changer(members: Sequence[FunctionMember], state: GlobalState) -> str:
    """The level whose call changes the global state, if it does so again."""
    for member in members:
        member.run_once()
        if state.restore():
            return member.level
    return ""


def cpu_time() -> float:
    """The CPU time of this process and of its children so far, in seconds."""
    return process_time() + sum(map(cpu_time_of, children()))


def cpu_time_after_calls(member: FunctionMember) -> tuple[float, float]:
    """The CPU time during a pause that follows some calls, and the wall time of these calls."""
    count = max(1, ceil(CALLS / max(member.later_call, 1e-9)))
    member.watchdog.doing(member.level, "a pause after calls")
    begun = perf_counter()
    for _ in range(min(count, 1000)):
        member.run_once()
    called, before = perf_counter() - begun, cpu_time()
    sleep(PAUSE)
    return cpu_time() - before, called


def children() -> list[int]:
    """The processes that this one has started, and theirs."""
    found, waiting = list[int](), ["self"]
    while waiting:
        process = waiting.pop()
        for thread in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                inside = thread.read_text().split()
            except OSError:  # it has ended
                continue
            found += map(int, inside)
            waiting += inside
    return found


def cpu_time_of(process: int) -> float:
    """The CPU time of a process, in steps of ten milliseconds; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def time_with_new_values(member: FunctionMember | None) -> float:
    """How many times as long calls with new values take as calls with the values of the first input whose values can
    change; 1 where no input has any."""
    if member is None:
        return 1.0
    for batch in range(len(member.batches)):
        known = [member.arguments(batch) for _ in range(NEW_VALUES)]
        new = [changed_values(member.arguments(batch), number + 1) for number in range(NEW_VALUES)]
        if new[0] is None:
            continue
        times: tuple[list[float], list[float]] = ([], [])
        try:
            for pair in zip(known, new, strict=True):
                for arguments, found in zip(pair, times, strict=True):
                    member.watchdog.doing(member.level, "a call with new values")
                    found.append(seconds_of(member.function.call, arguments))
        except Exception:  # other values may be no valid arguments
            continue
        return statistics.median(times[1]) / max(statistics.median(times[0]), 1e-9)
    return 1.0


def seconds_of(call: Callable[[Any], Any], arguments: Any) -> float:
    """The time of one call."""
    begun = perf_counter()
    call(arguments)
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return perf_counter() - begun


def changed_values(arguments: Arguments, number: int) -> Any:
    """The arguments with slightly other numbers, a different one for each `number`; None where no number can change."""

    def changed(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and leaf.numel():
            return (leaf.detach() * (1 + number / 128)).requires_grad_(leaf.requires_grad)
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f" and leaf.size:
            return leaf * np.asarray(1 + number / 128, leaf.dtype)
        if isinstance(leaf, float) and leaf:
            return leaf * (1 + number / 128)
        return leaf

    found = mapped(arguments, changed)
    return None if found is arguments else found
