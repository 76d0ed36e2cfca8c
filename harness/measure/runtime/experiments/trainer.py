"""Experiments from a Trainer of Hugging Face's transformers, which is not imported."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch

from harness.errors import UserError
from harness.plugins.experiment import Experiment


def from_trainer(trainer: Any, **parts: Any) -> Experiment:
    """The experiment of a `transformers.Trainer`: its model, data, collator, loss, optimizer, schedule, clipping and
    `compute_metrics`.

    Pass a parameter `seed` on to ``TrainingArguments(seed=seed)``, since a Trainer sets the seed itself. Callbacks and
    logging are not used, and one step is one batch. `parts` are further arguments of `harness.Experiment`; they replace
    what comes from the Trainer. Raises UserError for gradient accumulation.
    """
    arguments = trainer.args
    if arguments.gradient_accumulation_steps > 1:
        what = f"the Trainer accumulates gradients over {arguments.gradient_accumulation_steps} batches."
        raise UserError(what, fix="Set gradient_accumulation_steps=1, or give a larger batch.")
    has_test = trainer.eval_dataset is not None
    return Experiment(
        **{
            "model": trainer.model,
            "optimizer": None if "optimizer" in parts else trainer.create_optimizer(),
            "train": trainer.get_train_dataloader(),
            "test": trainer.get_eval_dataloader() if has_test else None,
            "loss": partial(loss_of, trainer),
            "predict": predict,
            "evaluate": partial(evaluate, trainer) if trainer.compute_metrics and has_test else None,
            "scheduler": partial(schedule, trainer),
            "clip": arguments.max_grad_norm or None,
            **parts,
        }
    )


def loss_of(trainer: Any, model: torch.nn.Module, batch: Any) -> torch.Tensor:
    """The loss as the Trainer computes it, in its precision."""
    with trainer.compute_loss_context_manager():
        return trainer.compute_loss(model, dict(batch))  # it may take the labels out


def schedule(trainer: Any, optimizer: Any, steps: int) -> Any:
    """The schedule of the Trainer for a run of so many steps."""
    trainer.lr_scheduler = None  # it makes only one
    return trainer.create_scheduler(steps, optimizer)


def predict(model: torch.nn.Module, batch: Any) -> Any:
    """The logits; all outputs of a model without logits."""
    outputs = model(**batch)
    return outputs.logits if hasattr(outputs, "logits") else outputs


def evaluate(trainer: Any, model: torch.nn.Module, batches: Iterable[Any]) -> dict[str, float]:
    """What `compute_metrics` returns for the predictions of all batches. Rows are padded to the longest with -100."""
    predictions, labels = [], []
    for batch in batches:
        predictions.append(predict(model, batch).float().cpu())
        labels.append(batch["labels"].cpu())
    given = SimpleNamespace(predictions=joined(predictions).numpy(), label_ids=joined(labels).numpy())
    return {name: float(value) for name, value in trainer.compute_metrics(given).items()}


def joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """Tensors (n, *) of several batches in one, whose second dimension may differ: they are padded with -100."""
    if parts[0].dim() > 1 and len({part.shape[1] for part in parts}) > 1:
        longest = max(part.shape[1] for part in parts)
        after = (0, 0) * (parts[0].dim() - 2)
        parts = [torch.nn.functional.pad(part, (*after, 0, longest - part.shape[1]), value=-100) for part in parts]
    return torch.cat(parts)
