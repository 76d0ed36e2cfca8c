"""Checks that the seed of a trial determines its random numbers, by building it twice under one seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.measure.runtime.builder import TrialBuilder, tensors_of
from harness.measure.runtime.failure import TrialFailed
from harness.measure.runtime.generators import seed_generators
from harness.records.plan import Trial

#: Two losses of the same batch may differ by this share: several threads add in any order.
ROUNDING = 1e-3

WHAT_TO_DO = "draw with torch, numpy.random or random, or seed its own generator from torch.initial_seed()"


def check_seeds(
    builder: TrialBuilder, trial: Trial, weights: Mapping[str, torch.Tensor], examples: Sequence[Any]
) -> None:
    """Build a trial twice under its seed, and compute the loss of one batch each time. Raises TrialFailed if weights or
    losses differ: then runs under one seed are not pairs, and runs under several seeds may even be the same run."""
    tensors, losses = [], []
    for _ in range(2):
        built = builder.build(trial, weights)
        tensors.append({name: tensor.clone() for name, tensor in tensors_of(built.model).items()})
        seed_generators(trial.seed)
        losses.append(float(built.forward(built.model, built.batch(examples))))
    first, second = tensors
    differing = [name for name in first if not torch.equal(first[name].nan_to_num(), second[name].nan_to_num())]
    if differing:
        others = f" and {len(differing) - 1} others" if len(differing) > 1 else ""
        raise TrialFailed(
            trial.level,
            f"two builds under one seed have different values of {differing[0]}{others}: they come from a generator "
            f"that no seed sets; {WHAT_TO_DO}",
        )
    if abs(losses[0] - losses[1]) > ROUNDING * max(map(abs, losses)):
        raise TrialFailed(
            trial.level,
            f"under one seed, the same batch has the losses {losses[0]:.6g} and {losses[1]:.6g}: the training step "
            f"draws from a generator that no seed sets; {WHAT_TO_DO}",
        )
