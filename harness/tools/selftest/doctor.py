"""Whether this machine, as it is now, is suitable for benchmarking: what is wrong, and what to do about it.

It does not import torch. It reads what Linux reports under /proc and /sys. What is not reported there is
left out.
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
from harness.analysis.clocks import CPU_SHARE
from harness.analysis.stats import Estimate
from harness.analysis.timing import Comparison
from harness.plugins.catalog import KINDS, Catalog

State = Literal["ok", "note", "problem"]
NOT_AVAILABLE = "not available here"
ROOT = Path("/")


@dataclass(frozen=True)
class Result:
    """The result of one check. A "note" can cost precision; with a "problem" something cannot be measured or
    trusted."""

    name: str
    state: State
    what: str
    fix: str = ""


def read(root: Path, path: str) -> str | None:
    """The text of a file of the kernel; None if there is no such file. The root is "/", except in tests."""
    try:
        return (root / path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def machine(root: Path = ROOT, sleep: Callable[[float], None] = time.sleep) -> Iterator[Result]:
    """What makes times vary: clock frequency, CPU quota, other load, clock source and memory."""
    yield from frequency(root)
    yield from quota(root)
    yield from other_load(root, sleep)
    yield from clock_source(root)
    yield from memory(root)


def frequency(root: Path) -> Iterator[Result]:
    """The governor, turbo and hyper-threading. A core that changes its frequency changes all times."""
    governor = read(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor is None:
        yield Result("governor", "ok", f"{NOT_AVAILABLE} (usual in a virtual machine)")
    elif governor == "performance":
        yield Result("governor", "ok", governor)
    else:
        yield Result("governor", "note", governor, "sudo cpupower frequency-set -g performance")
    # The two drivers spell "turbo is on" as 0 and as 1.
    for file, on, off in (("intel_pstate/no_turbo", "0", "1"), ("cpufreq/boost", "1", "0")):
        value = read(root, f"sys/devices/system/cpu/{file}")
        if value is None:
            continue
        if value == on:
            fix = f"for steadier times: echo {off} | sudo tee /sys/devices/system/cpu/{file}"
            yield Result("turbo", "note", "on: the frequency depends on heat and on the other cores", fix)
        else:
            yield Result("turbo", "ok", "off")
        break
    if read(root, "sys/devices/system/cpu/smt/active") == "1":
        fix = "keep sibling threads idle, or pin with taskset to one thread of each core"
        yield Result("hyper-threading", "note", "on: two threads share the units of a core", fix)


def quota(root: Path) -> Iterator[Result]:
    """A container's quota stops a process in the middle of a step when it has used up its share of a period."""
    limit, _, period = (read(root, "sys/fs/cgroup/cpu.max") or "max").partition(" ")
    if limit == "max":
        yield Result("cgroup quota", "ok", "none")
        return
    cpus = int(limit) / int(period)
    lines = (read(root, "sys/fs/cgroup/cpu.stat") or "").splitlines()
    throttled = int(dict(line.split() for line in lines if " " in line).get("nr_throttled", 0))
    fix = "give the container more CPUs than it uses, or remove its quota"
    state: State = "problem" if cpus < 1 else "note"
    yield Result("cgroup quota", state, f"{cpus:g} CPUs; throttled {throttled} times so far", fix)


def other_load(root: Path, sleep: Callable[[float], None], seconds: float = 1.0) -> Iterator[Result]:
    """What else computes, during a second in which this process waits: steal time (other virtual machines) and other
    processes."""
    before, processes_before = cpu_times(root), process_times(root)
    sleep(seconds)
    after, processes = cpu_times(root), process_times(root)
    spent = {name: after[name] - before[name] for name in before}
    total = sum(spent.values())
    if total <= 0:
        yield Result("load", "ok", NOT_AVAILABLE)
        return
    steal = spent.get("steal", 0) / total
    if steal > 0.01:
        fix = "measure at another time or on a dedicated host; if cores are shared, CPU time decides"
        yield Result("steal", "note", f"{steal:.0%} of the time went to other virtual machines", fix)
    else:
        yield Result("steal", "ok", f"{steal:.1%}")
    busy = 1 - (spent.get("idle", 0) + spent.get("iowait", 0)) / total - steal
    cores = max(1, sum(line.startswith("cpu") for line in (read(root, "proc/stat") or "").splitlines()) - 1)
    used = {pid: ticks - processes_before[pid][1] for pid, (_, ticks) in processes.items() if pid in processes_before}
    busiest = sorted((pid for pid in used if used[pid] > 0), key=lambda pid: -used[pid])[:3]
    if busy * cores > 0.1:
        names = ", ".join(f"{processes[pid][0]} ({pid})" for pid in busiest)
        what = f"{busy * cores:.1f} of {cores} cores busy{f': {names}' if names else ''}"
        yield Result("other load", "note", what, "stop other programs while you measure")
    else:
        yield Result("other load", "ok", "almost none")


