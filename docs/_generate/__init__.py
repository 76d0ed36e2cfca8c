"""The pages that are made from the code and the stored runs; one module for each page."""

from __future__ import annotations

from pathlib import Path

from _generate import cli_page, gallery_page, hooks_page, parts_page, promises_page, suite_page, works_page
from _generate.catalog import catalog_of

#: Folders in which every file is generated.
FOLDERS = ("docs/reference", "docs/gallery")


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
        "docs/gallery.md": gallery_page.page(root, catalog),
        "results/reference/claims.md": gallery_page.claims(root, catalog),
    }
    return {**{name: page.encode() for name, page in text.items()}, **gallery_page.plots(root, catalog)}
