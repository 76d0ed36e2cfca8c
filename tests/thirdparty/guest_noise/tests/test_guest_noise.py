"""The noise scale agrees with its definition."""

import pytest
import torch
from guest_noise.analysis import noise_scale


def test_noise_scale_of_gaussian_gradients():
    """Gradients of single examples are normal with mean g and covariance s^2: the noise scale is n s^2 / |g|^2."""
    torch.manual_seed(0)
    n, spread, size, batches = 200, 0.5, 8, 4000
    mean = torch.full((n,), 0.1, dtype=torch.float64)
    gradients = mean + spread / size**0.5 * torch.randn(batches, n, dtype=torch.float64)
    whole = gradients.mean(0)
    small = gradients.square().sum(1).tolist()
    stored = {"batch_size": size, "batches": batches, "small": small, "large": float(whole @ whole)}
    assert noise_scale(stored) == pytest.approx(n * spread**2 / float(mean @ mean), rel=0.05)
