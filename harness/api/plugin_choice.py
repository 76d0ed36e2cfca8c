"""Which plugins a command loads. It is apart from `lookup`, so that ``--help`` does not import the records."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.plugins.catalog import Catalog
from harness.plugins.manager import installed, load_plugins

if TYPE_CHECKING:
    from harness.records.store import Store


@dataclass(frozen=True)
class PluginChoice:
    """Which plugins to load: every installed one except those in `without`, and the plugin `files`."""

    files: tuple[Path, ...] = ()
    without: tuple[str, ...] = ()

    def catalog(self, earlier_without: Collection[str] = ()) -> Catalog:
        """The catalog of these plugins. What an earlier run left out is left out too, if it is still installed."""
        present = installed() if earlier_without else ()
        earlier = [name for name in earlier_without if name in present]
        return Catalog(load_plugins(self.files, [*self.without, *earlier]))

    def catalog_for(self, stores: Iterable[Store]) -> Catalog:
        """The catalog to read stored runs with. It leaves out the plugins that the runs left out."""
        return self.catalog([name for store in stores for name in store.overrides().get("without", ())])
