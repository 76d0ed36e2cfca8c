"""The health that a model reports, against explicit loops in float64."""

from __future__ import annotations

import math

import pytest
import torch
from harness_rnn.contract import NO_LABEL, SequenceExample, SequenceFacts, collate
from harness_rnn.models import scratch, torch_rnn
from harness_rnn.models.gates import layers
from harness_rnn.models.transformer import transformer
from harness_rnn.optimizations.dropout import dropout
from harness_rnn.optimizations.pack import pack
from torch import nn

from harness.measure.runtime.builder import patch
from harness.plugins.recipe import Recipe

H = 4
CLASSES = SequenceFacts(20, 3)
SIZES = [6, 1, 11, 3, 6]
BUILDS = {name: (getattr(torch_rnn, name), getattr(scratch, f"scratch_{name}")) for name in ("rnn", "lstm", "gru")}
pytestmark = pytest.mark.usefixtures("double")


def batch_of(facts=CLASSES):
    def label(n):
        return {"class": n % 3, "value": n / 7}.get(facts.task, torch.randint(3, (n,)))

    tokens = [torch.randn(n, 2) if facts.features else torch.randint(2, 20, (n,)) for n in SIZES]
    return collate([SequenceExample(i, t, label(len(t))) for i, t in enumerate(tokens)])


def build(model, facts=CLASSES, **more):
    return model(facts, hidden_size=H, embedding_size=3, **more)


