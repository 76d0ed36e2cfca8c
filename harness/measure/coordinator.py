"""The executor `local`: it measures a block in fresh processes on this machine, one replicate after another.

The coordinator writes a message to a fork server (`harness.measure.forkserver`) and blocks until the answer comes:
while a child measures, nothing runs here. Does not import torch.
"""

from __future__ import annotations

import os
import select
import signal
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.errors import UserError
from harness.measure.block_records import BlockRecords, record_name
from harness.measure.programs import measure_programs
from harness.measure.record_guard import Execute, Keep
from harness.measure.servers import Answer, Refused, Server, Servers
from harness.measure.token_ring import make_ring
from harness.plugins.catalog import Measure, resolve
from harness.plugins.kinds import Stage
from harness.records.plan import Block, Trial, digest
from harness.records.record import Outcome, Record, Role, replicates
from harness.records.settings import SeedSettings

if TYPE_CHECKING:
    from harness.measure.runner import RunContext


class RingMember(NamedTuple):
    """A process of a token ring: a trial of its environment, the slot of its server, and the members it measures."""

    trial: Trial
    slot: int
    members: list[tuple[str, Role]]


class SeparateRun(NamedTuple):
    """A trial to measure in a separate process. `seed` is ``{"seed": 3}``, or empty for a kind without seeds."""

    replicate: int
    trial: Trial
    seed: Mapping[str, int]


@contextmanager
def execute(run: RunContext) -> Iterator[Execute]:
    """The executor. Yields ``execute(block, done, keep)``, to be called for one block after another."""
    with Servers(run.folder, run.catalog, run.on_machine, run.jobs) as servers:

        def measure(block: Block, done: list[Record], keep: Keep) -> None:
            if block.of_programs:
                measure_programs(block, done, keep, run.folder, run.on_machine)
            else:
                measure_block(block, done, keep, servers)

        yield measure


def measure_block(block: Block, done: list[Record], keep: Keep, servers: Servers) -> None:
    """Verify a block, then measure everything that its plan names.

    Each replicate is passed to `keep` when it is complete. `done` are the records of an interrupted run, which are not
    measured again.
    """
    Coordinator(block, done, keep, servers).run()


