"""The process that measures: imports torch once, then forks a fresh child for every replicate.

Run as ``python -m harness.measure.forkserver FD`` by `harness.measure.coordinator`, which writes one JSON message a
line to standard input and reads one JSON answer a line from file descriptor FD; what code prints goes elsewhere, so it
cannot be taken for an answer. The server has one thread, runs one tiny step, and never touches a GPU; children may.

Messages: ``{"do": "open", "plugins": [...], "without": [...]}`` once, then ``{"do": "prepare", "block": ...}`` and
``{"do": "verify" | "speed.train" | "memory.train" | "cold.inference" | "profile.train", ...}`` for each measure and
mode.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter  # held here: plugins are imported later, and might put something in its place
from typing import Any

from harness.errors import UserError
from harness.measure.token_ring import Baton
from harness.plugins.catalog import Catalog
from harness.plugins.isolation import guest, in_short
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Skip
from harness.records.plan import THREADS, Block, Spec

Answer = dict[str, Any]

#: Seconds that a plugin may take to describe the machine.
LIMIT = 30.0


class ForkServer:
    """Answers messages one after another; every measurement runs in a child of its own."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.kitchen: Any = None
        self.block: Block | None = None
        self.guard: Any = None
        self.forked = 0.0

    def answer(self, message: Answer) -> Answer:
        """The answer to one message. What goes wrong is in it, under "error"."""
        do = message["do"]
        if do == "open":
            return self.open([Path(file) for file in message["plugins"]], message.get("without", ()))
        if do == "prepare":
            return self.prepare(Block.from_json(message["block"]))
        return self.in_child(message)

    def open(self, files: Sequence[Path], without: Sequence[str]) -> Answer:
        """Import torch and the plugins, warm up, and say what machine this is. What a plugin does to that is told, and
        the others go on."""
        # Imported here, so that no child has to, and before any plugin.
        from harness.measure.kinds import (  # noqa: F401
            cost,
            health,
            learning,
            memory,
            profile,
            speed,
            speed_isolated,
            verify,
        )
        from harness.measure.runtime import machine, warm
        from harness.measure.runtime.builder import Kitchen
        from harness.measure.runtime.global_state import Watch

        missing = not_preloaded()
        if missing:
            return {"error": f"LD_PRELOAD names {missing}, which the system did not load; see worker.log"}
        warm.use_threads(1)
        facts = machine.describe()  # before any plugin, and before a first step, which is for machines without a GPU
        warm.warm(facts["gpus"])
        plugins = load_plugins(files, without, put_back=Watch().put_back)
        self.kitchen = Kitchen(Catalog(plugins))
        facts["plugins"] = plugins.versions
        problems = [str(problem) for problem in plugins.meddling]
        for implementation in plugins.manager.hook.describe_machine.get_hookimpls():
            try:
                with guest("describing the machine"), at_most(LIMIT):
                    facts.update(added(implementation.function(), facts))
            except BaseException as error:  # a plugin may raise anything
                problems.append(f"plugin {implementation.plugin_name}: describe_machine failed: {in_short(error)}")
        return {"facts": {**facts, **({"plugin_problems": problems} if problems else {})}}

    def prepare(self, block: Block) -> Answer:
        """Import the block's parts and load its data, so that children find them ready."""
        from harness.measure.runtime.digests import digest_of_data
        from harness.measure.runtime.global_state import Watch
        from harness.measure.runtime.watchdog import Guard

        watch = Watch()
        self.block, self.guard = block, Guard(block.measures.limit)
        arm()
        signal.setitimer(signal.ITIMER_REAL, block.measures.limit)
        try:
            self.check_versions(block)
            for trial in block.trials:
                self.kitchen.recipe(trial)
                refuse(watch.put_back(), "importing", (trial.dataset, *trial.use))
            data = self.kitchen.data(block.baseline.dataset)
            refuse(watch.put_back(), "loading", [block.baseline.dataset])
            examples = digest_of_data(data)
        except BaseException as error:  # of plugin code
            from harness.measure.runtime.failure import reason_of

            return {"error": str(error) if isinstance(error, UserError) else reason_of(error)}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        gc.collect()
        gc.freeze()  # children then leave the pages of what is loaded here alone
        return {"examples": examples}

    def check_versions(self, block: Block) -> None:
        """Refuse to measure with other plugins than the plan was made with."""
        here = self.kitchen.catalog.plugins.versions
        for trial in block.trials:
            for spec in (trial.model, trial.dataset, *trial.use):
                if here.get(spec.plugin) != spec.version:
                    raise UserError(
                        f"the plan has {spec.name} from {spec.plugin} {spec.version}, and here it is "
                        f"{here.get(spec.plugin, 'not installed')}."
                    )

    def in_child(self, message: Answer) -> Answer:
        """Fork, measure, and read the child's answer; say what it was doing where it dies instead."""
        self.guard.clear()
        reading, writing = os.pipe()
        self.forked = perf_counter()  # the same clock in the child: it counts from the machine's start
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.close(self.answers)
            run_child(lambda: self.measure(message), writing)
        os.close(writing)
        text = read_all(reading, child)
        _, status = os.waitpid(child, 0)
        if not text:
            level, what = self.guard.last_words()
            return {"failed": level, "reason": death(status, what, self.guard.limit)}
        answer: Answer = json.loads(text)
        if answer.get("failed") == "":  # it got past everything that knows whose code it came from
            answer["failed"], _ = self.guard.last_words()
        return {**answer, "seconds": perf_counter() - self.forked}

    def measure(self, message: Answer) -> Answer:
        """In the child: one replicate of one measure."""
        from harness.measure.kinds.cost import measure_cold, measure_cost
        from harness.measure.kinds.health import measure_health
        from harness.measure.kinds.learning import learn
        from harness.measure.kinds.memory import measure_memory, measure_resident
        from harness.measure.kinds.profile import profile_trial
        from harness.measure.kinds.speed import measure_speed
        from harness.measure.kinds.speed_isolated import measure_in_turns
        from harness.measure.kinds.verify import verify_block
        from harness.measure.runtime.failure import TrialFailed
        from harness.measure.runtime.warm import use_threads

        assert self.block is not None
        use_threads(int(os.environ.get(THREADS, 1)))
        block = self.block.without(message.get("without", ()))
        kind, _, mode = message["do"].partition(".")
        live = (self.kitchen, self.guard)
        try:
            match kind:
                case "verify":
                    return {"findings": verify_block(block, *live)}
                case "speed" if "ring" in message:
                    ring = message["ring"]
                    baton = Baton(Path(ring["folder"]), ring["seat"], ring["seats"], freeze=ring["freeze"])
                    wanted = [(level, role) for level, role in ring["members"]]
                    return {"members": measure_in_turns(block, wanted, mode, message["replicate"], *live, baton)}
                case "speed":
                    return {"members": measure_speed(block, mode, message["replicate"], *live)}
                case "memory":
                    return {"data": measure_memory(block, message["level"], mode, *live)}
                case "resident":
                    return {"data": measure_resident(block, message["level"], mode, *live)}
                case "cost":
                    return {"data": measure_cost(block, message["level"], mode, *live)}
                case "cold":
                    return {"data": measure_cold(block, message["level"], mode, *live, self.forked)}
                case "profile":
                    return {"data": profile_trial(block, message["level"], mode, *live, Path(message["traces"]))}
                case "learning":
                    checkpoint = Path(message["checkpoint"])
                    return {"data": learn(block, message["level"], message["seed"], *live, checkpoint)}
                case "health":
                    return {"data": measure_health(block, message["level"], *live)}
            raise ValueError(f"no such message: {message['do']}")
        except Skip as skip:
            return {"skipped": message.get("level", ""), "reason": str(skip)}
        except TrialFailed as failure:
            return {"failed": failure.level, "reason": failure.reason}


