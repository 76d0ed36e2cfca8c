"""A plugin in one file: models with parts that torch compiles, traces, scripts or runs again."""

from __future__ import annotations

import torch
from everyday_models import H, Scripted, Wrapper, declared, small, with_classifier
from torch import Tensor, nn

import harness


def unscripted(facts):
    """The same model without torch.jit.script."""
    return Wrapper(Scripted(facts.vocabulary, facts.classes))


def scripted_inside(facts):
    """A scripted module inside a Python model."""
    return Wrapper(torch.jit.script(Scripted(facts.vocabulary, facts.classes)))


class WithMethods(Scripted):
    """Methods that are scripted, too. A scripted method takes tensors."""

    @torch.jit.export
    def predict(self, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        return self.forward(batch[1], batch[2])

    @torch.jit.export
    def loss(self, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(self.predict(batch), batch[3])

    @torch.jit.export
    def observe(self, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        return {"logits": self.predict(batch)}


def scripted_whole(facts):
    """A scripted module with scripted methods loss, predict and observe."""
    return torch.jit.script(WithMethods(facts.vocabulary, facts.classes))


def scripted_head(facts):
    return with_classifier(facts, torch.jit.script)


def scripted_dropout(facts):
    """A scripted head with dropout."""
    model = small(facts)
    model.classifier = torch.jit.script(nn.Sequential(nn.Dropout(0.5), nn.Linear(H, facts.classes)))
    return model


def traced(facts):
    """A traced head."""
    model = small(facts)
    model.classifier = torch.jit.trace(model.classifier, torch.zeros(2, H))
    return model


def compiled_head(facts):
    """A head compiled by torch.compile, without Inductor."""
    model = small(facts)
    model.classifier = torch.compile(model.classifier, backend="eager")
    return model


def compiled_whole(facts):
    model = Wrapper(torch.compile(Scripted(facts.vocabulary, facts.classes), backend="eager", dynamic=True))
    return model


def graph_module(facts):
    """A head as a GraphModule of torch.fx."""
    model = small(facts)
    model.classifier = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(H, H), nn.ReLU(), nn.Linear(H, facts.classes)))
    return model


class Checkpointed(Scripted):
    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        from torch.utils.checkpoint import checkpoint

        x = self.embedding(tokens)
        outputs = checkpoint(lambda x: self.rnn(x)[0], x, use_reentrant=False)
        return self.head(outputs[torch.arange(len(lengths)), lengths - 1])


def checkpointed(facts):
    """Activation checkpointing."""
    return Wrapper(Checkpointed(facts.vocabulary, facts.classes))


FACTORIES = [
    scripted_whole, scripted_head, scripted_dropout, traced, compiled_head, compiled_whole, graph_module, checkpointed,
]  # fmt: skip


@harness.hookimpl
def provide_models():
    yield from map(declared, FACTORIES)
    for factory in (unscripted, scripted_inside):
        yield declared(factory, computes="scripted")
