"""report.md and the short summary of a GitHub step: question, answer, claims, and one small table."""

from __future__ import annotations

import re
from dataclasses import replace

from made import block, record
from made_reports import NASTY, tables_in
from markdown_it import MarkdownIt

from harness.records.plan import Plan
from harness.report.formats import github, markdown
from harness.report.report import report_of


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


def test_summary_has_one_row_for_each_level_with_its_verdict(catalog):
    blocks = [replace(block("plain", "slow", "fast"), context={"data": name}) for name in "ab"]
    records = [
        record(this, level, n, [1e6 * time * (1 + n / 1000)] * 10)
        for this in blocks
        for level, time in {"plain": 1.0, "slow": 2.0, "fast": 0.5}.items()
        for n in range(5)
    ]
    made = report_of(Plan("s", "q", "what", tuple(blocks)), records, catalog, {})
    (rows,) = rows_of(github.render(made))
    assert rows[0] == ["what", "a", "b"]
    assert [row[0] for row in rows[1:]] == ["slow", "fast"]
    assert all(re.fullmatch(r"2\.000 ±[<\d.]+% slower", cell) for cell in rows[1][1:])
    assert all(cell.endswith(" faster") for cell in rows[2][1:])


def test_contexts_become_rows_where_they_are_many(catalog):
    blocks = [replace(block("plain", "slow"), context={"data": f"d{n}"}) for n in range(github.MOST_ROWS + 6)]
    records = [
        record(this, level, n, [1e6 * (1 + (level == "slow"))] * 10)
        for this in blocks
        for level in ("plain", "slow")
        for n in range(5)
    ]
    text = github.render(report_of(Plan("s", "q", "what", tuple(blocks)), records, catalog, {}))
    (rows,) = rows_of(text)
    assert rows[0] == ["context", "slow"]
    assert len(rows) == 1 + github.MOST_ROWS
    assert "6 more rows are in the report." in text
    assert len(text.encode()) < 10_000


def test_summary_begins_with_claims_and_has_no_workflow_commands(nasty):
    text = github.render(nasty)
    tokens = [shown(token) for token in MarkdownIt().enable("table").parse(text) if token.type == "inline"]
    assert tokens[0] == as_read(nasty.question)
    assert tokens[1] == as_read(nasty.answer)
    assert tokens[2].startswith((f"True: {NASTY}.", f"True: {as_read(NASTY)}."))
    assert tokens[3].startswith("False: not so line one line two")
    assert {"Failed", "Problems"} <= set(tokens)
    assert any(token.startswith("metric m | <x>") for token in tokens)
    assert "::" not in re.sub(r"\w::\w", "", text)  # no workflow commands
    assert "<i>" not in text
    assert "<b>" not in text


def test_long_lists_are_counted_and_not_shown(nasty):
    long = replace(nasty, failures=tuple(f"failure {n} " + "é" * 50 for n in range(500)))
    text = github.render(long)
    assert len(text.encode()) < 10_000
    assert "failure 11 " in text
    assert f"- and {500 - github.MOST_LINES} more" in text
    assert text.rstrip().endswith("All tables and plots are in report.html.")


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
    step.write_text("x" * (github.LIMIT - len(text.encode())))  # if there is too little room, nothing is added
    github.write(nasty, folder)
    assert len(step.read_bytes()) == github.LIMIT - len(text.encode())


def test_markdown_tables_keep_their_columns(report):
    found = rows_of(markdown.render(report))
    assert [len(rows) for rows in found] == [len(one.rows) + 1 for one in tables_in(report)]
    for rows, one in zip(found, tables_in(report), strict=True):
        assert all(len(row) == len(one.headers) for row in rows)
