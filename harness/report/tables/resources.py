"""What trials take besides time, as tables of text."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.resources import PHASES, SUBNORMAL, Quantity, Resources, ratio_in_words
from harness.records.plan import Block
from harness.report.table import Table

MEMORY = (
    "Peaks are bytes that torch's allocator gave out above what is held before a step, for the largest batch; kept is "
    "what autograd keeps for the backward pass. Same, more and less are exact there. Resident is the rise of the "
    "process's own memory, the median of three: same within 1 MiB or 2 %."
)
COST = (
    "Operations are those of matrix products, a multiplication and an addition counting two. Built and first step are "
    "seconds since the process was forked from one that had torch and the data ready, the median of three."
)
_STEMS = {"peak_bytes": "peak", "kept_bytes": "kept", "flops": "operations"}
_COLUMNS = {
    "parameters": "parameters",
    "optimizer_bytes": "optimizer",
    "peak_bytes": "peak of a step",
    "kept_bytes": "kept for backward",
    "resident_rise": "resident",
    "flops": "operations a step",
    "flops_per_second": "FLOP/s",
    "share_of_gemm_peak": "of GEMM peak",
    "page_faults": "page faults a step",
    "subnormal_share": "subnormal",
    "built": "built",
    "first_step": "first step",
    "pay_back": "pays back after",
}


def memory_table(resources: Resources, axis: str, block: Block, mode: str) -> Table | None:
    """Parameters, the peak of a step, what is kept for backward (also over each counted amount), the resident rise."""
    kept = "kept_bytes" if mode == "train" else "peak_bytes"
    names = ["parameters", "optimizer_bytes", "peak_bytes", "kept_bytes", f"{kept}/", "resident_rise"]
    return _table(resources, axis, block, mode, names, "memory")


def peaks_table(resources: Resources, axis: str, block: Block, mode: str) -> Table | None:
    """The peak of each phase of a step."""
    phases = [f"{phase}_peak_bytes" for phase in PHASES]
    return _table(resources, axis, block, mode, phases, "peak of each phase")


def cost_table(resources: Resources, axis: str, block: Block, mode: str) -> Table | None:
    """Operations and how fast they were done, page faults, subnormal numbers, a cold start and its pay-back."""
    names = [
        "flops", "flops/", "flops_per_second", "share_of_gemm_peak", "page_faults", "subnormal_share", "built",
        "first_step", "pay_back",
    ]  # fmt: skip
    table = _table(resources, axis, block, mode, names, "cost")
    if table is None:
        return None
    return Table(table.title, table.headers, table.rows, tuple(cost_notes(resources, block, mode)))


def cost_notes(resources: Resources, block: Block, mode: str) -> list[str]:
    """What an operation is held against, what could not be counted, and what slows the arithmetic."""
    notes = []
    for device, speed in resources.products.items():
        if any(trial.device.split(":")[0] == device for trial in block.trials):
            words = in_words(speed, "FLOP/s")
            notes.append(f"GEMM peak: products of large square float32 matrices run at {words} here ({device}).")
    for trial in block.trials:
        operators = resources.uncounted.get((block.id, trial.level, mode))
        if operators:
            notes.append(f"Operations of {trial.level} are not counted: no formula for {', '.join(operators)}.")
    subnormal = [
        trial.level
        for trial in block.trials
        if (q := resources.of(block, mode).get((trial.level, "subnormal_share"))) and q.value > SUBNORMAL
    ]
    if subnormal:
        notes.append(
            f"Subnormal numbers in the backward pass of {', '.join(subnormal)}: many processors compute with these "
            "several times more slowly, which confounds times. Call torch.set_flush_denormal(True) before anything is "
            "computed, and compare again."
        )
    return notes


def _table(resources: Resources, axis: str, block: Block, mode: str, names: Sequence[str], what: str) -> Table | None:
    """The named quantities that some trial has; a name that ends in / stands for all counted amounts."""
    found = resources.of(block, mode)
    have = dict.fromkeys(name for _, name in found)
    shown = [
        name for wanted in names for name in have if name == wanted or (wanted[-1] == "/" and name.startswith(wanted))
    ]
    if not shown:
        return None
    rows = tuple((trial.level, *(cell(found.get((trial.level, name))) for name in shown)) for trial in block.trials)
    return Table(f"{block.name} · {mode}: {what}", (axis, *map(title, shown)), rows)


def title(name: str) -> str:
    """A quantity's name as a column's head."""
    stem, _, amount = name.partition("/")
    if amount:
        return f"{_STEMS[stem]} / {amount.replace('_', ' ')}"
    return _COLUMNS.get(name) or name.removesuffix("_peak_bytes")


def cell(quantity: Quantity | None) -> str:
    """A quantity with its unit, and how it stands to the baseline's."""
    if quantity is None:
        return "-"
    text = in_words(quantity.value, quantity.unit)
    if quantity.name == "pay_back":
        text = f"{quantity.value:,.0f} steps"
    if not quantity.verdict or "/" in quantity.name:  # over an amount, it mirrors the whole
        return text
    if quantity.verdict == "same" or quantity.ratio is None:
        return f"{text} ({quantity.verdict})"
    return f"{text} (× {ratio_in_words(quantity.ratio)}, {quantity.verdict})"


def in_words(value: float, unit: str) -> str:
    """A number with a unit of a fitting size."""
    if unit == "share":
        return f"{value:.1%}"
    if unit == "seconds":
        return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.2f} s"
    if unit == "bytes":
        return _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))
    if unit in ("FLOP", "FLOP/s"):
        return _scaled(value, 1000, tuple(f"{prefix}{unit}" for prefix in ("", "k", "M", "G", "T", "P")))
    return f"{value:,.0f}"


def _scaled(value: float, base: int, units: Sequence[str]) -> str:
    size = 0
    while abs(value) >= base and size < len(units) - 1:
        value, size = value / base, size + 1
    decimals = 0 if size == 0 or value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{decimals}f} {units[size]}"
