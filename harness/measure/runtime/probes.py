"""The batches that verification compares variants on, each with a name for messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, inf
from random import Random
from typing import Any, NamedTuple

from harness.measure.kinds.learning import steps_of
from harness.plugins.parts import Data
from harness.records.plan import Block


class Probe(NamedTuple):
    """Examples that form one batch, and what a message calls them, such as "a batch of 8"."""

    name: str
    examples: list[Any]


def probes_of(block: Block, data: Data) -> list[Probe]:
    """The difficult batches of a dataset, or else batches of several sizes. A batch of one is among them only if the
    block trains on one, because a model may rightly refuse it, as batch normalization does.

    The last probe has the batch size that is timed, because code may depend on the size of a batch.
    """
    baseline, count = block.baseline, len(data.train)
    probes = list(own_probes(data, baseline.seed)) or default_probes(data.train, baseline.batch_size)
    if not trains_on_one(block, data):
        probes = [probe for probe in probes if len(probe.examples) > 1]
    positions = Random(f"probe {baseline.seed}").sample(range(count), min(baseline.batch_size, count))
    return [*probes, named([data.train[position] for position in positions])]


def own_probes(data: Data, seed: int) -> Iterator[Probe]:
    """The probes that a dataset provides; none by default."""
    for number, examples in enumerate(data.probes(seed) if data.probes else (), 1):
        probe = named(list(examples))
        yield probe if len(examples) == 1 else Probe(f"{probe.name} (probe {number} of the dataset)", probe.examples)


def default_probes(train: Sequence[Any], batch_size: int) -> list[Probe]:
    """The probes of a dataset without difficult examples: a full batch, a smaller batch, and a single example."""
    size, count = min(batch_size, len(train)), len(train)
    begin = size if size < count else 0
    positions = (range(size), range(begin, min(begin + 3, count)), range(1))
    return [named([train[position] for position in some]) for some in positions]


def named(examples: list[Any]) -> Probe:
    """A probe that is named after its size."""
    return Probe("a single example" if len(examples) == 1 else f"a batch of {len(examples)}", examples)


def trains_on_one(block: Block, data: Data) -> bool:
    """Whether a training step of this block may have a single example: the batch size is one, or a run reaches an
    epoch's last batch and this has one."""
    size, count, learning = block.baseline.batch_size, len(data.train), block.measures.learning
    if size == 1 or count == 1:
        return True
    steps = steps_of(learning, data, size) if learning else None
    return block.measures.trains and count % size == 1 and not data.drop_last and (steps or inf) >= ceil(count / size)
