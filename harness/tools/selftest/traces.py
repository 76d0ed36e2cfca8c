"""Recorded noise: the times of two identical levels, measured together on a real machine.

`noise_traces.npz`, which is part of the package, was recorded on a shared two-core machine. It holds training steps of
about 5 ms in two environments: "nat", the contended machine as it was, and "load", with a busy loop on the same core.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import is_zipfile

import numpy as np

from harness.analysis.stats import Array
from harness.errors import UserError

SHIPPED = Path(__file__).parent / "noise_traces.npz"
#: The share of a trace that a simulated process takes. A trace has about 2.5 s of each level, and a process 0.3 s.
PROCESS_SHARE = 0.12
#: A process has at least this many pairs: five visits to each of eight batches.
LEAST_PAIRS = 40

Traces = Mapping[str, Sequence[Array]]


def load_traces(path: Path = SHIPPED) -> Traces:
    """The traces by environment. Each is an array of shape (pairs, 4) in microseconds: wall and CPU time of one level,
    then of the other. Raises UserError if the file is not such a recording."""
    found: dict[str, list[Array]] = {}
    try:
        if path.is_file() and not is_zipfile(path):
            raise ValueError("not written by numpy.savez")
        with np.load(path, allow_pickle=False) as file:
            for line in file["meta"]:
                index, environment, mode = str(line).split("|")
                if mode == "rand":  # in random order, interleaved; other modes are other experiments
                    found.setdefault(environment, []).append(file[f"t{index}"].astype(float))
    except OSError as error:
        raise UserError(f"cannot read the traces: {error.strerror or error}.", where=str(path)) from error
    except (ValueError, KeyError) as error:
        fix = "Record one with: harness selftest --record FILE"
        raise UserError("this is not a recording of noise.", where=str(path), fix=fix) from error
    return found


def save_traces(path: Path, traces: Traces) -> None:
    """Write a recording that `load_traces` reads. Raises UserError if it cannot be written."""
    numbered = [(environment, trace) for environment, group in traces.items() for trace in group]
    arrays = {f"t{index}": trace.astype(np.float32) for index, (_, trace) in enumerate(numbered)}
    meta = np.array([f"{index}|{environment}|rand" for index, (environment, _) in enumerate(numbered)])
    try:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, meta=meta, **arrays)
    except OSError as error:
        raise UserError(f"cannot write the traces: {error.strerror or error}.", where=str(path)) from error


def segment(trace: Array, draw: random.Random) -> Array:
    """A simulated process: a contiguous part of a trace. Its two levels are swapped at random, so that they do not
    differ by construction."""
    size = max(LEAST_PAIRS, round(len(trace) * PROCESS_SHARE))
    begin = draw.randrange(max(1, len(trace) - size + 1))
    part = trace[begin : begin + size]
    return part[:, [2, 3, 0, 1]] if draw.random() < 0.5 else part
