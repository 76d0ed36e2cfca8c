"""Factors of environment and implementation apply inside their own steps only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from harness_rnn.contract import PADDING, collate, count
from harness_rnn.datasets.lengths import lengths
from harness_rnn.models.scratch import scratch_rnn
from harness_rnn.models.torch_rnn import gru, lstm
from harness_rnn.optimizations import autocast, compile, deterministic, flush_denormal, pack, pad_to, segment, tf32
from rnn_suite import CUT, SHAPES, TORCH, base

from harness.errors import UserError
from harness.plugins.parts import Skip
from harness.plugins.recipe import Recipe
from harness.testing import assert_promises, verify_level

PAD = {"name": "pad_to", "length": 45}  # probes have up to 40 steps
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler")


def call(recipe: Recipe, seam: str, function):
    """The result of the seam for a function without arguments, called as the harness calls it."""
    given = {"step": (SimpleNamespace(), None, lambda phase: None)}.get(seam, (torch.nn.Linear(1, 1), None))
    return recipe.seam(seam, lambda *_: function())(*given)


def raises():
    raise RuntimeError("in the step")


def subnormal_survives() -> bool:
    return bool((torch.full((64,), 2e-38) * 0.25).count_nonzero())


def subnormal_gradient_survives() -> bool:
    x = torch.full((64,), 2e-38, requires_grad=True)
    (x * 0.25).sum().mul(2e-38).backward()
    return bool(x.grad.count_nonzero())


SETTINGS = [
    (flush_denormal.flush_denormal, subnormal_survives, False),
    (flush_denormal.flush_denormal, subnormal_gradient_survives, False),
    (deterministic.deterministic, torch.are_deterministic_algorithms_enabled, True),
    (tf32.tf32, lambda: torch.backends.cuda.matmul.allow_tf32, True),
    (lambda recipe: tf32.tf32(recipe, allow=False), lambda: torch.backends.cudnn.allow_tf32, False),
]


@pytest.mark.parametrize(("factor", "see", "inside"), SETTINGS)
@pytest.mark.parametrize("seam", ["step", "evaluate"])
def test_setting_applies_only_inside_the_step(factor, see, inside, seam):
    assert see() is not inside
    recipe = factor(Recipe())
    assert see() is not inside
    assert call(recipe, seam, see) is inside
    assert see() is not inside
    with pytest.raises(RuntimeError, match="in the step"):
        call(recipe, seam, raises)
    assert see() is not inside


@pytest.mark.parametrize("factor", [flush_denormal.flush_denormal, deterministic.deterministic])
def test_earlier_setting_is_restored(factor):
    twice = factor(factor(Recipe()))
    see = subnormal_survives if factor is flush_denormal.flush_denormal else torch.are_deterministic_algorithms_enabled
    inside = call(twice, "step", see)
    inner = factor(Recipe())
    seen = []
    outer = factor(Recipe()).seam("step", lambda *_: seen.extend([call(inner, "step", see), see()]))
    outer(None)
    assert seen == [inside, inside]
    assert see() is not inside


def test_a_processor_that_cannot_flush_is_skipped(monkeypatch):
    monkeypatch.setattr(torch, "set_flush_denormal", lambda mode: False)
    with pytest.raises(Skip, match="cannot flush"):
        flush_denormal.flush_denormal(Recipe())


@pytest.mark.parametrize("use", [["flush_denormal"], ["deterministic"], ["flush_denormal", "deterministic", PAD, CUT]])
def test_settings_keep_results(use, catalog):
    assert_promises(base("lstm", num_layers=2, bidirectional=True), {"use": use}, catalog=catalog)


@pytest.mark.parametrize(("model", "shape"), [*zip(TORCH, SHAPES[1:4], strict=True)])
@pytest.mark.parametrize("level", [[PAD], [PAD, "pack"], [PAD, CUT], [CUT, PAD], ["from_scratch", PAD]])
def test_a_fixed_length_keeps_results(model, shape, level, catalog):
    assert_promises(base(model, **shape), {"use": level}, catalog=catalog)


def test_a_fixed_length_may_be_the_baseline(catalog):
    bottom = base("lstm")
    bottom["use"] = [PAD, "adam"]
    assert_promises(bottom, {"drop": ["pad_to"], "use": [CUT]}, catalog=catalog)


def test_padding_is_added_and_counted_without_truncation():
    examples = list(lengths(examples=64, vocabulary=50, longest=60).train[:8])
    own = collate(examples)
    longest = int(own.lengths.max())

    def padded(length: int):
        return pad_to.pad_to(Recipe(), length=length).seam("collate", collate)(examples)

    batch = padded(100)
    assert batch.tokens.shape == (8, 100)
    assert torch.equal(batch.tokens[:, :longest], own.tokens)
    assert batch.tokens[:, longest:].eq(PADDING).all()
    assert torch.equal(batch.lengths, own.lengths)
    assert count(batch) == {"tokens": float(own.lengths.sum()), "slots": 800.0, "time_steps": 100.0}
    assert torch.equal(padded(longest - 1).tokens, own.tokens)

    model = lstm(lengths(vocabulary=50).facts, hidden_size=8)
    for recipe, slots in ((pack.pack(Recipe()), own.lengths.sum()), (segment.segment(Recipe()), 8 * longest)):
        assert recipe.seam("count", lambda model, batch: count(batch))(model, batch)["slots"] == slots


def test_a_length_below_one_is_refused():
    with pytest.raises(ValueError, match="length = 0: it must be at least 1"):
        pad_to.pad_to(Recipe(), length=0)


@pytest.fixture
def bfloat16(monkeypatch):
    """Allows emulated bfloat16 on processors without it, which works for all models but nn.LSTM."""
    monkeypatch.setattr(autocast, "cpu_has_bfloat16", lambda: True)


@pytest.mark.parametrize("use", [[], ["pack"], [PAD, CUT], ["from_scratch"], ["flush_denormal", "bucket"]])
@pytest.mark.parametrize("model", TORCH)
def test_autocast_combines_with_other_factors(model, use, catalog, bfloat16):
    if model == "lstm" and "from_scratch" not in use and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("torch's LSTM cannot emulate bfloat16")
    finding = verify_level(base(model), {"use": ["autocast", *use]}, catalog=catalog)
    assert (finding["outcome"], finding["changes"]) == ("ok", "model"), finding


def test_autocast_in_both_is_the_same_computation(catalog, bfloat16):
    """The reference is in float64, which autocast does not change; the error of bfloat16 counts as the baseline's
    rounding. On shorter sequences, Adam's first step would turn it into differences of more than 1 %."""
    both = base("gru")
    both["dataset"]["mean"] = 40
    both["use"] = ["adam", "autocast"]
    finding = verify_level(both, {"use": [CUT]}, catalog=catalog)
    assert (finding["outcome"], finding["changes"]) == ("ok", "rounding"), finding
    assert finding["data"]["allowed"] > 1e-3


