"""A plugin in one file: sequence models as people write them, each with something that a plain nn.LSTM does not have."""

from __future__ import annotations

import copy
from typing import Any

import torch
from harness_rnn.contract import SequenceBatch, SequenceFacts, SequenceModel
from harness_rnn.models.encoder import RecurrentEncoder, last_valid
from harness_rnn.models.torch_rnn import lstm
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import harness

H, E = 8, 6


def small(facts: SequenceFacts, **more: Any) -> SequenceModel:
    return lstm(facts, hidden_size=H, embedding_size=E, **more)


def with_classifier(facts: SequenceFacts, change: Any) -> SequenceModel:
    """The small model with ``change(classifier)`` as its classifier."""
    model = small(facts)
    model.classifier = change(model.classifier)
    return model


def plain(facts):
    """A small LSTM."""
    return small(facts)


def batch_norm(facts):
    """BatchNorm1d before the head."""
    model = small(facts)
    model.classifier = nn.Sequential(nn.BatchNorm1d(H), nn.Linear(H, facts.classes))
    return model


def layer_norm(facts):
    """LayerNorm before the head."""
    model = small(facts)
    model.classifier = nn.Sequential(nn.LayerNorm(H), nn.Linear(H, facts.classes))
    return model


def group_norm(facts):
    model = small(facts)
    model.classifier = nn.Sequential(nn.GroupNorm(2, H), nn.Linear(H, facts.classes))
    return model


def sync_batch_norm(facts):
    model = small(facts)
    model.classifier = nn.Sequential(nn.SyncBatchNorm(H), nn.Linear(H, facts.classes))
    return model


def no_running_statistics(facts):
    """BatchNorm without running statistics: evaluation depends on the batch, too."""
    model = small(facts)
    model.classifier = nn.Sequential(nn.BatchNorm1d(H, track_running_stats=False), nn.Linear(H, facts.classes))
    return model


def sparse(facts, *, sparse: bool = True):
    """nn.Embedding(sparse=True)."""
    model = small(facts)
    model.embedding = nn.Embedding(facts.vocabulary, E, padding_idx=0, sparse=sparse)
    return model


def only_sparse(facts):
    """Only the embedding, which has sparse gradients, is trained: SparseAdam takes no other parameters."""
    model = sparse(facts).requires_grad_(False)
    model.embedding.requires_grad_(True)
    return model


def projected(facts, *, bidirectional: bool = False, num_layers: int = 1):
    """nn.LSTM with proj_size: the state is smaller than the cell."""
    module = nn.LSTM(
        facts.features or E, H, num_layers=num_layers, proj_size=3, batch_first=True, bidirectional=bidirectional
    )
    return SequenceModel(facts, RecurrentEncoder(module), E)


def old_weight_norm(facts):
    """torch.nn.utils.weight_norm, which keeps the weight in a hook."""
    return with_classifier(facts, nn.utils.weight_norm)


def new_weight_norm(facts):
    """The parametrization of the same name."""
    return with_classifier(facts, parametrizations.weight_norm)


def recurrent_weight_norm(facts):
    """Weight norm of the recurrent matrix inside nn.LSTM."""
    model = small(facts)
    model.encoder.rnn = nn.utils.weight_norm(model.encoder.rnn, "weight_hh_l0")
    return model


def spectral(facts):
    """Spectral norm, whose buffers each training step changes."""
    return with_classifier(facts, parametrizations.spectral_norm)


def old_spectral(facts):
    return with_classifier(facts, nn.utils.spectral_norm)


def orthogonal_weight(facts):
    """An orthogonal parametrization of the recurrent matrix of nn.RNN."""
    module = nn.RNN(E, H, batch_first=True)
    parametrizations.orthogonal(module, "weight_hh_l0")
    return SequenceModel(facts, RecurrentEncoder(module), E)


def removed(facts):
    """A parametrization that was removed after it had set the weights."""
    model = small(facts)
    parametrizations.orthogonal(model.classifier)
    parametrize.remove_parametrizations(model.classifier, "weight")
    return model


class Scripted(nn.Module):
    """A whole model to be scripted: torch.jit.script takes no **kwargs and no NamedTuple with methods."""

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, E, padding_idx=0)
        self.rnn = nn.LSTM(E, H, batch_first=True)
        self.head = nn.Linear(H, classes)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        outputs, _ = self.rnn(self.embedding(tokens))
        return self.head(outputs[torch.arange(len(lengths)), lengths - 1])


class Wrapper(nn.Module):
    """The three methods around any module (tokens, lengths) -> logits."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def predict(self, batch: SequenceBatch) -> Tensor:
        return self.net(batch.tokens, batch.lengths)

    def loss(self, batch: SequenceBatch) -> Tensor:
        return nn.functional.cross_entropy(self.predict(batch), batch.labels)

    def observe(self, batch: SequenceBatch) -> dict[str, Tensor]:
        return {"logits": self.predict(batch)}


def tied(facts):
    """The embedding is tied with the weight of the head: two names of one parameter."""
    model = lstm(facts, hidden_size=H, embedding_size=H)
    model.classifier = nn.Linear(H, facts.vocabulary, bias=False)
    model.classifier.weight = model.embedding.weight
    model.head = lambda features: model.classifier(features)[..., : facts.classes]
    return model


def lazy(facts):
    """A LazyLinear head, whose weights exist after the first forward pass."""
    model = small(facts)
    model.classifier = nn.LazyLinear(facts.classes)
    return model


def lazy_initialized(facts):
    model = small(facts)
    model.classifier = nn.LazyLinear(facts.classes)
    model.classifier(torch.zeros(1, H))
    return model


class Parallel(nn.Module):
    """Like nn.DataParallel: names get a prefix, and other attributes are not passed on."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *given: Any) -> Any:
        return self.module(*given)


