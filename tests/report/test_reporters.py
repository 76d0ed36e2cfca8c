"""All reporters: complete and valid files, with every name escaped."""

from __future__ import annotations

import csv
import json
import math

import pytest
from made import block, record
from made_reports import NASTY

from harness.plugins.parts import Reporter
from harness.records.plan import Plan
from harness.report.formats import github, latex, markdown, tensorboard, terminal
from harness.report.report import report_of
from harness.report.rows import json_text, write_csv, write_json
from harness.report.table import Table


def test_every_reporter_writes_the_files_that_it_names(report, catalog, tmp_path, monkeypatch):
    monkeypatch.delenv(github.VARIABLE, raising=False)
    for name, entry in catalog.entries(Reporter).items():
        if name == "plots":  # slow, and has its own tests
            continue
        folder = tmp_path / name
        folder.mkdir()
        written = catalog.code(entry)(report, folder)
        assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file()), name
        before = {path: path.read_bytes() for path in written}
        catalog.code(entry)(report, folder)
        assert {path: path.read_bytes() for path in written} == before, name


def test_json_is_valid_and_has_its_format_number(report, tmp_path):
    (path,) = write_json(report, tmp_path)

    def refuse(word: str):
        raise AssertionError(word)

    data = json.loads(path.read_text(), parse_constant=refuse)
    assert data["format"] == 2
    assert data["question"] == report.question
    assert len(data["comparisons"]) == len(report.findings.comparisons)


def test_json_has_no_infinities():
    data = {"a": [math.inf, (math.nan, 1.5)], "b": {"c": -math.inf}, "d": True}
    assert json.loads(json_text(data)) == {"a": [None, [None, 1.5]], "b": {"c": None}, "d": True}


def test_csv_has_unescaped_names(nasty, tmp_path):
    write_csv(nasty, tmp_path)
    with (tmp_path / "tables" / "comparisons.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row[NASTY] for row in rows} >= {"fast " + NASTY}
    assert {row["axis|&"] for row in rows} == {NASTY}


def test_text_file_equals_the_terminal_output_without_the_path(report, tmp_path):
    (path,) = terminal.write(report, tmp_path)
    text = path.read_text()
    assert text == terminal.render(report).replace("\x1b[31m", "") + "\n"
    there = terminal.render(report, tmp_path)
    assert there.replace(f"\nReport: {tmp_path}", "").replace("\x1b[31m", "").split() == text.split()
    assert text.startswith(report.question)
    assert "\x1b" not in text
    for name in ("report.md", "report.html"):  # report.html is named first if it exists
        (tmp_path / name).touch()
        assert f"\nReport: {tmp_path / name}\n" in f"{terminal.render(report, tmp_path)}\n"


def test_all_reporters_are_fast_and_torch_free(catalog):
    """Reporters run after every run, so they must not need torch."""
    names = list(catalog.entries(Reporter))
    assert {"markdown", "terminal", "plots", "csv", "json", "latex", "junit", "github", "tensorboard"} <= set(names)
    for entry in catalog.entries(Reporter).values():
        assert ": " in entry.part.summary
        assert len(entry.part.summary) < 90
    assert tensorboard.__name__.startswith("harness.report.formats")


def test_no_report_contains_control_characters(nasty):
    for text in (terminal.render(nasty), markdown.render(nasty), github.render(nasty), latex.render(nasty)):
        assert not set("\x00\x1b\x7f") & set(text)
    assert "31m" not in terminal.render(nasty)  # colour sequences are removed, not shown


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|'/C calc'!A0", "'+cmd|'/C calc'!A0"),
        ("-2+3+cmd|'/C calc'!A0", "'-2+3+cmd|'/C calc'!A0"),
        ("\t=1+1", "'\t=1+1"),
        ('-HYPERLINK("x")', '\'-HYPERLINK("x")'),
        ("+dropout", "+dropout"),  # names of levels and numbers stay unchanged
        ("-clip, -decay", "-clip, -decay"),
        ("-0.25", "-0.25"),
        ("a=b", "a=b"),
    ],
)
def test_no_csv_cell_is_a_formula(catalog, tmp_path, cell, written):
    this = block("a", cell)
    records = [record(this, level, n, [1e6] * 10) for level in ("a", cell) for n in range(5)]
    write_csv(report_of(Plan("s", "q", "what", (this,)), records, catalog, {}), tmp_path)
    rows = list(csv.DictReader((tmp_path / "tables" / "comparisons.csv").open()))
    assert [row["what"] for row in rows] == [written]


def test_narrow_terminal_wraps_wide_tables():
    table = Table("t", ("level", "tokens/s", "verdict"), (("a", "169,374", "slower " * 9), ("b", "1", "faster")))
    text = terminal.table(table, 40)
    assert max(map(len, text.splitlines())) <= 40
    assert "169,374" in text
    assert text.count("slower") == 9
