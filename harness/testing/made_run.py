"""A run made by hand, for reporters and executors to be held to: all there is to report, and what is hard about it."""

from __future__ import annotations

from pathlib import Path

from harness.records.plan import Block, Claim, Plan, Skipped, Spec, Trial
from harness.records.record import Record
from harness.records.settings import Measures, Speed
from harness.records.store import Store

#: A name that means something to HTML, LaTeX, Markdown, a shell, a spreadsheet and a file system.
HARD = "<b>50% & $x_1$ | `a`</b>=1/../é"


def write_run(results: Path) -> Store:
    """A run of two blocks with a faster level, a failed one and a skipped one, and with names that are hard to show."""
    spec = Spec("x", {}, "nobody", "0")

    def trial(level: str, context: str) -> Trial:
        return Trial(level, spec, spec, (), 8, 0, "cpu", f"{context} {level}", "rounding")

    levels = ("plain", HARD, "broken")
    blocks = tuple(
        Block({"size": context}, tuple(trial(level, context) for level in levels), Measures.of(speed=Speed()))
        for context in ("small", "large")
    )
    claims = (Claim("It is <faster>", HARD, "step_time", "lower", 0.05, "train", {}, "all", "ratio"),)
    skipped = (Skipped({"size": "large", "what": "none"}, "it has no <reason>"),)
    store = Store.create(
        results, Plan("made", "What does <it> cost?", "what", blocks, skipped, claims), "question: made\n"
    )
    for block in blocks:
        store.append([found(block, level, number) for number, level in enumerate(levels)])
        for process in range(5):
            store.append([timed(block, level, role, process) for level, role in MEMBERS])
    return store


#: Who is timed in each process of a block.
MEMBERS = (("plain", "variant"), ("plain", "control"), (HARD, "variant"))


def found(block: Block, level: str, number: int) -> Record:
    """What verifying a level gave."""
    failed = level == "broken"
    reason = "it raised <ValueError>: no" if failed else ""
    key = (block.id, level, block.trials[number].id, "verify", "variant", 0, len(block.trials))
    return Record(*key, "failed" if failed else "ok", reason, {})  # type: ignore[arg-type]


def timed(block: Block, level: str, role: str, process: int) -> Record:
    """What one process stores of a level: forty samples of eight batches, the second level a tenth faster."""
    base = (900_000 if level == HARD else 1_000_000) + 1_000 * process + (500 if role == "control" else 0)
    wall = [base + 10_000 * (sample % 8) + 37 * (sample // 8) for sample in range(40)]
    samples = {
        "repeats": 1, "wall": wall, "cpu": wall, "batch": [sample % 8 for sample in range(40)],
        "round": [sample // 8 for sample in range(40)], "position": [0] * 40, "switches": [0] * 40,
        "phases": {}, "counts": {}, "seconds": 0.05,
    }  # fmt: skip
    trial = next(trial for trial in block.trials if trial.level == level)
    key = (block.id, level, trial.id, "speed.train", role, process, len(MEMBERS))
    return Record(*key, "ok", "", samples)  # type: ignore[arg-type]
