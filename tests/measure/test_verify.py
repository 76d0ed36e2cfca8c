"""Verification of toy parts: parts that keep their promises pass, and every broken promise is found."""

from __future__ import annotations

import pytest

from harness.testing import assert_promises, verify_level

BASE = {"model": "linear", "dataset": {"name": "points", "batch_size": 8}, "use": ["descent"]}


def found(catalog, level: dict, base: dict = BASE) -> dict:
    return verify_level(base, level, catalog=catalog)


@pytest.mark.parametrize(
    "level",
    [
        {}, {"use": ["spin"]}, {"use": ["reverse"]}, {"use": ["declared_halved"]}, {"use": ["declared_doubled"]},
        {"model": "mlp"}, {"use": [{"name": "descent", "lr": 3}]},
    ],
)  # fmt: skip
def test_parts_that_keep_their_promises_pass(catalog, level):
    assert_promises(BASE, level, catalog=catalog)


def test_dropout_is_switched_off(catalog):
    base = {**BASE, "model": {"name": "mlp", "dropout": 0.5}}
    assert_promises(base, {"use": ["reverse"]}, catalog=catalog)


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        ({"use": ["doubled"]}, "promises the same computation, but gradient of layers.0.weight is off by 1.0e+00"),
        ({"use": ["halved"]}, "promises the same computation, but the same gradients move layers.0.bias differently"),
        (
            {"use": ["forgetful"]},
            "promises the same computation in another order, but its order does not contain each example",
        ),
        ({"use": ["lazy"]}, "promises the same computation, but a whole step moves the weights differently (by "),
        ({"model": "other"}, "promises the same computation, but loss is off by"),
    ],
)
def test_broken_promises_are_found(catalog, level, reason):
    finding = found(catalog, level)
    assert finding["outcome"] == "invalid"
    assert reason in finding["reason"]


def test_a_broken_promise_is_found_within_another_change(catalog):
    """reverse declares that it changes the order. doubled must still have the same gradients beside it."""
    assert found(catalog, {"use": ["reverse", "doubled"]})["outcome"] == "invalid"


def test_another_model_only_has_to_be_finite(catalog):
    assert found(catalog, {"model": "mlp", "use": ["doubled"]})["outcome"] == "ok"
    finding = found(catalog, {"model": {"name": "broken", "how": "nan"}})
    assert finding["outcome"] == "failed"
    assert "is not finite" in finding["reason"]


def test_the_largest_error_is_recorded(catalog):
    data = found(catalog, {"use": ["spin"]})["data"]
    assert 0 <= data["error"] <= data["allowed"]
    assert data["of"]


def test_a_broken_baseline_is_reported(catalog):
    finding = found(catalog, {}, {**BASE, "model": {"name": "broken", "how": "raises"}})
    assert (finding["level"], finding["outcome"]) == ("(base)", "failed")
