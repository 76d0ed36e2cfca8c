"""The first page of the findings: every piece of advice by its verdict, and by what is at stake."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from _generate import markdown as md
from _generate.advice import Advice, all_advice
from _generate.finding_page import SIGNS, signed
from _generate.numbers import StoredNumbers, findings_of
from _generate.runs import machines, reference_runs
from harness.plugins.catalog import Catalog

TITLE = "Which RNN advice is true?"
AREAS = {
    "accuracy": "Accuracy",
    "learning": "Loss and training steps",
    "time": "Time",
    "memory": "Memory",
}


#: The order of the verdicts on the page.
ORDER = ("False", "It depends", "True", "Not decided")
#: Names in the sidebar that are written in capitals.
CAPITALS = {"lstm": "LSTM", "gru": "GRU", "tbptt": "TBPTT"}


def page(root: Path, catalog: Catalog) -> str:
    """The page."""
    numbers = StoredNumbers(reference_runs(root, catalog))
    found = sorted(all_advice(root), key=lambda one: (list(AREAS).index(one.area), -size_of(one, numbers)))
    verdicts = [one.verdict for one in found]
    counts = ", ".join(f"{verdict.lower()}: {verdicts.count(verdict)}" for verdict in ORDER)
    return md.page(
        TITLE,
        "docs/_findings/ and the stored runs",
        f"Tutorials, papers and forums give advice about recurrent networks. {len(found)} pieces of it were measured "
        f"here ({counts}). Each page quotes the advice, gives the verdict with a plot, explains it, says what to do, "
        "and names the command that measures it again.",
        f"**Limits.** The networks are small and were trained briefly, on {listed(machines(root, catalog))}, with "
        "PyTorch on one thread. Nothing was measured on a GPU. A verdict is about these machines and these tasks, so "
        "run the suite where you train. Every number is computed from stored runs, which are in the repository with "
        "all raw samples. Read [how verdicts are made](../method.md) and [when not to believe a result](../bias.md).",
        "## By verdict",
        *(block for verdict in ORDER for block in with_verdict(verdict, found, numbers)),
        "## By what is at stake",
        "The largest difference comes first.",
        *(block for area in AREAS for block in at_stake(area, found, numbers)),
        toctree(found),
    )


def listed(names: Sequence[str]) -> str:
    """Kinds of machines in a sentence."""
    return f"{len(names)} kinds of machines ({'; '.join(names)}; 2 cores each)"


def with_verdict(verdict: str, found: Sequence[Advice], numbers: StoredNumbers) -> list[str]:
    """The advice with one verdict, as a table under its heading."""
    rows = [
        [advice.advice, f"[{advice.title}]({advice.name}.md): {numbers.render(advice.stakes, advice.name)}"]
        for advice in found
        if advice.verdict == verdict
    ]
    return [f"### {SIGNS[verdict]}", md.table(["advice", "what was found"], rows)] if rows else []


def at_stake(area: str, found: Sequence[Advice], numbers: StoredNumbers) -> list[str]:
    """The advice about one thing."""
    rows = [
        [numbers.render(one.stakes, one.name), f"[{one.title}]({one.name}.md)", signed(one)]
        for one in found
        if one.area == area
    ]
    return [f"### {AREAS[area]}", md.table(["difference", "finding", "verdict on the advice"], rows)]


def size_of(advice: Advice, numbers: StoredNumbers) -> float:
    """The largest difference of the first level that the page shows: points, or the log of a ratio."""
    those = findings_of(numbers.runs[advice.numbers.suite], advice.numbers)
    sizes = [one for one in those if one.level == advice.numbers.levels[0] and one.size]
    return max(abs(math.log(one.size) if one.scale == "ratio" else one.size) for one in sizes if one.size)


def toctree(found: Sequence[Advice]) -> str:
    """The pages for the sidebar of the site, with short names."""
    names = sorted(one.name for one in found)
    return md.fence("{toctree}", "\n".join([":hidden:", "", *(f"{short(name)} <{name}>" for name in names)]))


def short(name: str) -> str:
    """The name of a page in words."""
    first, *rest = (CAPITALS.get(word, word) for word in name.split("-"))
    return " ".join([first[0].upper() + first[1:], *rest])
