"""Metrics of counted tokens. `tokens` counts valid ones, `slots` the time steps that a variant computes."""

from __future__ import annotations

from collections.abc import Mapping

from harness import Samples


def tokens_per_second(samples: Samples) -> float | None:
    """Valid tokens of the work set divided by the seconds of one pass over it; None if tokens were not counted."""
    tokens = samples.totals().get("tokens")
    return None if tokens is None else tokens / samples.pass_seconds


def padding_share(totals: Mapping[str, float]) -> float | None:
    """The share of computed time steps that are padding; None if steps were not counted."""
    if not totals.get("slots"):
        return None
    return 1 - totals["tokens"] / totals["slots"]
