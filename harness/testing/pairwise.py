"""Pairwise verification of levels against a base, in this process, as a run verifies them before timing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.testing.part_under_test import plan_levels, train_step

#: Batches that each level is trained on.
BATCHES = 2


def verify_levels(
    base: Mapping[str, Any],
    levels: Mapping[str, Mapping[str, Any]],
    plugins: Iterable[Path] = (),
    catalog: Catalog | None = None,
) -> dict[str, dict[str, Any]]:
    """Verify each level against `base`, then train it for two steps. The findings by level.

    All are written as in a suite: `base` has a model, a dataset and a list under `use`, and a level patches it. A
    finding has the "outcome" ("ok", "invalid" or "failed"), the "reason" and what the level "changes". If the base
    fails, so do all levels. Raises UserError if one of them has a mistake, and Skip if they cannot be combined.
    """
    from harness.measure.kinds.verify import verify_block
    from harness.measure.runtime.builder import TrialBuilder
    from harness.measure.runtime.watchdog import Watchdog

    catalog = catalog or Catalog(load_plugins(plugins))
    block = plan_levels(catalog, base, levels)
    builder = TrialBuilder(catalog)
    findings = verify_block(block, builder, Watchdog(0.0))  # without an alarm, which would end the test run
    if findings[0]["outcome"] != "ok":
        findings = [findings[0]] * len(block.trials)
    found = {}
    for trial, finding in zip(block.trials[1:], findings[1:], strict=True):
        found[trial.level] = {**finding, "changes": trial.changes}
        if finding["outcome"] == "ok":
            built = builder.build(trial)
            for batch in built.work_batches(builder.work_set(trial, BATCHES)):
                train_step(built, built.batch(batch))
    return found


def verify_level(
    base: Mapping[str, Any], level: Mapping[str, Any], plugins: Iterable[Path] = (), catalog: Catalog | None = None
) -> dict[str, Any]:
    """The finding of a single level: see `verify_levels`."""
    return verify_levels(base, {"level": level}, plugins, catalog)["level"]


def assert_promises(
    base: Mapping[str, Any], level: Mapping[str, Any], plugins: Iterable[Path] = (), catalog: Catalog | None = None
) -> None:
    """Raise AssertionError with the reason unless the outcome of `verify_level` is "ok"."""
    finding = verify_level(base, level, plugins, catalog)
    assert finding["outcome"] == "ok", f"{finding['outcome']}: {finding['reason']}"
