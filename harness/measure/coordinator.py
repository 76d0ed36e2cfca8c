"""The coordinator measures a block in fresh processes, one replicate after another. Does not import torch.

It writes a message to a fork server (`harness.measure.forkserver`) and blocks until the answer comes: while a child
measures, nothing runs here.
"""

from __future__ import annotations

import os
import select
import signal
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.measure.record_guard import Keep
from harness.measure.servers import Server, ServerDied, Servers
from harness.measure.token_ring import make_ring
from harness.plugins.catalog import Measure, resolve
from harness.plugins.isolation import one_line
from harness.plugins.kinds import Stage
from harness.records.plan import Block, Trial, digest
from harness.records.record import Outcome, Record, Role, replicates
from harness.records.settings import SeedSettings

Answer = dict[str, Any]
#: A process of an interleaved measurement: a trial of its environment, its slot, and the levels and roles it measures.
Process = tuple[Trial, int, list[tuple[str, Role]]]
#: A trial to measure in a process of its own, with its seed if it has one.
Turn = tuple[Trial, Mapping[str, int]]


def measure_block(block: Block, done: list[Record], keep: Keep, servers: Servers) -> None:
    """Verify a block, then measure everything that its plan names.

    Each replicate is passed to `keep` when it is complete. `done` are the records of an interrupted run, which are not
    measured again.
    """
    Coordinator(block, done, keep, servers).run()


def stops(record: Record) -> bool:
    """Whether its trial cannot be measured any further."""
    return record.outcome in ("failed", "invalid") and not record.after_timing


