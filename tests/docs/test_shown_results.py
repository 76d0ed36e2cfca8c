"""The pictures of the README and docs/explain.md show stored runs as the commands print them today."""

from __future__ import annotations

import re
import shlex
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.store import Store
from harness.report.report import make_report

ROOT = Path(__file__).parents[2]
RUN = ROOT / "results" / "reference" / "packing"
pytestmark = pytest.mark.skipif(not RUN.exists(), reason="a source distribution has no reference runs")


def shown(page: str, first: str) -> list[str]:
    """The lines of the block of text that begins with a line."""
    return re.search(rf"```text\n({first}\n.*?)```", (ROOT / page).read_text(), re.DOTALL)[1].splitlines()


def test_the_picture_of_the_terminal_shows_the_answer_of_a_stored_run():
    """Otherwise run `python docs/pictures.py`. The picture loads nothing."""
    picture = (ROOT / "docs" / "_static" / "terminal.svg").read_text()
    texts = (element.text or "" for element in ElementTree.fromstring(picture).iter() if element.tag.endswith("text"))
    words = " ".join(" ".join(texts).replace("\xa0", " ").split())
    runs = [*(ROOT / "results").glob("machines/*/packing"), RUN]
    reports = [make_report(Store.open(run), Catalog(load_plugins())) for run in runs]
    assert [report for report in reports if report.question in words and report.answer in words]
    assert not re.search(r"@font-face|url\(['\"]?http", picture)


@pytest.mark.parametrize(("name", "size"), [("card.png", (1200, 630)), ("report.png", (1200, 860))])
def test_pictures_are_small(name: str, size: tuple[int, int]):
    content = (ROOT / "docs" / "_static" / name).read_bytes()
    assert struct.unpack(">II", content[16:24]) == size
    assert len(content) <= 200_000


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
