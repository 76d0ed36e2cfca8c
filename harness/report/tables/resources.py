"""What trials take besides time, as tables of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.analysis.finding import exact_in_words
from harness.analysis.findings import Findings
from harness.analysis.resources import PHASES, SUBNORMAL, Quantity, Resources
from harness.analysis.verdicts import Verdict
from harness.records.plan import Block
from harness.report.cells import UNKNOWN, amount, block_title, in_words
from harness.report.table import Section, Table, present

_STEMS = {"peak_bytes": "peak", "kept_bytes": "kept", "flops": "operations"}
_TITLES = {
    "optimizer_bytes": "optimizer",
    "peak_bytes": "peak of a step",
    "kept_bytes": "kept for backward",
    "resident_rise": "resident",
    "flops": "operations a step",
    "flops_per_second": "FLOP/s",
    "share_of_gemm_peak": "of GEMM peak",
    "page_faults": "page faults a step",
    "subnormal_share": "subnormal",
    "pay_back": "pays back after",
    "step_time": "time of a step",
}


def memory(findings: Findings) -> Section:
    """What trials take of memory."""
    words = (
        "Peaks are the bytes that torch's allocator gave out above what is held before a step, for the largest batch; "
        "kept for backward is what autograd saves. Same, more and less are exact there. Resident is the rise of the "
        "process's own memory, the median of three processes; it counts as the same within 1 MiB or 2 %."
    )
    return Section("Memory", words, _per_mode(findings, memory_table), _per_mode(findings, peaks_table), why=True)


def cost(findings: Findings) -> Section:
    """What trials compute, and what a cold start takes."""
    words = (
        "Operations are those of matrix products; a multiplication and an addition count as two. Built and first step "
        "are seconds since the process was forked from one with torch and the data loaded, the median of three "
        "processes."
    )
    return Section("Cost", words, _per_mode(findings, cost_table), why=True)


def _per_mode(findings: Findings, make: Callable[[Findings, Block, str], Table | None]) -> tuple[Table, ...]:
    return present(make(findings, block, mode) for block in findings.plan.blocks for mode in block.measures.modes)


def memory_table(findings: Findings, block: Block, mode: str) -> Table | None:
    """Parameters, the peak of a step, what is kept for backward (also per counted amount), the resident rise."""
    kept = "kept_bytes" if mode == "train" else "peak_bytes"
    names = ["parameters", "optimizer_bytes", "peak_bytes", "kept_bytes", f"{kept}/", "resident_rise"]
    return _table(findings, block, mode, names, "memory")


def peaks_table(findings: Findings, block: Block, mode: str) -> Table | None:
    """The peak of each phase of a step."""
    return _table(findings, block, mode, [f"{phase}_peak_bytes" for phase in PHASES], "peak of each phase")


def cost_table(findings: Findings, block: Block, mode: str) -> Table | None:
    """Operations and their speed, page faults, subnormal numbers, a cold start and when it is paid back."""
    names = [
        "flops", "flops/", "flops_per_second", "share_of_gemm_peak", "page_faults", "subnormal_share", "built",
        "first_step", "pay_back",
    ]  # fmt: skip
    return _table(findings, block, mode, names, "cost", tuple(cost_notes(findings.resources, block, mode)))


def cost_notes(resources: Resources, block: Block, mode: str) -> Iterator[str]:
    """What the speed is compared with, what could not be counted, and what slows the arithmetic."""
    for device, speed in resources.products.items():
        if any(trial.device.split(":")[0] == device for trial in block.trials):
            words = amount(speed, "FLOP/s")
            yield f"GEMM peak: products of large square float32 matrices run at {words} here ({device})."
    for trial in block.trials:
        operators = resources.uncounted.get((block.id, trial.level, mode))
        if operators:
            yield f"Operations of {trial.level} are not counted: no formula for {', '.join(operators)}."
    found = resources.of(block, mode)
    shares = {trial.level: found.get((trial.level, "subnormal_share")) for trial in block.trials}
    subnormal = [level for level, quantity in shares.items() if quantity and quantity.value > SUBNORMAL]
    if subnormal:
        yield (
            f"The backward pass of {', '.join(subnormal)} computes with subnormal numbers. Many processors are several "
            "times slower with these, which distorts times. Call torch.set_flush_denormal(True) before anything is "
            "computed, and compare again."
        )


def _table(
    findings: Findings, block: Block, mode: str, names: Sequence[str], what: str, notes: tuple[str, ...] = ()
) -> Table | None:
    """The named quantities that some trial has; a name that ends in / stands for all counted amounts."""
    found = findings.resources.of(block, mode)
    have = dict.fromkeys(name for _, name in found)
    shown = [
        name for wanted in names for name in have if name == wanted or (wanted[-1] == "/" and name.startswith(wanted))
    ]
    if not shown:
        return None
    rows = tuple((trial.level, *(cell(found.get((trial.level, name))) for name in shown)) for trial in block.trials)
    return Table(f"{block_title(block, mode)}: {what}", (findings.plan.axis, *map(title, shown)), rows, notes)


def title(name: str) -> str:
    """The name of a quantity as the head of a column."""
    stem, _, per = name.partition("/")
    if per:
        return f"{_STEMS[stem]} / {in_words(per)}"
    return _TITLES.get(name) or in_words(name.removesuffix("_peak_bytes"))


def cell(quantity: Quantity | None) -> str:
    """A quantity with its unit, and its ratio to the baseline's."""
    if quantity is None:
        return UNKNOWN
    if quantity.metric == "pay_back":
        return f"{quantity.value:,.0f} steps"
    text = amount(quantity.value, quantity.unit)
    if not quantity.verdict or "/" in quantity.metric:  # the ratio per amount is that of the whole
        return text
    if quantity.verdict == Verdict.SAME or quantity.ratio is None:
        return f"{text} ({quantity.verdict})"
    return f"{text} (× {exact_in_words(quantity.ratio)}, {quantity.verdict})"
