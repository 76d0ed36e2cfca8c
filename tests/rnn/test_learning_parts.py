"""Dropout, schedules and truncated backpropagation, against their documentation."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from harness_rnn.contract import NO_LABEL, SequenceExample, SequenceFacts, collate
from harness_rnn.models.scratch import scratch_gru, scratch_lstm
from harness_rnn.models.torch_rnn import gru, lstm, rnn
from harness_rnn.optimizations import autocast
from harness_rnn.optimizations.dropout import dropout
from harness_rnn.optimizations.optimizers import adam, sgd
from harness_rnn.optimizations.pack import pack
from harness_rnn.optimizations.pool import pool
from harness_rnn.optimizations.schedule import schedule
from harness_rnn.optimizations.segment import segment
from harness_rnn.optimizations.tbptt import tbptt
from rnn_suite import base

from harness.errors import UserError
from harness.measure.runtime.builder import patch, step, update
from harness.plugins.recipe import Recipe
from harness.testing import verify_level

SIZES = [11, 4, 7, 1, 8]
TASKS = [
    SequenceFacts(20, 3),
    SequenceFacts(0, 1, features=2, task="value"),
    SequenceFacts(20, 3, task="steps"),
]


def batch_of(facts, dtype=torch.float64, sizes=SIZES):
    def label(n):
        return {"class": n % 3, "value": n / 7}.get(facts.task, torch.arange(n) % 3)

    tokens = [torch.randn(n, 2) if facts.features else torch.randint(2, 20, (n,)) for n in sizes]
    batch = collate([SequenceExample(i, t, label(len(t))) for i, t in enumerate(tokens)])
    return batch._replace(
        tokens=batch.tokens.to(dtype) if facts.features else batch.tokens,
        labels=batch.labels.to(dtype) if facts.task == "value" else batch.labels,
    )


def live_of(recipe, build, facts, dtype=torch.float64, **more):
    """Builds a trial as the harness does, with all random numbers from one seed."""
    torch.manual_seed(0)
    model = recipe.seam("build", lambda: build(facts, hidden_size=6, **more))().to(dtype)
    recipe.seam("init", lambda model: None)(model)
    for method in recipe.of_model():
        patch(model, method, recipe, None)
    return SimpleNamespace(
        model=model,
        optimizer=recipe.seam("optimizer", lambda model: None)(model),
        forward=recipe.seam("forward", lambda model, batch: model.loss(batch)),
        backward=recipe.seam("backward", lambda model, loss: loss.backward()),
        update=recipe.seam("update", update),
        step=recipe.seam("step", step),
        state=recipe.seam("state", lambda built: [built.model, built.optimizer]),
    )


def after_a_step(recipe, build, facts, batch):
    """The loss, the weights, and the phases that were marked."""
    built, phases = live_of(sgd(recipe, lr=0.5), build, facts), []
    loss = built.step(built, batch, phases.append)
    assert not loss.requires_grad
    return loss, list(built.model.parameters()), phases


@pytest.mark.parametrize("facts", TASKS, ids=lambda facts: facts.task)
@pytest.mark.parametrize("build", [lstm, gru, rnn, scratch_lstm, scratch_gru])
def test_one_window_over_everything_is_the_default_step(facts, build):
    batch = batch_of(facts)
    loss, weights, phases = after_a_step(Recipe(), build, facts, batch)
    for window in (11, 64):
        ours, ours_weights, ours_phases = after_a_step(tbptt(Recipe(), window=window), build, facts, batch)
        torch.testing.assert_close(ours, loss, rtol=1e-12, atol=0)
        assert ours_phases == phases == ["forward", "backward", "update"]
        for mine, theirs in zip(ours_weights, weights, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("build", "packed"), [(lstm, False), (lstm, True), (scratch_gru, False)])
def test_windows_agree_with_a_loop_with_detach(build, packed):
    """Each window with labels makes an update. The others only carry the state."""
    facts = TASKS[2]
    batch = batch_of(facts)
    batch.labels[:, 3:6] = NO_LABEL
    recipe = tbptt(pack(Recipe()) if packed else Recipe(), window=3)
    loss, weights, phases = after_a_step(recipe, build, facts, batch)
    built = live_of(sgd(Recipe(), lr=0.5), build, facts)
    model, state, losses = built.model, None, []
    for start in (0, 3, 6, 9):
        outputs, state = model.encoder.rnn(model.embed(batch.tokens[:, start : start + 3]), state)
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        labelled = batch.labels[:, start : start + 3] != NO_LABEL
        if labelled.any():
            mine = torch.nn.functional.cross_entropy(
                model.head(outputs)[labelled], batch.labels[:, start : start + 3][labelled]
            )
            mine.backward()
            built.update(model, built.optimizer)
            losses.append((float(mine.detach()), int(labelled.sum())))
    assert phases == ["forward", "backward", "update", "forward"] + ["forward", "backward", "update"] * 2
    assert float(loss) == pytest.approx(sum(a * n for a, n in losses) / sum(n for _, n in losses), rel=1e-6)
    for ours, theirs in zip(weights, model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("facts", TASKS[:2], ids=lambda facts: facts.task)
@pytest.mark.parametrize("how", ["last", "mean"])
@pytest.mark.parametrize("build", [lstm, scratch_gru])
def test_sequence_gradient_is_truncated_at_the_last_window(facts, how, build):
    """One update from the mean over all rows. The gradient of each row is truncated at the window in which the row
    ends."""
    batch = batch_of(facts)
    loss, weights, phases = after_a_step(tbptt(pool(Recipe(), how=how), window=4), build, facts, batch)
    built = live_of(sgd(Recipe(), lr=0.5), build, facts)
    model, predicted = built.model, []
    for row, length in enumerate(SIZES):
        x = model.embed(batch.tokens[row : row + 1, :length])
        begin = (length - 1) // 4 * 4  # of the window in which the row ends
        parts, state = [], None
        if begin:
            with torch.no_grad():
                before, state = model.encoder.rnn(x[:, :begin])
            parts.append(before[0])
        parts.append(model.encoder.rnn(x[:, begin:], state)[0][0])
        predicted.append(model.head(parts[-1][-1] if how == "last" else torch.cat(parts).mean(0)))
    expected = model.criterion(torch.stack(predicted), batch.labels)
    expected.backward()
    built.update(model, built.optimizer)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    assert phases.count("update") == 1
    for ours, theirs in zip(weights, model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_windows_use_the_wrapped_forward(monkeypatch):
    """Optimizations that wrap `forward` apply to each window; here autocast."""
    monkeypatch.setattr(autocast, "cpu_has_bfloat16", lambda: True)
    seen = []

    def core(model, x, lengths, carry=None):
        seen.append((tuple(x.shape), torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()))
        return model.encoder(x, lengths, carry)

    facts = TASKS[0]
    built = live_of(
        adam(tbptt(autocast.autocast(Recipe().replace("model.core", core)), window=4)), gru, facts, torch.float32
    )
    built.step(built, batch_of(facts, torch.float32, [9, 10]), lambda phase: None)
    assert seen == [((2, 4, 64), True, False), ((2, 4, 64), True, False), ((2, 2, 64), True, True)]


def test_truncation_requires_one_direction_and_a_carried_state(catalog):
    with pytest.raises(UserError, match="tbptt needs carry, which transformer does not offer"):
        verify_level({**base("lstm"), "model": "transformer"}, {"use": ["tbptt"]}, catalog=catalog)
    finding = verify_level(base("lstm", bidirectional=True), {"use": ["tbptt"]}, catalog=catalog)
    assert finding["outcome"] == "failed"
    assert "a backward direction starts at the end" in finding["reason"]
    finding = verify_level(base("scratch_rnn"), {"use": [{"name": "tbptt", "window": 5}]}, catalog=catalog)
    assert (finding["outcome"], finding["changes"]) == ("ok", "model"), finding
    built = live_of(sgd(tbptt(segment(Recipe(), overhead=0), window=4)), lstm, TASKS[0], torch.float32)
    with pytest.raises(ValueError, match="this one \\(of segment\\?\\) returns none"):
        built.step(built, batch_of(TASKS[0], torch.float32, [9, 6, 2]), lambda phase: None)
    with pytest.raises(ValueError, match="window = 0: it must be at least 1"):
        tbptt(Recipe(), window=0)


EXPECTED = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1 - 0.9 * done,
    "cosine": lambda done: 0.1 + 0.45 * (1 + math.cos(math.pi * done)),
    "step": lambda done: 1.0 if done < 1 / 3 else 0.1**0.5 if done < 2 / 3 else 0.1,
}


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.parametrize("warm_up", [0, 4])
def test_schedules_give_the_rate_of_each_update(kind, warm_up):
    recipe = schedule(adam(Recipe(), lr=0.02), kind=kind, warm_up=warm_up, total=16, final=0.1)
    built, rates = live_of(recipe, gru, TASKS[0], torch.float32), []
    for _ in range(20):
        rates.append(built.optimizer.param_groups[0]["lr"])
        built.update(built.model, built.optimizer)
    for number, rate in enumerate(rates):
        if number < warm_up:
            expected = (number + 1) / warm_up
        else:
            expected = EXPECTED[kind](min(1.0, (number - warm_up) / (16 - warm_up)))
        assert rate == pytest.approx(0.02 * expected, rel=1e-9), number


def test_a_schedule_lasts_as_long_as_a_run():
    def rates(recipe, *, steps, **parameters):
        built = live_of(schedule(adam(recipe, lr=1.0), **parameters), gru, TASKS[0], torch.float32)
        found = []
        for _ in range(steps):
            found.append(built.optimizer.param_groups[0]["lr"])
            built.update(built.model, built.optimizer)
        return found

    of_run, given = rates(Recipe(steps=20), steps=20), rates(Recipe(), steps=20, total=20)
    assert of_run == given
    assert of_run[-1] < 0.05
    assert rates(Recipe(steps=20), steps=3, total=10) == rates(Recipe(), steps=3, total=10)
    assert rates(Recipe(), steps=3) == rates(Recipe(), steps=3, total=1000), "as long as the length is not known"
    with pytest.raises(ValueError, match="warm_up = 20: it must be at least 0 and below total = 20"):
        schedule(Recipe(steps=20), warm_up=20)


@pytest.mark.parametrize(
    ("parameters", "remark"),
    [
        ({}, ""),
        ({"total": 100}, ""),
        ({"total": 110}, ""),
        ({"total": 51}, ""),
        ({"total": 1000}, "the schedule ends at update 1000, and a run has 100 steps, at whose end the learning rate is "
         "multiplied by 0.98"),
        ({"total": 111}, "ends at update 111"),
        ({"total": 49}, "ends at update 49"),
        ({"kind": "constant", "total": 1000}, ""),
        ({"kind": "constant", "warm_up": 20, "total": 1000}, ""),
        ({"kind": "constant", "warm_up": 200, "total": 1000}, "ends at update 200, and a run has 100 steps, at whose "
         "end the learning rate is multiplied by 0.5"),
    ],
)  # fmt: skip
def test_a_schedule_that_does_not_fit_a_run_is_remarked(parameters, remark):
    assert schedule(Recipe(), **parameters).remarks == ()
    remarks = schedule(Recipe(steps=100).as_used_by("schedule"), **parameters).remarks
    assert len(remarks) == bool(remark)
    assert all(text.startswith("schedule: ") and remark in text for text in remarks)


def test_a_part_that_makes_several_updates_in_a_step_may_have_a_longer_schedule():
    windows = tbptt(Recipe(steps=100), window=5)
    assert schedule(windows, total=500).remarks == ()
    assert len(schedule(windows, total=20).remarks) == 1


def test_a_schedule_is_saved_and_loaded_with_its_optimizer():
    """From a saved state the same steps lead to the same weights."""
    from harness.measure.runtime.member import clone

    recipe = schedule(adam(Recipe()), kind="linear", warm_up=2, total=6)
    built, batch = live_of(recipe, gru, TASKS[0], torch.float32), batch_of(TASKS[0], torch.float32)
    assert len(built.state(built)) == 3

    def steps():
        for _ in range(3):
            built.step(built, batch, lambda phase: None)
        return built.optimizer.param_groups[0]["lr"], [p.detach().clone() for p in built.model.parameters()]

    built.step(built, batch, lambda phase: None)
    saved = [clone(thing.state_dict()) for thing in built.state(built)]
    rate, weights = steps()
    for thing, state in zip(built.state(built), saved, strict=True):
        thing.load_state_dict(state)
    again, weights_again = steps()
    assert again == rate
    assert all(torch.equal(one, other) for one, other in zip(weights, weights_again, strict=True))


def test_a_schedule_changes_the_update(catalog):
    finding = verify_level(base("lstm"), {"use": [{"name": "schedule", "warm_up": 1, "total": 3}]}, catalog=catalog)
    assert (finding["outcome"], finding["changes"]) == ("ok", "update"), finding
    with pytest.raises(UserError, match="Put adam before schedule"):
        verify_level({**base("lstm"), "use": ["schedule", "adam"]}, {"use": ["clip"]}, catalog=catalog)
    for wrong in ({"warm_up": 9, "total": 9}, {"final": 1.5}, {"kind": "step", "final": 0.0}):
        with pytest.raises(
            ValueError, match=r"must be at least 0 and below|must be from 0 to 1|needs drops and final above 0"
        ):
            schedule(Recipe(), **wrong)


@pytest.mark.parametrize("facts", TASKS, ids=lambda facts: facts.task)
def test_dropout_acts_in_training_only(facts):
    """Dropped elements are zero and the others are scaled up. Evaluation equals the model without dropout."""
    recipe = dropout(Recipe(), features=0.25, embedding=0.5)
    model, plain = live_of(recipe, gru, facts).model, live_of(Recipe(), gru, facts).model
    batch = batch_of(facts, sizes=[40] * 8)
    assert list(model.state_dict()) == list(plain.state_dict())
    x, ours = plain.embed(batch.tokens), model.embed(batch.tokens)
    assert bool(((ours == 0) | (ours == 2 * x)).all())
    assert float((ours == 0).double().mean()) == pytest.approx(0.5, abs=0.1)
    read = torch.randn(400, 6, dtype=torch.float64)
    model.classifier = plain.classifier = torch.nn.Identity()
    ours = model.head(read)
    assert float((ours == 0).double().mean()) == pytest.approx(0.25, abs=0.05)
    assert bool(((ours == 0) | ((ours - read / 0.75).abs() < 1e-12)).all())
    model.eval()
    assert torch.equal(model.predict(batch), plain.predict(batch))


def test_dropout_changes_the_model_and_validates_its_rate(catalog):
    for use in (["dropout"], ["from_scratch", {"name": "dropout", "embedding": 0.2}, "segment"]):
        finding = verify_level(base("lstm"), {"use": use}, catalog=catalog)
        assert (finding["outcome"], finding["changes"]) == ("ok", "model"), finding
    both = {**base("lstm"), "use": ["adam", "dropout"]}
    finding = verify_level(both, {"use": ["pack"]}, catalog=catalog)
    assert (finding["outcome"], finding["changes"]) == ("ok", "rounding"), finding
    for wrong in ({"features": 1.0}, {"embedding": -0.1}, {"features": 0.0}):
        with pytest.raises(ValueError, match=r"must be at least 0 and below 1|nothing is dropped"):
            dropout(Recipe(), **wrong)
