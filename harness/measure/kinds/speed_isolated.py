"""Speed where the trials want different environments: one process a seat, and the seats take turns.

Each seat builds and warms up in its turn, then runs whole passes over the work set in its turns, as many as the others;
samples of the same round are then paired across processes as they are within one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from harness.measure.kinds.speed import Seat, build_members, make_ready, results, run_guarded, undisturbed
from harness.measure.runtime.builder import Kitchen
from harness.measure.runtime.clock import Tape
from harness.measure.runtime.gpu import clock_for, reading
from harness.measure.runtime.watchdog import Guard
from harness.measure.token_ring import Baton
from harness.records.plan import Block, Speed

#: A turn lasts at least this many seconds in every seat: the first step after a change costs more, and is thrown away.
LEAST_TURN = 0.05


def measure_in_turns(
    block: Block,
    wanted: Sequence[Seat],
    mode: str,
    number: int,
    kitchen: Kitchen,
    guard: Guard,
    baton: Baton,
) -> list[dict[str, Any]]:
    """The samples of one seat's members as JSON values. Raises TrialFailed naming the level that cannot go on."""
    settings = block.measures.speed or Speed()
    random = Random(f"{block.id} {mode} {number} {baton.seat}")
    note = baton.wait()
    with undisturbed(random):
        members = build_members(block, wanted, mode, settings, kitchen, guard, random)
        clock = clock_for(members[0].live.device)
        warmth, tapes, samples = make_ready(members, settings, clock, random)
        guard.rest()
        seats = [*note.get("seats", []), [sum(samples) * settings.batches, len(members)]]
        baton.pass_on({**note, "seats": seats})
        turn, plan = 0, {"turns": 1, "passes": 1}
        while turn < plan["turns"]:
            note = baton.wait()
            if "turns" not in note:  # the first seat, when all are ready
                note = {**note, **share_out(note["seats"], settings)}
            plan = note
            run_guarded(members, [Tape() for _ in members], settings.batches, range(1, 2), clock, random)
            rounds = plan["passes"] * settings.batches
            run_guarded(members, tapes, settings.batches, range(turn * rounds, (turn + 1) * rounds), clock, random)
            guard.rest()
            baton.pass_on(note)
            turn += 1
        # Nobody goes home, which takes time, before all have measured.
        note = baton.wait()
        if baton.seat < baton.seats - 1:
            baton.pass_on(note, last=True)
        return results(members, tapes, warmth, [reading(members[0].live.device)])


def share_out(seats: Sequence[tuple[float, int]], settings: Speed) -> Mapping[str, int]:
    """How many turns, and passes over the work set in each. `seats` are the seconds a pass takes in each seat and the
    number of its members."""
    seconds = settings.seconds * sum(members for _, members in seats)
    passes = max(1, math.ceil(LEAST_TURN / min(time for time, _ in seats)))
    wanted = max(settings.visits, math.ceil(seconds / sum(time for time, _ in seats)))
    return {"turns": math.ceil(wanted / passes), "passes": passes}
