"""``harness new suite --csv``: the columns of a file decide the dataset, and the suite runs."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from commands import harness

from harness.errors import UserError
from harness.suite.yaml_source import read_file
from harness.tools.scaffold.csv_columns import csv_dataset


def sensors(target=lambda series, step: series % 3, *, name: str = "unit", more: str = "") -> str:
    """Forty series of two channels."""
    random = Random(0)
    rows = [f"time,{name},a,b,fault{',note' if more else ''}"]
    for series in range(40):
        for step in range(3 + series % 5):
            values = f"{random.random():.3f},{random.random():.3f}"
            rows.append(f"{step},u{series},{values},{target(series, step)}{',' + more if more else ''}")
    return "\n".join(rows)


REVIEWS = "id,review,stars\n" + "\n".join(f'{n},"word{n} is, well, word{n % 7}",{n % 2}' for n in range(30))
CASES = {
    "classes of series": (
        sensors(), "class_series",
        {"target": "fault", "per": "series", "series": "unit", "channels": ["a", "b"]}, "'time'",
    ),
    "numbers of series": (
        sensors(lambda series, step: series / 7), "number_series",
        {"target": "fault", "per": "series", "series": "unit", "channels": ["a", "b"]}, "numbers, one for each series",
    ),
    "classes of steps": (
        sensors(lambda series, step: step % 2), "class_series",
        {"target": "fault", "per": "step", "series": "unit", "channels": ["a", "b"]}, "classes (2), one for each step",
    ),
    "a column of notes": (
        sensors(more="all fine"), "class_series",
        {"target": "fault", "per": "series", "series": "unit", "channels": ["a", "b"]}, "Not used: 'time', 'note'.",
    ),
    "one long series": (
        "a,y\n" + "\n".join(f"{n % 7},{n / 3}" for n in range(900)), "number_series",
        {"target": "y", "per": "step", "window": 2}, "No column names the series of each row, so pieces of 2 rows",
    ),
    "no header": (
        "\n".join(f"{n % 7}.5,{n / 3}" for n in range(900)), "number_series",
        {"target": "1", "per": "step", "window": 2, "header": False}, "The column 1 is the target",
    ),
    "text": (REVIEWS, "delimited", {"text": "review", "label": "stars"}, "The column review has texts"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "name", "parameters", "says"), CASES.values(), ids=CASES)
def test_the_columns_decide_the_dataset(tmp_path, text, name, parameters, says):
    (tmp_path / "own.csv").write_text(text)
    found = csv_dataset(tmp_path / "own.csv")
    assert (found.name, dict(found.parameters)) == (name, parameters)
    assert says in " ".join(found.says)


def test_the_batch_fits_the_number_of_examples(tmp_path):
    (tmp_path / "own.csv").write_text(sensors())
    found = csv_dataset(tmp_path / "own.csv")
    assert (found.examples, found.batch_size) == (40, 2)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("own.xlsx", "", "expected a file with the suffix .csv, .tsv, .tab"),
        ("own.csv", "a,b\n1,2\n", "the file has fewer than two rows"),
        ("own.csv", "a,b\n1,2\n1\n", "a row has 1 columns, and the first has 2"),
        ("own.csv", "a\nx y\nz w\n", "there is no column with a label beside the text"),
        ("own.csv", "a,b\nx,1\nx,2\nx,2\n", "there is no column with text, and none with numbers beside the target"),
    ],
)
def test_a_file_that_no_dataset_reads(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=f"^--csv .*{name}: .*{says}"):
        csv_dataset(tmp_path / name)


@pytest.mark.parametrize("case", ["classes of series", "numbers of series", "classes of steps", "text"])
@pytest.mark.parametrize("measure", ["speed", "learning"])
def test_the_suite_is_planned_with_a_path_relative_to_itself(tmp_path, case, measure):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "own.csv").write_text(CASES[case][0])
    made = harness("new", "suite", "mine", "--csv", "data/own.csv", "--measure", measure, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert CASES[case][3].split(",")[0] in made.stdout or case == "classes of series"
    suite = tmp_path / "suites" / "mine.yaml"
    assert read_file(suite)[1].value["base"]["dataset"]["path"] == "../data/own.csv"
    assert "  # The column" in suite.read_text(), "the choice is a comment in the suite, too"
    checked = harness("check", "suites/mine.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr


def test_a_dataset_and_a_file_contradict_each_other(tmp_path):
    Path(tmp_path, "own.csv").write_text(REVIEWS)
    done = harness("new", "suite", "mine", "--csv", "own.csv", "--dataset", "reviews", cwd=tmp_path)
    assert (done.returncode, "--dataset --csv: the columns of the file decide the dataset." in done.stderr) == (2, True)
