"""Columns that say the same in every row are left out of tables, and a note says what they said."""

from __future__ import annotations

from harness.report.formats import terminal
from harness.report.table import Section, Table, without_constant_columns

HEADERS = ("level", "ratio", "95 % interval", "faults", "padding", "verdict")


def table(title: str, *rows: tuple[str, ...], headers: tuple[str, ...] = HEADERS) -> Table:
    return Table(title, headers, rows, ("A note.",))


def test_constant_columns_become_a_note():
    one = table("t", ("a", "1", "", "0", "52%", "baseline"), ("b", "1", "", "0", "12%", "baseline"))
    (found,) = without_constant_columns(Section("s", "", (one,))).tables
    assert found.headers == ("level", "ratio", "95 % interval", "padding", "verdict")
    assert found.rows[1] == ("b", "1", "", "12%", "baseline")
    assert found.notes == ("A note.", "The same in all rows: faults 0.")


def test_tables_with_the_same_headers_keep_the_same_columns():
    same = table("t", ("a", "1", "", "0", "5%", "baseline"), ("b", "2", "", "0", "5%", "slower"))
    other = table("u", ("a", "1", "", "7", "5%", "baseline"), ("b", "2", "", "9", "5%", "slower"))
    apart = table("v", ("a", "1"), ("b", "1"), headers=("level", "faults"))
    found = without_constant_columns(Section("s", "", (same, other), (apart,)))
    assert [one.headers for one in found.tables] == [("level", "ratio", "95 % interval", "faults", "verdict")] * 2
    assert [one.notes[-1] for one in found.tables] == ["The same in all rows: padding 5%."] * 2
    assert found.details[0].headers == ("level",)


def test_one_value_is_not_constant_and_empty_cells_do_not_count():
    one = table("t", ("a", "7", ""), ("b", "7", "2"), ("constant answer", "", ""), headers=("level", "x", "y"))
    (found,) = without_constant_columns(Section("s", "", (one,))).tables
    assert found.headers == ("level", "y")
    single = table("t", ("a", "7"), headers=("level", "x"))
    assert without_constant_columns(Section("s", "", (single,))).tables == (single,)


def test_a_wide_table_wraps_its_widest_text_before_it_is_split():
    """Lines are not broken inside a word or between a number and its unit."""
    wide = table("t", ("a", "1.2", "1.1 to 1.3", "0", "52%", "undecided: interval is ±7.5 %, target ±2.0 %\x1b[2J"))
    text = terminal.table(wide, 80)
    assert text.count("level") == 1
    assert max(map(len, text.splitlines())) <= 80
    assert "±7.5 %," in text
    assert "%\\x1b[2J" in text
    assert terminal.table(wide, 50).count("level") > 1
