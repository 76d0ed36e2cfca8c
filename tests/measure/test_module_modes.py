"""Evaluation mode is entered and left as training loops do."""

from __future__ import annotations

import pytest
from torch import nn

from harness.measure.runtime.module_modes import evaluation_mode


class Merging(nn.Module):
    """Merges its weights in evaluation mode, as low-rank adapters do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.frozen, self.merged = nn.Dropout(), nn.Dropout().eval(), False

    def train(self, mode: bool = True) -> Merging:
        self.merged = not mode
        return super().train(mode)


@pytest.mark.parametrize("fails", [False, True])
def test_each_module_has_its_own_mode_again(fails):
    model = Merging()
    try:
        with evaluation_mode(model):
            assert (model.merged, model.training, model.inner.training) == (True, False, False)
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert (model.merged, model.training, model.inner.training, model.frozen.training) == (False, True, True, False)
