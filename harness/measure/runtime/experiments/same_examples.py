"""Levels of an experiment may have other parameters. They are compared on the same examples, which is checked here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import UserError
from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.generators import kept_generators, seed_generators
from harness.measure.runtime.nested import digest_of
from harness.plugins.experiment import EXPERIMENT
from harness.plugins.parts import Data
from harness.records.plan import Block, Trial

#: At most this many examples of each set are compared with those of the baseline.
COMPARED = 64
FIX = "Vary this parameter as a context: on an axis that is not compared, or with --context."


def check_same_examples(builder: TrialBuilder, block: Block, trial: Trial) -> bool:
    """Raise UserError unless the data of a level have the examples of the baseline. Returns whether this could be seen:
    batches that came as such may hold the same examples in another form."""
    if trial.dataset.name != EXPERIMENT or trial.dataset == block.baseline.dataset:
        return True
    data, baseline = builder.data(trial.dataset), builder.data(block.baseline.dataset)
    if differing := differing_examples(data, baseline):
        raise UserError(f"{differing}, so they cannot be compared on the same examples.", fix=FIX)
    return not come_as_batches(data) or digests(data.train) == digests(baseline.train)


def differing_examples(data: Data, baseline: Data) -> str:
    """How two levels differ in their examples, as a clause; empty if they do not. Batches that came as such may have
    another form in each level, so only their number is compared."""
    if data.batch_size != baseline.batch_size:
        return f"its batches have {data.batch_size} examples, and those of the baseline {baseline.batch_size}"
    for name, ours, theirs in (("training", data.train, baseline.train), ("test", data.test, baseline.test)):
        if len(ours) != len(theirs):
            return f"it has {len(ours)} {name} examples, and the baseline {len(theirs)}"
        if len(ours) and not data.collate.source(ours[0]).whole and digests(ours) != digests(theirs):  # type: ignore[attr-defined]
            return f"its {name} examples are not those of the baseline"
    return ""


def come_as_batches(data: Data) -> bool:
    """Whether the training data come as batches."""
    return bool(data.collate.train.whole)  # type: ignore[attr-defined]  # those of an experiment


def digests(examples: Sequence[Any]) -> list[str]:
    """The digests of some examples, before they are collated. Random changes of an example are the same in both
    levels."""
    step = max(1, len(examples) // COMPARED)
    with kept_generators():
        seed_generators(0)
        return [digest_of(examples[position].item) for position in range(0, len(examples), step)]
