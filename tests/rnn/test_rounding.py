"""Recurrent layers in other implementations are valid on data whose gradients nearly cancel."""

from __future__ import annotations

from random import Random

import pytest

from harness.testing import verify_levels

LEVELS = {"packed": {"use": ["pack"]}, "segments": {"use": ["segment"]}, "loop": {"use": ["from_scratch"]}}


def switched() -> str:
    """Readings of a switch: one or zero, then a long row of zeros."""
    random = Random(0)
    rows = [f"{number % 2}{'0' * random.randrange(90, 190)},{number % 2}" for number in range(80)]
    return "\n".join(["text,label", *rows, ""])


def constant() -> str:
    """Texts that say nothing about their labels."""
    return "\n".join(["text,label", *(f"{'0' * (20 + number)},{number % 2}" for number in range(80)), ""])


@pytest.mark.parametrize(
    ("text", "cell", "seed"),
    [
        (switched(), "gru", 0),  # a step of Adam differs by four percent, since some gradients are noise
        (constant(), "lstm", 2),  # the gradient of a bias nearly cancels, and the baseline's error is small by chance
    ],
)
def test_rounding_is_not_a_broken_promise(catalog, tmp_path, text, cell, seed):
    path = tmp_path / "readings.csv"
    path.write_text(text)
    dataset = {"name": "delimited", "path": str(path), "unit": "character", "batch_size": 16}
    base = {"model": {"name": cell, "hidden_size": 8, "embedding_size": 8}, "dataset": dataset}
    found = verify_levels({**base, "use": ["adam"], "seed": seed}, LEVELS, catalog=catalog)
    assert {level: finding["reason"] for level, finding in found.items()} == dict.fromkeys(LEVELS, "")
