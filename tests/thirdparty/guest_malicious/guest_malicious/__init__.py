"""A package that misbehaves. The environment variable GUEST_FAULTS names its faults, separated by commas; without it,
the package has no fault on import."""

import os

import harness

FAULTS = set(filter(None, os.environ.get("GUEST_FAULTS", "").split(",")))
ESCAPE, SCRIPT = "\x1b]0;owned\x07\x1b[2J", "<script>alert(1)</script>"


class Strange(BaseException):
    """An exception that ``except Exception`` does not catch, and whose message cannot be printed."""

    def __str__(self):
        raise SystemExit("not even its message can be read")


if "import-exits" in FAULTS:
    raise SystemExit(0)
if "import-raises" in FAULTS:
    raise Strange
if "import-prints" in FAULTS:
    import subprocess
    import sys

    print("this is not JSON")
    os.write(1, b"neither is this\n")
    subprocess.run([sys.executable, "-c", "print('nor this')"], check=True)
if "import-moves" in FAULTS:
    os.chdir("/")
if "import-clock" in FAULTS:
    import time

    time.perf_counter = time.perf_counter_ns = time.thread_time_ns = time.process_time = lambda: 0
if "import-torch" in FAULTS:
    import torch

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(2)
    torch.manual_seed = lambda seed: None


@harness.hookimpl
def provide_models():
    yield harness.Model("working", "guest_malicious.parts:working", "a GRU", offers={"sequence"})
    yield harness.Model("model-leaves", "guest_malicious.parts:leaves", "its loss ends the process")
    yield harness.Model("model-exits", "guest_malicious.parts:exits", "its loss raises SystemExit")
    yield harness.Model("model-meddles", "guest_malicious.parts:meddles", "changes torch's default dtype")
    if "parts-endless" in FAULTS:
        while True:
            yield harness.Model("again", "nothing:nothing")
    if "parts-odd" in FAULTS:
        yield harness.Model("../../x", "nothing:nothing", "its name is a path")
        yield harness.Model("=cmd|' /C calc'!A0", "nothing:nothing", "its name is a formula")
        yield harness.Model(f"{SCRIPT}", "nothing:nothing", "its name is a script")
        yield harness.Model("cursed", "nothing:nothing", f"clears your screen {ESCAPE}")
        yield harness.Model(["a", "list"], "nothing:nothing")
        yield harness.Model("scripted", "nothing:nothing", SCRIPT)


@harness.hookimpl
def provide_datasets():
    yield harness.Dataset(
        "fickle", "guest_malicious.parts:fickle", "other examples each time", offers={"sequences"},
        fingerprint="guest_malicious.parts:always_the_same",
    )  # fmt: skip


@harness.hookimpl
def provide_metrics():
    for name in sorted(FAULTS):
        if name.startswith("metric-"):
            build = f"guest_malicious.parts:{name.replace('-', '_')}"
            yield harness.Metric(name, build, per="sample" if name == "metric-shape" else "trial")
    if "core-names" in FAULTS:
        yield harness.Metric("step_time", "guest_malicious.parts:metric_nan", "ours now", per="sample")


@harness.hookimpl
def provide_reporters():
    for name in sorted(FAULTS):
        if name.startswith("reporter-"):
            yield harness.Reporter(name, f"guest_malicious.parts:{name.replace('-', '_')}", "does harm")
    if "core-names" in FAULTS:
        yield harness.Reporter("html", "guest_malicious.parts:reporter_exits", "ours now")


@harness.hookimpl
def provide_executors():
    if "core-names" in FAULTS:
        yield harness.Executor("local", "guest_malicious.parts:reporter_exits", "ours now")


@harness.hookimpl
def plan_ready(plan):
    if "observer-exits" in FAULTS:
        raise SystemExit(0)
    if "observer-mutates" in FAULTS:
        plan.overrides["set"] = ["base.seed=1"]


@harness.hookimpl
def record_stored(record):
    if "observer-mutates" in FAULTS:
        record.data.clear()


@harness.hookimpl
def describe_machine():
    if "machine-lies" in FAULTS:
        return {"processor": "the fastest there is"}
    if "machine-raises" in FAULTS:
        raise Strange
    return {"guest": SCRIPT} if "parts-odd" in FAULTS else {}


@harness.hookimpl(tryfirst=True)
def run_block(block, done, keep, measure):
    if "block-forges" in FAULTS:
        from dataclasses import replace

        def faster(records):
            keep([replace(r, data={**r.data, "wall": [1 for _ in r.data.get("wall", ())]}) for r in records])

        measure(block, done, faster)
        return True
    if "block-swallows" in FAULTS:
        measure(block, done, lambda records: None)
        return True
    if "block-skips" in FAULTS:
        return True
    if "block-exits" in FAULTS:
        raise SystemExit(0)
    return None