def cpu_times(root: Path) -> Mapping[str, int]:
    """Ticks since the machine started, by what they were used for."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    line = (read(root, "proc/stat") or "").partition("\n")[0].split()[1:]
    return dict(zip(names, map(int, line), strict=False))


def process_times(root: Path) -> Mapping[int, tuple[str, int]]:
    """Name and ticks of each process."""
    found = {}
    for path in root.glob("proc/[0-9]*/stat"):
        try:
            head, _, rest = path.read_text(encoding="utf-8", errors="replace").rpartition(")")
        except OSError:  # it has ended meanwhile
            continue
        fields = rest.split()
        found[int(path.parent.name)] = (head.partition("(")[2], int(fields[11]) + int(fields[12]))
    return found


def clock_source(root: Path) -> Iterator[Result]:
    """With a slow clock source, reading the clock takes a microsecond."""
    source = read(root, "sys/devices/system/clocksource/clocksource0/current_clocksource")
    readings = [time.perf_counter_ns() for _ in range(1001)]
    overhead = (readings[-1] - readings[0]) / 1000
    slow = overhead > 1000
    fix = "a sample must last a thousand readings: raise the batch size" if slow else ""
    yield Result("clock", "note" if slow else "ok", f"{source or 'unknown'}, {overhead:.0f} ns per reading", fix)


def memory(root: Path) -> Iterator[Result]:
    """Whether there is enough free memory. If the machine swaps, it measures the times of its disk."""
    lines = (line.partition(":") for line in (read(root, "proc/meminfo") or "").splitlines())
    gib = {name: int(rest.split()[0]) / 2**20 for name, _, rest in lines if rest}
    if "MemAvailable" in gib:
        what = f"{gib['MemAvailable']:.1f} of {gib.get('MemTotal', 0):.1f} GiB free"
        low = gib["MemAvailable"] < 2
        yield Result("memory", "note" if low else "ok", what, "free some, so that nothing is swapped" if low else "")


def plugins(catalog: Catalog) -> Iterator[Result]:
    """Whether every plugin and the code of every part can be imported."""
    problems = [Result(f"plugin {p.plugin}", "problem", p.reason, "fix or uninstall it") for p in catalog.problems]
    parts = [(kind.kind, name, entry) for kind in KINDS for name, entry in catalog.entries(kind).items()]
    for kind, name, entry in parts:
        try:
            catalog.code(entry)
        except Exception as error:  # a plugin may raise anything; it is named
            problems.append(Result(f"{kind} {name}", "problem", str(error), f"see plugin {entry.plugin}"))
    yield from problems
    names = ", ".join(f"{name} {version}" for name, version in catalog.plugins.versions.items())
    left_out = f"; left out: {', '.join(catalog.plugins.without)}" if catalog.plugins.without else ""
    yield Result("plugins", "ok", f"{names}: {len(parts)} parts, {len(problems)} cannot be used{left_out}")


def torch_build(facts: Mapping[str, Any]) -> Iterator[Result]:
    """The torch build that measures, and its GPUs."""
    words = f"{facts['torch']}, {facts['torch_cpu_capability']}, {facts['torch_blas']}, oneDNN {facts['mkldnn']}"
    threads = f"{facts['threads']} thread{'s' * (facts['threads'] != 1)} on {facts['cores']} cores"
    yield Result("torch", "ok", f"{words}; {threads}; Python {facts['python']}")
    if not facts.get("gpus"):
        yield Result("GPU", "ok", "none that torch sees")
        return
    command = ["nvidia-smi", "--query-compute-apps=pid,process_name", "--format=csv,noheader"]
    users = ""
    if shutil.which(command[0]):
        users = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    if users:
        names = "; ".join(users.splitlines())
        yield Result("GPU", "note", f"{facts['gpus']}, shared with {names}", "stop them while you measure")
    else:
        yield Result("GPU", "ok", f"{facts['gpus']}, cuDNN {facts.get('cudnn')}")


def sensitivity(comparison: Comparison, seconds: float) -> Iterator[Result]:
    """The smallest difference that can be detected here in a given time, from the baseline compared with itself."""
    estimate = comparison.estimate
    if estimate is None:
        yield Result("sensitivity", "problem", "nothing could be measured", "see the other results")
        return
    share = comparison.cpu_share
    if share < CPU_SHARE:
        fix = "stop other programs; until then CPU time decides, which is measured for a single thread only"
        yield Result("CPU share", "note", f"{share:.2f}: the core is shared", fix)
    else:
        yield Result("CPU share", "ok", f"{share:.2f}")
    scatter = estimate.error * math.sqrt(estimate.k)
    words = []
    for k in (5, 10, 20):
        with_k = Estimate(0.0, scatter / math.sqrt(k), k - 1, k)
        visible = math.expm1(stats.smallest_visible(with_k, stats.FLOOR))
        words.append(f"{visible:.1%} in {k} processes ({seconds * k / estimate.k:.0f} s)")
    noisy = estimate.half_width() >= 0.02
    fix = "stop other programs, or raise measure.speed.seconds and budget" if noisy else ""
    what = f"differences of {', '.join(words)} are detected in 80 % of cases"
    yield Result("sensitivity", "note" if noisy else "ok", what, fix)
