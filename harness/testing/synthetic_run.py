"""A synthetic run for tests of reporters: two blocks, failed and skipped trials, and names with special characters."""

from __future__ import annotations

from pathlib import Path

from harness.records.plan import Block, Claim, Plan, Skipped, Spec, Trial
from harness.records.record import Record
from harness.records.settings import Measures, Speed
from harness.records.store import Store

#: A name with characters that are special in HTML, LaTeX, Markdown, a shell, a spreadsheet and a file system.
HARD = "<b>50% & $x_1$ | `a`</b>=1/../é"
#: The levels and roles that each process times.
MEMBERS = (("plain", "variant"), ("plain", "control"), (HARD, "variant"))
PROCESSES = 5


def write_run(results: Path) -> Store:
    """Write a run with a faster level, a failed level, a skipped context and a claim."""
    spec = Spec("x", {}, "nobody", "0")
    blocks = []
    for size in ("small", "large"):
        trials = (
            Trial(level, spec, spec, (), 8, 0, "cpu", f"{size} {level}", "rounding")
            for level in ("plain", HARD, "broken")
        )
        blocks.append(Block({"size": size}, tuple(trials), Measures.of(speed=Speed())))
    claims = (Claim("It is <faster>", HARD, "step_time", "lower", 0.05, "train", {}, "all", "ratio"),)
    skipped = (Skipped({"size": "large", "what": "none"}, "it has no <reason>"),)
    plan = Plan("synthetic", "What does <it> cost?", "what", tuple(blocks), skipped, claims)
    store = Store.create(results, plan, "question: synthetic\n")
    for block in blocks:
        store.append([verified(block, trial) for trial in block.trials])
        for process in range(PROCESSES):
            store.append([timed(block, level, role, process) for level, role in MEMBERS])
    return store


def verified(block: Block, trial: Trial) -> Record:
    """The result of verifying a trial."""
    key = (block.id, trial.level, trial.id, "verify", "variant", 0, len(block.trials))
    result = ("failed", "it raised <ValueError>: no") if trial.level == "broken" else ("ok", "")
    return Record(*key, *result)  # type: ignore[arg-type]


def timed(block: Block, level: str, role: str, process: int) -> Record:
    """The samples of one process: five visits of eight batches. The level with the special name is 10 % faster."""
    base = (900_000 if level == HARD else 1_000_000) + 1_000 * process + (500 if role == "control" else 0)
    wall = [base + 10_000 * (sample % 8) + 37 * (sample // 8) for sample in range(40)]
    samples = {
        "repeats": 1, "wall": wall, "cpu": wall, "batch": [sample % 8 for sample in range(40)],
        "round": [sample // 8 for sample in range(40)], "position": [0] * 40, "switches": [0] * 40,
        "phases": {}, "counts": {}, "seconds": 0.05,
    }  # fmt: skip
    key = (block.id, level, block.trial(level).id, "speed.train", role, process, len(MEMBERS))
    return Record(*key, "ok", "", samples)  # type: ignore[arg-type]