def gates_by_hand(rnn, x, layer, suffix):
    """The gates of each step and the state for one row x (T, E), by the equations of the cells."""
    w, u, b, c = (getattr(rnn, f"{kind}_l{layer}{suffix}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h, cell, gates, states = torch.zeros(H), torch.zeros(H), [], []
    for step in x:
        ours, theirs = w @ step + b, u @ h + c
        if rnn.mode == "LSTM":
            i, f, g, o = (ours + theirs).split(H)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            h = o.sigmoid() * cell.tanh()
            gates.append([i.sigmoid(), f.sigmoid(), o.sigmoid()])
        elif rnn.mode == "GRU":
            r, z = (ours + theirs)[: 2 * H].sigmoid().split(H)
            h = (1 - z) * (ours[2 * H :] + r * theirs[2 * H :]).tanh() + z * h
            gates.append([r, z])
        else:
            h = (ours + theirs).tanh() if rnn.mode == "RNN_TANH" else (ours + theirs).relu()
        states.append(h)
    return gates, torch.stack(states)


@pytest.mark.parametrize(("name", "more"), [("rnn", {}), ("rnn", {"nonlinearity": "relu"}), ("lstm", {}), ("gru", {})])
@pytest.mark.parametrize("which", [0, 1])
def test_gate_statistics_use_valid_steps_only(name, more, which):
    model = build(BUILDS[name][which], num_layers=2, bidirectional=True, **more)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.mul_(4)  # so that something is saturated
    batch, rnn = batch_of(), model.encoder.rnn
    gates, states = [], []  # for every row and step, per layer and direction
    x = [row[:length] for row, length in zip(model.embed(batch.tokens), batch.lengths.tolist(), strict=True)]
    for layer in (0, 1):
        rows = [gates_by_hand(rnn, row, layer, "") for row in x]
        turned = [gates_by_hand(rnn, row.flip(0), layer, "_reverse") for row in x]
        for side in (rows, turned):
            gates.append([step for steps, _ in side for step in steps])
            states.append(torch.cat([h for _, h in side]))
        x = [torch.cat([h, back.flip(0)], 1) for (_, h), (_, back) in zip(rows, turned, strict=True)]
    for (_, ours), theirs in zip(layers(rnn, model.embed(batch.tokens), batch.lengths), states, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    found = model.health(batch)
    if name == "rnn":
        together = torch.stack(states)
        if more:
            expected = {"dead_units": (together == 0).all(1).double().mean()}
            assert 0 < expected["dead_units"] < 1
        else:
            expected = {"state_saturated": (together.abs() > 0.95).double().mean()}
            assert 0.05 < expected["state_saturated"] < 0.95
    else:
        names = ["input_gate", "forget_gate", "output_gate"] if name == "lstm" else ["reset_gate", "update_gate"]
        values = torch.stack([torch.stack([torch.stack(step) for step in steps]) for steps in gates])
        saturated = ((values < 0.05) | (values > 0.95)).double().mean((0, 1, 3))
        assert 0.05 < saturated.min() < 0.95
        expected = {f"{gate}_saturated": value for gate, value in zip(names, saturated, strict=True)}
        kept = values[:, :, 1].mean(1).flatten()
        which = "forget" if name == "lstm" else "update"
        expected[f"{which}_gate_mean"] = kept.mean()
        expected[f"{which}_half_life"] = (math.log(0.5) / kept.log()).quantile(0.5)
    assert found.keys() - {"lags", "gradient_by_lag"} == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(float(value.detach()), abs=1e-12), key


def test_constant_gate_has_a_known_half_life():
    model = build(torch_rnn.lstm)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.zero_()
    assert model.health(batch_of())["forget_half_life"] == pytest.approx(1.0)
    with torch.no_grad():
        model.encoder.rnn.bias_ih_l0[H : 2 * H] = -math.log(2**0.1 - 1)  # f = 2^-0.1
        assert model.health(batch_of())["forget_half_life"] == pytest.approx(10.0)
        model.encoder.rnn.bias_ih_l0[H : 2 * H] = 1e4
        assert math.isfinite(model.health(batch_of())["forget_half_life"])


FACTS = [
    CLASSES,
    SequenceFacts(0, 1, features=2, task="value"),
    SequenceFacts(20, 3, task="steps"),
]


@pytest.mark.parametrize("facts", FACTS, ids=lambda facts: facts.task)
@pytest.mark.parametrize("kind", ["lstm", "both", "packed", "transformer"])
def test_gradients_by_lag_are_computed_per_row(facts, kind):
    if kind == "transformer":
        model = transformer(facts, hidden_size=8, heads=2)
    else:
        model = build(torch_rnn.lstm, facts, bidirectional=kind == "both", num_layers=2, dropout=0.5)
    if kind == "packed":
        patch(model, "core", pack(Recipe()), None)
    batch = batch_of(facts)
    if facts.task == "steps":
        batch.labels[2, 5:] = NO_LABEL  # the last label is before the end of the row
        batch.labels[4] = NO_LABEL
    rows, norms = len(SIZES) - (facts.task == "steps"), {}
    found = model.health(batch)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    for row, length in enumerate(SIZES):
        x = model.embed(batch.tokens[row : row + 1, :length]).detach().requires_grad_()
        outputs, final, _ = model.core(x, torch.tensor([length]))
        predicted, labels, end = (
            model.predict_from(outputs, final, torch.tensor([length])),
            batch.labels[row : row + 1],
            length,
        )
        if facts.task == "steps":
            labelled = (labels[0] != NO_LABEL).nonzero()
            if not len(labelled):
                continue
            end = int(labelled[-1]) + 1
            predicted, labels = predicted[:, end - 1], labels[:, end - 1]
        (gradient,) = torch.autograd.grad(model.criterion(predicted, labels) / rows, x)
        for lag in (0, 1, 2, 4, 8):
            if lag < end:
                norms.setdefault(float(lag), []).append(float(gradient[0, end - 1 - lag].norm()))
    assert found["lags"] == sorted(norms)
    expected = [sum(norms[lag]) / len(norms[lag]) for lag in found["lags"]]
    assert found["gradient_by_lag"] == pytest.approx(expected, rel=1e-9)
    assert min(expected) > 0
    assert any("gate" in key for key in found) is not (kind == "transformer")


@pytest.mark.parametrize("kind", [torch_rnn.gru, transformer])
@pytest.mark.parametrize("training", [True, False])
def test_health_probe_changes_nothing(kind, training):
    """It changes no weights, gradients, random numbers, modes or dropout, and its result is deterministic."""
    more = {"heads": 2, "dropout": 0.5} if kind is transformer else {"num_layers": 2, "dropout": 0.5}
    recipe = dropout(Recipe(), features=0.5, embedding=0.5)
    model = recipe.seam("build", lambda: kind(CLASSES, hidden_size=8, **more))()
    for method in recipe.of_model():
        patch(model, method, recipe, None)
    model.train(training)
    batch = batch_of()
    model.loss(batch).backward()
    before = {name: (p.detach().clone(), p.grad.clone()) for name, p in model.named_parameters()}
    modes = [
        (module.training, getattr(module, "p", None), getattr(module, "dropout", None)) for module in model.modules()
    ]
    random = torch.get_rng_state()
    with torch.no_grad():
        assert model.health(batch) == model.health(batch)
    assert torch.equal(torch.get_rng_state(), random)
    assert modes == [(m.training, getattr(m, "p", None), getattr(m, "dropout", None)) for m in model.modules()]
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name][0])
        assert torch.equal(parameter.grad, before[name][1])
