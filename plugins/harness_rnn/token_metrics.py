"""Metrics of counted tokens: `tokens` are valid ones, `slots` are the time steps that a variant computes."""

from __future__ import annotations

from collections.abc import Mapping

from harness import Samples


def tokens_per_second(samples: Samples) -> float | None:
    """Valid tokens of the work set over the time of one pass over it."""
    tokens = samples.totals().get("tokens")
    return None if tokens is None else tokens / samples.pass_seconds


def padding_share(totals: Mapping[str, float]) -> float | None:
    """The share of computed time steps that hold no token."""
    if not totals.get("slots"):
        return None
    return 1 - totals["tokens"] / totals["slots"]
