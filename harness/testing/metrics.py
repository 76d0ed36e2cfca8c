"""Promises of metrics: they compute numbers from any stored run and do not change it."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

import numpy as np

from harness.analysis.samples import Samples, checked_value
from harness.errors import UserError
from harness.plugins.parts import Dataset, Skip
from harness.testing.part_under_test import BATCH, Broken, PartUnderTest

#: Batches of the synthetic work set, and samples of each.
BATCHES, VISITS = 4, 5
PHASES = ("collate", "forward", "backward", "update")


def synthetic_samples(counts: dict[str, float], phases: tuple[str, ...] = PHASES) -> Samples:
    """Samples of steps that take one to two milliseconds, as a process stores them."""
    n = BATCHES * VISITS
    seconds = 1e-3 * (1 + np.arange(n) / n)
    return Samples(
        wall=seconds,
        cpu=seconds * 0.99,
        batch=np.arange(n) % BATCHES,
        round=np.arange(n) // BATCHES,
        phases={name: seconds / len(phases) for name in phases},
        counts={name: np.full(BATCHES, value) for name, value in counts.items()},
    )


@cache
def counted_amounts(part: PartUnderTest) -> dict[str, float]:
    """The amounts that the available datasets count in a batch."""
    found: dict[str, float] = {}
    for companion in part.companions(Dataset):
        parameters = {name: value for name, value in companion.items() if name != "name"}
        try:
            data = part.catalog.code(part.catalog.find(Dataset, companion["name"]))(**parameters)
            found |= data.count(data.collate(list(data.train[:BATCH]))) if data.count else {}
        except (UserError, ValueError, OSError):
            continue  # it needs a file that is not here
    return found


def finite_values(part: PartUnderTest) -> str:
    """The metric of a run with phases and counts is finite, and of a run without them finite or None."""
    counts = counted_amounts(part)
    full = check_value(part, synthetic_samples(counts), "a run")
    bare = check_value(part, synthetic_samples({}, ()), "a run without phases and counts")
    if full is None:
        raise Skip(f"the synthetic run lacks its input (it has these counts: {', '.join(counts) or 'none'})")
    return f"{full:.4g}; without phases and counts {'None' if bare is None else f'{bare:.4g}'}"


def check_value(part: PartUnderTest, samples: Samples, run: str) -> float | None:
    """The mean of the metric's values. Raises Broken unless a report accepts them, and costs are positive."""
    stored = metric_input(part, samples)
    value = part.code(stored)
    try:
        found = checked_value(part.declared, value, stored)
    except ValueError as error:
        raise Broken(f"for {run}, {error}") from error
    if found is None:
        return None
    if part.declared.per == "sample" and not (found > 0).all():
        raise Broken(f"for {run}, it returns costs that are not above zero")
    return float(np.mean(found))


def read_only(part: PartUnderTest) -> None:
    """Computing the metric leaves its input unchanged, and a second computation returns the same."""
    samples = synthetic_samples(counted_amounts(part))
    stored = metric_input(part, samples)
    before = pickle.dumps((samples, stored))
    first = np.asarray(part.code(stored), dtype=object).tolist()
    if pickle.dumps((samples, stored)) != before:
        raise Broken("computing it changes what is stored")
    if np.asarray(part.code(stored), dtype=object).tolist() != first:
        raise Broken("computing it again returns something else")


def metric_input(part: PartUnderTest, samples: Samples) -> Any:
    """The argument of this metric: samples, or the totals of their counts."""
    return samples.totals() if part.declared.per == "counts" else samples
