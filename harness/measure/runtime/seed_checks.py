"""Checks that the seed of a trial determines its random numbers, by building it twice under one seed and once under
another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from harness.measure.runtime.builder import TrialBuilder, tensors_of
from harness.measure.runtime.failure import TrialFailed
from harness.measure.runtime.generators import generator_states, seed_generators
from harness.records.plan import Trial

#: Two losses of the same batch may differ by this share: several threads add in any order.
ROUNDING = 1e-3

FIX = "draw with torch, numpy.random or random, or seed your generator from torch.initial_seed()"


def check_seeds(
    builder: TrialBuilder, trial: Trial, weights: Mapping[str, torch.Tensor], examples: Sequence[Any]
) -> None:
    """Raise TrialFailed unless the seed determines the weights and the loss of one batch, and no code of the trial sets
    a seed itself. Otherwise, runs under one seed are not pairs, or runs under several seeds are the same run."""
    tensors, losses, states = [], [], []
    for seed in (trial.seed, trial.seed, trial.seed + 1):
        built = builder.build(replace(trial, seed=seed), weights)
        states.append(generator_states())
        tensors.append({name: tensor.detach().clone() for name, tensor in tensors_of(built.model).items()})
        seed_generators(seed)
        losses.append(float(built.forward(built.model, built.batch(examples)).detach()))
    own = [name for name, state in states[1].items() if state == states[2][name]]
    if own:
        raise TrialFailed(
            trial.level,
            f"building it sets the seed of {' and '.join(own)}, so runs under all seeds would begin with the same "
            "random numbers; remove that call, since every run is seeded",
        )
    differing = [name for name, tensor in tensors[0].items() if not same(tensor, tensors[1][name])]
    if differing:
        others = f" and {len(differing) - 1} others" if len(differing) > 1 else ""
        raise TrialFailed(
            trial.level,
            f"two builds under one seed have different values of {differing[0]}{others}: they come from a generator "
            f"that no seed sets; {FIX}",
        )
    if abs(losses[0] - losses[1]) > ROUNDING * max(map(abs, losses[:2])):
        raise TrialFailed(
            trial.level,
            f"under one seed, the same batch has the losses {losses[0]:.6g} and {losses[1]:.6g}: the forward pass "
            f"draws from a generator that no seed sets; {FIX}",
        )


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are equal. A value that is not a number equals itself."""
    return bool(torch.equal(one, other)) or bool(torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True))
