"""How to reproduce a run: the commands, as the plan stores them, and the versions it was measured with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from harness.records.plan import Plan


def commands_of(plan: Plan, run: str = "") -> list[str]:
    """The command that measures the same again, and the one that adds seeds where some were added."""
    given = plan.overrides

    def options(**names: str) -> list[str]:
        return [
            str(word) for name, option in names.items() for value in given.get(name, ()) for word in (option, value)
        ]

    words = ["harness", *options(plugins="-p", without="--without"), "run", f"{plan.suite}.yaml"]
    words += ["--preset", str(given["preset"])] if given.get("preset") else []
    words += options(set="--set", only="--only")
    words += [f"--{name.replace('_', '-')}" for name in ("quick", "until_decided") if given.get(name)]
    commands = [shlex.join(words)]
    if given.get("seeds"):
        folder = run or f"results/{plan.suite}/RUN"
        commands.append(shlex.join(["harness", "run", "--resume", folder, "--seeds", str(given["seeds"])]))
    return commands


def versions_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """The versions of Python, packages and plugins that are known."""
    found = {"python": facts["python"]} if facts.get("python") else {}
    for kind in ("packages", "plugins"):
        found |= {name: str(version) for name, version in (facts.get(kind) or {}).items()}
    return found


def facts_in_rows(facts: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, str]]:
    """Facts of a machine as names and text, those within others under both names. What is not known is left out."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from facts_in_rows(value, f"{under}{name} ")
        elif isinstance(value, list | tuple):
            if value:
                yield f"{under}{name}", ", ".join(map(str, value))
        elif value is not None:
            yield f"{under}{name}", ("yes" if value else "no") if isinstance(value, bool) else str(value)
