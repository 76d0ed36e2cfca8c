"""Tries levels in the process of the test as a run does: verification, then everything that a suite measures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.watchdog import Watchdog
from harness.measure.worker import Worker, as_loaded
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.records.plan import Block
from harness.records.settings import SeedSettings
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import Source

#: Short measurements: LITTLE trains and evaluates, and EVERYTHING has every kind.
SPEED = {"of": ["train", "inference"], "warm_up": "1 ms", "seconds": "1 ms", "batches": 1}
LITTLE = {"speed": SPEED, "learning": {"seeds": 1, "steps": 3, "evaluations": 1}}
OTHERS = {"health": {"steps": 3, "looks": 1}, "memory": {"of": "train"}, "cost": {"of": "train"}}
EVERYTHING = {**LITTLE, **OTHERS, "profile": {"of": "train"}}


def block_of(
    catalog: Catalog,
    base: Mapping[str, Any],
    levels: Mapping[str, Any],
    measure: Mapping[str, Any],
) -> Block:
    """The block of a base and its levels, all written as in a suite. The level of the base is called base."""
    document = {
        "question": "Does it work?", "base": dict(base), "axes": {"what": {"base": {}, **levels}},
        "compare": {"axis": "what", "baseline": "base"}, "measure": dict(measure),
    }  # fmt: skip
    (block,) = make_plan(parse_suite(Source("suite.yaml", document), "suite", "", catalog), catalog).blocks
    return block


def tried(
    catalog: Catalog,
    base: Mapping[str, Any],
    levels: Mapping[str, Any] | None = None,
    measure: Mapping[str, Any] = LITTLE,
) -> dict[str, dict[str, Any]]:
    """For each level, "base" among them, the data of each measure by its name, or why it failed in "failed". Without
    levels, only the base is measured."""
    block = block_of(catalog, base, levels or {"same": {}}, measure)
    worker = Worker(TrialBuilder(catalog))
    if not block.baseline.batch_size:
        block = as_loaded(block, worker.builder.data(block.baseline.dataset))
    worker.block, worker.watchdog = block, Watchdog(0.0)  # an alarm would end the process of the test
    found: dict[str, dict[str, Any]] = {}
    for finding in worker.run({"request": "verify"}, 0.0)["findings"]:
        reason = f"{finding['outcome']}: {finding['reason']}" if finding["outcome"] != "ok" else ""
        found[finding["level"]] = {"verify": finding["data"], **({"failed": reason} if reason else {})}
    for level in [level for level, data in found.items() if "failed" not in data and (levels or level == "base")]:
        with TemporaryDirectory() as folder:
            found[level] |= measured(worker, level, measure, folder)
    return found


def works(*given: Any, **more: Any) -> dict[str, dict[str, Any]]:
    """The same as `tried`, asserting that nothing failed."""
    found = tried(*given, **more)
    failed = {level: data["failed"] for level, data in found.items() if "failed" in data}
    assert not failed, failed
    return found


def measured(worker: Worker, level: str, measure: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """The data of one level by measure, until one fails."""
    found: dict[str, Any] = {}
    kinds = worker.builder.catalog.measures
    for name in measure:
        kind = kinds[name].kind
        settings = worker.block.measures.kinds[name]
        seeds = settings["seeds"] if issubclass(type(kinds[name].settings), SeedSettings) else [0]
        for mode in settings.get("of") or ("",):
            for stage in kind.all_stages:
                message = {"request": "measure", "kind": name, "stage": stage.name, "mode": mode, "seed": seeds[0]}
                message["folder"] = folder
                if kind.placement == "together":
                    message["members"] = [(level, "variant")]
                else:
                    message["level"] = level
                answer = worker.run(message, perf_counter())
                if "reason" in answer:
                    return {**found, "failed": f"{stage.name}: {answer['reason']}"}
                json.dumps(answer, allow_nan=False)
                found[stage.name] = answer["data"]
    return found
