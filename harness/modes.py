"""The modes: what is timed as one step, and the words for it. Everything that names a mode reads these."""

from __future__ import annotations

from typing import Literal, get_args

Mode = Literal["train", "inference", "call", "fresh", "program"]
MODES: tuple[Mode, ...] = get_args(Mode)
#: The modes that time the prediction of prepared batches alone: collation is not timed.
PREPARED: frozenset[str] = frozenset({"call", "fresh"})
#: The mode in which a whole program is timed. It is the only one for trials that are commands, and only for them.
PROGRAM: Mode = "program"

#: What one step of each mode is: its name, and after the colon what it consists of.
WORDS: dict[str, str] = {
    "train": "a training step: collation, forward, backward and update, on a new batch each time",
    "inference": "an inference step: collation and prediction, on a new batch each time",
    "call": "a repeated call: prediction, or a function, alone, for the same input again and again, caches warm",
    "fresh": "a fresh call: prediction, or a function, alone, for another prepared input each time",
    PROGRAM: "a run of the program: from its start to its end, in a fresh process",
}


def step_name(mode: str) -> str:
    """The name of one step of a mode: "a training step"; empty for results that are not of steps."""
    return WORDS.get(mode, "").partition(":")[0]


def step_note(mode: str) -> tuple[str, ...]:
    """The sentence in the notes of a table that says what its numbers are of; none for results that are not of
    steps."""
    return (f"Each number is of {WORDS[mode]}.",) if mode in WORDS else ()
