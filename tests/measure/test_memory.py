"""Memory from torch's allocator, compared with numbers computed by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tasks import task

from harness.measure.kinds.memory import MARK, measure_memory, peaks_of_events, peaks_on_cpu, saved_for_backward

FLOAT = 4


class Known:
    """A step that allocates tensors of known sizes."""

    def __init__(self) -> None:
        self.carry = None

    def step(self, batch, mark):
        batch = torch.empty(1000)
        mark("collate")
        passing = torch.empty(2000)
        del passing
        kept = torch.empty(500)
        mark("forward")
        del batch, kept
        gradient = torch.empty(250)
        mark("backward")
        mark("update")
        del gradient


def test_the_peak_of_a_phase_includes_memory_allocated_before():
    expected = {"collate": 1000, "forward": 3000, "backward": 1500, "update": 250, "step": 3000}
    assert peaks_on_cpu(Known(), 0) == {phase: FLOAT * numbers for phase, numbers in expected.items()}


def test_freeing_memory_of_an_earlier_step_is_counted():
    class Carries(Known):
        def step(self, batch, mark):
            self.carry = None
            self.carry = torch.empty(1000)
            mark("forward")

    member = Carries()
    assert peaks_on_cpu(member, 0)["step"] == FLOAT * 1000
    assert peaks_on_cpu(member, 0)["step"] == 0


@pytest.mark.parametrize(
    ("events", "peaks"),
    [
        ([], {"step": 0}),
        ([5, -5], {"step": 5}),  # a step without marks
        ([5, "a", -3, 1, "b"], {"a": 5, "b": 5, "step": 5}),
        ([-3, 1, "a"], {"a": 0, "step": 0}),  # never below what was allocated before
        ([2, "a", 4, "b", -6, 1, "a"], {"a": 6, "b": 6, "step": 6}),  # a phase that occurs twice
        ([2, "a", 7], {"a": 9, "step": 9}),  # memory after the last mark belongs to its phase
    ],
)
def test_peaks_of_events(events, peaks):
    named = [("[memory]", e) if isinstance(e, int) else (f"{MARK}{e}", 0) for e in events]
    assert peaks_of_events([("aten::empty", 0), *named]) == peaks


def built(step, *, rows: int = 8) -> SimpleNamespace:
    """A built trial with one weight (8,), whose batch is rows x 8 numbers."""
    model = torch.nn.Module()
    model.weight = torch.nn.Parameter(torch.ones(8))
    return SimpleNamespace(model=model, batch=lambda examples: (torch.ones(rows, 8),), step=step)


def test_saved_tensors_count_each_storage_once_without_weights_and_batch():
    def step(built, batch, mark):
        product = batch[0] * built.model.weight  # saves the batch and the weight
        exponential = product.exp()  # saves its result
        (exponential * exponential).sum().backward()  # saves the same storage twice more

    assert saved_for_backward(built(step), []) == 64 * FLOAT


def test_saved_tensors_are_the_peak_at_one_time():
    def truncated(built, batch, mark):
        for _ in range(3):
            (batch[0] * built.model.weight).exp().sum().backward()

    assert saved_for_backward(built(truncated), []) == 64 * FLOAT


def test_the_memory_of_a_trial_is_exact(planned, catalog):
    (block,) = planned("wide: {model: {name: mlp, hidden_size: 16}}").blocks
    wide = task(block, "wide", catalog)
    data = measure_memory(wide)
    assert data["parameters"] == 8 * 16 + 16 + 16 + 1
    assert data["parameter_bytes"] == FLOAT * data["parameters"]
    assert data["optimizer_bytes"] == 0  # gradient descent without state
    assert list(data["peak"]) == ["collate", "forward", "backward", "update", "step"]
    assert data["peak"]["step"] == [max(peaks) for peaks in zip(*list(data["peak"].values())[:4], strict=True)]
    # 8 rows: ids (int64), x and y
    assert min(data["peak"]["collate"]) >= 8 * (8 + 8 * FLOAT + FLOAT)
    assert len(data["kept"]) == 8
    assert data["counts"] == {"points": [8.0] * 8}
    assert measure_memory(wide) == data


def test_inference_saves_nothing(planned, catalog):
    (block,) = planned("backwards: {use: [reverse]}").blocks
    data = measure_memory(task(block, "plain", catalog, "inference"))
    assert list(data["peak"]) == ["collate", "forward", "step"]
    assert data["kept"] == []
    assert "optimizer_bytes" not in data