class Coordinator(BlockRecords):
    """Measures one block. The methods are in the order in which they are called."""

    def __init__(self, block: Block, done: list[Record], keep: Keep, servers: Servers) -> None:
        super().__init__(block, done, keep)
        self.servers = servers
        #: A process needs the baseline and another trial, or the baseline alone in a block of one.
        self.fewest = min(2, len(block.trials))
        #: The digest of the examples that an earlier run of this block has used.
        self.examples = next((known for record in self.records if (known := record.data.get("examples"))), "")

    def run(self) -> None:
        """Verify, then measure every kind that the plan names: first those that are timed together."""
        self.verify()
        kinds = [one for name, one in self.servers.catalog.measures.items() if name in self.block.measures.kinds]
        steps = {"together": self.measure_together, "alone": self.measure_alone, "per_seed": self.measure_per_seed}
        for placement, step in steps.items():
            for measure in kinds:
                if measure.kind.placement == placement:
                    step(measure)

    # Step 1: verification

    def verify(self) -> None:
        """Verify each trial against the baseline, unless an earlier run did."""
        if replicates(self.records, self.block.id, "verify"):
            return
        found: dict[str, Answer] = {}
        for environment in self.block.environments:
            found |= self.verify_levels([t.level for t in self.block.trials if t.environment == environment])
            if found[self.block.baseline.level]["outcome"] != "ok":
                break
        records = [self.record("verify", 0, **found[t.level]) for t in self.block.trials if t.level in found]
        self.finish(self.with_skipped(records, "verify", 0))

    def verify_levels(self, levels: Sequence[str]) -> dict[str, Answer]:
        """The findings about the levels of one environment, by level. The baseline is the reference in it."""
        baseline = self.block.baseline.level
        others = [trial.level for trial in self.block.trials if trial.level not in (baseline, *levels)]
        found: dict[str, Answer] = {}
        while baseline not in found and not set(levels) <= found.keys():
            answer = self.ask(self.block.trial(levels[0]), request="verify", without=sorted({*found, *others}))
            if "failed" not in answer:
                found |= {finding["level"]: finding for finding in answer["findings"] if finding["level"] in levels}
                if baseline in found:
                    found[baseline]["data"]["examples"] = self.examples
                break
            failed = failed_levels(answer, levels)
            if baseline in failed and baseline not in levels:  # it works in its own environment: this one is the cause
                failed = levels
            for level in failed:
                found.setdefault(level, {"level": level, "outcome": "failed", "reason": answer["reason"]})
        return found

    # Step 2: kinds with the placement "together", interleaved in one process, or in several that take turns

    def measure_together(self, measure: Measure) -> None:
        """Measure replicates, until the kind needs no more. The kind may leave levels out of later replicates."""
        more = resolve(measure.kind.more, measure.entry.owner) if measure.kind.more else None
        for mode in self.modes(measure):
            name = record_name(measure.kind.name, mode)
            while self.block.baseline.level not in self.broken and len(self.levels()) >= self.fewest:
                done = replicates(self.records, self.block.id, name)
                wanted = more(self.block, self.records, mode) if more else [] if done else self.levels()
                if not wanted:
                    break
                self.measure_replicate(measure, mode, name, max(done, default=-1) + 1, wanted)

    def measure_replicate(self, measure: Measure, mode: str, name: str, number: int, wanted: Sequence[str]) -> None:
        """Measure one replicate of the wanted levels. A trial that fails is recorded as failed, and the others are
        measured without it."""
        ok: list[Record] = []
        failed: list[Record] = []
        kind = measure.kind.name
        message = {"request": "measure", "kind": kind, "stage": kind, "mode": mode, "replicate": number}
        while len(levels := [one for one in self.levels(without=failed) if one in wanted]) >= self.fewest:
            left_out = [trial.level for trial in self.block.trials if trial.level not in levels]
            answer = self.interleave({**message, "without": left_out}, levels)
            if "failed" not in answer:
                share = {"seconds": answer["seconds"] / len(answer["data"])}
                for member in answer["data"]:
                    data = {**member["data"], **share}
                    ok.append(self.record(name, number, member["level"], "ok", data=data, role=member["role"]))
                break
            for level in failed_levels(answer, levels):
                failed.append(self.record(name, number, level, "failed", answer["reason"]))
            failed = self.with_skipped(failed, name, number)
        self.finish(ok + failed)

    def interleave(self, message: Answer, levels: Sequence[str]) -> Answer:
        """Measure the levels in one process, and the baseline once more as the control. Levels with different
        environments are measured in a process for each environment; these take turns."""
        baseline = self.block.baseline
        if not self.block.takes_turns:
            members = [*((level, "variant") for level in levels), (baseline.level, "control")]
            return self.ask(baseline, **message, members=members)
        processes: list[RingMember] = []
        for environment in self.block.environments:
            trials = [t for t in self.block.trials if t.environment == environment and t.level in levels]
            if trials:
                processes.append(RingMember(trials[0], 0, [(trial.level, "variant") for trial in trials]))
        # The control has a separate process, to show how much two processes differ that do the same.
        processes.append(RingMember(baseline, 1, [(baseline.level, "control")]))
        return self.run_ring(message, processes)

    def run_ring(self, message: Answer, processes: Sequence[RingMember]) -> Answer:
        """Run processes that pass a token around. If one fails, the others are ended."""
        with tempfile.TemporaryDirectory(prefix="harness-ring-") as folder:
            token, waiting, answers = make_ring(Path(folder), len(processes)), [], []
            ring = {"folder": folder, "slots": len(processes), "freeze": self.block.threads > 1}
            try:
                for position, (trial, slot, members) in enumerate(processes):
                    one = {**message, "members": members, "ring": {**ring, "slot": position}}
                    waiting.append(self.send(trial, slot, **one))
                while waiting:
                    for server in select.select(waiting, [], [])[0]:
                        waiting.remove(server)
                        answers.append(server.receive())
                        if "failed" in answers[-1]:
                            return answers[-1]
            except Refused as refusal:
                return refusal.answer
            finally:
                os.close(token)
                for server in waiting:  # otherwise they would wait for the token for ever
                    server.close()
        seconds = max(answer["seconds"] for answer in answers)
        return {"data": [member for answer in answers for member in answer["data"]], "seconds": seconds}

    # Steps 3 and 4: kinds with the placements "alone" and "per_seed", each trial in a separate process

    def measure_alone(self, measure: Measure) -> None:
        """Measure every trial in each mode and each stage of the kind, one process at a time."""
        for mode in self.modes(measure):
            for stage in measure.kind.all_stages:
                trials = self.block.trials * stage.processes
                self.measure_separately(measure, stage, mode, [(trial, {}) for trial in trials], jobs=1)

    def measure_per_seed(self, measure: Measure) -> None:
        """Measure every trial under every seed, seed after seed, several processes at a time."""
        settings = self.block.measures.get(measure.kind.name, measure.settings)
        assert isinstance(settings, SeedSettings)
        trials = [(trial, {"seed": seed}) for seed in settings.seeds for trial in self.block.trials]
        jobs = 1 if settings.one_at_a_time else self.servers.jobs
        self.measure_separately(measure, measure.kind.all_stages[0], "", trials, jobs)

    def measure_separately(
        self, measure: Measure, stage: Stage, mode: str, trials: Sequence[tuple[Trial, Mapping[str, int]]], jobs: int
    ) -> None:
        """Measure what is not done yet, each trial in a separate process. A level that fails once, or cannot be
        measured on this machine, is not measured again."""
        name = record_name(stage.name, mode)
        done = {record.replicate: record for record in self.records if record.measure == name}
        left_out = {record.level for record in done.values() if record.outcome in ("failed", "skipped")} | self.broken
        waiting = deque(SeparateRun(number, *one) for number, one in enumerate(trials) if number not in done)
        free_slots = list(range(jobs))
        running: dict[Server, tuple[SeparateRun, int, Path]] = {}
        folder = self.servers.folder.resolve()
        message = {"request": "measure", "kind": measure.kind.name, "stage": stage.name, "mode": mode}
        message["folder"] = str(folder)
        while waiting or running:
            while waiting and free_slots:
                run = waiting.popleft()
                if run.trial.level in left_out:
                    continue
                checkpoint = folder / "checkpoints" / f"{self.block.id}.{run.replicate}.pt"
                more = {**run.seed, "checkpoint": str(checkpoint)} if run.seed else {}
                try:
                    server = self.server(run.trial, 0)
                    if jobs > 1:  # each of them needs the data, which one server has loaded
                        server = server.copy(free_slots[-1])
                    server.send({**message, "level": run.trial.level, **more})
                except Refused as refusal:
                    left_out |= self.finish_run(name, run, refusal.answer)
                else:
                    running[server] = run, free_slots.pop(), checkpoint
            for server in select.select(list(running), [], [])[0] if running else ():
                run, slot, checkpoint = running.pop(server)
                free_slots.append(slot)
                left_out |= self.finish_run(name, run, server.receive())
                checkpoint.unlink(missing_ok=True)

    def finish_run(self, name: str, run: SeparateRun, answer: Answer) -> set[str]:
        """Record the result. Returns the level if it is not to be measured again."""
        data = answer.get("data") or {}
        outcome: Outcome = "failed" if "failed" in answer else "skipped" if "skipped" in answer else "ok"
        reason = answer.get("reason", "")
        if run.seed:
            if outcome == "ok" and data.get("diverged_at") is not None:
                outcome, reason = "diverged", data.get("why", "")
            data = {**run.seed, "seconds": answer.get("seconds", 0.0), **data}
        self.finish([self.record(name, run.replicate, run.trial.level, outcome, reason, data)])
        return {run.trial.level} if outcome in ("failed", "skipped") else set()

    # Messages to the servers

    def ask(self, trial: Trial, **message: Any) -> Answer:
        """The answer of the server with the environment of a trial."""
        try:
            return self.send(trial, 0, **message).receive()
        except Refused as refusal:
            return refusal.answer

    def send(self, trial: Trial, slot: int, **message: Any) -> Server:
        """Send a message to the server in a slot, in the environment of a trial. Raises Refused."""
        server = self.server(trial, slot)
        server.send(message)
        return server

    def server(self, trial: Trial, slot: int) -> Server:
        """The server in a slot, in the environment of a trial. Raises Refused if there is no server that has loaded the
        block."""
        try:
            server = self.servers.get(trial.environment, slot)
        except UserError as error:
            if not trial.environment:
                raise
            raise Refused(str(error)) from error  # caused by the variables that the trial sets
        if server.prepared is not self:
            self.prepare(server)
        return server

    def prepare(self, server: Server) -> None:
        """Let the server load the block. Raises Refused if it cannot."""
        answer = server.ask(request="prepare", block=self.block.to_json())
        if "failed" in answer:
            slow = f" (loading took longer than its limit of {self.block.measures.limit:g} s)"
            raise Refused(answer["reason"] + (slow if server.exit_code == -signal.SIGALRM else ""))
        dataset, fingerprint = self.block.baseline.dataset, self.block.baseline.fingerprint
        known = self.servers.examples.setdefault(digest([asdict(dataset), fingerprint]), answer["examples"])
        if answer["examples"] != known or self.examples not in ("", known):
            reason = f"dataset {dataset.name} (plugin {dataset.plugin}) has other examples than before"
            raise Refused(f"{reason}, under the same fingerprint {fingerprint!r}")
        self.examples = known
        server.prepared = self

    # Records

    def modes(self, measure: Measure) -> Sequence[str]:
        """The modes in which a kind measures this block; one empty mode for a kind that has none."""
        return self.block.measures.kinds[measure.kind.name].get("of") or ("",)


def failed_levels(answer: Answer, levels: Sequence[str]) -> Sequence[str]:
    """The level that failed according to an answer; all levels if it does not say which."""
    return [answer["failed"]] if answer["failed"] else levels
