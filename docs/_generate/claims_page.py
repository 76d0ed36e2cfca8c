"""results/reference/claims.md: the page with which `harness run suites` ends, for the reference runs."""

from __future__ import annotations

from pathlib import Path

from _generate.runs import reference_runs
from harness.plugins.catalog import Catalog
from harness.report.suite_batch import in_markdown


def page(root: Path, catalog: Catalog) -> str:
    """The page."""
    of_suites = {
        name: run for name, run in reference_runs(root, catalog).items() if run.suite_file.parent == Path("suites")
    }
    links = {f"{name}.yaml": Path(name) / "report.md" for name in of_suites}
    return in_markdown({f"{name}.yaml": run.report for name, run in of_suites.items()}, links)
