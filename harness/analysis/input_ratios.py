"""The ratio of a function to its baseline on each input, from the samples of a run."""

from __future__ import annotations

import math

import numpy as np

from harness.analysis.timing import Measured


def input_ratios(measured: Measured, level: str) -> list[float]:
    """The ratio on each input, in the order of the inputs: medians in each process, and their geometric mean. They
    have no intervals."""
    logs: dict[int, list[float]] = {}
    for baseline, variant in measured.pairs(level, "variant"):
        for batch in sorted({*baseline.batch.tolist()} & {*variant.batch.tolist()}):
            here = [float(np.median(one.seconds[one.batch == batch])) for one in (baseline, variant)]
            if min(here) > 0:
                logs.setdefault(batch, []).append(math.log(here[1] / here[0]))
    return [math.exp(float(np.mean(values))) for _, values in sorted(logs.items())]
