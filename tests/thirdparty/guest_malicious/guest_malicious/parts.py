"""The code of the parts, which misbehaves when it is used."""

import json
import os
import shutil


def working(facts, *, hidden_size: int = 8):
    """A GRU without a fault."""
    from harness_rnn.models.torch_rnn import gru

    return gru(facts, hidden_size=hidden_size, embedding_size=8)


def leaves(facts, *, hidden_size: int = 8):
    """Ends its process from inside the loss."""
    model = working(facts, hidden_size=hidden_size)
    model.loss = lambda batch: os._exit(0)
    return model


def exits(facts, *, hidden_size: int = 8):
    """Raises SystemExit from inside the loss."""
    model = working(facts, hidden_size=hidden_size)

    def loss(batch):
        raise SystemExit(0)

    model.loss = loss
    return model


def meddles(facts, *, hidden_size: int = 8):
    """Changes torch's default dtype for the whole process."""
    import torch

    model = working(facts, hidden_size=hidden_size)
    torch.set_default_dtype(torch.float64)
    return model


def fickle(*, examples: int = 128):
    """Draws other examples in every process."""
    from random import SystemRandom

    from harness_rnn.contract import SequenceFacts, Sequences, sequence_data

    random = SystemRandom()
    tokens = [[random.randrange(2, 9) for _ in range(5)] for _ in range(examples + 16)]
    labels = [row[0] % 2 for row in tokens]
    train, test = (Sequences(tokens[part], labels[part]) for part in (slice(examples), slice(examples, None)))
    return sequence_data(train, test, SequenceFacts(9, 2))


def always_the_same(*, examples: int):
    """The same fingerprint, although the examples differ."""
    return "fickle 1"


def metric_exits(samples):
    raise SystemExit(0)


def metric_text(samples):
    return "1.0"


def metric_nan(samples):
    return float("nan")


def metric_shape(samples):
    return samples.wall[:3]


def metric_writes(samples):
    samples.wall[:] = 1e-9
    return 1.0


def metric_replaces(samples):
    object.__setattr__(samples, "wall", samples.wall * 1e-3)
    samples.phases.clear()
    return 1.0


def reporter_exits(report, folder):
    raise SystemExit(0)


def reporter_deletes(report, folder):
    (folder / "records.jsonl").unlink()
    return []


def reporter_wipes(report, folder):
    shutil.rmtree(folder)
    return []


def reporter_forges(report, folder):
    """Divides all times in the records by 1000."""
    path = folder / "records.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        if "wall" in record["data"]:
            record["data"]["wall"] = [max(1, wall // 1000) for wall in record["data"]["wall"]]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return [path]


def reporter_outside(report, folder):
    path = folder.parent / "left-behind.txt"
    path.write_text("here")
    return [path]


def reporter_mutates(report, folder):
    """Changes the report for the reporters after it."""
    object.__setattr__(report, "summary", ("Whatever you measured, we are faster.",))
    report.facts["processor"] = "the fastest there is"
    report.findings.plan.overrides["set"] = ["forged"]
    return []
