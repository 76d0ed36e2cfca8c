"""The pages that are made from the code and the stored runs; one module for each kind of page."""

from __future__ import annotations

from pathlib import Path

from _generate import (
    claims_page,
    cli_page,
    finding_page,
    findings_index,
    hooks_page,
    parts_page,
    promises_page,
    suite_page,
    works_page,
)
from _generate.catalog import catalog_of

#: Folders in which every file is generated.
FOLDERS = ("docs/reference", "docs/findings")


def pages(root: Path) -> dict[str, bytes]:
    """Every generated file, by its path in the repository at `root`."""
    catalog = catalog_of(root)
    text = {
        "docs/reference/suite.md": suite_page.page(),
        "docs/reference/hooks.md": hooks_page.page(),
        "docs/reference/cli.md": cli_page.page(catalog),
        "docs/reference/parts.md": parts_page.page(catalog),
        "docs/reference/promises.md": promises_page.page(root),
        "docs/what-works.md": works_page.page(root),
        "docs/findings/index.md": findings_index.page(root, catalog),
        "results/reference/claims.md": claims_page.page(root, catalog),
    }
    return {**{name: page.encode() for name, page in text.items()}, **finding_page.pages(root, catalog)}
