"""What a fork server loads once, and what its children do with it. Imports torch."""

from __future__ import annotations

import gc
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import NO_SPACE, UserError
from harness.measure.children import use_default_alarm
from harness.measure.kinds.verify import verify_block
from harness.measure.runtime import machine
from harness.measure.runtime.builder import TrialBuilder, available_batches
from harness.measure.runtime.digests import digest_of_data
from harness.measure.runtime.failure import TrialFailed, reason_of
from harness.measure.runtime.global_state import GlobalState
from harness.measure.runtime.task import Task
from harness.measure.runtime.warm import use_threads, warm
from harness.measure.runtime.watchdog import Watchdog
from harness.measure.token_ring import TokenRing
from harness.plugins.catalog import Catalog, origin_of, resolve
from harness.plugins.isolation import caught, isolated
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Data, Dataset, Model, Optimization, Skip
from harness.records.plan import THREADS, Block, Spec

#: The most seconds that the hook `describe_machine` of a plugin may take.
DESCRIBE_LIMIT = 30.0


class Worker:
    """Loads plugins and a block in the fork server; verifies and measures the block in children of the server."""

    block: Block
    watchdog: Watchdog

    def __init__(self, builder: TrialBuilder) -> None:
        self.builder = builder

    @classmethod
    def open(cls, files: Sequence[Path], without: Sequence[str]) -> tuple[Worker, dict[str, Any]]:
        """Import the plugins, warm up, and describe the machine. Returns a worker and the facts about the machine, with
        the problems of plugins under "plugin_problems"; the other plugins are still used."""
        use_threads(1)
        facts = machine.describe()  # before any plugin, and before a first step, which is for machines without a GPU
        warm(facts["gpus"])
        state = GlobalState()
        plugins = load_plugins(files, without, restore=state.restore)
        worker = cls(TrialBuilder(Catalog(plugins)))
        facts["plugins"] = plugins.versions
        problems = [str(problem) for problem in plugins.state_changes]
        problems += worker.import_kinds(state)
        for implementation in plugins.manager.hook.describe_machine.get_hookimpls():
            call = f"plugin {implementation.plugin_name}: describe_machine failed"
            with caught(call, problems), isolated("describing the machine"), at_most(DESCRIBE_LIMIT):
                facts.update(new_facts(implementation.function(), facts))
        return worker, {**facts, **({"plugin_problems": problems} if problems else {})}

    def import_kinds(self, state: GlobalState) -> list[str]:
        """Import the code of all kinds of measurement, so that no child has to. Returns the problems."""
        problems = []
        for measure in self.builder.catalog.measures.values():
            for stage in measure.kind.all_stages:
                try:
                    resolve(stage.run, measure.entry.owner)
                except UserError as error:
                    problems.append(str(error))
            problems += [f"{measure.entry.owner}: its import changes {what}; restored" for what in state.restore()]
        return problems

    def prepare(self, block: Block) -> str:
        """Import the parts of a block and load its data, so that no child has to. Returns a digest of the examples.
        Raises UserError."""
        state = GlobalState()
        self.block, self.watchdog = block, Watchdog(block.measures.limit)
        use_default_alarm()
        self.watchdog.start_alarm()
        try:
            self.check_versions(block)
            for trial in block.trials:
                self.builder.recipe(trial)
                check_unchanged(state, "importing", (trial.dataset, *trial.use))
            for trial in block.trials:
                with suppress(UserError):  # verification says which level it is, and goes on with the others
                    self.builder.load_code(trial)
                check_unchanged(state, "importing", [trial.model])
            data = self.builder.data(block.baseline.dataset)
            self.block = as_loaded(block, data)
            check_unchanged(state, "loading", [block.baseline.dataset])
            examples = digest_of_data(data)
            self.load_others(block)
        except UserError:
            raise
        except BaseException as error:  # plugin code may raise anything
            raise UserError(reason_of(error)) from error
        finally:
            self.watchdog.stop_alarm()
        gc.collect()
        gc.freeze()  # children then do not write to the memory pages of what is loaded here
        return examples

    def load_others(self, block: Block) -> None:
        """Load the data of levels that have parameters of their own, as those of an experiment. An error is one of the
        level, which its own processes report."""
        for trial in block.trials[1:]:
            with suppress(UserError):
                self.builder.data(trial.dataset)

    def use_own_watchdog(self) -> None:
        """In a copy of the server: a watchdog whose memory the children of other copies do not share."""
        self.watchdog = Watchdog(self.watchdog.limit)

    def check_versions(self, block: Block) -> None:
        """Raise UserError if the plan was made with other versions of plugins, or of files that parameters name."""
        catalog = self.builder.catalog
        here = catalog.plugins.versions
        for trial in block.trials:
            kinds = (Model, Dataset, *(Optimization for _ in trial.use))
            for kind, spec in zip(kinds, (trial.model, trial.dataset, *trial.use), strict=True):
                found = here.get(spec.plugin, "not installed")
                if (entry := catalog.get(kind, spec.name)) and entry.part.origin:
                    found = origin_of(entry, spec.parameters)[1]
                if found != spec.version:
                    planned = f"{spec.name} from {spec.plugin} {spec.version}"
                    raise UserError(f"the plan expects {planned}; the measuring process found {found}.")

    def run(self, message: Mapping[str, Any], forked: float) -> dict[str, Any]:
        """In the child: verify the block, or measure one stage of a kind. `forked` is when the child began."""
        use_threads(int(os.environ.get(THREADS, 1)))
        block = self.block.without(message.get("without", ()))
        try:
            if message["request"] == "verify":
                return {"findings": verify_block(block, self.builder, self.watchdog)}
            data = self.measure(block, message, forked)
            self.watchdog.stop_alarm()
            return {"data": data}
        except BaseException as error:  # the code of a kind, or of a trial, may raise anything
            if full := no_space(error):
                return {"no_space": [full.errno, full.strerror, full.filename]}
            if isinstance(error, TrialFailed):
                return {"failed": error.level, "reason": error.reason}
            if isinstance(error, Skip) and "level" in message:  # trials that are interleaved cannot be skipped alone
                return {"skipped": message["level"], "reason": str(error)}
            level, activity = self.watchdog.last()
            reason = f"{activity or message.get('stage', 'verify')}: {reason_of(error)}"
            return {"failed": message.get("level", level), "reason": reason}

    def measure(self, block: Block, message: Mapping[str, Any], forked: float) -> Any:
        """In the child: run the code of one stage of a kind."""
        measure = self.builder.catalog.measures[message["kind"]]
        stage = next(stage for stage in measure.kind.all_stages if stage.name == message["stage"])
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
            ring=TokenRing(**message["ring"]) if "ring" in message else None,
            folder=Path(message.get("folder", "")),
            checkpoint=Path(message["checkpoint"]) if "checkpoint" in message else None,
            forked=forked,
        )
        return resolve(stage.run, measure.entry.owner)(task)


