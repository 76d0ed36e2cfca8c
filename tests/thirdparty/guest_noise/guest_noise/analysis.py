"""Settings, and the noise scale computed from the stored data. Does not import torch."""

from collections.abc import Iterator

from pydantic import Field

import harness


class Noise(harness.Settings):
    """The gradient noise scale of the model before training."""

    batches: int = Field(8, ge=2, description="how many batches of the work set are used", examples=[4])


def analyse(data) -> Iterator:
    """The number of gradient elements, and the noise scale of each trial."""
    for trial in data.trials:
        for stored in trial.stages.get("noise", ()):
            yield trial, {"gradient_elements": stored["elements"], "noise_scale": noise_scale(stored)}


def noise_scale(stored) -> float:
    """tr(Sigma) / |G|^2 from squared gradient norms at two batch sizes (equations A.2 and A.3)."""
    small, large = stored["batch_size"], stored["batch_size"] * stored["batches"]
    norm_small, norm_large = sum(stored["small"]) / len(stored["small"]), stored["large"]
    square = (large * norm_large - small * norm_small) / (large - small)
    trace = (norm_small - norm_large) / (1 / small - 1 / large)
    return trace / square
