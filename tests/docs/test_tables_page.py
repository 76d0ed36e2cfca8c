"""The page of tables names every reporter and every field of report.json."""

from __future__ import annotations

import re
from pathlib import Path

from made import block

from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Reporter
from harness.records.plan import Plan
from harness.report.report import report_of
from harness.report.rows import to_json

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()


def test_every_reporter_is_named_with_its_file():
    named = dict(re.findall(r"^\| `([^`]+)` \| `(\w+)` \|", PAGE, re.MULTILINE))
    entries = Catalog(load_plugins()).entries(Reporter)
    ours = {name: entry.part.summary for name, entry in entries.items() if entry.plugin == "rnn-harness"}
    assert set(named.values()) == set(ours)
    for file, name in named.items():
        assert ours[name].startswith(f"{file}:")


def test_every_field_of_the_json_is_described():
    report = report_of(Plan("s", "q", "what", (block("a", "b"),)), [], Catalog(load_plugins()), {})
    rows = re.search(r"## JSON.*?\n(\|.*?)\n\n", PAGE, re.DOTALL)[1].splitlines()[2:]
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert described == set(to_json(report))
