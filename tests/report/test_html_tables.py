"""Tables of report.html: numeric columns, verdict cells, and joined tables."""

from __future__ import annotations

import pytest

from harness.report.formats.html_tables import Cell, grid_of, grids_of, value_of, verdict_cell
from harness.report.table import Table


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.858", ""), ("70,352", "70352"), ("52%", ""), ("9.91 ms", ""), ("1.50 s", "1500"), ("12.0 KiB", "12288"),
        ("−3.2", "-3.2"), ("-9.3", ""), ("+1.2", ""), ("1.2 GFLOP/s", "1200000000"), ("-", ""), ("", ""),
    ],
)  # fmt: skip
def test_numbers_have_a_sort_value(text, value):
    assert value_of(text, True) == value
    assert value_of(text, False) == ""


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("slower", Cell("", "", "slower", "more")),
        ("faster; changes example order", Cell("changes example order", "", "faster", "less")),
        ("undecided: interval is ±2 %; cpu-clock", Cell("interval is ±2 %; cpu-clock", "", "undecided", "open")),
        ("first look: slower; cpu-clock", Cell("cpu-clock", "", "first look: slower", "open")),
        ("invalid: failed: no", Cell("failed: no", "", "invalid", "void")),
        ("baseline", Cell("", "", "baseline", "base")),
        ("first look", Cell("first look")),
        ("something else", Cell("something else")),
    ],
)
def test_verdict_cells_are_parsed(text, cell):
    assert verdict_cell(text) == cell


def test_column_is_numeric_if_all_its_cells_are():
    grid = grid_of(
        Table(
            "t",
            ("name", "time", "range", "verdict"),
            (("a", "1.2 ms", "", "baseline"), ("3", "-", "1 to 2", "faster (" + "x" * 50)),
        )
    )
    assert [column.look for column in grid.columns] == ["", "n", "n", "v"]
    assert grid.baselines == {0}


def test_tables_with_the_same_columns_are_joined():
    tables = [
        Table(f"cell {n} · train: memory", ("a", "b"), ((f"{n}", "x"),), ("shared.", f"own {n}.")) for n in range(5)
    ]
    apart = grids_of([*tables[:4], Table("other", ("c",), (("z",),))])
    assert [grid.title for grid in apart] == [*(f"cell {n} · train: memory" for n in range(4)), "other"]
    (one,) = grids_of(tables)
    assert one.title == "train: memory, 5 contexts"
    assert [column.title for column in one.columns] == ["context", "a", "b"]
    assert [[cell.text for cell in row] for row in one.rows] == [[f"cell {n}", f"{n}", "x"] for n in range(5)]
    assert one.notes == ("shared.", *(f"cell {n}: own {n}." for n in range(5)))
    (same,) = grids_of([Table("same", ("a",), (("x",),))] * 5)
    assert same.title == "same, 5 contexts"


def test_notes_of_all_tables_are_shown_once():
    tables = [Table(f"t{n}", ("a",), (("x",),), ("of all.", f"own {n}.")) for n in range(3)]
    assert [grid.notes for grid in grids_of(tables)] == [("own 0.",), ("own 1.",), ("of all.", "own 2.")]
