"""report.md and the summary of a GitHub step: tables, claims, and the size limit."""

from __future__ import annotations

import re
from dataclasses import replace

from made_reports import NASTY, tables_in
from markdown_it import MarkdownIt

from harness.report.formats import (
    github,
    markdown,
)
from harness.report.table import Section, Table


def shown(token) -> str:
    """The visible text of an inline token."""
    return "".join(
        "\n" if child.type == "softbreak" else child.content
        for child in token.children or ()
        if child.type != "html_inline"
    )


def rows_of(text: str) -> list[list[list[str]]]:
    """The tables of a Markdown text: their rows and the visible text of their cells."""
    found: list[list[list[str]]] = []
    inside = False
    for token in MarkdownIt().enable("table").parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("td_open", "th_open", "td_close", "th_close"):
            inside = token.type.endswith("open")
        elif token.type == "inline" and inside:
            found[-1][-1].append(shown(token))
    return found


def as_read(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def test_summary_has_every_table(report, monkeypatch):
    text = github.render(report)
    found = rows_of(text)
    assert len(found) == len(tables_in(report))
    for rows, one in zip(found, tables_in(report), strict=True):
        assert rows == [[as_read(cell) for cell in row] for row in (one.headers, *one.rows)]


def test_summary_begins_with_claims_and_has_no_workflow_commands(nasty):
    text = github.render(nasty)
    tokens = [shown(token) for token in MarkdownIt().enable("table").parse(text) if token.type == "inline"]
    assert tokens[0] == as_read(nasty.question)
    assert tokens[1] == as_read(nasty.answer)
    assert tokens[2].startswith((f"True: {NASTY}.", f"True: {as_read(NASTY)}."))
    assert tokens[3].startswith("False: not so line one line two")
    assert any(token.startswith("Failed: ") for token in tokens)
    assert any(token.startswith("Problems: metric m | <x>") for token in tokens)
    assert "::" not in re.sub(r"\w::\w", "", text)  # no workflow commands
    assert "<i>" not in text
    assert "<b>" not in text


def test_summary_fits_the_limit_and_counts_omitted_parts(nasty):
    big = Table("big", ("a", "b"), tuple((f"row {n}", "é" * 50) for n in range(100)))
    large = replace(nasty, sections=tuple(Section(f"s{n}", "", (big,)) for n in range(12)))
    assert github.LIMIT == 1024 * 1024
    text = github.render(large, 100_000)
    assert 80_000 < len(text.encode()) <= 100_000
    left = int(re.search(r"^(\d+) parts of this report are left out", text, re.MULTILINE)[1])
    assert left == 12 - len(rows_of(text)) > 0
    assert "True" in text
    assert text.rstrip().endswith("50%, 2 cores, Python None.")
    for room in (0, 100, 2000):
        assert len(github.render(large, room).encode()) <= max(room, 1000)


def test_summary_is_added_to_the_step_once(nasty, tmp_path, monkeypatch):
    step, folder = tmp_path / "step", tmp_path / "run"
    step.write_text("before")
    folder.mkdir()
    monkeypatch.setenv(github.VARIABLE, str(step))
    github.write(nasty, folder)  # a preview, not the folder of a run
    assert step.read_text() == "before"
    (folder / "plan.json").write_text("{}")
    for _ in range(2):
        github.write(nasty, folder)
    text = (folder / "summary.md").read_text()
    assert re.fullmatch(re.escape("before\n" + text) + "<!-- harness [0-9a-f]{12} -->\n", step.read_text())
    step.unlink()
    github.write(nasty, folder)
    assert step.read_text().startswith(text)
    github.write(replace(nasty, question="another"), folder)
    assert step.read_text().count("<!-- harness ") == 2
    # a text that was cut is not added again, cut shorter
    step.write_text("x" * (github.LIMIT - len(text.encode()) + 500))
    for _ in range(2):
        github.write(nasty, folder)
    assert len(step.read_bytes()) <= github.LIMIT
    assert step.read_text().count("parts of this report are left out") == 1
    step.write_text("x" * github.LIMIT)  # if the file is full, nothing is added
    github.write(nasty, folder)
    assert step.read_text() == "x" * github.LIMIT


def test_markdown_tables_keep_their_columns(report):
    found = rows_of(markdown.render(report))
    assert [len(rows) for rows in found] == [len(one.rows) + 1 for one in tables_in(report)]
    for rows, one in zip(found, tables_in(report), strict=True):
        assert all(len(row) == len(one.headers) for row in rows)
