"""The parts of the two distributions of this repository, without other installed plugins."""

from __future__ import annotations

import tomllib
from pathlib import Path

from harness.plugins.catalog import Catalog
from harness.plugins.manager import installed, load_plugins

DISTRIBUTIONS = ("pyproject.toml", "plugins/pyproject.toml")


def catalog_of(root: Path) -> Catalog:
    """The catalog of the repository at `root`. Raises SystemExit if a distribution is not installed."""
    ours = {tomllib.loads((root / file).read_text(encoding="utf-8"))["project"]["name"] for file in DISTRIBUTIONS}
    plugins = load_plugins(without=set(installed()) - ours)
    if missing := ours - set(plugins.versions):
        raise SystemExit(f"{' and '.join(sorted(missing))} must be installed: pip install -e . -e ./plugins")
    return Catalog(plugins)
