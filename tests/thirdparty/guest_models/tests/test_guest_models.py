"""Each unit agrees with its equations, which are written out element by element in float64."""

import math

import pytest
import torch
from guest_models.min_gru import MinGRU
from guest_models.sru import SRULayer

from harness.testing import cases


def sigmoid(x):
    return 1 / (1 + (-x).exp())


def reference_min_gru(x, weight, bias, h):
    """Feng et al. 2024: one row (T, E), one state (H,); weights as the layer has them."""
    size, outputs = len(h), []
    for step in x:
        new = []
        for i in range(size):
            z = sigmoid(weight[i] @ step + bias[i])
            c = weight[size + i] @ step + bias[size + i]
            new.append((1 - z) * h[i] + z * (c + 0.5 if c >= 0 else sigmoid(c)))
        h = torch.stack(new)
        outputs.append(h)
    return torch.stack(outputs)


def reference_sru(x, weight, v_f, v_r, b_f, b_r, c):
    """Lei et al. 2018, equations 1 to 4."""
    size, outputs = len(c), []
    for step in x:
        product = weight @ step
        skip = product[3 * size :] if len(product) > 3 * size else step
        f, r = sigmoid(product[size : 2 * size] + v_f * c + b_f), sigmoid(product[2 * size : 3 * size] + v_r * c + b_r)
        c = f * c + (1 - f) * product[:size]
        outputs.append(r * c + (1 - r) * skip)
    return torch.stack(outputs)


def gradients(value, parameters):
    return torch.autograd.grad((value * torch.linspace(-1, 1, value.numel()).view_as(value)).sum(), parameters)


def same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("scan", ["parallel", "sequential"])
@pytest.mark.parametrize("begun", [False, True])
def test_min_gru_agrees_with_its_equations(scan, begun):
    cell, x = MinGRU(3, 4, 1, scan, True), torch.randn(2, 30, 3)
    carry = torch.rand(1, 2, 4) + 0.1 if begun else None
    layer = cell.layers[0]
    outputs, final, end = cell(x, torch.tensor([30, 7]), carry)
    before = torch.zeros(2, 4) if carry is None else carry[0]
    expected = torch.stack(
        [reference_min_gru(row, layer.weight, layer.bias, h) for row, h in zip(x, before, strict=True)]
    )
    parameters = [layer.weight, layer.bias]
    same([outputs, final, end[0]], [expected, torch.stack([expected[0, 29], expected[1, 6]]), expected[:, -1]])
    same(gradients(outputs, parameters), gradients(expected, parameters))


def test_min_gru_layers_are_stacked():
    cell, x, lengths = MinGRU(3, 4, 2, "parallel", True), torch.randn(2, 9, 3), torch.tensor([9, 9])
    one, two = cell.layers
    zero = torch.zeros(4)
    expected = torch.stack(
        [reference_min_gru(reference_min_gru(row, one.weight, one.bias, zero), two.weight, two.bias, zero) for row in x]
    )
    same([cell(x, lengths)[0]], [expected])
    first, _, carry = cell(x[:, :4], torch.tensor([4, 4]))
    second, _, _ = cell(x[:, 4:], torch.tensor([5, 5]), carry)
    same([torch.cat([first, second], 1)], [expected])


@pytest.mark.parametrize("size", [4, 3])
def test_sru_agrees_with_its_equations(size):
    layer, x, c = SRULayer(size, 4), torch.randn(2, 30, size), torch.randn(2, 4)
    with torch.no_grad():
        for bias in (layer.b_f, layer.b_r):
            bias.uniform_(-1, 1)
    weights = [layer.products.weight, layer.v_f, layer.v_r, layer.b_f, layer.b_r]
    outputs, _ = layer(x, c)
    expected = torch.stack([reference_sru(row, *weights, state) for row, state in zip(x, c, strict=True)])
    same([outputs], [expected])
    same(gradients(outputs, weights), gradients(expected, weights))


def test_scan_in_float32_loses_precision_on_long_sequences():
    """This is why `double` is the default: verification rejects the scan in float32."""
    x, errors = torch.randn(4, 300, 3), {}
    for double in (True, False):
        cell = MinGRU(3, 8, 1, "parallel", double)
        exact = cell(x, torch.tensor([300] * 4))[0].detach()
        seen = cell.float()(x.float(), torch.tensor([300] * 4))[0].detach()
        errors[double] = float((seen - exact).abs().max() / exact.abs().max())
    assert errors[True] < 1e-6 < errors[False]
    assert math.isfinite(errors[False])


@pytest.mark.parametrize("case", cases("guest-models"), ids=str)
def test_keeps_its_promises(case):
    torch.set_default_dtype(torch.float32)
    case.check()
