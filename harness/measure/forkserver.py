"""The fork server imports torch once, then forks a fresh child for every process that measures.

It runs as ``python -m harness.measure.forkserver FD``. The coordinator writes one JSON message a line to standard input
and reads one JSON answer a line from file descriptor FD. What code prints goes elsewhere, so that it cannot be mistaken
for an answer. The server has one thread and never uses a GPU; its children may.

Messages: ``{"do": "open", "plugins": [...], "without": [...]}`` once; ``{"do": "prepare", "block": ...}`` for each
block; ``{"do": "verify", ...}`` and ``{"do": "measure", "kind": ..., "stage": ..., "mode": ..., ...}``.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter  # bound here, since a plugin that is imported later might replace it
from typing import Any

from harness.errors import UserError
from harness.measure.children import arm, death, read_all, run_child
from harness.measure.token_ring import TokenRing
from harness.plugins.catalog import Catalog, resolve
from harness.plugins.isolation import error_text, isolated
from harness.plugins.kinds import Stage
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Skip
from harness.records.plan import THREADS, Block, Spec

Answer = dict[str, Any]

#: The most seconds in which a plugin may describe the machine.
LIMIT = 30.0


class ForkServer:
    """Answers one message after another. Every measurement runs in a child of its own."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.builder: Any = None
        self.block: Block | None = None
        self.watchdog: Any = None
        self.forked = 0.0

    def answer(self, message: Answer) -> Answer:
        """The answer to one message. An error is in it, under "error"."""
        do = message["do"]
        if do == "open":
            return self.open([Path(file) for file in message["plugins"]], message.get("without", ()))
        if do == "prepare":
            return self.prepare(Block.from_json(message["block"]))
        return self.in_child(message)

    def open(self, files: Sequence[Path], without: Sequence[str]) -> Answer:
        """Import torch and the plugins, warm up, and describe the machine. What plugins do wrong is reported, and the
        other plugins are still used."""
        from harness.measure.runtime import machine, warm
        from harness.measure.runtime.builder import TrialBuilder
        from harness.measure.runtime.global_state import GlobalState

        missing = not_preloaded()
        if missing:
            return {"error": f"LD_PRELOAD names {missing}, which the system did not load; see worker.log"}
        warm.use_threads(1)
        facts = machine.describe()  # before any plugin, and before a first step, which is for machines without a GPU
        warm.warm(facts["gpus"])
        state = GlobalState()
        plugins = load_plugins(files, without, restore=state.restore)
        self.builder = TrialBuilder(Catalog(plugins))
        facts["plugins"] = plugins.versions
        problems = [str(problem) for problem in plugins.state_changes]
        problems += self.import_kinds(state)
        for implementation in plugins.manager.hook.describe_machine.get_hookimpls():
            try:
                with isolated("describing the machine"), at_most(LIMIT):
                    facts.update(new_facts(implementation.function(), facts))
            except BaseException as error:  # a plugin may raise anything
                problems.append(f"plugin {implementation.plugin_name}: describe_machine failed: {error_text(error)}")
        return {"facts": {**facts, **({"plugin_problems": problems} if problems else {})}}

    def import_kinds(self, state: Any) -> list[str]:
        """Import the code of all kinds of measurement, so that no child has to. Returns what went wrong."""
        from harness.measure.kinds import verify  # noqa: F401

        problems = []
        for measure in self.builder.catalog.measures.values():
            for stage in measure.kind.all_stages:
                try:
                    resolve(stage.run, measure.entry.owner)
                except UserError as error:
                    problems.append(str(error))
            problems += [f"{measure.entry.owner}: its import changes {what}; restored" for what in state.restore()]
        return problems

    def prepare(self, block: Block) -> Answer:
        """Import the parts of a block and load its data, so that no child has to."""
        from harness.measure.runtime.digests import digest_of_data
        from harness.measure.runtime.failure import reason_of
        from harness.measure.runtime.global_state import GlobalState
        from harness.measure.runtime.watchdog import Watchdog

        state = GlobalState()
        self.block, self.watchdog = block, Watchdog(block.measures.limit)
        arm()
        signal.setitimer(signal.ITIMER_REAL, block.measures.limit)
        try:
            self.check_versions(block)
            for trial in block.trials:
                self.builder.recipe(trial)
                refuse(state.restore(), "importing", (trial.dataset, *trial.use))
            data = self.builder.data(block.baseline.dataset)
            refuse(state.restore(), "loading", [block.baseline.dataset])
            examples = digest_of_data(data)
        except BaseException as error:  # plugin code may raise anything
            return {"error": str(error) if isinstance(error, UserError) else reason_of(error)}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        gc.collect()
        gc.freeze()  # children then do not write to the memory pages of what is loaded here
        return {"examples": examples}

    def check_versions(self, block: Block) -> None:
        """Raise UserError where the plan was made with other versions of plugins."""
        here = self.builder.catalog.plugins.versions
        for trial in block.trials:
            for spec in (trial.model, trial.dataset, *trial.use):
                if here.get(spec.plugin) != spec.version:
                    found = here.get(spec.plugin, "not installed")
                    planned = f"{spec.name} from {spec.plugin} {spec.version}"
                    raise UserError(f"the plan expects {planned}; the measuring process found {found}.")

    def in_child(self, message: Answer) -> Answer:
        """Fork, measure, and read the child's answer. Where the child dies, say what it was doing."""
        self.watchdog.clear()
        reading, writing = os.pipe()
        self.forked = perf_counter()  # the child reads the same clock, which counts from the start of the machine
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.close(self.answers)
            run_child(lambda: self.run(message), writing)
        os.close(writing)
        text = read_all(reading, child)
        _, status = os.waitpid(child, 0)
        if not text:
            level, what = self.watchdog.last_words()
            return {"failed": level, "reason": death(status, what, self.watchdog.limit)}
        answer: Answer = json.loads(text)
        if answer.get("failed") == "":  # nothing on the way knew whose code had failed
            answer["failed"], _ = self.watchdog.last_words()
        return {**answer, "seconds": perf_counter() - self.forked}

    def run(self, message: Answer) -> Answer:
        """In the child: verify the block, or take one measurement."""
        from harness.measure.kinds.verify import verify_block
        from harness.measure.runtime.failure import TrialFailed
        from harness.measure.runtime.warm import use_threads

        assert self.block is not None
        use_threads(int(os.environ.get(THREADS, 1)))
        block = self.block.without(message.get("without", ()))
        try:
            if message["do"] == "verify":
                return {"findings": verify_block(block, self.builder, self.watchdog)}
            return {"data": self.measure(block, message)}
        except Skip as skip:
            return {"skipped": message.get("level", ""), "reason": str(skip)}
        except TrialFailed as failure:
            return {"failed": failure.level, "reason": failure.reason}

    def measure(self, block: Block, message: Answer) -> Any:
        """In the child: one stage of a kind of measurement."""
        from harness.measure.runtime.failure import TrialFailed, reason_of
        from harness.measure.runtime.task import Task

        measure = self.builder.catalog.measures[message["kind"]]
        stage = stage_named(measure.kind.all_stages, message["stage"])
        task = Task(
            block=block,
            mode=message["mode"],
            builder=self.builder,
            watchdog=self.watchdog,
            settings=block.measures.get(measure.kind.name, measure.settings),
            level=message.get("level", ""),
            replicate=message.get("replicate", 0),
            seed=message.get("seed", 0),
            members=[(level, role) for level, role in message.get("members", ())],
            ring=ring_of(message.get("ring")),
            folder=Path(message.get("folder", "")),
            checkpoint=Path(message["checkpoint"]) if "checkpoint" in message else None,
            forked=self.forked,
        )
        run = resolve(stage.run, measure.entry.owner)
        if measure.kind.placement == "together":  # it knows itself which level is at fault
            return run(task)
        try:
            return run(task)
        except (KeyboardInterrupt, Skip, TrialFailed):
            raise
        except BaseException as error:  # the code of a kind may raise anything
            raise TrialFailed(task.level, f"measuring {stage.name}: {reason_of(error)}") from error


