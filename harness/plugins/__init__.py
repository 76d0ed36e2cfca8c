"""What plugins may provide (`parts`), how they are found (`manager`), and how a name leads to code (`catalog`).

In: installed entry points and plugin files. Out: a `Catalog`. Every package except `records` may import this one.
"""

from harness.plugins.catalog import Catalog
from harness.plugins.manager import Plugins, load_plugins
from harness.plugins.recipe import SEAMS

__all__ = ["SEAMS", "Catalog", "Plugins", "load_plugins"]
