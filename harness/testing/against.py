"""Hold a level against a base as a run would before its clock starts, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.plan import Block
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import Source

if TYPE_CHECKING:
    from harness.measure.runtime.builder import TrialBuilder

#: Longer than anything a test should take; the kit sets no alarm that could end a test run.
NO_LIMIT = 0.0


def find_out(
    base: Mapping[str, Any], level: Mapping[str, Any], plugins: Iterable[Path] = (), catalog: Catalog | None = None
) -> dict[str, Any]:
    """The finding of `level` verified against `base`: its "outcome" ("ok", "invalid" or "failed"), the "reason",
    and what it "changes".

    Both are written as in a suite: `base` has a model, a dataset and what is used, `level` patches it. Raises
    UserError where they are written wrongly or cannot go together.
    """
    from harness.measure.kinds.verify import verify_block
    from harness.measure.runtime.builder import TrialBuilder
    from harness.measure.runtime.watchdog import Watchdog

    catalog = catalog or Catalog(load_plugins(plugins))
    document = {
        "question": "Does it keep its promise?",
        "base": dict(base),
        "axes": {"what": {"base": {}, "level": dict(level)}},
        "compare": {"axis": "what", "baseline": "base"},
        "measure": {"speed": {"batches": 2}},
    }
    plan = make_plan(parse_suite(Source("the test", document), "test", "", catalog), catalog)
    (block,) = plan.blocks
    builder = TrialBuilder(catalog)
    findings = verify_block(block, builder, Watchdog(NO_LIMIT))
    broken = [finding for finding in findings if finding["outcome"] != "ok"]
    finding = broken[0] if broken else findings[-1]
    if not broken:
        run_steps(block, builder)
    return {**finding, "changes": block.trials[1].changes}


def assert_promises(
    base: Mapping[str, Any], level: Mapping[str, Any], plugins: Iterable[Path] = (), catalog: Catalog | None = None
) -> None:
    """Raise AssertionError with the reason where `level` does not keep, against `base`, what its parts promise."""
    finding = find_out(base, level, plugins, catalog)
    assert finding["outcome"] == "ok", f"{finding['outcome']}: {finding['reason']}"


def run_steps(block: Block, builder: TrialBuilder) -> None:
    """Two whole training steps of the level, as the clock would run them."""
    from harness.measure.runtime.batches import work_set

    trial = block.trials[1]
    built = builder.build(trial)
    examples = work_set(builder.data(trial.dataset).train, trial.batch_size, 2, trial.seed)
    for batch in built.batches(examples, Random(0)):
        built.step(built, built.batch(batch), lambda phase: None)