def as_loaded(block: Block, data: Data) -> Block:
    """The block with what only the loaded data say: the size of a batch where the trials have none, and how many
    batches the work set has. Data with a batch size of their own may have fewer batches than planned."""
    speed, batches = block.measures.speed, data.batches
    if not block.baseline.batch_size:
        size = data.batch_size
        block = replace(block, trials=tuple(replace(trial, batch_size=size) for trial in block.trials))
        if speed is not None:
            batches = available_batches(data, speed.batches)
    if batches is None or speed is None:
        return block
    return replace(block, measures=block.measures.with_(speed=speed.changed(batches=batches)))


def no_space(error: BaseException | None) -> OSError | None:
    """The system's error that a disk, a quota or a file is full, if it is this error or its cause. Then no level can be
    measured, so the error is not a failure of one level."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            return error
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the code inside if it takes longer."""

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
    """The facts that a plugin adds. Raises ValueError if it repeats a known fact, or if JSON cannot hold one."""
    found: dict[str, Any] = json.loads(json.dumps(dict(more or {})))
    known = sorted(facts.keys() & found.keys())
    if known:
        raise ValueError(f"{known[0]} is known already")
    return found


def check_unchanged(state: GlobalState, activity: str, specs: Sequence[Spec]) -> None:
    """Restore the global state. Raises UserError if plugin code has changed it, since all trials share it."""
    if changed := state.restore():
        names = ", ".join(f"{spec.name} (plugin {spec.plugin})" for spec in specs)
        raise UserError(f"{activity} {names} changes {', '.join(changed)} for all trials.")
