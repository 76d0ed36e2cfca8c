"""The findings as CSV files: full precision, one row a fact."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.report import Report


def write(report: Report, folder: Path) -> list[Path]:
    """Write tables/comparisons.csv, tables/numbers.csv, tables/resources.csv and tables/claims.csv; of an
    ablation design tables/effects.csv, of what was learned tables/learning.csv, and of exponents tables/growth.csv."""
    findings = report.findings
    axes = sorted({axis for block in findings.plan.blocks for axis in block.context})
    blocks = {block.id: block for block in findings.plan.blocks}
    comparisons = [
        [
            *(c.block.context.get(axis, "") for axis in axes), c.mode, c.level, c.metric,
            c.ratio, *(c.interval or ("", "")), c.confidence, c.adjusted, len(c.values), c.verdict, c.reason,
            " ".join(flag.replace(" ", "-") for flag in c.flags),
            c.clock, c.cpu_share, c.ratio_of_means, c.ratio_of_fast,
            " ".join(f"{value:.6g}" for value in c.values),
        ]
        for c in findings.comparisons
    ]  # fmt: skip
    numbers = [
        [*(blocks[block].context.get(axis, "") for axis in axes), mode, level, metric, value]
        for (block, level, mode, metric), value in findings.numbers.items()
    ]
    resources = [
        [
            *(q.block.context.get(axis, "") for axis in axes), q.mode, q.level, q.name,
            q.value, q.unit, q.ratio, q.verdict, " ".join(f"{value:.6g}" for value in q.values),
        ]
        for q in findings.resources.quantities
    ]  # fmt: skip
    effects = [
        [
            *(e.block.context.get(axis, "") for axis in axes), e.mode, e.metric, e.kind, e.level,
            e.scale, e.ratio, *(e.interval or ("", "")), e.confidence, e.adjusted, len(e.values), e.verdict, e.reason,
            " ".join(flag.replace(" ", "-") for flag in e.flags), " ".join(f"{value:.6g}" for value in e.values),
        ]
        for e in findings.effects
    ]  # fmt: skip
    lessons = [
        [
            *(c.block.context.get(axis, "") for axis in axes), c.level, c.metric, c.scale, c.ratio,
            *(c.interval or ("", "")), c.sign_flip, c.adjusted, len(c.seeds), c.verdict, c.reason,
            " ".join(c.flags), *(" ".join(f"{v:.6g}" for v in values) for values in (c.seeds, c.baseline, c.variant)),
        ]
        for c in findings.lessons.comparisons
    ]  # fmt: skip
    growth = [
        [
            *(g.context.get(axis, "") for axis in axes), g.axis, g.mode, g.level, g.quantity, g.fitted,
            g.exponent.mean, *g.exponent.interval(), g.ratio, *(g.interval or ("", "")),
        ]
        for g in findings.growth
    ]  # fmt: skip
    claims = [[r.claim.says, r.answer, r.reason] for r in findings.claims]
    folder = folder / "tables"
    folder.mkdir(exist_ok=True)
    measured = ["mode", findings.plan.axis, "metric"]
    return [
        _write(
            folder / "comparisons.csv",
            [*axes, *measured, "ratio", "low", "high", "confidence", "p_adjusted", "processes", "verdict", "reason",
             "flags", "clock", "cpu_share", "ratio_of_means", "ratio_of_p10", "log_ratio_of_each_process"],
            comparisons,
        ),
        _write(folder / "numbers.csv", [*axes, *measured, "value"], numbers),
        _write(
            folder / "resources.csv",
            [*axes, "mode", findings.plan.axis, "quantity", "value", "unit", "ratio", "verdict", "each_process"],
            resources,
        ),
        _write(folder / "claims.csv", ["claim", "answer", "reason"], claims),
        *([_write(
            folder / "effects.csv",
            [*axes, "mode", "metric", "estimand", "factors", "scale", "effect", "low", "high", "confidence",
             "p_adjusted", "replicates", "verdict", "reason", "flags", "contrast_of_each_replicate"],
            effects,
        )] if effects else []),
        *([_write(
            folder / "learning.csv",
            [*axes, findings.plan.axis, "score", "scale", "size", "low", "high", "p_sign_flip", "p_adjusted", "seeds",
             "verdict", "reason", "flags", "each_seed", "baseline_of_each", "level_of_each"],
            lessons,
        )] if lessons else []),
        *([_write(
            folder / "growth.csv",
            [*axes, "along", "mode", findings.plan.axis, "quantity", "contexts", "exponent", "low", "high",
             "difference", "difference_low", "difference_high"],
            growth,
        )] if growth else []),
    ]  # fmt: skip


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return path
