"""Examines the blocks of a plan before a run: what would fail in it, and how long does it take?

The data are loaded and the trials built in forked child processes, so that a crash or a hang of plugin code is a
problem like any other, and nothing that it prints reaches the user. Does not import torch until it is called.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import IO, Any, NamedTuple

from harness.errors import UserError
from harness.measure.children import death, in_child, read_from_group
from harness.plugins.catalog import Catalog, resolve
from harness.plugins.rehearsal import LevelTimes, Rehearsal
from harness.records.plan import Block

#: After this many seconds no further block is rehearsed, or only checked.
REHEARSAL, CHECK = 6.0, 3.0
#: A dataset is loaded a second time if that takes fewer seconds.
RELOAD = 2.0
OTHER_EXAMPLES = (
    "loading it a second time gives other examples, so another run would measure other data; draw them from a "
    "generator with a fixed seed"
)


class Problem(NamedTuple):
    """Something that fails: the data of the block, or a trial if there is a `level`."""

    level: str
    text: str


@dataclass
class Examined:
    """What was found about a block. `rehearsal` is None if it was not rehearsed, or not timed."""

    problems: list[Problem] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)
    rehearsal: Rehearsal | None = None
    #: The seconds until the data were loaded.
    load: float = 0.0


def examine(blocks: Sequence[Block], catalog: Catalog, *, timed: bool, jobs: int = 1) -> tuple[list[Examined], float]:
    """Load the data of each block and build its trials. As many blocks as fit into some seconds are rehearsed: a
    few steps of each trial, an evaluation and the verification. `timed`: so many steps that times can be estimated.
    `jobs` is how many training runs a run has at the same time. Returns what was found about each block, and the
    seconds that a process took to prepare itself."""
    start = 0.0
    found = [Examined() for _ in blocks]
    left = [number for number in spread_out(len(blocks)) if not blocks[number].of_programs]
    while left:
        numbered = [(number, blocks[number]) for number in left]
        text, status = in_child(partial(_examine, numbered, catalog, timed, jobs), read_from_group)
        begun = None
        for line in text.splitlines():
            number, what, value = json.loads(line)
            if what == "begin":
                begun = number
                left.remove(number)
            elif what == "end":
                begun = None
            elif what == "start":
                start = value
            else:
                add(found[number], what, value)
        if begun is not None:
            limit = blocks[begun].measures.limit
            found[begun].problems.append(Problem("", death(status, "loading the data", limit)))
        elif left:
            found[left[0]].remarks.append(Problem("", f"it was not examined: {death(status, '', 0.0)}"))
            break
    return found, start


def add(examined: Examined, what: str, value: Any) -> None:
    """Add a message of the child to what is known of a block."""
    if what == "problem":
        examined.problems.append(Problem(*value))
    elif what == "remark":
        examined.remarks.append(Problem(*value))
    elif what == "load":
        examined.load = value
    elif what == "rehearsal":
        levels = {level: LevelTimes(**times) for level, times in value.pop("levels").items()}
        examined.rehearsal = Rehearsal(levels, **value)


def spread_out(count: int) -> list[int]:
    """The numbers below `count`, the first and the last first, and then always the middle of the largest gap: a
    rehearsal that ends early has seen blocks from everywhere."""
    order = [0, count - 1][: min(count, 2)]
    while len(order) < count:
        known = sorted(order)
        low, high = max(pairwise(known), key=lambda pair: pair[1] - pair[0])
        order.append((low + high) // 2)
    return order


def _examine(blocks: Sequence[tuple[int, Block]], catalog: Catalog, timed: bool, jobs: int, pipe: IO[str]) -> None:
    """In the child process: write a line of JSON for everything that is found."""
    from harness.measure.runtime import machine
    from harness.measure.runtime.builder import TrialBuilder
    from harness.measure.runtime.warm import warm
    from harness.measure.worker import Worker

    os.setsid()  # so that every process that is left at the end can be ended
    begun = perf_counter()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    sys.stdout = sys.stderr = os.fdopen(nowhere, "w")
    gpus = machine.describe()["gpus"]
    warm(gpus)
    worker = Worker(TrialBuilder(catalog))
    pipe.write(json.dumps([0, "start", perf_counter() - begun]) + "\n")
    until = perf_counter() + (REHEARSAL if timed else CHECK)
    loaded: set[str] = set()
    for number, block in blocks:

        def say(what: str, value: Any = None, number: int = number) -> None:
            pipe.write(json.dumps([number, what, value]) + "\n")
            pipe.flush()  # a crash must not lose what was found before it

        say("begin")
        begun = perf_counter()
        try:
            examples = worker.prepare(block)
        except UserError as error:
            named = f"{block.baseline.dataset.title}: "  # the command says this too
            say("problem", ["", str(error).removeprefix(named)])
        else:
            load = perf_counter() - begun
            say("load", load)
            if examples not in loaded and load < RELOAD:
                loaded.add(examples)
                if examples != Worker(TrialBuilder(catalog)).prepare(block):
                    say("remark", ["", OTHER_EXAMPLES])
            for problem in (*environment_problems(block), *code_problems(block, catalog)):
                say("problem", problem)
            _examine_block(
                worker, worker.block, gpus, say, partial(_rehearse, load, jobs, timed) if begun < until else None
            )
        say("end")


def environment_problems(block: Block) -> Iterator[Problem]:
    """The trials whose environment variables name a library that the system does not load."""
    for environment in block.environments:
        if "LD_PRELOAD" not in environment:
            continue
        code = "from harness.measure.forkserver import not_preloaded; print(not_preloaded(), end='')"
        done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True)
        if missing := done.stdout.decode(errors="replace"):
            levels = [trial.level for trial in block.trials if trial.environment == environment]
            yield Problem(levels[0], f"LD_PRELOAD names {missing}, which the system does not load")


def code_problems(block: Block, catalog: Catalog) -> Iterator[Problem]:
    """The kinds of measurement whose code cannot be imported."""
    for name in block.measures.kinds:
        measure = catalog.measures[name]
        for stage in measure.kind.all_stages:
            try:
                resolve(stage.run, measure.entry.owner)
            except UserError as error:
                yield Problem(block.baseline.level, str(error))


def _examine_block(
    worker: Any, block: Block, gpus: int, say: Callable[..., None], rehearse: Callable[..., Iterator[Any]] | None
) -> None:
    """Build the trials of a block that was prepared, and rehearse it if nothing fails."""
    from harness.measure.runtime.trial_checks import check_block

    known: set[str] = set()
    fails = False
    while True:
        messages, failure = _in_child(worker, lambda: check_block(worker, block.without(known), gpus))
        for what, value in messages:
            if what == "checked":
                known.add(value)
            else:
                fails = fails or what == "problem"
                say(what, value)
        if failure is None:
            break
        fails = True
        say("problem", failure)
        if failure.level not in {trial.level for trial in block.trials} - known:
            break
        known.add(failure.level)
    if rehearse is None or fails:
        return
    messages, failure = _in_child(worker, lambda: rehearse(worker, block))
    for what, value in messages:
        say(what, value)
    if failure is not None:
        say("problem", failure)


def _rehearse(load: float, jobs: int, timed: bool, worker: Any, block: Block) -> Iterator[Any]:
    from harness.measure.runtime.rehearsal import rehearse_block

    yield from rehearse_block(worker, block, load, jobs, timed)


def _in_child(worker: Any, messages: Callable[[], Iterator[Any]]) -> tuple[list[Any], Problem | None]:
    """The messages that a function yields in a child process, and what ended the process if they are incomplete."""

    def work(pipe: IO[str]) -> None:
        for message in messages():
            pipe.write(json.dumps(message) + "\n")
            pipe.flush()
        pipe.write(json.dumps(["done", None]) + "\n")

    worker.watchdog.clear()
    text, status = in_child(work)
    found = [json.loads(line) for line in text.splitlines()]
    if found and found[-1][0] == "done":
        return found[:-1], None
    level, activity = worker.watchdog.last()
    return found, Problem(level, death(status, activity, worker.watchdog.limit))
