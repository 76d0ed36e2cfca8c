"""Metrics of plugins as views of stored samples: a metric that fails hides nothing and changes nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from harness.analysis.samples import Samples
from harness.analysis.timing import View
from harness.plugins.catalog import Catalog, Entry
from harness.plugins.isolation import caught
from harness.plugins.manager import CORE
from harness.plugins.parts import Metric


class MetricViews:
    """The metrics of a catalog by name, the `views` that compute them, and what went wrong in them so far."""

    def __init__(self, catalog: Catalog) -> None:
        entries = catalog.entries(Metric)
        self.metrics: dict[str, Metric] = {name: entry.part for name, entry in entries.items()}
        self.problems: list[str] = []
        self.views = {name: self._view(catalog, entry) for name, entry in entries.items()}

    def _view(self, catalog: Catalog, entry: Entry) -> View:
        """The view of a metric, which gives None where the metric raises or gives no numbers."""

        @cache
        def code() -> View:
            return catalog.code(entry)  # resolved once, at the first use, since that may fail as well

        def view(stored: Any) -> Any:
            with caught(entry.owner, self.problems):
                if entry.plugin == CORE:
                    return code()(stored)
                return answer_in(entry.part, code()(handed_out(stored)), stored)
            return None

        return view


def handed_out(stored: Any) -> Any:
    """What a plugin's metric gets: samples or totals that it may keep and change without changing ours."""
    if isinstance(stored, Samples):
        return replace(stored, phases=dict(stored.phases), counts=dict(stored.counts))
    return dict(stored)


def answer_in(metric: Metric, value: Any, stored: Any) -> Any:
    """What a metric gives, as numbers: one, or one per sample. Raises ValueError where it is neither that nor None."""
    if value is None:
        return None
    if metric.per == "sample":
        costs = np.asarray(value)
        if costs.shape != stored.wall.shape or costs.dtype.kind not in "fiu":
            raise ValueError(f"it gives {costs.dtype} of shape {costs.shape}, not a number for each sample")
        if not np.isfinite(costs).all():
            raise ValueError("it gives costs that are not finite")
        return costs
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise ValueError(f"it gives {str(value)[:40]!r}, not a finite number")
    return float(value)
