"""The coordinator: measures a block in fresh processes, one replicate after another. Free of torch.

It writes a message to a fork server (`harness.measure.forkserver`) and blocks until the answer comes: while a child
measures, nothing here runs.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.analysis import stats
from harness.analysis.timing import Measured, decide, looks_of
from harness.errors import UserError
from harness.measure.token_ring import make_ring, start
from harness.plugins.isolation import one_line
from harness.records.plan import Block, Learning, Outcome, Record, Role, Trial, digest, replicates

Keep = Callable[[list[Record]], None]

#: Fresh processes for what no single one can tell: the resident rise, and a cold start.
PROCESSES = 3


class ServerDied(Exception):
    """The fork server itself ended; `code` is its exit code (negative: the signal)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the measuring process ended with code {code}")
        self.code = code


class Server:
    """A running fork server with one environment."""

    def __init__(
        self, plugins: Sequence[Path], environment: Mapping[str, str], log: Path, without: Sequence[str] = ()
    ) -> None:
        reading, writing = os.pipe()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "harness.measure.forkserver", str(writing)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[writing],
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C is the coordinator's to handle
            )
        os.close(writing)
        self._answers = os.fdopen(reading, encoding="utf-8")
        #: Whose block it was last told to prepare.
        self.prepared: object = None
        opened = self.ask(do="open", plugins=[str(path) for path in plugins], without=list(without))
        self.facts: dict[str, Any] = opened["facts"]

    def ask(self, **message: Any) -> dict[str, Any]:
        """Send a message and block until it is answered. Raises ServerDied, or UserError where the server cannot
        be used at all."""
        self.send(message)
        answer = self.receive()
        if "error" in answer and message["do"] == "open":
            raise UserError(f"the measuring process cannot start: {answer['error']}.")
        return answer

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message. Raises ServerDied."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ServerDied(self.process.wait()) from None

    def receive(self) -> dict[str, Any]:
        """Block until the answer comes. Raises ServerDied."""
        line = self._answers.readline()
        if not line:
            raise ServerDied(self.process.wait())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def fileno(self) -> int:
        """Readable when an answer has come."""
        return self._answers.fileno()

    def close(self) -> None:
        """End the server and whatever it still measures."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        self._answers.close()


@dataclass
class Servers:
    """The fork servers of a run, by environment and seat, started when first needed. Use as a context manager."""

    folder: Path
    plugins: Sequence[Path] = ()
    met: Callable[[Mapping[str, Any]], None] = lambda facts: None
    #: How many may compute at a time where no clock runs.
    jobs: int = 1
    #: Installed plugins that are not loaded.
    without: Sequence[str] = ()
    #: A digest of each dataset's examples, by dataset and fingerprint: every process is to load the same.
    examples: dict[str, str] = field(default_factory=dict)
    _running: dict[Any, Server] = field(default_factory=dict)

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *exception: object) -> None:
        for server in self._running.values():
            server.close()
        self._running.clear()

    def get(self, environment: Mapping[str, str], copy: int = 0) -> Server:
        """The server with this environment; `met` is told the machine's facts when one has started. Where more than
        one with the same is needed, `copy` tells them apart."""
        key = (tuple(sorted(environment.items())), copy)
        if key not in self._running:
            self._running[key] = Server(self.plugins, environment, self.folder / "worker.log", self.without)
            self.met(self._running[key].facts)
        return self._running[key]

    def drop(self, server: Server) -> None:
        """End and forget a server."""
        self._running = {key: other for key, other in self._running.items() if other is not server}
        server.close()


def stops(record: Record) -> bool:
    """Whether a trial cannot go on after this record."""
    return record.outcome in ("failed", "invalid") and not record.after_the_clock


def measure_block(block: Block, done: list[Record], keep: Keep, servers: Servers) -> None:
    """Verify a block, time it, and take what comes after the clock, handing each replicate's records to `keep` at once.

    `done` are the records an interrupted run left; nothing in them is measured again.
    """
    _Worker(block, done, keep, servers).run()


class _Worker:
    def __init__(self, block: Block, done: list[Record], keep: Keep, servers: Servers) -> None:
        self.block, self.keep, self.servers = block, keep, servers
        self.records = [record for record in done if record.block == block.id]
        #: Levels that cannot go on, and why. A failure is data: it is recorded, and the rest goes on without.
        self.broken = {r.level: r.reason for r in self.records if stops(r)}
        #: Trials that a process needs: the baseline and another, or the baseline alone where that is what is asked.
        self.fewest = min(2, len(block.trials))
        #: The digest of the examples that an earlier run of this block has seen.
        self.examples = next((seen for r in self.records if (seen := r.data.get("examples"))), "")

    def run(self) -> None:
        self.verify()
        speed = self.block.measures.speed
        for mode in speed.of if speed else ():
            self.speed(mode)
        measures = self.block.measures
        for mode in measures.memory.of if measures.memory else ():
            self.alone(f"memory.{mode}")
            self.alone(f"resident.{mode}", PROCESSES)
        for mode in measures.cost.of if measures.cost else ():
            self.alone(f"cost.{mode}")
            self.alone(f"cold.{mode}", PROCESSES)
        for mode in measures.profile.of if measures.profile else ():
            self.alone(f"profile.{mode}", traces=str((self.servers.folder / "traces").resolve()))
        if measures.health:
            self.alone("health")
        if measures.learning:
            self.learning(measures.learning)

    def ask(self, **message: Any) -> dict[str, Any]:
        """The server's answer, in the environment of the trial that is spoken of, or the baseline's. A server that dies
        or cannot prepare the block fails all trials that are left."""
        level = message.get("level", self.block.baseline.level)
        trial = next(trial for trial in self.block.trials if trial.level == level)
        server, refused = self.begin(trial, 0, **message)
        return refused if server is None else self.answer(server)

    def begin(self, trial: Trial, seat: int, **message: Any) -> tuple[Server | None, dict[str, Any]]:
        """Send a message to the server in a seat, in the environment of a trial; it then answers. Or no server, and the
        answer that this is."""
        server = None
        try:
            server = self.servers.get(trial.environment, seat)
            refused = self.prepare(server)
            if refused:
                return None, refused
            server.send(message)
            return server, {}
        except ServerDied as death:
            return None, self.buried(server, death)
        except UserError as error:
            if not trial.environment:
                raise
            return None, {"failed": "", "reason": str(error)}  # of the variables that it asks for

    def answer(self, server: Server) -> dict[str, Any]:
        """What a server says to the message that it was sent."""
        try:
            return server.receive()
        except ServerDied as death:
            return self.buried(server, death)

    def prepare(self, server: Server) -> dict[str, Any] | None:
        """Have the server load the block; returns an answer only where it cannot."""
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

    def buried(self, server: Server | None, death: ServerDied) -> dict[str, Any]:
        """The answer that a server's death is."""
        if server is not None:
            self.servers.drop(server)
        limit = self.block.measures.limit
        hint = f" (loading took longer than its limit of {limit:g} s)" if death.code == -signal.SIGALRM else ""
        return {"failed": "", "reason": f"{death}{hint}"}

    def verify(self) -> None:
        if replicates(self.records, self.block.id, "verify"):
            return
        failed: dict[str, str] = {}
        findings: dict[str, Any] = {}
        for environment in self.block.environments:
            here = [trial.level for trial in self.block.trials if trial.environment == environment]
            self.verify_together(here, failed, findings)
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

    def verify_together(self, here: Sequence[str], failed: dict[str, str], findings: dict[str, Any]) -> None:
        """Verify the trials of one environment, with the baseline as the reference in it."""
        baseline = self.block.baseline.level
        others = [trial.level for trial in self.block.trials if trial.level not in (baseline, *here)]
        while True:
            answer = self.ask(do="verify", level=here[0], without=sorted({*failed, *others}))
            if "failed" not in answer:
                break
            blamed = [answer["failed"]] if answer["failed"] else here
            if baseline in blamed and baseline not in here:  # it runs at home: here, the environment is to blame
                blamed = here
            for level in blamed:
                failed.setdefault(level, answer["reason"])
            if baseline in failed or all(level in failed for level in here):
                return
        findings.update({finding["level"]: finding for finding in answer["findings"] if finding["level"] in here})

    def speed(self, mode: str) -> None:
        settings = self.block.measures.speed
        assert settings is not None
        measure = f"speed.{mode}"
        while True:
            if self.block.baseline.level in self.broken or len(self.levels()) < self.fewest:
                return
            measured = Measured(self.block, self.records, mode)
            k = len(measured.processes)
            if settings.quick and k >= 1:
                return
            if k and self.enough(measured):
                return
            done = replicates(self.records, self.block.id, measure)
            self.replicate(measure, max(done, default=-1) + 1)

    def enough(self, measured: Measured) -> bool:
        """Whether there are processes enough, or no time for more."""
        settings, k, looks = measured.settings, len(measured.processes), looks_of(self.block)
        estimates = [e for level, e in measured.estimates().items() if level not in self.broken and e.k > 1]
        if settings.until_decided:
            # The floor also depends on other blocks' controls, so a verdict in the report can still be undecided.
            verdicts = [decide(e, settings, stats.FLOOR, looks[0])[0] for e in estimates]
            decided = [verdict not in ("undecided", "invalid") for verdict in verdicts]
            return stats.until_decided(decided, k, measured.seconds, settings.budget, looks) is not None
        widths = [e.half_width() for e in estimates]
        return stats.go_on(widths, k, settings.half_width, measured.seconds, settings.budget, looks) is not None

    def replicate(self, measure: str, number: int) -> None:
        """One fresh process. A trial that fails in it is recorded as failed, and the process is run without it."""
        failed: list[Record] = []
        while True:
            left_out = sorted({*self.broken, *(record.level for record in failed)})
            take = self.in_turns if self.block.takes_turns else self.together
            answer = take(measure, number, left_out)
            if "failed" not in answer:
                break
            levels = [answer["failed"]] if answer["failed"] else [x for x in self.levels() if x not in left_out]
            failed += [self.record(level, measure, number, "failed", answer["reason"]) for level in levels]
            reasons = {record.level: record.reason for record in failed}
            failed += self.without_baseline(reasons, measure, failed, number)
            if len(self.levels()) - len(failed) < self.fewest:
                self.finish(failed)
                return
        share = {"seconds": answer["seconds"] / len(answer["members"])}
        self.finish(
            [
                self.record(m["level"], measure, number, "ok", "", {**m["data"], **share}, role=m["role"])
                for m in answer["members"]
            ]
            + failed
        )

    def together(self, measure: str, number: int, left_out: Sequence[str]) -> dict[str, Any]:
        """One process with all trials that are left."""
        return self.ask(do=measure, replicate=number, without=left_out)

    def in_turns(self, measure: str, number: int, left_out: Sequence[str]) -> dict[str, Any]:
        """One process a seat, taking turns; where one fails, the others are ended."""
        seats = self.seats(left_out)
        with tempfile.TemporaryDirectory(prefix="harness-ring-") as folder:
            make_ring(Path(folder), len(seats))
            token, waiting, answers = start(Path(folder)), [], []
            server = None
            try:
                for seat, (environment, copy, members) in enumerate(seats):
                    server = self.servers.get(environment, copy)
                    refused = self.prepare(server)
                    if refused:
                        return refused
                    freeze = self.block.threads > 1
                    ring = {"folder": folder, "seat": seat, "seats": len(seats), "members": members, "freeze": freeze}
                    server.send({"do": measure, "replicate": number, "without": left_out, "ring": ring})
                    waiting.append(server)
                while waiting:
                    for server in select.select(waiting, [], [])[0]:
                        waiting.remove(server)
                        answers.append(server.receive())
                        if "failed" in answers[-1]:
                            return answers[-1]
            except ServerDied as death:
                return self.buried(server, death)
            finally:
                os.close(token)
                for server in waiting:  # they would wait for their turn for ever
                    self.servers.drop(server)
        seconds = max(answer["seconds"] for answer in answers)
        return {"members": [member for answer in answers for member in answer["members"]], "seconds": seconds}

    def seats(self, left_out: Sequence[str]) -> list[tuple[Mapping[str, str], int, list[tuple[str, Role]]]]:
        """Who sits where: environment, which copy of its server, and the members. The control has a seat of its own, to
        show what two processes differ by that differ in nothing."""
        found: list[tuple[Mapping[str, str], int, list[tuple[str, Role]]]] = []
        for environment in self.block.environments:
            here = [t.level for t in self.block.trials if t.environment == environment and t.level not in left_out]
            if here:
                found.append((environment, 0, [(level, "variant") for level in here]))
        baseline = self.block.baseline
        found.append((baseline.environment, 1, [(baseline.level, "control")]))
        return found

    def alone(self, measure: str, processes: int = 1, **message: Any) -> None:
        """After the clock, each trial in a fresh process of its own, as often as `processes` says. A trial that fails
        in one is not tried in the others."""
        done = {record.replicate: record for record in self.records if record.measure == measure}
        over = {record.level for record in done.values() if record.outcome != "ok"}
        turns = [trial for _ in range(processes) for trial in self.block.trials]
        for number, trial in enumerate(turns):
            if number in done or trial.level in self.broken or trial.level in over:
                continue
            answer = self.ask(do=measure, level=trial.level, **message)
            outcome: Outcome = "failed" if "failed" in answer else "skipped" if "skipped" in answer else "ok"
            if outcome != "ok":
                over.add(trial.level)
            self.finish(
                [self.record(trial.level, measure, number, outcome, answer.get("reason", ""), answer.get("data"))]
            )

    def learning(self, settings: Learning) -> None:
        """Train every trial under every seed, each in a process of its own and several at a time, seed after seed. A
        trial that fails under one seed is not tried under others; one that diverges is."""
        trials = self.block.trials
        done = {record.replicate: record for record in self.records if record.measure == "learning"}
        over = {record.level for record in done.values() if record.outcome == "failed"}
        turns = [(seed, trial) for seed in settings.seeds for trial in trials]
        todo = deque((number, *turn) for number, turn in enumerate(turns) if number not in done)
        jobs = 1 if settings.seconds else self.servers.jobs  # time is shared fairly by one alone
        seats = list(range(jobs))
        waiting: dict[Server, tuple[int, Trial, int, int, Path]] = {}
        while todo or waiting:
            while todo and seats:
                number, seed, trial = todo.popleft()
                if trial.level in self.broken or trial.level in over:
                    continue
                file = self.servers.folder / "checkpoints" / f"{self.block.id}.{number}.pt"
                message = {"do": "learning", "level": trial.level, "seed": seed, "checkpoint": str(file.resolve())}
                server, refused = self.begin(trial, seats[-1], **message)
                if server is None:
                    over.add(trial.level)
                    self.learned(number, trial, seed, refused)
                else:
                    waiting[server] = (number, trial, seed, seats.pop(), file)
            for server in select.select(list(waiting), [], [])[0] if waiting else ():
                number, trial, seed, seat, file = waiting.pop(server)
                seats.append(seat)
                answer = self.answer(server)
                if "failed" in answer:
                    over.add(trial.level)
                self.learned(number, trial, seed, answer)
                file.unlink(missing_ok=True)

    def learned(self, number: int, trial: Trial, seed: int, answer: Mapping[str, Any]) -> None:
        """Keep what became of a trial under a seed."""
        data = answer.get("data", {})
        outcome: Outcome = (
            "failed" if "failed" in answer else "diverged" if data.get("diverged_at") is not None else "ok"
        )
        reason = answer.get("reason", data.get("why", ""))
        kept = {"seed": seed, "seconds": answer.get("seconds", 0.0), **data}
        self.finish([self.record(trial.level, "learning", number, outcome, reason, kept)])

    def levels(self) -> list[str]:
        """The trials that can still be measured."""
        return [trial.level for trial in self.block.trials if trial.level not in self.broken]

    def without_baseline(
        self, reasons: Mapping[str, str], measure: str, have: Sequence[Record], number: int = 0
    ) -> list[Record]:
        """Where the baseline cannot go on, the others are skipped: there is nothing to compare them with."""
        baseline = self.block.baseline.level
        if baseline not in reasons:
            return []
        named = {record.level for record in have} | set(self.broken)
        because = f"its baseline {baseline} cannot be measured"
        return [
            self.record(trial.level, measure, number, "skipped", because)
            for trial in self.block.trials
            if trial.level not in named
        ]

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
        trial = next(trial for trial in self.block.trials if trial.level == level)
        return Record(
            block=self.block.id,
            level=level,
            trial=trial.id,
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
        """A replicate is complete: count its records, remember what broke, and keep them."""
        complete = [replace(record, of=len(records)) for record in records]
        self.records += complete
        for record in complete:
            if stops(record):
                self.broken[record.level] = record.reason
        self.keep(complete)
