"""What sequence datasets, models and optimizations agree on: the batch, the model and its seams.

Shapes: B examples, T time steps, E embedding size, H hidden size, D directions (1 or 2), C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from harness import Data

PADDING = 0
"""The token id of padding; its embedding is zero and gets no gradient."""
UNKNOWN = 1
"""The token id of what the vocabulary lacks."""


class SequenceExample(NamedTuple):
    """One sequence: `tokens` (L,) int64 with L >= 1, none of them `PADDING`."""

    id: int
    tokens: Tensor
    label: int


class SequenceBatch(NamedTuple):
    """Right-padded sequences: `ids` (B,), `tokens` (B, T), `lengths` (B,), `labels` (B,), all int64.

    `ids` and `lengths` stay on the CPU: that is where packing and cutting want lengths.
    """

    ids: Tensor
    tokens: Tensor
    lengths: Tensor
    labels: Tensor

    def to(self, device: Any) -> SequenceBatch:
        """Tokens and labels on another device."""
        return self._replace(tokens=self.tokens.to(device), labels=self.labels.to(device))


def collate(examples: Sequence[SequenceExample]) -> SequenceBatch:
    """Pad to the longest of these examples."""
    return SequenceBatch(
        torch.tensor([example.id for example in examples]),
        pad_sequence([example.tokens for example in examples], batch_first=True, padding_value=PADDING),
        torch.tensor([len(example.tokens) for example in examples]),
        torch.tensor([example.label for example in examples]),
    )


def count(batch: SequenceBatch) -> dict[str, float]:
    """Valid tokens, and the time steps computed for them: B x T where everything is padded."""
    return {"tokens": float(batch.lengths.sum()), "slots": float(batch.tokens.numel())}


@dataclass(frozen=True)
class SequenceFacts:
    """What a dataset tells a model: the number of token ids (padding and unknown included) and of classes."""

    vocabulary: int
    classes: int


class Sequences(Sequence[SequenceExample]):
    """Many sequences in one flat tensor; an example is a view of it."""

    def __init__(self, tokens: Sequence[Sequence[int]], labels: Sequence[int], first_id: int = 0) -> None:
        self.flat = torch.tensor([token for sequence in tokens for token in sequence], dtype=torch.int64)
        self.ends = torch.tensor([len(sequence) for sequence in tokens]).cumsum(0).tolist()
        self.labels, self.first_id = list(labels), first_id

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        begin = self.ends[index - 1] if index else 0
        return SequenceExample(self.first_id + index, self.flat[begin : self.ends[index]], self.labels[index])


def probes(train: Sequence[SequenceExample], seed: int) -> list[list[SequenceExample]]:
    """Batches that are hard on purpose: unsorted random lengths with ties and ones, a single row, one long row
    among short ones. Equal lengths alone would hide what packing and cutting get wrong."""
    random = Random(f"probes {seed}")
    source = [train[position] for position in random.sample(range(len(train)), min(12, len(train)))]
    longest = sorted(source, key=lambda example: len(example.tokens))[-4:]

    def cut(lengths: Sequence[int]) -> list[SequenceExample]:
        """Rows of these lengths, from the longer examples, repeated where they are too short."""
        rows = []
        for position, length in enumerate(lengths):
            example = longest[position % len(longest)]
            tokens = example.tokens.repeat(-(-length // len(example.tokens)))[:length]
            rows.append(SequenceExample(position, tokens, example.label))
        return rows

    tied = random.randrange(5, 12)
    mixed = [tied, 1, random.randrange(2, 30), tied, 1, random.randrange(2, 30), 30, random.randrange(2, 30), tied]
    return [cut(mixed), cut([random.randrange(2, 30)]), cut([1, 2, 40, 1])]


def sequence_data(train: Sequence[SequenceExample], test: Sequence[SequenceExample], facts: SequenceFacts) -> Data:
    """The dataset that models of this contract take."""
    return Data(train, test, collate, facts, count, lambda seed: probes(train, seed))


class SequenceModel(nn.Module):
    """embed -> core -> readout -> head: a classifier whose four methods are seams.

    `encoder` is called with x (B, T, E), lengths (B,) on the CPU and a carry or None; it returns outputs
    (B, T, D*H), final (B, D*H) and a carry, and has `output_size` = D*H. Outputs at valid positions, and `final`, must
    not depend on what stands in the pads: that is what makes padded, packed and cut variants comparable.
    """

    def __init__(self, facts: SequenceFacts, encoder: nn.Module, embedding_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(facts.vocabulary, embedding_size, padding_idx=PADDING)
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.output_size, facts.classes)  # type: ignore[arg-type]

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, E)."""
        return self.embedding(tokens)  # type: ignore[no-any-return]

    def core(self, x: Tensor, lengths: Tensor, carry: Any = None) -> tuple[Tensor, Tensor, Any]:
        """(B, T, E) -> outputs (B, T, D*H), final (B, D*H), carry. `final` is each direction's last layer after
        its last valid step."""
        return self.encoder(x, lengths, carry)  # type: ignore[no-any-return]

    def readout(self, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        """What the classifier reads, (B, D*H): the state after the last valid step."""
        return final

    def head(self, features: Tensor) -> Tensor:
        """(B, D*H) -> logits (B, C)."""
        return self.classifier(features)  # type: ignore[no-any-return]

    def run(self, batch: SequenceBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (B, T, D*H), final (B, D*H) and logits (B, C)."""
        outputs, final, _ = self.core(self.embed(batch.tokens), batch.lengths)
        return outputs, final, self.head(self.readout(outputs, final, batch.lengths))

    def loss(self, batch: SequenceBatch) -> Tensor:
        """Mean cross-entropy, a scalar."""
        return F.cross_entropy(self.run(batch)[2], batch.labels)

    def predict(self, batch: SequenceBatch) -> Tensor:
        """Logits (B, C)."""
        return self.run(batch)[2]

    def observe(self, batch: SequenceBatch) -> Mapping[str, Tensor]:
        """Outputs at valid positions, final states and logits; raises ValueError where a shape is wrong."""
        outputs, final, logits = self.run(batch)
        size = self.encoder.output_size
        for name, tensor, shape in (
            ("outputs", outputs, (*batch.tokens.shape, size)),
            ("final", final, (len(batch.lengths), size)),
        ):
            if tensor.shape != shape:
                raise ValueError(f"core returns {name} of shape {tuple(tensor.shape)} where {shape} is due")
        outputs = outputs[:, : int(batch.lengths.max())]  # however far the batch is padded
        valid = torch.arange(outputs.shape[1]) < batch.lengths[:, None]
        return {"outputs": outputs * valid[..., None].to(outputs), "final": final, "logits": logits}