class Coordinator:
    """Measures one block."""

    def __init__(self, block: Block, done: list[Record], keep: Keep, servers: Servers) -> None:
        self.block, self.keep, self.servers = block, keep, servers
        self.records = [record for record in done if record.block == block.id]
        #: Levels that cannot be measured any further, and why. A failure is recorded, and the other levels go on.
        self.broken = {record.level: record.reason for record in self.records if stops(record)}
        #: A process needs the baseline and another trial, or the baseline alone in a block of one.
        self.fewest = min(2, len(block.trials))
        #: The digest of the examples that an earlier run of this block has seen.
        self.examples = next((seen for record in self.records if (seen := record.data.get("examples"))), "")

    def run(self) -> None:
        """Verify, then measure every kind that the plan names: first those that are timed together."""
        self.verify()
        kinds = [one for name, one in self.servers.catalog.measures.items() if name in self.block.measures.kinds]
        for placement, measure in (("together", self.together), ("alone", self.alone), ("per_seed", self.per_seed)):
            for one in kinds:
                if one.kind.placement == placement:
                    measure(one)

    # Messages to the servers

    def ask(self, trial: Trial, **message: Any) -> Answer:
        """The answer of the server with the environment of a trial."""
        server, refusal = self.send(trial, 0, **message)
        return refusal if server is None else self.receive(server)

    def send(self, trial: Trial, slot: int, **message: Any) -> tuple[Server | None, Answer]:
        """Send a message to the server in a slot, in the environment of a trial. Returns the server, which will answer;
        or None, and the answer that explains why it cannot be asked."""
        server = None
        try:
            server = self.servers.get(trial.environment, slot)
            refusal = self.prepare(server)
            if refusal:
                return None, refusal
            server.send(message)
            return server, {}
        except ServerDied as death:
            return None, self.death_answer(server, death)
        except UserError as error:
            if not trial.environment:
                raise
            return None, {"failed": "", "reason": str(error)}  # caused by the variables that the trial sets

    def receive(self, server: Server) -> Answer:
        """Block until a server answers."""
        try:
            return server.receive()
        except ServerDied as death:
            return self.death_answer(server, death)

    def prepare(self, server: Server) -> Answer | None:
        """Let the server load the block. Returns an answer only if it cannot."""
        if server.prepared is self:
            return None
        answer = server.ask(do="prepare", block=self.block.to_json())
        if "error" in answer:
            return {"failed": "", "reason": answer["error"]}
        dataset, fingerprint = self.block.baseline.dataset, self.block.baseline.fingerprint
        known = self.servers.examples.setdefault(digest([asdict(dataset), fingerprint]), answer["examples"])
        if answer["examples"] != known or self.examples not in ("", known):
            reason = f"dataset {dataset.name} (plugin {dataset.plugin}) has other examples than before"
            return {"failed": "", "reason": f"{reason}, under the same fingerprint {fingerprint!r}"}
        self.examples = known
        server.prepared = self
        return None

    def death_answer(self, server: Server | None, death: ServerDied) -> Answer:
        """The answer in place of that of a server that died."""
        if server is not None:
            self.servers.drop(server)
        limit = self.block.measures.limit
        hint = f" (loading took longer than its limit of {limit:g} s)" if death.code == -signal.SIGALRM else ""
        return {"failed": "", "reason": f"{death}{hint}"}

    # Verification

    def verify(self) -> None:
        """Verify each trial against the baseline, unless an earlier run did."""
        if replicates(self.records, self.block.id, "verify"):
            return
        found: dict[str, Answer] = {}
        for environment in self.block.environments:
            found |= self.verify_levels([t.level for t in self.block.trials if t.environment == environment])
            if found[self.block.baseline.level]["outcome"] != "ok":
                break
        findings = [found[trial.level] for trial in self.block.trials if trial.level in found]
        records = [self.record(f["level"], "verify", 0, f["outcome"], f["reason"], f["data"]) for f in findings]
        self.finish(self.with_skipped(records, "verify"))

    def verify_levels(self, levels: Sequence[str]) -> dict[str, Answer]:
        """The findings about the levels of one environment, by level. The baseline is the reference in it."""
        baseline = self.block.baseline.level
        others = [trial.level for trial in self.block.trials if trial.level not in (baseline, *levels)]
        found: dict[str, Answer] = {}
        while baseline not in found and not set(levels) <= found.keys():
            answer = self.ask(self.block.trial(levels[0]), do="verify", without=sorted({*found, *others}))
            if "failed" not in answer:
                found |= {finding["level"]: finding for finding in answer["findings"] if finding["level"] in levels}
                if baseline in found:
                    found[baseline]["data"]["examples"] = self.examples
                break
            blamed = [answer["failed"]] if answer["failed"] else levels
            if baseline in blamed and baseline not in levels:  # it works in its own environment: this one is the cause
                blamed = levels
            for level in blamed:
                found.setdefault(level, {"level": level, "outcome": "failed", "reason": answer["reason"], "data": {}})
        return found

    # Placement: together, interleaved in one process, or in several that take turns

    def together(self, measure: Measure) -> None:
        """Run processes that measure all trials, until the kind needs no more."""
        more = resolve(measure.kind.more, measure.entry.owner) if measure.kind.more else None
        for mode in self.modes(measure):
            name = record_name(measure.kind.name, mode)
            while self.block.baseline.level not in self.broken and len(self.levels()) >= self.fewest:
                done = replicates(self.records, self.block.id, name)
                if not (more(self.block, self.records, mode) if more else not done):
                    break
                self.replicate(measure, mode, name, max(done, default=-1) + 1)

    def replicate(self, measure: Measure, mode: str, name: str, number: int) -> None:
        """One fresh process. A trial that fails in it is recorded as failed, and the process is run without it."""
        failed: list[Record] = []
        kind = measure.kind.name
        message = {"do": "measure", "kind": kind, "stage": kind, "mode": mode, "replicate": number}
        while True:
            left_out = sorted({*self.broken, *(record.level for record in failed)})
            levels = [level for level in self.levels() if level not in left_out]
            answer = self.interleaved({**message, "without": left_out}, levels)
            if "failed" not in answer:
                break
            blamed = [answer["failed"]] if answer["failed"] else levels
            failed += [self.record(level, name, number, "failed", answer["reason"]) for level in blamed]
            failed = self.with_skipped(failed, name, number)
            if len(self.levels()) - len(failed) < self.fewest:
                self.finish(failed)
                return
        members = answer["data"]
        share = {"seconds": answer["seconds"] / len(members)}
        good = [
            self.record(m["level"], name, number, "ok", "", {**m["data"], **share}, role=m["role"]) for m in members
        ]
        self.finish(good + failed)

    def interleaved(self, message: Answer, levels: Sequence[str]) -> Answer:
        """Measure the levels in one process, and the baseline once more as the control; or in a process for each
        environment, which take turns."""
        baseline = self.block.baseline
        if not self.block.takes_turns:
            members = [*((level, "variant") for level in levels), (baseline.level, "control")]
            return self.ask(baseline, **message, members=members)
        processes: list[Process] = []
        for environment in self.block.environments:
            trials = [t for t in self.block.trials if t.environment == environment and t.level in levels]
            if trials:
                processes.append((trials[0], 0, [(trial.level, "variant") for trial in trials]))
        # The control has a process of its own, to show how much two processes differ that do the same.
        processes.append((baseline, 1, [(baseline.level, "control")]))
        return self.in_turns(message, processes)

    def in_turns(self, message: Answer, processes: Sequence[Process]) -> Answer:
        """Run processes that take turns. If one fails, the others are ended."""
        with tempfile.TemporaryDirectory(prefix="harness-ring-") as folder:
            token, waiting, answers = make_ring(Path(folder), len(processes)), [], []
            try:
                for number, (trial, slot, members) in enumerate(processes):
                    ring = {"folder": folder, "slot": number, "slots": len(processes)}
                    ring["freeze"] = self.block.threads > 1
                    server, refusal = self.send(trial, slot, **message, members=members, ring=ring)
                    if server is None:
                        return refusal
                    waiting.append(server)
                while waiting:
                    for server in select.select(waiting, [], [])[0]:
                        waiting.remove(server)
                        answers.append(self.receive(server))
                        if "failed" in answers[-1]:
                            return answers[-1]
            finally:
                os.close(token)
                for server in waiting:  # they would wait for the token for ever
                    self.servers.drop(server)
        seconds = max(answer["seconds"] for answer in answers)
        return {"data": [member for answer in answers for member in answer["data"]], "seconds": seconds}

    # Placements: alone and per seed, each trial in processes of its own

    def alone(self, measure: Measure) -> None:
        """Measure every trial in every stage of the kind, in each of its modes, one process at a time."""
        for mode in self.modes(measure):
            for stage in measure.kind.all_stages:
                turns: list[Turn] = [(trial, {}) for trial in self.block.trials * stage.processes]
                self.separately(measure, stage, mode, turns, jobs=1)

    def per_seed(self, measure: Measure) -> None:
        """Measure every trial under every seed, seed after seed, several processes at a time."""
        settings = self.block.measures.get(measure.kind.name, measure.settings)
        assert isinstance(settings, SeedSettings)
        turns: list[Turn] = [(trial, {"seed": seed}) for seed in settings.seeds for trial in self.block.trials]
        jobs = 1 if settings.one_at_a_time else self.servers.jobs
        self.separately(measure, measure.kind.all_stages[0], "", turns, jobs)

    def separately(self, measure: Measure, stage: Stage, mode: str, turns: Sequence[Turn], jobs: int) -> None:
        """Measure what is not done yet, each turn in a process of its own. A trial that fails in one turn, or cannot be
        measured on this machine, is left out of the others."""
        name = record_name(stage.name, mode)
        done = {record.replicate: record for record in self.records if record.measure == name}
        left_out = {record.level for record in done.values() if record.outcome in ("failed", "skipped")}
        due = deque((number, *turn) for number, turn in enumerate(turns) if number not in done)
        slots = list(range(jobs))
        running: dict[Server, tuple[int, Trial, Mapping[str, int], int, Path]] = {}
        folder = self.servers.folder.resolve()
        message = {"do": "measure", "kind": measure.kind.name, "stage": stage.name, "mode": mode, "folder": str(folder)}
        while due or running:
            while due and slots:
                number, trial, seed = due.popleft()
                if trial.level in self.broken or trial.level in left_out:
                    continue
                file = folder / "checkpoints" / f"{self.block.id}.{number}.pt"
                more = {"level": trial.level, **seed, **({"checkpoint": str(file)} if seed else {})}
                server, answer = self.send(trial, slots[-1], **message, **more)
                if server is None:
                    left_out |= self.finish_turn(name, number, trial, seed, answer)
                else:
                    running[server] = (number, trial, seed, slots.pop(), file)
            for server in select.select(list(running), [], [])[0] if running else ():
                number, trial, seed, slot, file = running.pop(server)
                slots.append(slot)
                left_out |= self.finish_turn(name, number, trial, seed, self.receive(server))
                file.unlink(missing_ok=True)

    def finish_turn(self, name: str, number: int, trial: Trial, seed: Mapping[str, int], answer: Answer) -> set[str]:
        """Record the result of a turn. Returns its level if it is to be left out of the next turns."""
        data = answer.get("data") or {}
        outcome: Outcome = "failed" if "failed" in answer else "skipped" if "skipped" in answer else "ok"
        reason = answer.get("reason", "")
        if seed:
            if outcome == "ok" and data.get("diverged_at") is not None:
                outcome, reason = "diverged", data.get("why", "")
            data = {**seed, "seconds": answer.get("seconds", 0.0), **data}
        self.finish([self.record(trial.level, name, number, outcome, reason, data)])
        return {trial.level} if outcome in ("failed", "skipped") else set()

    # Records

    def modes(self, measure: Measure) -> Sequence[str]:
        """The modes in which a kind measures this block; one empty mode for a kind that has none."""
        return self.block.measures.kinds[measure.kind.name].get("of") or ("",)

    def levels(self) -> list[str]:
        """The levels that can still be measured."""
        return [trial.level for trial in self.block.trials if trial.level not in self.broken]

    def with_skipped(self, records: list[Record], measure: str, number: int = 0) -> list[Record]:
        """The records. If the baseline is not ok in them, the other levels are skipped: there is nothing to compare
        them with."""
        baseline = self.block.baseline.level
        if all(record.outcome == "ok" for record in records if record.level == baseline):
            return records
        reason = f"its baseline {baseline} cannot be measured"
        others = set(self.levels()) - {record.level for record in records}
        skipped = [level for level in self.levels() if level in others]
        return [*records, *(self.record(level, measure, number, "skipped", reason) for level in skipped)]

    def record(
        self,
        level: str,
        measure: str,
        number: int,
        outcome: Outcome,
        reason: str = "",
        data: Mapping[str, Any] | None = None,
        role: Role = "variant",
    ) -> Record:
        """A record of a level in this block."""
        return Record(
            block=self.block.id,
            level=level,
            trial=self.block.trial(level).id,
            measure=measure,
            role=role,
            replicate=number,
            of=1,
            outcome=outcome,
            reason=one_line(reason),
            data=data or {},
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def finish(self, records: list[Record]) -> None:
        """A replicate is complete: count its records, note which levels broke, and pass it on."""
        complete = [replace(record, of=len(records)) for record in records]
        self.records += complete
        for record in complete:
            if stops(record):
                self.broken[record.level] = record.reason
        self.keep(complete)


def record_name(stage: str, mode: str) -> str:
    """The name of a measure in records, such as memory.train."""
    return f"{stage}.{mode}" if mode else stage
