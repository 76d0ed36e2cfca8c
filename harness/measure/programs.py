"""Measures a block of programs: whole commands, without a fork server and without torch.

A replicate is a round: each program of the block runs once, and the baseline runs once more as the control, in balanced
random order. Short programs run several times in a round. Each run is a fresh process. The unit of statistics is the
round, since its runs share the state that the machine had at the time.

All runs of a round have the same seed. While seeds are missing, a round also gives the scores of its seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from harness.analysis.standing import due_levels
from harness.errors import UserError
from harness.measure.block_records import BlockRecords, record_name
from harness.measure.machine_facts import OURS, describe_machine, versions_of
from harness.measure.program_runs import ProgramRun, ProgramRunner
from harness.measure.record_guard import Keep
from harness.measure.runtime.clock import balanced_orders
from harness.modes import PROGRAM
from harness.plugins.command_line import CommandLine
from harness.plugins.printed_scores import ScoreReader
from harness.records.plan import LEARNING, Block
from harness.records.record import Record, Role, replicates

#: The measure of the records of the clock.
TIMES = record_name("speed", PROGRAM)
#: The most runs of a program in a round.
MOST_RUNS = 1000
#: A level of the block, as itself or as the control.
Member = tuple[str, Role]


def measure_programs(
    block: Block, done: list[Record], keep: Keep, folder: Path, on_machine: Callable[[Mapping[str, Any]], None]
) -> None:
    """Verify a block of programs, then measure it. `folder` is that of the run. See `BlockRecords` for the others."""
    on_machine({**describe_machine(), "packages": versions_of(OURS)})
    ProgramBlock(block, done, keep, folder).run()


class ProgramBlock(BlockRecords):
    """Measures one block of programs."""

    def __init__(self, block: Block, done: list[Record], keep: Keep, folder: Path) -> None:
        super().__init__(block, done, keep)
        self.baseline, self.speed, self.learning = block.baseline.level, block.measures.speed, block.measures.learning
        self.commands = {t.level: CommandLine.parse(t.model.parameters["run"]) for t in block.trials}
        self.seeds = self.learning.seeds if self.learning else (block.baseline.seed,)
        parameters = block.baseline.dataset.parameters
        scores = parameters["scores"] if self.learning else {}
        readers = {name: ScoreReader.parse(form["read"]) for name, form in scores.items()}
        self.folder = Path(parameters["folder"]).resolve()
        self.runner = ProgramRunner(self.folder, folder / "output", block.measures.limit, readers)

    def run(self) -> None:
        """Verify, then measure rounds until nothing more is needed."""
        self.verify()
        while (due := self.next_round()) is not None:
            self.measure_round(*due)

    def run_once(self, level: str, seed: int, title: str) -> ProgramRun:
        """One run of a level."""
        index = [trial.level for trial in self.block.trials].index(level)
        command = self.commands[level]
        return self.runner.run(command, seed, f"{title}, seed {seed}, {command.text}", f"{self.block.id}.{index}.log")

    # Verification

    def verify(self) -> None:
        """Run each program once, unless an earlier run did. Raises UserError if that was in another folder."""
        known = replicates(self.records, self.block.id, "verify")
        began = next((r.data["folder"] for group in known.values() for r in group if "folder" in r.data), None)
        if began not in (None, str(self.folder)):
            what = f"the programs of this run were started in {began}, and this is {self.folder}."
            raise UserError(what, where=self.block.name, fix="Resume the run in the same folder.")
        if known:
            return
        records: list[Record] = []
        for trial in self.block.trials:
            begun = perf_counter()
            run = self.run_once(trial.level, self.seeds[0], "verification")
            data = {"seconds": perf_counter() - begun, "folder": str(self.folder), "scores": dict(run.scores)}
            outcome = "failed" if run.problem else "ok"
            records.append(self.record("verify", 0, trial.level, outcome, run.problem, data))  # type: ignore[arg-type]
            if run.problem and trial is self.block.baseline:
                break
        self.finish(self.with_skipped(records, "verify", 0))

    # Rounds

    def next_round(self) -> tuple[int, list[str]] | None:
        """The seed and the levels of the next round; None if no round is needed."""
        levels = self.levels()
        if self.baseline not in levels or len(levels) < min(2, len(self.block.trials)):
            return None
        if self.learning:
            known = {(r.level, r.data["seed"]) for r in self.records if r.measure == LEARNING and r.outcome == "ok"}
            for seed in self.seeds:
                if any((level, seed) not in known for level in levels):
                    return seed, levels
        wanted = due_levels(self.block, self.records, PROGRAM)
        number = self.next_replicate()
        return (self.seeds[number % len(self.seeds)], [one for one in levels if one in wanted]) if wanted else None

    def next_replicate(self) -> int:
        """The number of the next round."""
        return max(replicates(self.records, self.block.id, TIMES), default=-1) + 1

    def measure_round(self, seed: int, levels: Sequence[str]) -> None:
        """Measure a round of these levels. A program that fails is recorded as failed, and the others go on."""
        number, begun = self.next_replicate(), perf_counter()
        members: list[Member] = [*((level, "variant") for level in levels), (self.baseline, "control")]
        runs: dict[Member, list[ProgramRun]] = {member: [] for member in members}
        places: dict[Member, list[tuple[int, int]]] = {member: [] for member in members}
        problems: dict[str, str] = {}
        for round_, order in enumerate(self.orders(members, number)):
            for position, index in enumerate(order):
                level, role = member = members[index]
                if level in problems or self.baseline in problems:
                    continue
                run = self.run_once(level, seed, f"round {number}, {role}")
                runs[member].append(run)
                places[member].append((round_, position))
                if run.problem:
                    problems[level] = run.problem
        good = {} if self.baseline in problems else {one: of for one, of in runs.items() if one[0] not in problems}
        data = {"seconds": (perf_counter() - begun) / max(1, len(good)), "seed": seed}
        records = [
            self.record(TIMES, number, level, "ok", data={**columns(those, places[level, role]), **data}, role=role)
            for (level, role), those in good.items()
        ]
        failed = [self.record(TIMES, number, level, "failed", why) for level, why in problems.items()]
        self.finish([*records, *self.with_skipped(failed, TIMES, number), *self.scores(seed, good)])

    def orders(self, members: Sequence[Member], number: int) -> Iterator[list[int]]:
        """The orders of a round, one for each time that its programs run. Over all rounds they are balanced."""
        times = {}
        for record in replicates(self.records, self.block.id, "verify").get(0, ()):
            times[record.level] = record.data.get("seconds", math.inf)
        seconds = sum(times[level] for level, _ in members)
        assert self.speed is not None
        repeats = min(MOST_RUNS, max(1, math.ceil(self.speed.seconds_of(len(members)) / seconds)))
        return islice(
            balanced_orders(len(members), Random(f"{self.block.id} {len(members)}")),
            number * repeats, (number + 1) * repeats,
        )  # fmt: skip

    def scores(self, seed: int, runs: Mapping[Member, Sequence[ProgramRun]]) -> Iterator[Record]:
        """The records of the scores under a seed that are not known yet. That of the baseline has the scores of its
        control, too, which had the same seed."""
        if not self.learning:
            return
        known = {(r.level, r.data.get("seed")) for r in self.records if r.measure == LEARNING}
        for index, trial in enumerate(self.block.trials):
            level = trial.level
            if (level, seed) in known or (level, "variant") not in runs:
                continue
            first = runs[level, "variant"][0]
            data = {
                "seed": seed, "seconds": first.wall * 1e-9, "elapsed": [round(first.wall * 1e-9, 3)], "evaluated": [0],
                "scores": {name: [value] for name, value in first.scores.items()}, "loss": [], "steps": 0,
            }  # fmt: skip
            if level == self.baseline and (again := runs.get((level, "control"))):
                data["again"] = dict(again[0].scores)
            number = self.seeds.index(seed) * len(self.block.trials) + index
            yield self.record(LEARNING, number, level, "ok", data=data)


def columns(runs: Sequence[ProgramRun], places: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """The runs of a program as the samples of a record, one list for each column."""
    cpu = [run.cpu for run in runs]
    return {
        "repeats": 1,
        "wall": [run.wall for run in runs],
        "cpu": cpu,
        "process": cpu,
        "switches": [run.preemptions for run in runs],
        "batch": [0] * len(runs),
        "round": [round_ for round_, _ in places],
        "position": [position for _, position in places],
        "phases": {},
        "counts": {},
        "peak": [run.peak for run in runs],
        "smallest_peak": max(run.smallest_peak for run in runs),
        "user": [run.user for run in runs],
        "system": [run.system for run in runs],
        "flags": ["left_running"] if any(run.left_running for run in runs) else [],
    }
