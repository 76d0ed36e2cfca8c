"""Promises of metrics: views of what is stored, which read every run and change none."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from harness.analysis.samples import Samples
from harness.analysis.views import answer_in
from harness.plugins.parts import Skip
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
    from harness.plugins.parts import Dataset

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
    of_new = check_answer(subject, made_up(counts=counts), "a run")
    of_old = check_answer(subject, made_up(bare=True), "an old run")
    if of_new is None:
        raise Skip(f"the made-up run has not what it reads (it has the counts {', '.join(counts) or 'of none'})")
    return f"{of_new:.4g}; of a run with neither phases nor counts {'nothing' if of_old is None else f'{of_old:.4g}'}"


def check_answer(subject: Subject, samples: Samples, what: str) -> float | None:
    """What it gives of samples, as a number: what a report would take, and costs above zero."""
    stored = samples.totals() if subject.part.per == "counts" else samples
    value = subject.code(stored)
    try:
        found = answer_in(subject.part, value, stored)
    except ValueError as error:
        raise Broken(f"of {what} {error}") from error
    if found is None:
        return None
    if subject.part.per == "sample" and not (found > 0).all():
        raise Broken(f"of {what} it gives costs that are not above zero")
    return float(np.mean(found))


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
