"""The pages of the documentation that are made from the code and from the stored runs, a module for each."""

from __future__ import annotations

from pathlib import Path

from _generate import cli_page, gallery_page, hooks_page, parts_page, suite_page
from _generate.catalog import catalog_of

#: Folders in which every file is generated.
FOLDERS = ("reference", "gallery")


def pages(root: Path) -> dict[str, bytes]:
    """Each generated file by its path under docs/, from the repository at `root`."""
    catalog = catalog_of(root)
    text = {
        "reference/suite.md": suite_page.page(),
        "reference/hooks.md": hooks_page.page(),
        "reference/cli.md": cli_page.page(),
        "reference/parts.md": parts_page.page(catalog),
        "gallery.md": gallery_page.page(root, catalog),
    }
    return {**{name: page.encode() for name, page in text.items()}, **gallery_page.plots(root, catalog)}