def wrapped(facts):
    return Wrapper(Parallel(Scripted(facts.vocabulary, facts.classes)))


def data_parallel(facts):
    return Wrapper(nn.DataParallel(Scripted(facts.vocabulary, facts.classes)))


def frozen(facts):
    """The embedding is not trained."""
    model = small(facts)
    model.embedding.requires_grad_(False)
    return model


def unused(facts):
    """A parameter that the loss does not depend on, so that it has no gradient."""
    model = small(facts)
    model.extra = nn.Linear(3, 3)
    return model


class Listed(nn.Module):
    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.tables = nn.ParameterList([nn.Parameter(torch.randn(vocabulary, E) * 0.1) for _ in range(2)])
        self.maps = nn.ParameterDict({"out": nn.Parameter(torch.randn(2 * E, classes) * 0.1)})
        self.register_buffer("scale", torch.tensor([0.5]), persistent=False)
        self.register_buffer("seen", torch.tensor(0), persistent=True)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        x = torch.cat([table[tokens] for table in self.tables], 2) * mask[..., None]
        return (x.sum(1) * self.scale) @ self.maps["out"]


def parameter_list(facts):
    """ParameterList, ParameterDict, a buffer that is not saved and a counter."""
    return Wrapper(Listed(facts.vocabulary, facts.classes))


class LongestIsFirst(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        return lengths.float()[:, None] * torch.linspace(-1, 1, self.classes)


def no_parameters(facts):
    """A rule without parameters."""
    return Wrapper(LongestIsFirst(facts.classes))


class Complex(nn.Module):
    """A linear recurrence with complex numbers, as in linear recurrent units."""

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, E, padding_idx=0)
        self.decay = nn.Parameter(torch.polar(torch.full((E,), 0.9), torch.linspace(0, 3, E)))
        self.head = nn.Linear(2 * E, classes)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        x = self.embedding(tokens)
        state, states = torch.zeros(len(x), E, dtype=self.decay.dtype), []
        for step in range(x.shape[1]):
            state = state * self.decay + x[:, step]
            states.append(state)
        final = last_valid(torch.stack(states, 1), lengths)
        return self.head(torch.cat([final.real, final.imag], 1))


def complex_state(facts):
    return Wrapper(Complex(facts.vocabulary, facts.classes))


class Stateful(nn.Module):
    """Keeps its hidden state between batches, as a stateful LSTM does."""

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.inner = Scripted(vocabulary, classes)
        self.state: Any = None

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        state = self.state
        if state is not None and state[0].shape[1] != len(tokens):
            state = None
        outputs, state = self.inner.rnn(self.inner.embedding(tokens), state)
        self.state = tuple(one.detach() for one in state)
        return self.inner.head(last_valid(outputs, lengths))


def stateful(facts):
    return Wrapper(Stateful(facts.vocabulary, facts.classes))


class StateBuffer(Stateful):
    """The state is a buffer, so it is saved and restored."""

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__(vocabulary, classes)
        self.register_buffer("h", torch.zeros(1, 1, H))
        self.register_buffer("c", torch.zeros(1, 1, H))

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        state = tuple(one.expand(1, len(tokens), H).contiguous() for one in (self.h, self.c))
        outputs, state = self.inner.rnn(self.inner.embedding(tokens), state)
        self.h.copy_(state[0].detach().mean(1, keepdim=True))
        self.c.copy_(state[1].detach().mean(1, keepdim=True))
        return self.inner.head(last_valid(outputs, lengths))


def state_buffer(facts):
    return Wrapper(StateBuffer(facts.vocabulary, facts.classes))


def hooks(facts):
    """Hooks of a module and of a parameter."""
    model = small(facts)
    model.classifier.register_forward_hook(lambda module, given, out: out * 1.0)
    model.classifier.weight.register_hook(lambda gradient: gradient * 0.5)
    return model


def copied(facts):
    """A deep copy of a model with weight norm."""
    return copy.deepcopy(new_weight_norm(facts))


def no_bias(facts):
    """nn.LSTM without biases."""
    return SequenceModel(facts, RecurrentEncoder(nn.LSTM(facts.features or E, H, batch_first=True, bias=False)), E)


def time_first(facts):
    """nn.LSTM with batch_first=False inside an encoder that transposes."""
    return Wrapper(TimeFirst(facts.vocabulary, facts.classes))


class TimeFirst(nn.Module):
    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, E, padding_idx=0)
        self.rnn = nn.LSTM(E, H)
        self.head = nn.Linear(H, classes)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(tokens).transpose(0, 1), lengths, enforce_sorted=False
        )
        return self.head(self.rnn(packed)[1][0][-1])


FACTORIES = [
    plain, batch_norm, layer_norm, group_norm, sync_batch_norm, no_running_statistics, sparse, only_sparse, projected,
    old_weight_norm, new_weight_norm, recurrent_weight_norm, spectral, old_spectral, orthogonal_weight, removed, tied,
    lazy, lazy_initialized, wrapped, data_parallel, frozen, unused, parameter_list, no_parameters, complex_state,
    stateful, state_buffer, hooks, copied, no_bias, time_first,
]  # fmt: skip


def declared(factory, computes=""):
    """The part of a function that builds a model."""
    return harness.Model(
        factory.__name__, factory, (factory.__doc__ or "").partition("\n")[0],
        offers={"sequence", "layers", "carry", "packable", "forget_gate"}, computes=computes,
    )  # fmt: skip


@harness.hookimpl
def provide_models():
    yield from map(declared, FACTORIES)