def stage_named(stages: Sequence[Stage], name: str) -> Stage:
    """The stage of this name."""
    return next(stage for stage in stages if stage.name == name)


def ring_of(given: Mapping[str, Any] | None) -> TokenRing | None:
    """The ring in which processes take turns; None where one process measures all members."""
    if given is None:
        return None
    return TokenRing(Path(given["folder"]), given["slot"], given["slots"], freeze=given["freeze"])


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block where it takes longer."""

    def on_alarm(*_: object) -> None:
        raise TimeoutError(f"it takes longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def new_facts(more: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that a plugin adds. Raises ValueError where it repeats a known fact, or where JSON cannot hold one."""
    found: dict[str, Any] = json.loads(json.dumps(dict(more or {})))
    known = sorted(facts.keys() & found.keys())
    if known:
        raise ValueError(f"{known[0]} is known already")
    return found


def refuse(changed: Sequence[str], doing: str, specs: Sequence[Spec]) -> None:
    """Raise UserError where plugin code has changed global state, which all trials share."""
    if changed:
        names = ", ".join(f"{spec.name} (plugin {spec.plugin})" for spec in specs)
        raise UserError(f"{doing} {names} changes {', '.join(changed)} for all trials.")


def not_preloaded() -> str:
    """The first library of LD_PRELOAD that this process has not loaded. The loader only warns and continues."""
    wanted = os.environ.get("LD_PRELOAD", "").replace(":", " ").split()
    loaded = Path("/proc/self/maps").read_text() if wanted else ""
    return next((path for path in wanted if str(Path(path).resolve()) not in loaded), "")


def main() -> None:
    """Serve until standard input ends."""
    # Code that asks here whether there is a GPU, such as a plugin's, gets an answer that does not start CUDA. Once CUDA
    # has started in this process, no child can use it (torch.cuda.is_available).
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    # Set before torch is imported: 2.6 starts a pool of compiling processes together with its compiler.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    answers = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    server = ForkServer(answers.fileno())
    for line in sys.stdin:
        try:
            reply = json.dumps(server.answer(json.loads(line)))
        except BaseException as error:  # plugin code may raise anything
            traceback.print_exc()
            reply = json.dumps({"error": error_text(error)})
        answers.write(reply + "\n")


if __name__ == "__main__":
    main()
