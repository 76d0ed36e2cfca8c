"""The scores by which learning is compared: those of the dataset, and those derived from the curves of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from harness.plugins.parts import Score
from harness.records.settings import Learning

#: The scores that a target adds.
TARGETED = ("reached", "steps_to_target", "time_to_target")
#: Every model has a loss.
LOSS = Score("lower", "ratio", "mean loss on the test examples")


def declared(
    scores: Mapping[str, Score], wanted: Collection[str] = (), *, loss: bool = True
) -> dict[str, dict[str, str]]:
    """Scores as a plan stores them: all that are not optional, and those `wanted`; with the `loss` that models have."""
    return {
        name: {"better": score.better, "compared": score.compared, "summary": score.summary}
        for name, score in ({"loss": LOSS, **scores} if loss else scores).items()
        if not score.optional or name in wanted
    }


def scores_of(learning: Learning, *, timed: bool = False) -> dict[str, Score]:
    """Every score by name. `timed` says whether training steps are timed too.

    Each score comes with its mean over the evaluations of a run (the area under its curve, which is better for a run
    that learns sooner). There is also the share of diverged runs, and with a target the share of runs that reach it,
    and the steps and the time until then.
    """
    found: dict[str, Score] = {}
    for name, kept in learning.scores.items():
        score = Score(**kept)  # type: ignore[arg-type]  # written by `declared`
        found[name] = score
        found[f"mean_{name}"] = replace(score, summary=f"mean over the run of: {score.summary}")
    if learning.of_programs:  # programs are not evaluated before their end
        return {name: found[name] for name in learning.scores}
    found["diverged"] = Score("lower", "difference", "share of seeds that diverged")
    if learning.target is not None:
        found["reached"] = Score("higher", "difference", "share of seeds that reached the target")
        found["steps_to_target"] = Score("lower", "ratio", "steps to the target, those of the whole run where never")
        if timed:
            found["time_to_target"] = Score("lower", "ratio", "steps to the target times the time of a step")
    return found