def test_autocast_computes_in_bfloat16_and_keeps_weights_and_loss(bfloat16):
    data = lengths(examples=64, vocabulary=50)
    model, batch = gru(data.facts, hidden_size=8), collate(data.train[:8])
    recipe = autocast.autocast(Recipe())
    loss = recipe.seam("forward", lambda model, batch: model.loss(batch))(model, batch)
    assert loss.dtype == torch.float32
    loss.backward()
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}
    with torch.inference_mode():
        predicted = recipe.seam("evaluate", lambda model, batch: model.predict(batch))(model, batch)
        exact = model.predict(batch)
    assert predicted.dtype == torch.bfloat16
    assert 1e-5 < (predicted - exact).abs().max() / exact.abs().max() < 0.05
    assert not torch.is_autocast_enabled("cpu")


def test_autocast_refuses_unsupported_settings(monkeypatch):
    with pytest.raises(ValueError, match="float16 needs a scaled loss"):
        autocast.autocast(Recipe(), dtype="float16")
    monkeypatch.setattr(autocast, "cpu_has_bfloat16", lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    with pytest.raises(Skip, match="no bfloat16"):
        autocast.autocast(Recipe())


def test_only_loops_are_compiled(catalog):
    with pytest.raises(UserError, match="compile needs loop, which lstm does not offer"):
        verify_level(base("lstm"), {"use": ["compile"]}, catalog=catalog)


def test_compiling_needs_a_compiler(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(Skip, match="needs a C\\+\\+ compiler"):
        compile.compile(Recipe())


@needs_compiler
def test_a_compiled_step_serves_every_size_and_starts_no_process():
    model = scratch_rnn(lengths().facts, hidden_size=4)
    rnn = model.encoder.rnn

    def gradients(rows: int) -> tuple[torch.Tensor, ...]:
        ours, hidden = torch.ones(2, rows, 4, requires_grad=True).unbind()
        weights = rnn.weight_hh_l0, rnn.bias_hh_l0
        return torch.autograd.grad(rnn.cell(ours, hidden, *weights).sum(), (hidden, *weights))

    children = Path(f"/proc/self/task/{os.getpid()}/children")
    sizes, others = [3, 8, 5], children.read_text()
    eager = [gradients(rows) for rows in sizes]
    compile.compile(Recipe()).seam("init", lambda model: None)(model)
    graphs = torch._dynamo.utils.counters["stats"]
    before, compiled = graphs["unique_graphs"], []
    for rows, expected in zip(sizes, eager, strict=True):
        torch.testing.assert_close(gradients(rows), expected)
        compiled.append(graphs["unique_graphs"] - before)
    assert compiled == [1, 1, 1]
    assert children.read_text() == others
