"""README.md, docs/index.md and docs/explain.md show tables of reference runs: what the commands print for them today."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.store import Store
from harness.report.formats import terminal
from harness.report.report import make_report

ROOT = Path(__file__).parents[2]
RUN = ROOT / "results" / "reference" / "packing"
pytestmark = pytest.mark.skipif(not RUN.exists(), reason="a source distribution has no reference runs")


@cache
def printed() -> list[str]:
    """The lines of `harness report results/reference/packing --as terminal`."""
    return terminal.render(make_report(Store.open(RUN), Catalog(load_plugins()))).splitlines()


def shown(page: str, first: str) -> list[str]:
    """The lines of the block of text that begins with a line."""
    return re.search(rf"```text\n({first}\n.*?)```", (ROOT / page).read_text(), re.DOTALL)[1].splitlines()


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def test_the_readme_shows_what_the_terminal_prints():
    lines = shown("README.md", "reviews · train")
    gap = lines.index("...")
    table, claims = lines[:gap], lines[gap + 1 :]
    at = printed().index(table[0])
    assert printed()[at : at + len(table)] == table
    at = printed().index("Claims")
    assert printed()[at : printed().index("", at)] == claims


def test_the_start_page_shows_rows_of_this_table():
    """It has fewer columns."""
    head, _, *rows = shown("docs/index.md", r"batching[^\n]*")
    at = printed().index("reviews · train")
    assert len(rows) == len(printed()[at + 3 : at + 7])
    for row, whole in zip((head, *rows), (printed()[at + 1], *printed()[at + 3 : at + 7]), strict=True):
        assert set(cells(row)) < set(cells(whole)), row
        assert cells(row)[:2] + cells(row)[-1:] == cells(whole)[:2] + cells(whole)[-1:]


def test_the_page_of_explanations_shows_what_the_command_prints():
    """In longer lines; a line `...` stands for lines that are left out."""
    command, *lines = shown("docs/explain.md", r"\$ harness explain results/reference[^\n]*")
    arguments = [sys.executable, "-m", *shlex.split(command)[1:]]
    output = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    rest = " ".join(output.split())
    for part in "\n".join(lines).split("\n...\n"):
        wanted = " ".join(part.split())
        assert wanted in rest, wanted
        rest = rest.partition(wanted)[2]
