"""A suite of recurrent models, for tests."""

from __future__ import annotations

import itertools

TORCH = ["rnn", "lstm", "gru"]


SHAPES = [
    {"num_layers": layers, "bidirectional": both, "dropout": 0.3 if layers > 1 else 0.0}
    for layers, both in itertools.product([1, 2, 3], [False, True])
]


CUT = {"name": "segment", "overhead": 5}


def base(model: str, **more: object) -> dict:
    return {
        "model": {"name": model, "hidden_size": 12, "embedding_size": 8, **more},
        "dataset": {"name": "lengths", "mean": 12, "examples": 128, "batch_size": 8, "vocabulary": 50},
        "use": ["adam"],
    }
