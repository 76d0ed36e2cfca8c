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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.measure.servers import Server, ServerDied, Servers
from harness.measure.token_ring import make_ring, start_ring
from harness.plugins.catalog import Measure, resolve
from harness.plugins.isolation import one_line
from harness.plugins.kinds import Stage
from harness.records.plan import Block, Trial, digest
from harness.records.record import Outcome, Record, Role, replicates
from harness.records.settings import SeedSettings

Keep = Callable[[list[Record]], None]
Answer = dict[str, Any]
#: A process of an interleaved measurement: its environment, its slot, and the levels and roles that it measures.
Slot = tuple[Mapping[str, str], int, list[tuple[str, Role]]]


def measure_block(block: Block, done: list[Record], keep: Keep, servers: Servers) -> None:
    """Verify a block, then measure everything that its plan asks for.

    Each replicate is passed to `keep` when it is complete. `done` are the records that an interrupted run left; they
    are not measured again.
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
        asked = [one for name, one in self.servers.catalog.measures.items() if name in self.block.measures.kinds]
        for placement, measure in (("together", self.together), ("alone", self.alone), ("per_seed", self.per_seed)):
            for one in asked:
                if one.kind.placement == placement:
                    measure(one)

    # Messages to the servers

    def ask(self, level: str, **message: Any) -> Answer:
        """The server's answer, in the environment of a level."""
        server, refusal = self.send(self.block.trial(level), 0, level=level, **message)
        return refusal if server is None else self.receive(server)

    def send(self, trial: Trial, slot: int, **message: Any) -> tuple[Server | None, Answer]:
        """Send a message to the server in a slot, in the environment of a trial. Returns the server, whose answer is
        then due; or None, and the answer that explains why it cannot be asked."""
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
        """Have the server load the block. Returns an answer only where it cannot."""
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
        """The answer that stands for a server that died."""
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
        failed: dict[str, str] = {}
        findings: dict[str, Any] = {}
        for environment in self.block.environments:
            levels = [trial.level for trial in self.block.trials if trial.environment == environment]
            self.verify_levels(levels, failed, findings)
            if self.block.baseline.level in failed:
                findings = {}
                break
        records = []
        for trial in self.block.trials:
            if trial.level in failed:
                records.append(self.record(trial.level, "verify", 0, "failed", failed[trial.level]))
            elif trial.level in findings:
                found = findings[trial.level]
                seen = {"examples": self.examples} if trial is self.block.baseline else {}
                data = {**found["data"], **seen}
                records.append(self.record(trial.level, "verify", 0, found["outcome"], found["reason"], data))
        records += self.without_baseline({r.level: r.reason for r in records if r.outcome != "ok"}, "verify", records)
        self.finish(records)

    def verify_levels(self, levels: Sequence[str], failed: dict[str, str], findings: dict[str, Any]) -> None:
        """Verify the levels of one environment; the baseline is the reference in it."""
        baseline = self.block.baseline.level
        others = [trial.level for trial in self.block.trials if trial.level not in (baseline, *levels)]
        while True:
            answer = self.ask(levels[0], do="verify", without=sorted({*failed, *others}))
            if "failed" not in answer:
                break
            blamed = [answer["failed"]] if answer["failed"] else levels
            if baseline in blamed and baseline not in levels:  # it works in its own environment: this one is the cause
                blamed = levels
            for level in blamed:
                failed.setdefault(level, answer["reason"])
            if baseline in failed or all(level in failed for level in levels):
                return
        findings.update({finding["level"]: finding for finding in answer["findings"] if finding["level"] in levels})

    # Placement: together, interleaved in one process, or in several that take turns

    def together(self, measure: Measure) -> None:
        """Run processes that measure all trials, until the kind asks for no more."""
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
        run = self.in_turns if self.block.takes_turns else self.in_one_process
        message = {"do": "measure", "kind": measure.kind.name, "stage": measure.kind.name, "mode": mode}
        while True:
            left_out = sorted({*self.broken, *(record.level for record in failed)})
            answer = run({**message, "replicate": number, "without": left_out}, left_out)
            if "failed" not in answer:
                break
            levels = [answer["failed"]] if answer["failed"] else [x for x in self.levels() if x not in left_out]
            failed += [self.record(level, name, number, "failed", answer["reason"]) for level in levels]
            failed += self.without_baseline({record.level: record.reason for record in failed}, name, failed, number)
            if len(self.levels()) - len(failed) < self.fewest:
                self.finish(failed)
                return
        members = answer["data"]
        share = {"seconds": answer["seconds"] / len(members)}
        good = [
            self.record(m["level"], name, number, "ok", "", {**m["data"], **share}, role=m["role"]) for m in members
        ]
        self.finish(good + failed)

    def in_one_process(self, message: Answer, left_out: Sequence[str]) -> Answer:
        """All trials that are left in one process, and the baseline once more as the control."""
        members = [(level, "variant") for level in self.levels() if level not in left_out]
        baseline = self.block.baseline.level
        return self.ask(baseline, **message, members=[*members, (baseline, "control")])

    def in_turns(self, message: Answer, left_out: Sequence[str]) -> Answer:
        """A process for each environment; the processes take turns. Where one fails, the others are ended."""
        slots = self.slots(left_out)
        with tempfile.TemporaryDirectory(prefix="harness-ring-") as folder:
            make_ring(Path(folder), len(slots))
            token, waiting, answers = start_ring(Path(folder)), [], []
            server = None
            try:
                for slot, (environment, copy, members) in enumerate(slots):
                    server = self.servers.get(environment, copy)
                    refusal = self.prepare(server)
                    if refusal:
                        return refusal
                    ring = {"folder": folder, "slot": slot, "slots": len(slots), "freeze": self.block.threads > 1}
                    server.send({**message, "members": members, "ring": ring})
                    waiting.append(server)
                while waiting:
                    for server in select.select(waiting, [], [])[0]:
                        waiting.remove(server)
                        answers.append(server.receive())
                        if "failed" in answers[-1]:
                            return answers[-1]
            except ServerDied as death:
                return self.death_answer(server, death)
            finally:
                os.close(token)
                for server in waiting:  # they would wait for the token for ever
                    self.servers.drop(server)
        seconds = max(answer["seconds"] for answer in answers)
        return {"data": [member for answer in answers for member in answer["data"]], "seconds": seconds}

    def slots(self, left_out: Sequence[str]) -> list[Slot]:
        """The processes that take turns. The control has a process of its own, so that it shows how much two processes
        differ that do the same."""
        found: list[Slot] = []
        for environment in self.block.environments:
            here = [t.level for t in self.block.trials if t.environment == environment and t.level not in left_out]
            if here:
                found.append((environment, 0, [(level, "variant") for level in here]))
        baseline = self.block.baseline
        found.append((baseline.environment, 1, [(baseline.level, "control")]))
        return found

    # Placement: alone, each trial in processes of its own

    def alone(self, measure: Measure) -> None:
        """Every stage of the kind, in each of its modes."""
        for mode in self.modes(measure):
            for stage in measure.kind.all_stages:
                self.stage(measure, stage, mode)

    def stage(self, measure: Measure, stage: Stage, mode: str) -> None:
        """Each trial in fresh processes of its own. A trial that fails in one is not tried in the next."""
        name = record_name(stage.name, mode)
        done = {record.replicate: record for record in self.records if record.measure == name}
        over = {record.level for record in done.values() if record.outcome != "ok"}
        turns = [trial.level for _ in range(stage.processes) for trial in self.block.trials]
        message = {"do": "measure", "kind": measure.kind.name, "stage": stage.name, "mode": mode}
        for number, level in enumerate(turns):
            if number in done or level in self.broken or level in over:
                continue
            answer = self.ask(level, **message, folder=self.folder)
            outcome: Outcome = "failed" if "failed" in answer else "skipped" if "skipped" in answer else "ok"
            if outcome != "ok":
                over.add(level)
            self.finish([self.record(level, name, number, outcome, answer.get("reason", ""), answer.get("data"))])

    # Placement: per seed, each trial under each seed in a process of its own, several at a time

    def per_seed(self, measure: Measure) -> None:
        """Run every trial under every seed, seed after seed. A trial that fails under one seed is not tried under
        others; one that diverges is."""
        kind = measure.kind.name
        settings = self.block.measures.get(kind, measure.settings)
        assert isinstance(settings, SeedSettings)
        done = {record.replicate: record for record in self.records if record.measure == kind}
        over = {record.level for record in done.values() if record.outcome == "failed"}
        turns = [(seed, trial) for seed in settings.seeds for trial in self.block.trials]
        due = deque((number, *turn) for number, turn in enumerate(turns) if number not in done)
        slots = list(range(1 if settings.one_at_a_time else self.servers.jobs))
        running: dict[Server, tuple[int, Trial, int, int, Path]] = {}
        message = {"do": "measure", "kind": kind, "stage": kind, "mode": ""}
        while due or running:
            while due and slots:
                number, seed, trial = due.popleft()
                if trial.level in self.broken or trial.level in over:
                    continue
                file = Path(self.folder) / "checkpoints" / f"{self.block.id}.{number}.pt"
                more = {"level": trial.level, "seed": seed, "checkpoint": str(file), "folder": self.folder}
                server, refusal = self.send(trial, slots[-1], **message, **more)
                if server is None:
                    over.add(trial.level)
                    self.finish_seed(kind, number, trial, seed, refusal)
                else:
                    running[server] = (number, trial, seed, slots.pop(), file)
            for server in select.select(list(running), [], [])[0] if running else ():
                number, trial, seed, slot, file = running.pop(server)
                slots.append(slot)
                answer = self.receive(server)
                if "failed" in answer:
                    over.add(trial.level)
                self.finish_seed(kind, number, trial, seed, answer)
                file.unlink(missing_ok=True)

    def finish_seed(self, kind: str, number: int, trial: Trial, seed: int, answer: Answer) -> None:
        """Record the run of a trial under a seed."""
        data = answer.get("data", {})
        diverged = data.get("diverged_at") is not None
        outcome: Outcome = "failed" if "failed" in answer else "diverged" if diverged else "ok"
        reason = answer.get("reason", data.get("why", ""))
        stored = {"seed": seed, "seconds": answer.get("seconds", 0.0), **data}
        self.finish([self.record(trial.level, kind, number, outcome, reason, stored)])

    # Records

    @property
    def folder(self) -> str:
        """The absolute path of the run's folder."""
        return str(self.servers.folder.resolve())

    def modes(self, measure: Measure) -> Sequence[str]:
        """The modes in which a kind measures this block; one empty mode for a kind that has none."""
        return self.block.measures.kinds[measure.kind.name].get("of") or ("",)

    def levels(self) -> list[str]:
        """The levels that can still be measured."""
        return [trial.level for trial in self.block.trials if trial.level not in self.broken]

    def without_baseline(
        self, reasons: Mapping[str, str], measure: str, have: Sequence[Record], number: int = 0
    ) -> list[Record]:
        """Where the baseline cannot be measured, the other levels are skipped: they have nothing to compare with."""
        baseline = self.block.baseline.level
        if baseline not in reasons:
            return []
        named = {record.level for record in have}
        because = f"its baseline {baseline} cannot be measured"
        skipped = [level for level in self.levels() if level not in named]
        return [self.record(level, measure, number, "skipped", because) for level in skipped]

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
