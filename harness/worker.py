"""The coordinator: measures a block in fresh processes, one replicate after another. Free of torch.

It writes a message to a fork server (`harness.forkserver`) and blocks until the answer comes: while a child measures,
nothing here runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import stats
from harness.compare import Measured
from harness.errors import UserError
from harness.records import Block, Outcome, Record, Role, replicates

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

    def __init__(self, plugins: Sequence[Path], environment: Mapping[str, str], log: Path) -> None:
        reading, writing = os.pipe()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "harness.forkserver", str(writing)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[writing],
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C is the coordinator's to handle
            )
        os.close(writing)
        self._answers = os.fdopen(reading, encoding="utf-8")
        self.facts: dict[str, Any] = self.ask(do="open", plugins=[str(path) for path in plugins])["facts"]

    def ask(self, **message: Any) -> dict[str, Any]:
        """Send a message and block until it is answered. Raises ServerDied, or UserError where the server cannot
        be used at all."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ServerDied(self.process.wait()) from None
        line = self._answers.readline()
        if not line:
            raise ServerDied(self.process.wait())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer and message["do"] == "open":
            raise UserError(f"the measuring process cannot start: {answer['error']}.")
        return answer

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
    """The fork servers of a run, started when first needed. Use as a context manager."""

    folder: Path
    plugins: Sequence[Path] = ()
    met: Callable[[Mapping[str, Any]], None] = lambda facts: None
    _running: dict[tuple[tuple[str, str], ...], Server] = field(default_factory=dict)

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *exception: object) -> None:
        for server in self._running.values():
            server.close()
        self._running.clear()

    def get(self, environment: Mapping[str, str]) -> Server:
        """The server with this environment; `met` is told the machine's facts when one has started."""
        key = tuple(sorted(environment.items()))
        if key not in self._running:
            self._running[key] = Server(self.plugins, environment, self.folder / "worker.log")
            self.met(self._running[key].facts)
        return self._running[key]

    def drop(self, environment: Mapping[str, str]) -> None:
        """Forget a server that died."""
        server = self._running.pop(tuple(sorted(environment.items())), None)
        if server is not None:
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
        self.prepared = False

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
        if measures.profile:
            self.alone("profile", traces=str((self.servers.folder / "traces").resolve()))

    def ask(self, **message: Any) -> dict[str, Any]:
        """The server's answer; a server that dies or cannot prepare the block fails all trials that are left."""
        try:
            server = self.servers.get(self.block.environment)
            if not self.prepared:
                answer = server.ask(do="prepare", block=self.block.to_json())
                if "error" in answer:
                    return {"failed": "", "reason": answer["error"]}
                self.prepared = True
            return server.ask(**message)
        except ServerDied as death:
            self.servers.drop(self.block.environment)
            self.prepared = False
            limit = self.block.measures.limit
            hint = f" (loading took longer than its limit of {limit:g} s)" if death.code == -signal.SIGALRM else ""
            return {"failed": "", "reason": f"{death}{hint}"}

    def verify(self) -> None:
        if replicates(self.records, self.block.id, "verify"):
            return
        failed: dict[str, str] = {}
        while True:
            answer = self.ask(do="verify", without=sorted(failed))
            if "failed" not in answer:
                break
            for level in [answer["failed"]] if answer["failed"] else self.levels():
                failed.setdefault(level, answer["reason"])
            if self.block.baseline.level in failed:
                answer = {"findings": []}
                break
        findings = {finding["level"]: finding for finding in answer["findings"]}
        records = []
        for trial in self.block.trials:
            if trial.level in failed:
                records.append(self.record(trial.level, "verify", 0, "failed", failed[trial.level]))
            elif trial.level in findings:
                found = findings[trial.level]
                records.append(self.record(trial.level, "verify", 0, found["outcome"], found["reason"], found["data"]))
        records += self.without_baseline({r.level: r.reason for r in records if r.outcome != "ok"}, "verify", records)
        self.finish(records)

    def speed(self, mode: str) -> None:
        settings = self.block.measures.speed
        assert settings is not None
        measure = f"speed.{mode}"
        while True:
            if self.block.baseline.level in self.broken or len(self.levels()) < 2:
                return
            measured = Measured(self.block, self.records, mode)
            k = len(measured.processes)
            if settings.quick and k >= 1:
                return
            widths = [
                estimate.half_width()
                for level, estimate in measured.estimates().items()
                if level not in self.broken and estimate.k > 1
            ]
            if k and stats.go_on(widths, k, settings.half_width, measured.seconds, settings.budget):
                return
            done = replicates(self.records, self.block.id, measure)
            self.replicate(measure, max(done, default=-1) + 1)

    def replicate(self, measure: str, number: int) -> None:
        """One fresh process. A trial that fails in it is recorded as failed, and the process is run without it."""
        failed: list[Record] = []
        while True:
            left_out = sorted({*self.broken, *(record.level for record in failed)})
            answer = self.ask(do=measure, replicate=number, without=left_out)
            if "failed" not in answer:
                break
            levels = [answer["failed"]] if answer["failed"] else [x for x in self.levels() if x not in left_out]
            failed += [self.record(level, measure, number, "failed", answer["reason"]) for level in levels]
            reasons = {record.level: record.reason for record in failed}
            failed += self.without_baseline(reasons, measure, failed, number)
            if len(self.levels()) - len(failed) < 2:
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
            reason=reason,
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
