"""A plugin in one file with parts that each break one promise, to test that the conformance kit finds it.

`FAULTS` says which promise; the summary of a part says what is wrong with it. The parts use the toy's dataset.
"""

from __future__ import annotations

from faulty_datasets import provide_datasets
from faulty_models import provide_models, provide_optimizations
from faulty_outputs import provide_executors, provide_metrics, provide_reporters

__all__ = [
    "FAULTS",
    "provide_datasets",
    "provide_executors",
    "provide_metrics",
    "provide_models",
    "provide_optimizations",
    "provide_reporters",
]

#: For each promise, the parts that break it, each with words that the result must contain.
FAULTS: dict[str, list[tuple[str, str]]] = {
    "documented": [("mute", "has no docstring")],
    "parameters-have-defaults": [
        ("demanding", "size has no default"),
        ("mistyped", "a suite would reject the default of size"),
    ],
    "invalid-parameters-are-rejected": [("trusting", "size accepts object")],
    "shapes": [("long_loss", "not a scalar"), ("narrow", "with narrow = True: predict returns shape (1, 1)")],
    "batch-of-one": [("normed", "more than 1 value per channel")],
    "batch-invariance": [("sociable", "in a batch with")],
    "deterministic-evaluation": [("restless", "two predictions of one batch differ")],
    "gradients": [("cut_off", "the gradient gives")],
    "trains": [("uphill", "it cannot fit one batch"), ("overflow", "the loss of step 4 is nan")],
    "repeats": [
        ("unseeded", "different weights"),
        ("deaf", "another seed gives the same weights"),
        ("moody", "with the same seed, 3 steps"),
    ],
    "state-dict": [("hidden_weight", "predicts something else"), ("heavy", "continues differently")],
    "rebuilds": [("process_bound", "another process builds other weights")],
    "dtypes": [("single", "it raised RuntimeError"), ("half_moved", "it predicts in torch.float32")],
    "devices": [("left_behind", "moved to another device, it fails")],
    "global-state": [
        ("meddler", "building it changes the number of threads"),
        ("flusher", "a step of it changes whether subnormal numbers are flushed"),
        ("dice", "predicting draws from torch's random generator"),
        ("shuffler", "loading it draws from Python's random generator"),
    ],
    "no-leaks": [
        ("hoarder", "of the batch is still alive"),
        ("diary", "each further step leaves"),
    ],
    "same-in-every-process": [("hashed", "another process loads different data")],
    "examples-repeat": [
        ("noisy", "collate changes the examples, or draws"),
        ("redrawn", "loading it twice in one process"),
    ],
    "batches": [("twins", "ids are not unique"), ("listed", "not a NamedTuple"), ("holey", "is not finite")],
    "fingerprint": [("clockwork", "different fingerprints"), ("nameless", "has no fingerprint")],
    "scores": [
        ("boastful_here", "score far is declared but not computed"),
        ("undefined", "score close is nan"),
        ("unscored", "the criterion of the constant answer has no values, or values that are not finite"),
    ],
    "declared-changes": [("amplifier", "is off by")],
    "plans-without-building": [("eager", "builds a Linear while it is planned")],
    "finite-values": [
        ("nan_metric", "not a finite number"),
        ("assuming", "KeyError"),
        ("single_cost", "for each sample"),
    ],
    "read-only": [("scribbler", "changes what is stored")],
    "writes-inside-folder": [
        ("wanderer", "lies outside the run's folder"),
        ("shredder", "changes records.jsonl"),
        ("secretive", "does not name it"),
        ("fragile", "it raised"),
    ],
    "complete-records": [
        ("dropper", "delivers no record of level again"),
        ("piecemeal", "part of a replicate"),
        ("repeater", "measures finished work again"),
    ],
}
