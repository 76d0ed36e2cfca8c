"""Promises of metrics: views of what is stored, which read every run and change none."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from harness.parts import Skip
from harness.samples import Samples
from harness.testing.fresh import ask
from harness.testing.subject import Broken, Subject

#: Batches of a made-up work set, and samples of each.
BATCHES, VISITS = 4, 5
PHASES = ("collate", "forward", "backward", "update")


def without_torch(subject: Subject) -> None:
    """A report is read without torch, so a metric, a reporter or an executor is."""
    reference = subject.part.build
    if not isinstance(reference, str):
        raise Skip("its code is in a plugin of one file")
    if imports_torch(reference, tuple(subject.files), subject.without):
        raise Broken(f"importing {reference} imports torch")


@cache
def imports_torch(reference: str, plugins: tuple[str, ...], without: tuple[str, ...]) -> bool:
    """Whether a fresh process has torch once this code is imported."""
    return bool(ask("code", reference=reference, plugins=list(plugins), without=without))


def made_up(*, bare: bool = False, counts: dict[str, float] | None = None) -> Samples:
    """Samples as a process stores them, one to two milliseconds a step; `bare` ones have neither phases nor counts."""
    n = BATCHES * VISITS
    seconds = 1e-3 * (1 + np.arange(n) / n)
    phases = {} if bare else {name: seconds / len(PHASES) for name in PHASES}
    counted = {} if bare else {name: np.full(BATCHES, value) for name, value in (counts or {}).items()}
    batch, round_ = np.arange(n) % BATCHES, np.arange(n) // BATCHES
    return Samples(seconds, seconds * 0.99, batch, round_, phases, counted)


def counts_of(subject: Subject) -> dict[str, float]:
    """What the datasets here count in a batch of theirs."""
    from harness.errors import UserError
    from harness.parts import Dataset

    found: dict[str, float] = {}
    for written in subject.companions(Dataset):
        try:
            name = written.pop("name")
            data = subject.catalog.code(subject.catalog.find(Dataset, name))(**written)
            found |= data.count(data.collate(list(data.train[:8]))) if data.count else {}
        except (UserError, ValueError, OSError):
            continue  # it wants a file that is not here
    return found


def answers(subject: Subject) -> str:
    """A finite number of any run, or one for each sample, and None of a run that has not what it reads."""
    counts = counts_of(subject)
    told = [
        check_answer(subject, made_up(counts=counts), "a run"),
        check_answer(subject, made_up(bare=True), "an old run"),
    ]
    if told[0] is None:
        raise Skip(f"the made-up run has not what it reads (it has the counts {', '.join(counts) or 'of none'})")
    return (
        f"{told[0]:.4g}; of a run with neither phases nor counts {'nothing' if told[1] is None else f'{told[1]:.4g}'}"
    )


def check_answer(subject: Subject, samples: Samples, what: str) -> float | None:
    """What it gives of samples, as a number."""
    per = subject.part.per
    value = subject.code(samples.totals() if per == "counts" else samples)
    if value is None:
        return None
    if per == "sample":
        array = np.asarray(value)
        if array.shape != samples.wall.shape or not np.issubdtype(array.dtype, np.number):
            raise Broken(f"of {what} it gives {array.dtype} of shape {array.shape}, not a number for each sample")
        if not np.isfinite(array).all() or not (array > 0).all():
            raise Broken(f"of {what} it gives costs that are not finite numbers above zero")
        return float(array.mean())
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise Broken(f"of {what} it gives {value!r}, not a finite number")
    return float(value)


def reads_only(subject: Subject) -> None:
    """What is stored stays as it was, and a second reading says the same."""
    samples = made_up(counts=counts_of(subject))
    stored = samples.totals() if subject.part.per == "counts" else samples
    before, shown = contents(samples, stored), np.asarray(subject.code(stored), dtype=object).tolist()
    if contents(samples, stored) != before:
        raise Broken("reading changes what is stored")
    if np.asarray(subject.code(stored), dtype=object).tolist() != shown:
        raise Broken("a second reading says something else")


def contents(samples: Samples, stored: Any) -> list[Any]:
    """All values of samples, and of the totals made of them."""
    arrays = [
        samples.wall,
        samples.cpu,
        samples.batch,
        samples.round,
        *samples.phases.values(),
        *samples.counts.values(),
    ]
    return [*(array.tolist() for array in arrays), dict(stored) if isinstance(stored, dict) else None]