def run_child(measure: Callable[[], Answer], writing: int) -> None:
    """Measure, write the answer, and leave at once: an orderly exit of torch costs half a second."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())  # messages are for the server
    arm()
    try:
        text = json.dumps(measure())
    except BaseException as error:  # nothing may get past the fork
        traceback.print_exc()
        text = json.dumps({"failed": "", "reason": in_short(error)})
    with os.fdopen(writing, "w") as pipe:
        pipe.write(text)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def arm() -> None:
    """Have the kernel end this process when the alarm rings, whatever plugin code has made of that."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError inside where it takes longer."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"it takes longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def added(more: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a plugin adds to the facts. Raises ValueError where it says again what is known, or what JSON cannot."""
    found: dict[str, Any] = json.loads(json.dumps(dict(more or {})))
    known = sorted(facts.keys() & found.keys())
    if known:
        raise ValueError(f"{known[0]} is known already")
    return found


def refuse(changed: Sequence[str], doing: str, specs: Sequence[Spec]) -> None:
    """Raise UserError where plugin code has changed what all trials share."""
    if changed:
        names = ", ".join(f"{spec.name} (plugin {spec.plugin})" for spec in specs)
        raise UserError(f"{doing} {names} changes {', '.join(changed)} for all trials.")


def read_all(reading: int, child: int) -> str:
    """What the child writes until it is done. Blocks; if the coordinator goes away meanwhile, the child is killed and
    this process ends."""
    chunks: list[bytes] = []
    with os.fdopen(reading, "rb", buffering=0) as pipe, ending(child) as ended:
        while True:
            ready, _, _ = select.select([pipe, sys.stdin, *ended], [], [])
            if sys.stdin in ready:  # no message is due now: it can only be the end
                os.kill(child, signal.SIGKILL)
                os._exit(1)
            if pipe not in ready:  # the child is gone, and something it started still holds the pipe
                return b"".join(chunks).decode()
            chunk = pipe.read(1 << 16)
            if not chunk:
                return b"".join(chunks).decode()
            chunks.append(chunk)


