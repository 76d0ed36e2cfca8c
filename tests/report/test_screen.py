"""The report on one screen: it is short, fits the terminal, and shows names as they are."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from made import block, learning_block, record, runs
from made_reports import NASTY

from harness.plugins.isolation import visible
from harness.records.plan import Claim, Plan
from harness.records.record import Record
from harness.records.store import Store
from harness.report.formats import screen, terminal
from harness.report.formats.console import breaks, console
from harness.report.report import make_report, report_of
from harness.report.tables.matrix import matrix_of

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
COMMAND = "\x1b[31mred\x1b[0m\x07\x9b"


@pytest.fixture(scope="module")
def packing(catalog):
    """A stored run of three contexts, four levels and three claims."""
    if not REFERENCE.exists():
        pytest.skip("a source distribution has no reference runs")
    return make_report(Store.open(REFERENCE / "packing"), catalog)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def in_columns(report, width: int, monkeypatch, stream: io.StringIO | None = None) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    return screen.render(report, Path("results/packing/2026-12-01T034838"), stream=stream)


def test_three_contexts_take_at_most_thirty_lines(packing, monkeypatch):
    lines = in_columns(packing, 80, monkeypatch).splitlines()
    assert len(lines) <= 29, "an empty line comes before them"
    assert lines[0] == packing.question
    assert " ".join(lines[1:3]) == packing.answer
    head, padded, packed, *_ = (lines[number] for number in range(4, 8))
    assert head.split() == ["batching", "reviews", "narrow", "wide"]
    assert padded.split() == ["padded", "9.91", "ms", "7.17", "ms", "17.13", "ms"]
    assert re.fullmatch(r"packed( +\d\.\d{3} ±\d\.\d% slower){3}", packed)
    text = " ".join(line.strip() for line in lines)
    for claim in packing.claims:
        assert f'{claim.words}: "{claim.says}" (tested: {claim.tested}). {claim.effect}.' in text
        assert visible(claim.places).capitalize() in text
    assert "Sensitivity: " in text
    assert "Report: results/packing/2026-12-01T034838" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_fit_the_terminal_and_break_between_words(packing, report, width, monkeypatch):
    for one in (packing, report):
        text = in_columns(one, width, monkeypatch)
        words = max(len(word) for word in text.split())
        assert all(len(line) <= max(width, words + 2) for line in text.splitlines())
        if one is packing:
            assert max(map(len, text.splitlines())) <= width
            # At 60 columns each comparison has a line, which names the context again.
            assert width < 80 or set(text.split()) == set(in_columns(one, 1000, monkeypatch).split()), "whole words"


def test_a_number_stays_beside_its_percent_sign():
    text = "an interval of 95 % and more"
    assert [text[at:] for at in breaks(text, 17, 2)] == ["95 % and more"]


def test_a_stream_that_is_no_terminal_has_eighty_columns_and_no_colours(packing, monkeypatch):
    for variable in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    text = screen.render(packing, stream=io.StringIO())
    assert max(map(len, text.splitlines())) in range(70, 81)
    assert "\x1b" not in text
    assert text == screen.render(packing)


def test_colours(packing, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    for variable in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    plain, coloured = (in_columns(packing, 80, monkeypatch, stream) for stream in (None, Terminal()))
    assert "\x1b[31mslower\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured) == plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert in_columns(packing, 80, monkeypatch, io.StringIO()) == coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert in_columns(packing, 80, monkeypatch, Terminal()) == plain


def test_names_cannot_command_the_terminal_or_the_library(nasty, catalog, monkeypatch):
    this = block("[red]x[/red]", COMMAND, ":smile:")
    records = [record(this, trial.level, n, [1e6] * 10) for trial in this.trials for n in range(5)]
    records.append(Record(this.id, ":smile:", "x", "verify", "variant", 0, 1, "failed", f"[bold]{COMMAND}"))
    made = report_of(Plan("s", "[link=x]q[/link]?", "[b]what[/b]", (this,)), records, catalog, {})
    monkeypatch.setenv("TERM", "xterm-256color")
    text = in_columns(made, 80, monkeypatch, Terminal())
    assert {"[red]x[/red]", "[b]what[/b]", "[link=x]q[/link]?"} <= set(re.sub(r"\x1b\[\d*m", "", text).split())
    assert ":smile:" in text
    assert "[bold]red\\x07\\x9b" in text
    for one in (made, nasty):
        plain = in_columns(one, 80, monkeypatch)
        assert not set("\x00\x1b\x7f\x07\x9b") & set(plain)
    assert NASTY.split()[0] in in_columns(nasty, 1000, monkeypatch)


def test_failures_are_shown_with_their_reasons(catalog, monkeypatch):
    levels = [f"level{n}" for n in range(9)]
    this = block("a", *levels)
    failed = [Record(this.id, one, "x", "verify", "variant", 0, 1, "failed", f"{one} broke") for one in levels]
    made = report_of(Plan("s", "q?", "what", (this,)), failed, catalog, {})
    text = in_columns(made, 80, monkeypatch)
    assert "Failed: all, level0: failed in verify: level0 broke\n" in text
    assert "Failed: 5 more\n" in text


def test_hundreds_of_comparisons_are_cut_to_a_screen(catalog, monkeypatch):
    blocks = tuple(replace(block("a", "b", "c"), context={"x": f"{n}" * 9, "y": str(n)}) for n in range(60))
    records = [record(one, level, n, [1e6 + n] * 10) for one in blocks for level in "abc" for n in range(5)]
    claims = tuple(Claim(f"c{n}", "b", "step_time", "lower", 0.1, "train", {}, "all", "ratio") for n in range(20))
    made = report_of(Plan("s", "q?", "what", blocks, claims=claims), records, catalog, {})
    lines = in_columns(made, 80, monkeypatch).splitlines()
    assert len(lines) <= 70
    assert "… and 44 more lines. Of all 120 comparisons: " in "\n".join(lines)
    assert "12 more claims: 12 false" in lines


def test_scores_and_times_are_columns_like_contexts(catalog):
    this = learning_block("plain", "fast")
    values = {"plain": [0.1, 0.2, 0.3, 0.2, 0.1], "fast": [0.4, 0.5, 0.6, 0.5, 0.4]}
    records = [r for level, each in values.items() for r in runs(this, level, close=each)]
    made = report_of(Plan("s", "q", "what", (this,)), records, catalog, {})
    shown = matrix_of(made.findings)
    assert shown.baselines[-1] == "18.0%"
    assert shown.cell("fast", shown.places[-1]).text.startswith("+30.0 ±")


def test_the_report_file_has_everything(packing):
    """What --verbose prints has all tables; the screen has none of their words."""
    text = terminal.render(packing)
    for section in packing.sections:
        assert section.title in text or not section.tables
        assert all(table.title in text for table in section.tables)
    assert all(claim.sentence() in text for claim in packing.claims)


def test_a_picture_of_the_screen(packing):
    """A recording console of rich gets the same text."""
    recording = console(io.StringIO(), record=True, width=80, force_terminal=True, color_system="truecolor")
    screen.draw(packing, recording, Path("results/packing"))
    svg = recording.export_svg(title="harness run suites/packing.yaml")
    assert svg.startswith("<svg")
    assert "slower" in svg
