"""Operations, subnormal numbers, page faults and cold starts."""

from __future__ import annotations

import time

import pytest
import torch
from tasks import task
from torch.utils.flop_counter import FlopCounterMode

from harness.measure.kinds.cost import OperatorObserver, formulas, measure_cold, measure_cost, multiplies, operations

aten = torch.ops.aten


@pytest.fixture
def member(planned, catalog):
    (block,) = planned("backwards: {use: [reverse]}").blocks
    return task(block, "plain", catalog).member()


def test_operations_by_phase(member):
    """8 points of 8 features to one number: 2 x 8 x 8 forward, the same for the weight's gradient."""
    observer = OperatorObserver()
    assert operations(member, 0, observer) == {"collate": 0, "forward": 128, "backward": 128, "update": 0}
    assert not observer.uncounted


def test_a_step_without_marks_is_one_phase(member):
    member.built.step = lambda built, batch, mark: built.forward(built.model, batch)
    assert operations(member, 0, OperatorObserver()) == {"collate": 128}


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda: torch.mv(torch.ones(3, 5), torch.ones(5)), 30),
        (lambda: torch.addmv(torch.ones(3), torch.ones(3, 5), torch.ones(5)), 30),
        (lambda: torch.dot(torch.ones(5), torch.ones(5)), 10),
        (lambda: torch.nn.functional.linear(torch.ones(2, 4, 5), torch.ones(3, 5)), 240),
    ],
)
def test_matrix_vector_products_are_counted(run, expected):
    with FlopCounterMode(display=False, custom_mapping=formulas()) as counter:
        run()
    assert counter.get_total_flops() == expected


def test_recurrent_layers_on_a_gpu_by_their_shapes():
    """Not executed: one layer of 16 to 32, 5 steps of 4 rows, and the same packed to 20 rows."""
    weights = [(128, 16), (128, 32), (128,), (128,)]
    forward, backward = formulas()[aten._cudnn_rnn], formulas()[aten._cudnn_rnn_backward]
    assert forward((5, 4, 16), weights, 4) == 2 * 20 * 128 * (16 + 32) == forward((20, 16), weights, 4)
    assert backward((5, 4, 16), weights, 4) == 2 * forward((5, 4, 16), weights, 4)


def test_fused_attention_is_counted_like_its_products():
    q, k, v = (torch.ones(2, 4, rows, 8, requires_grad=True) for rows in (6, 10, 10))
    totals = []
    for backend in (torch.nn.attention.SDPBackend.FLASH_ATTENTION, torch.nn.attention.SDPBackend.MATH):
        with (
            torch.nn.attention.sdpa_kernel(backend),
            FlopCounterMode(display=False, custom_mapping=formulas()) as counter,
        ):
            out = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        totals.append(counter.get_total_flops())
    assert totals == [2 * 2 * 4 * 6 * 10 * (8 + 8)] * 2
    with FlopCounterMode(display=False, custom_mapping=formulas()) as counter:
        out.sum().backward()
    products = counter.get_total_flops()  # four: the scores are still counted
    q, k, v = (2, 4, 6, 8), (2, 4, 10, 8), (2, 4, 10, 8)
    backward = formulas()[aten._scaled_dot_product_flash_attention_for_cpu_backward]
    assert backward(q, q, k, v) == products * 5 // 4


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (aten.mkldnn_rnn_layer.default, True),
        (aten._thnn_fused_lstm_cell.default, False),
        (aten.mul.Tensor, False),
        (aten.upsample_linear1d.default, False),
        (aten.linalg_vector_norm.default, False),
    ],
)
def test_operators_that_need_a_formula(operator, expected):
    assert multiplies(operator) is expected


def test_an_operator_without_a_formula_is_named(member):
    with torch.library._scoped_library("harness_test", "DEF") as library:
        library.define("strange(Tensor x) -> Tensor")
        library.impl("strange", lambda x: x * 2, "CompositeExplicitAutograd")
        forward, observer = member.built.forward, OperatorObserver()
        member.built.forward = lambda model, batch: forward(model, batch._replace(x=strange(batch.x)))
        strange = torch.ops.harness_test.strange
        operations(member, 0, observer)
    assert observer.uncounted == {"harness_test.strange"}


def test_subnormal_numbers_in_the_backward_pass(member):
    observer = OperatorObserver()
    operations(member, 0, observer)
    assert observer.written > 8
    assert observer.subnormal == 0
    observer, inner = OperatorObserver(), member.built.backward
    member.built.backward = lambda model, loss: inner(model, loss * 1e-40)
    operations(member, 0, observer)
    assert observer.subnormal > 8
    assert member.built.backward.__name__ == "<lambda>", "what watched the backward pass is taken away"


def test_the_cost_of_a_trial(planned, catalog):
    (block,) = planned("wide: {model: mlp}").blocks
    data = measure_cost(task(block, "wide", catalog))
    assert data["flops"]["forward"] == [2 * 8 * (8 * 32 + 32)] * 8
    assert len(data["faults"]) == 8
    assert data["counts"] == {"points": [8.0] * 8}
    assert (data["uncounted"], data["subnormal"]) == ([], 0)
    assert min(data["product"]["nanoseconds"]) > 0
    inference = measure_cost(task(block, "wide", catalog, "inference"))
    assert inference["flops"] == {"collate": [0] * 8, "forward": data["flops"]["forward"]}
    assert inference["written"] == 0


def test_a_cold_start_counts_from_the_fork(planned, catalog):
    (block,) = planned().blocks
    begun = time.perf_counter()
    data = measure_cold(task(block, "plain", catalog, forked=begun))
    times = [0.0, data["built"], *data["ends"], time.perf_counter() - begun]
    assert len(data["ends"]) == 16
    assert times == sorted(times)
