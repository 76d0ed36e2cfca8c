"""Scripts that use a trainer of somebody else: a LightningModule, and a Trainer of Hugging Face's transformers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import harness


def rows(count: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens (count, 8), and whether the token 3 is among them."""
    tokens = torch.randint(1, 16, (count, 8), generator=torch.Generator().manual_seed(0))
    return tokens, (tokens == 3).any(1).long()


def lightning(hidden: int = 16, schedule: str = "step") -> harness.Experiment:
    """A LightningModule with its LightningDataModule."""
    import pytorch_lightning as pl

    class Tokens(pl.LightningDataModule):
        def setup(self, stage: str | None = None) -> None:
            self.data = TensorDataset(*rows())

        def train_dataloader(self) -> Any:
            return DataLoader(self.data, 8, shuffle=True)

        def val_dataloader(self) -> Any:
            return DataLoader(self.data, 16)

    class Classifier(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.save_hyperparameters({"hidden": hidden})
            self.layers = nn.Sequential(nn.Embedding(16, hidden), nn.Flatten(), nn.Linear(8 * hidden, 2))

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            loss = F.cross_entropy(self.layers(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Any, number: int) -> None:
            logits = self.layers(batch[0])
            self.log_dict({"val_loss": F.cross_entropy(logits, batch[1])})
            self.log("val_acc", (logits.argmax(1) == batch[1]).float().mean(), prog_bar=True)

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters(), 1e-2)
            scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": schedule}}

    return harness.from_lightning(Classifier(), Tokens(), clip=1.0)


def trainer(hidden: int = 16, smoothing: float = 0.0, seed: int = 0) -> harness.Experiment:
    """A Trainer with a tiny BERT of random weights, a Hugging Face dataset, a padding collator and compute_metrics."""
    from datasets import Dataset
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    tokens, labels = rows()
    data = Dataset.from_dict({"input_ids": tokens.tolist(), "label": labels.tolist(), "text": ["a"] * len(labels)})
    config = BertConfig(
        vocab_size=16, hidden_size=hidden, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, num_labels=2,
    )  # fmt: skip
    arguments = TrainingArguments(
        output_dir="unused", per_device_train_batch_size=8, per_device_eval_batch_size=16, use_cpu=True, seed=seed,
        label_smoothing_factor=smoothing, report_to=[], save_strategy="no", learning_rate=1e-3,
    )  # fmt: skip
    return harness.from_trainer(
        Trainer(
            BertForSequenceClassification(config), arguments, train_dataset=data, eval_dataset=data,
            compute_metrics=lambda found: {"accuracy": (found.predictions.argmax(1) == found.label_ids).mean()},
        )
    )  # fmt: skip
