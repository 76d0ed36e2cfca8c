"""The baseline's results on each probe, in float64 where it can compute in float64, and the errors that rounding allows
another variant."""

from __future__ import annotations

from collections.abc import Callable

import torch

from harness.measure.runtime.builder import BuiltTrial
from harness.measure.runtime.dtypes import is_inexact
from harness.measure.runtime.observations import GRADIENT, Tensors, errors
from harness.measure.runtime.rounding import RandomRounding, spread

#: The error of a variant that is accepted at once, as a multiple of the baseline's own error.
QUICK = 4.0
#: The largest error of a variant, as a multiple of the spread that random rounding causes. A normal
#: error exceeds 8 times the root mean square of seven samples with probability 1e-4.
STRICT = 8.0
#: The same for a variant that agrees with the baseline in float64. Lower precision causes thousands of times as much.
LOOSE = 64.0
#: Repetitions with random rounding.
SAMPLES = 6
#: A smaller error than this many epsilons of the baseline's dtype is accepted, and never more than OFFSET.
EPSILONS, OFFSET = 8.0, 1e-6

Observe = Callable[[BuiltTrial, int], Tensors]
"""The tensors of a built trial for the probe of a number."""


class Reference:
    """The tensors of the baseline for each probe.

    `observed` are those in its own dtype. `exact` is the baseline in float64 with its tensors, or None if it cannot
    compute in float64. Then the tensors in its own dtype are the reference."""

    def __init__(
        self, own: BuiltTrial, observed: list[Tensors], exact: tuple[BuiltTrial, list[Tensors]] | None, observe: Observe
    ) -> None:
        self.is_exact, self.observe, self.dtype = exact is not None, observe, own_dtype(own)
        self.built, self.tensors = exact or (own, observed)
        #: The errors of the baseline in its own dtype.
        self.errors = [errors(*pair) for pair in zip(observed, self.tensors, strict=True)]
        self._spreads: dict[int, dict[str, float]] = {}

    @property
    def epsilon(self) -> float:
        """The epsilon of the dtype in which the baseline is measured."""
        return float(torch.finfo(self.dtype).eps)

    @property
    def offset(self) -> float:
        """The error that is always accepted."""
        return min(OFFSET, EPSILONS * self.epsilon)

    def quick_limit(self, probe: int, name: str) -> float:
        """An error that needs no further look."""
        return QUICK * self.errors[probe].get(name, 0.0) + self.offset

    def limit(self, probe: int, name: str, factor: float) -> float:
        """The largest error that rounding explains, as a share of the largest value."""
        return factor * self.spreads(probe).get(name, 0.0) + self.offset

    def exact_limit(self, probe: int, name: str) -> float:
        """The largest error in float64 that rounding explains."""
        share = float(torch.finfo(torch.float64).eps) / self.epsilon
        return (LOOSE * self.spreads(probe).get(name, 0.0) + EPSILONS * self.epsilon) * share

    def spreads(self, probe: int) -> dict[str, float]:
        """How far rounding spreads each tensor: the root mean square over the baseline's own error and those of
        repetitions with random rounding. Computed at first use, since few comparisons need it."""
        if probe not in self._spreads:
            samples = []
            for seed in range(SAMPLES):
                try:
                    with RandomRounding(self.dtype, seed):
                        tensors = self.observe(self.built, probe)
                except Exception:  # code that cannot run operator by operator, such as a compiled model
                    break
                samples.append(errors(tensors, self.tensors[probe]))
            self._spreads[probe] = spread(samples, self.errors[probe])
        return self._spreads[probe]

    def reliable(self, probe: int, name: str, *, exact: bool) -> torch.Tensor | None:
        """Which elements of the gradient of a parameter are larger than its error, in the shape of the parameter; None
        if there is no gradient. An optimizer that looks at signs moves the others at random."""
        gradient = f"{GRADIENT}{name}"
        if gradient not in self.tensors[probe]:
            return None
        error = self.exact_limit(probe, gradient) if exact else self.limit(probe, gradient, STRICT)
        sizes = self.tensors[probe][gradient].abs()
        return sizes > error * float(sizes.max().clamp(min=1e-12))


def own_dtype(built: BuiltTrial) -> torch.dtype:
    """The floating-point dtype of fewest bits among the parameters; float32 if there are none."""
    found = [one.dtype.to_real() for one in built.model.parameters() if is_inexact(one)]
    return min(found, key=lambda dtype: dtype.itemsize, default=torch.float32)
