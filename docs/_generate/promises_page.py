"""The page of promises: each promise, the parts that it applies to, and the test parts that break it."""

from __future__ import annotations

import sys
from pathlib import Path

from _generate import markdown
from _generate.catalog import catalog_of
from harness.plugins.catalog import KINDS
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Part, Promise

#: The kinds that have promises at all.
EVERY_PART = {kind.kind for kind in KINDS} - {"promise", "command"}


def page(root: Path) -> str:
    """docs/reference/promises.md."""
    rows = []
    faults = faults_of(root)
    for entry in catalog_of(root).entries(Promise).values():
        promise = entry.part
        of = "every part" if promise.of == EVERY_PART else ", ".join(sorted(promise.of))
        if promise.needs:
            of += f" that offers {', '.join(f'`{word}`' for word in sorted(promise.needs))}"
        rows.append([f"`{promise.name}`", of, promise.summary, "; ".join(faults[promise.name])])
    words = (
        "What `harness conform` tests of a part ([how to use it](../conform.md)). For each promise, the tests of "
        "harness contain at least one part that breaks it on purpose, and check that it is found."
    )
    made_from = "the promises that plugins provide and the parts in tests/ that break them"
    table = markdown.table(["promise", "applies to", "promise in words", "faults found"], rows)
    return markdown.page("Promises", made_from, words, table)


def faults_of(root: Path) -> dict[str, list[str]]:
    """The summaries of the parts in tests/ that break a promise, by promise."""
    sys.path.insert(0, str(root / "tests"))
    try:
        plugins = load_plugins(root / "tests" / name for name in ("toy.py", "faults.py", "sequence_faults.py"))
        import faults
        import sequence_faults
    finally:
        sys.path.remove(str(root / "tests"))
    summaries: dict[str, str] = {}
    for module in (faults, sequence_faults):
        for hook in KINDS.values():
            parts: list[Part] = list(getattr(module, hook, list)())
            summaries |= {part.name: part.summary for part in parts}
    assert not [problem for problem in plugins.problems if "faults" in problem.plugin]
    found = {promise: [summaries[part] for part, _ in parts] for promise, parts in faults.FAULTS.items()}
    found |= {promise: [summaries[part]] for promise, (part, _) in sequence_faults.FAULTS.items()}
    # The faults of these are packages: see tests/testing/test_conformance.py.
    packages = {
        "torch-free-plugin": ["a package that imports torch"],
        "torch-free-code": ["a metric that imports torch"],
    }
    return {**found, **packages}
