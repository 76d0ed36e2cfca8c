"""The commands that reproduce a run, and the facts of its machine."""

from __future__ import annotations

from dataclasses import replace

from made import block

from harness.records.plan import Plan
from harness.report.formats.html import commands_of, facts_in_rows, versions_of


def test_commands_reproduce_the_run():
    this = block("a", "b")
    plan = Plan("my suite", "q", "what", (this,))
    assert commands_of(plan) == ["harness run 'my suite.yaml'"]
    overrides = {
        "set": ["base.device=cuda", "a='x y'"], "only": ["cell=lstm"], "plugins": ["my cell.py"], "quick": True,
        "preset": "full", "gate": True, "seeds": 20,
    }  # fmt: skip
    assert commands_of(replace(plan, overrides=overrides)) == [
        "harness -p 'my cell.py' run 'my suite.yaml' --preset full --set base.device=cuda --set 'a='\"'\"'x y'\"'\"'' "
        "--only cell=lstm --quick --gate",
        "harness run --resume 'results/my suite/RUN' --seeds 20",
    ]


def test_machine_facts_are_rows_of_text():
    facts = {
        "python": "3.11",
        "cores": 2,
        "mkldnn": True,
        "cuda": None,
        "gpus": [],
        "names": ["a", "b"],
        "git": {"commit": "x", "dirty": False},
    }
    assert dict(facts_in_rows(facts)) == {
        "python": "3.11", "cores": "2", "mkldnn": "yes", "names": "a, b", "git commit": "x", "git dirty": "no",
    }  # fmt: skip
    assert versions_of({**facts, "packages": {"torch": "2"}, "plugins": None}) == {"python": "3.11", "torch": "2"}
    assert versions_of({}) == {}
