"""The stored runs: those of results/reference/, and those of other machines in results/machines/MACHINE/SUITE/."""

from __future__ import annotations

from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from harness.plugins.catalog import Catalog
from harness.records.store import Store
from harness.report.report import Report, make_report


class StoredRun(NamedTuple):
    """A run, the suite file that it belongs to (from the root of the repository), and its machine in words."""

    suite: str
    suite_file: Path
    machine: str
    folder: Path
    report: Report


@cache
def stored_runs(root: Path, catalog: Catalog) -> tuple[StoredRun, ...]:
    """Every stored run that has a suite: the reference runs first, sorted by name. Raises SystemExit if a suite was
    run twice on one kind of machine."""
    results = root / "results"
    found: dict[tuple[str, str], StoredRun] = {}
    for plan in chain(sorted(results.glob("reference/*/plan.json")), sorted(results.glob("machines/*/*/plan.json"))):
        folder = plan.parent
        suites = sorted((root / "suites").rglob(f"{folder.name}.yaml"))
        if len(suites) != 1:
            raise SystemExit(f"{folder}: expected one suite {folder.name}.yaml under suites/, found {len(suites)}")
        report = make_report(Store.open(folder), catalog)
        run = StoredRun(folder.name, suites[0].relative_to(root), machine_of(report), folder, report)
        if (first := found.setdefault((run.suite, run.machine), run)) is not run:
            raise SystemExit(f"{folder} and {first.folder} are runs of one suite on {run.machine}. Keep one of them.")
    return tuple(found.values())


def reference_runs(root: Path, catalog: Catalog) -> dict[str, StoredRun]:
    """The reference runs by the names of their suites."""
    runs = stored_runs(root, catalog)
    return {run.suite: run for run in runs if run.folder.parent.name == "reference"}


def machines(root: Path, catalog: Catalog) -> list[str]:
    """The kinds of machines, in the order of the stored runs."""
    return list(dict.fromkeys(run.machine for run in stored_runs(root, catalog)))


def machine_of(report: Report) -> str:
    """The kind of a machine, as the head of a column: its processor, its vector instructions, and its GPU if any."""
    facts = report.facts
    capability = {"AVX512": "AVX-512"}.get(facts["torch_cpu_capability"], facts["torch_cpu_capability"])
    gpu = f", {facts['gpus']} GPU" if facts.get("gpus") else ""
    return f"{facts['processor']}, {capability}{gpu}"
