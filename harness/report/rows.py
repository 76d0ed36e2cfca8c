"""The findings as rows of plain values: what the CSV files hold, and what `harness.Result` gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis.findings import Findings
from harness.analysis.samples import Samples
from harness.records.plan import LEARNING, Block
from harness.records.record import Record

Row = dict[str, Any]

#: The columns of each table after the coordinates of the block, which are a column for each axis that is not compared.
#: `level` is the level of the compared axis, `baseline` the one that it is held against.
COLUMNS: dict[str, tuple[str, ...]] = {
    "comparisons": (
        "mode", "level", "baseline", "metric", "ratio", "low", "high", "confidence", "p_adjusted", "processes",
        "verdict", "reason", "flags", "clock", "cpu_share", "ratio_of_means", "ratio_of_p10",
        "log_ratio_of_each_process",
    ),
    "numbers": ("mode", "level", "metric", "value"),
    "resources": ("mode", "level", "quantity", "value", "unit", "ratio", "verdict", "each_process"),
    "claims": ("claim", "answer", "reason"),
    "effects": (
        "mode", "metric", "estimand", "factors", "scale", "effect", "low", "high", "confidence", "p_adjusted",
        "replicates", "verdict", "reason", "flags", "contrast_of_each_replicate",
    ),
    "learning": (
        "level", "baseline", "score", "scale", "size", "low", "high", "p_sign_flip", "p_adjusted", "seeds", "verdict",
        "reason", "flags", "each_seed", "baseline_of_each", "level_of_each",
    ),
    "growth": (
        "along", "mode", "level", "quantity", "contexts", "exponent", "low", "high", "difference", "difference_low",
        "difference_high",
    ),
    "samples": ("mode", "level", "role", "process", "sample", "round", "position", "batch", "step_time", "wall", "cpu"),
    "curves": ("level", "seed", "step", "score", "value"),
}  # fmt: skip
#: Tables without the coordinates of a block: a claim may speak of several.
WHOLE = ("claims",)


@dataclass(frozen=True)
class Rows:
    """A table of facts: its name, the names of its columns, and for each row a value of each."""

    name: str
    columns: tuple[str, ...]
    rows: list[Row]


def findings_in_rows(findings: Findings) -> list[Rows]:
    """Everything that is found of a run."""
    return [
        comparisons_in_rows(findings),
        numbers_in_rows(findings),
        resources_in_rows(findings),
        claims_in_rows(findings),
        effects_in_rows(findings),
        learning_in_rows(findings),
        growth_in_rows(findings),
    ]


def comparisons_in_rows(findings: Findings) -> Rows:
    """Each level against the baseline, by mode and metric."""
    return _rows(
        "comparisons",
        findings,
        (
            (
                c.block.context,
                (
                    c.mode, c.level, c.block.baseline.level, c.metric, c.ratio, *(c.interval or (None, None)),
                    c.confidence, c.adjusted, len(c.values), c.verdict, c.reason, _marks(c.flags), c.clock, c.cpu_share,
                    c.ratio_of_means, c.ratio_of_fast, c.values,
                ),
            )
            for c in findings.comparisons
        ),
    )  # fmt: skip


def numbers_in_rows(findings: Findings) -> Rows:
    """Metrics of single trials."""
    contexts = {block.id: block.context for block in findings.plan.blocks}
    found = findings.numbers.items()
    return _rows(
        "numbers",
        findings,
        ((contexts[block], (mode, level, metric, value)) for (block, level, mode, metric), value in found),
    )


def resources_in_rows(findings: Findings) -> Rows:
    """Memory and cost of single trials."""
    return _rows(
        "resources",
        findings,
        (
            (q.block.context, (q.mode, q.level, q.name, q.value, q.unit, q.ratio, q.verdict, q.values))
            for q in findings.resources.quantities
        ),
    )


def claims_in_rows(findings: Findings) -> Rows:
    """The suite's claims and what became of them."""
    return _rows("claims", findings, (({}, (r.claim.says, r.answer, r.reason)) for r in findings.claims))


