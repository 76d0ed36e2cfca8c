"""Is this machine, as it is now, fit to measure on? What is wrong, and what to do about it. Free of torch.

Reads what Linux tells under /proc and /sys; what is not told there is left out rather than guessed.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.analysis import stats
from harness.analysis.stats import Estimate
from harness.analysis.timing import CPU_SHARE, Comparison
from harness.plugins.catalog import KINDS, Catalog

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at. A "note" can cost precision; with a "problem" something cannot be measured or trusted."""

    name: str
    state: State
    what: str
    do: str = ""


@dataclass(frozen=True)
class Roots:
    """Where the kernel's files are; tests put others in their place."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")

    def read(self, path: str) -> str | None:
        """The text of a file below /proc or /sys, None where there is none."""
        root, _, rest = path.partition("/")
        try:
            file = {"proc": self.proc, "sys": self.sys}[root] / rest
            return file.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None


def machine(roots: Roots = Roots(), sleep: Callable[[float], None] = time.sleep) -> Iterator[Finding]:
    """Frequency, quota, other load: what makes times wander."""
    yield from frequency(roots)
    yield from quota(roots)
    yield from others(roots, sleep)
    yield from clock_source(roots)
    yield from memory(roots)


def frequency(roots: Roots) -> Iterator[Finding]:
    """Governor and turbo: a core that changes its frequency changes all times."""
    governor = roots.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor is None:
        yield Finding("governor", "ok", "not told here (usual in a virtual machine)")
    elif governor == "performance":
        yield Finding("governor", "ok", governor)
    else:
        yield Finding("governor", "note", governor, "sudo cpupower frequency-set -g performance")
    no_turbo = roots.read("sys/devices/system/cpu/intel_pstate/no_turbo")
    boost = roots.read("sys/devices/system/cpu/cpufreq/boost")
    if no_turbo == "0" or boost == "1":
        file = "intel_pstate/no_turbo" if no_turbo == "0" else "cpufreq/boost"
        value = "1" if no_turbo == "0" else "0"
        do = f"for steadier times: echo {value} | sudo tee /sys/devices/system/cpu/{file}"
        yield Finding("turbo", "note", "on: frequency depends on heat and on the other cores", do)
    elif no_turbo is not None or boost is not None:
        yield Finding("turbo", "ok", "off")
    if roots.read("sys/devices/system/cpu/smt/active") == "1":
        do = "keep sibling threads idle, or pin with taskset to one thread of each core"
        yield Finding("hyper-threading", "note", "on: two threads share a core's units", do)


def quota(roots: Roots) -> Iterator[Finding]:
    """A container's quota stops a process in mid-step when it has used up its share of a period."""
    text = roots.read("sys/fs/cgroup/cpu.max")
    limit = text.split()[0] if text else "max"
    if limit == "max":
        yield Finding("cgroup quota", "ok", "none")
        return
    share = int(limit) / int((text or "").split()[1])
    told = dict(line.split() for line in (roots.read("sys/fs/cgroup/cpu.stat") or "").splitlines() if " " in line)
    throttled = int(told.get("nr_throttled", 0))
    state: State = "problem" if share < 1 else "note"
    what = f"{share:g} CPUs; stopped {throttled} times so far"
    yield Finding("cgroup quota", state, what, "give the container more CPUs than it uses, or none at all to share")


def others(roots: Roots, sleep: Callable[[float], None], seconds: float = 1.0) -> Iterator[Finding]:
    """Who else computes: steal (another virtual machine) and other processes, over a second in which we wait."""
    before, mine = cpu_times(roots), process_times(roots)
    sleep(seconds)
    after, now = cpu_times(roots), process_times(roots)
    spent = {name: after[name] - before[name] for name in before}
    total = sum(spent.values())
    if total <= 0:
        yield Finding("load", "ok", "not told here")
        return
    steal = spent.get("steal", 0) / total
    if steal > 0.01:
        do = "measure at another hour, or on a host of your own; CPU time decides where cores are shared"
        yield Finding("steal", "note", f"{steal:.0%} of this machine's time went to other machines", do)
    else:
        yield Finding("steal", "ok", f"{steal:.1%}")
    busy = 1 - (spent.get("idle", 0) + spent.get("iowait", 0)) / total - steal
    cores = max(1, sum(line.startswith("cpu") for line in (roots.read("proc/stat") or "").splitlines()) - 1)
    used = {pid: ticks - mine[pid][1] for pid, (_, ticks) in now.items() if pid in mine}
    busiest = sorted((pid for pid in used if used[pid] > 0), key=lambda pid: -used[pid])[:3]
    if busy * cores > 0.1:
        names = ", ".join(f"{now[pid][0]} ({pid})" for pid in busiest)
        what = f"{busy * cores:.1f} of {cores} cores busy{f': {names}' if names else ''}"
        yield Finding("other load", "note", what, "stop what is not needed while you measure")
    else:
        yield Finding("other load", "ok", "none to speak of")