@contextmanager
def ending(child: int) -> Iterator[list[int]]:
    """A descriptor that becomes readable when the child ends; none where the system has no such thing (not Linux)."""
    if not hasattr(os, "pidfd_open"):
        yield []
        return
    descriptor = os.pidfd_open(child)
    try:
        yield [descriptor]
    finally:
        os.close(descriptor)


def not_preloaded() -> str:
    """The first library of LD_PRELOAD that this process does not have: the loader only grumbles and goes on."""
    wanted = os.environ.get("LD_PRELOAD", "").replace(":", " ").split()
    loaded = Path("/proc/self/maps").read_text() if wanted else ""
    return next((path for path in wanted if str(Path(path).resolve()) not in loaded), "")


def death(status: int, what: str, limit: float) -> str:
    """Why a child died, in a sentence."""
    doing = f" while {what}" if what else ""
    if not os.WIFSIGNALED(status):
        return f"the process ended with exit code {os.waitstatus_to_exitcode(status)}{doing}"
    number = os.WTERMSIG(status)
    if number == signal.SIGALRM:
        return f"took longer than its limit of {limit:g} s{doing}"
    hint = " (out of memory?)" if number == signal.SIGKILL else ""
    return f"the process was killed by {signal.Signals(number).name}{hint}{doing}"


def main() -> None:
    """Serve until standard input ends."""
    # Whoever asks here whether there is a GPU, a plugin that is planned, say, is told so without waking CUDA, which no
    # child could use then (torch.cuda.is_available).
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    # Before torch is imported: 2.6 starts a pool of compiling processes with its compiler, whether or not it is used.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    answers = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    server = ForkServer(answers.fileno())
    for line in sys.stdin:
        try:
            reply = json.dumps(server.answer(json.loads(line)))
        except BaseException as error:  # plugin code may raise anything
            traceback.print_exc()
            reply = json.dumps({"error": in_short(error)})
        answers.write(reply + "\n")


if __name__ == "__main__":
    main()