def effects_in_rows(findings: Findings) -> Rows:
    """The effects of an ablation design."""
    return _rows(
        "effects",
        findings,
        (
            (
                e.block.context,
                (
                    e.mode, e.metric, e.kind, e.level, e.scale, e.ratio, *(e.interval or (None, None)), e.confidence,
                    e.adjusted, len(e.values), e.verdict, e.reason, _marks(e.flags), e.values,
                ),
            )
            for e in findings.effects
        ),
    )  # fmt: skip


def learning_in_rows(findings: Findings) -> Rows:
    """Each score over seeds, a level against the baseline."""
    return _rows(
        "learning",
        findings,
        (
            (
                c.block.context,
                (
                    c.level, c.block.baseline.level, c.metric, c.scale, c.ratio, *(c.interval or (None, None)),
                    c.sign_flip, c.adjusted, len(c.seeds), c.verdict, c.reason, _marks(c.flags), c.seeds, c.baseline,
                    c.variant,
                ),
            )
            for c in findings.lessons.comparisons
        ),
    )  # fmt: skip


def growth_in_rows(findings: Findings) -> Rows:
    """Exponents along an axis of numbers."""
    return _rows(
        "growth",
        findings,
        (
            (
                g.context,
                (
                    g.axis, g.mode, g.level, g.quantity, g.fitted, g.exponent.mean, *g.exponent.interval(), g.ratio,
                    *(g.interval or (None, None)),
                ),
            )
            for g in findings.growth
        ),
    )  # fmt: skip


def samples_in_rows(findings: Findings, records: Iterable[Record]) -> Rows:
    """Every sample of the clock, in seconds a step: the time that decides, both clocks, and the wall time of each
    phase. A phase that a mode does not have is None there."""
    blocks = {block.id: block for block in findings.plan.blocks}
    timed = [r for r in records if r.measure.startswith("speed.") and r.outcome == "ok" and r.block in blocks]
    phases = list(dict.fromkeys(phase for record in timed for phase in record.data["phases"]))

    def each() -> Iterator[tuple[Mapping[str, str], Sequence[Any]]]:
        for record in timed:
            block, mode = blocks[record.block], record.measure.removeprefix("speed.")
            samples = Samples.from_record(record.data, findings.timed(block, mode).clock)
            nothing = np.full(len(samples.wall), None)
            columns = (
                samples.round, record.data["position"], samples.batch, samples.seconds, samples.wall, samples.cpu,
                *(samples.phases.get(phase, nothing) for phase in phases),
            )  # fmt: skip
            for number, values in enumerate(zip(*columns, strict=True)):
                yield block.context, (mode, record.level, record.role, record.replicate, number, *values)

    return _rows("samples", findings, each(), tuple(f"{phase}_time" for phase in phases))


def curves_in_rows(findings: Findings, records: Iterable[Record]) -> Rows:
    """Every score on the test examples of every run that learned, at each step where it was evaluated."""
    blocks = {block.id: block for block in findings.plan.blocks}
    learned = [r for r in records if r.measure == LEARNING and r.outcome in ("ok", "diverged") and r.block in blocks]
    return _rows(
        "curves",
        findings,
        (
            (blocks[record.block].context, (record.level, record.data["seed"], step, score, value))
            for record in learned
            for score, values in record.data["scores"].items()
            for step, value in zip(record.data["evaluated"], values, strict=False)
        ),
    )


def axes_of(blocks: Iterable[Block]) -> list[str]:
    """The axes that blocks are placed by."""
    return sorted({axis for block in blocks for axis in block.context})


def _rows(
    name: str,
    findings: Findings,
    found: Iterable[tuple[Mapping[str, str], Sequence[Any]]],
    more: tuple[str, ...] = (),
) -> Rows:
    fixed = (*COLUMNS[name], *more)
    axes = [] if name in WHOLE else axes_of(findings.plan.blocks)
    # An axis may have any name; a column of ours keeps its own.
    columns = (*(f"axis_{axis}" if axis in fixed else axis for axis in axes), *fixed)
    rows = [
        dict(zip(columns, (*(context.get(axis) for axis in axes), *map(_plain, values)), strict=True))
        for context, values in found
    ]
    return Rows(name, columns, rows)


def _marks(flags: Iterable[str]) -> str:
    return " ".join(flag.replace(" ", "-") for flag in flags)


def _plain(value: Any) -> Any:
    """Numbers as Python has them, several of them as a list."""
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