def cpu_times(roots: Roots) -> Mapping[str, int]:
    """Ticks since the machine started, by what they went to."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    line = (roots.read("proc/stat") or "").partition("\n")[0].split()[1:]
    return dict(zip(names, map(int, line), strict=False))


def process_times(roots: Roots) -> Mapping[int, tuple[str, int]]:
    """Name and ticks of each process."""
    found = {}
    for path in roots.proc.glob("[0-9]*/stat"):
        try:
            head, _, rest = path.read_text(errors="replace").rpartition(")")
        except OSError:  # it has ended meanwhile
            continue
        fields = rest.split()
        found[int(path.parent.name)] = (head.partition("(")[2], int(fields[11]) + int(fields[12]))
    return found


def clock_source(roots: Roots) -> Iterator[Finding]:
    """A slow clock source makes every reading of the clock cost a microsecond."""
    source = roots.read("sys/devices/system/clocksource/clocksource0/current_clocksource")
    readings = [time.perf_counter_ns() for _ in range(1001)]
    overhead = (readings[-1] - readings[0]) / 1000
    slow = overhead > 1000
    what = f"{source or 'unknown'}, {overhead:.0f} ns a reading"
    do = "a sample needs to last a thousand readings: raise the batch size" if slow else ""
    yield Finding("clock", "note" if slow else "ok", what, do)


def memory(roots: Roots) -> Iterator[Finding]:
    """A machine that swaps measures its disk."""
    lines = (roots.read("proc/meminfo") or "").splitlines()
    told = {name: int(rest.split()[0]) / 2**20 for name, _, rest in (line.partition(":") for line in lines) if rest}
    if "MemAvailable" not in told:
        return
    what = f"{told['MemAvailable']:.1f} of {told.get('MemTotal', 0):.1f} GiB free"
    low = told["MemAvailable"] < 2
    yield Finding("memory", "note" if low else "ok", what, "free some: measuring must not swap" if low else "")


def plugins(catalog: Catalog) -> Iterator[Finding]:
    """Every plugin's door, and the code behind every part of it."""
    problems = [Finding(f"plugin {p.plugin}", "problem", p.reason, "fix or uninstall it") for p in catalog.problems]
    parts = 0
    for kind in KINDS:
        for name, entry in catalog.entries(kind).items():
            parts += 1
            try:
                catalog.code(entry)
            except Exception as error:  # a plugin may raise anything; it is named
                problems.append(Finding(f"{kind.kind} {name}", "problem", str(error), f"see plugin {entry.plugin}"))
    yield from problems
    names = ", ".join(f"{name} {version}" for name, version in catalog.plugins.versions.items())
    left_out = f"; left out: {', '.join(catalog.plugins.without)}" if catalog.plugins.without else ""
    yield Finding("plugins", "ok", f"{names}: {parts} parts, {len(problems)} cannot be used{left_out}")


def torch_build(facts: Mapping[str, Any]) -> Iterator[Finding]:
    """The build that measures, as a fork server sees it."""
    words = f"{facts['torch']}, {facts['torch_cpu_capability']}, {facts['torch_blas']}, oneDNN {facts['mkldnn']}"
    yield Finding(
        "torch", "ok", f"{words}; {facts['threads']} thread of {facts['cores']} cores; Python {facts['python']}"
    )
    if not facts.get("gpus"):
        yield Finding("GPU", "ok", "none that torch sees")
        return
    command = ["nvidia-smi", "--query-compute-apps=pid,process_name", "--format=csv,noheader"]
    told = ""
    if shutil.which(command[0]):
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    if told:
        names = "; ".join(told.splitlines())
        yield Finding("GPU", "note", f"{facts['gpus']}, shared with {names}", "stop them while you measure")
    else:
        yield Finding("GPU", "ok", f"{facts['gpus']}, cuDNN {facts.get('cudnn')}")


def eyesight(comparison: Comparison, seconds: float) -> Iterator[Finding]:
    """The smallest difference that five processes see here, from the baseline measured against itself."""
    estimate = comparison.estimate
    if estimate is None:
        yield Finding("smallest difference", "problem", "nothing could be measured", "see above")
        return
    share = comparison.cpu_share
    if share < CPU_SHARE:
        do = "stop other work; until then CPU time decides, which only one thread can be held to"
        yield Finding("CPU share", "note", f"{share:.2f}: the core is shared", do)
    else:
        yield Finding("CPU share", "ok", f"{share:.2f}")
    scatter = estimate.error * math.sqrt(estimate.k)
    words = []
    for k in stats.LOOKS:
        as_many = Estimate(0.0, scatter / math.sqrt(k), k - 1, k)
        visible = math.expm1(stats.smallest_visible(as_many.half_width(), stats.FLOOR, k))
        words.append(f"{visible:.1%} in {k} processes ({seconds * k / estimate.k:.0f} s)")
    state: State = "ok" if estimate.half_width() < 0.02 else "note"
    do = "" if state == "ok" else "quiet the machine, or raise measure.speed.seconds and budget"
    yield Finding("smallest difference", state, f"in 8 of 10 cases: {', '.join(words)}", do)
