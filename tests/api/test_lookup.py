"""What names mean: levels of an axis, and runs."""

import json

import pytest

from harness.api.lookup import open_run, parse_only, suite_of_runs
from harness.errors import UserError


def test_repeated_axis_gets_both_levels():
    assert parse_only(["cell=lstm", "data=words", "cell=gru,rnn"]) == {
        "cell": ["lstm", "gru", "rnn"],
        "data": ["words"],
    }


@pytest.mark.parametrize("text", ["cell", "cell="])
def test_an_axis_without_levels_is_refused(text):
    with pytest.raises(UserError, match=f"^--only {text}: expected AXIS=LEVEL"):
        parse_only([text])


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The runs a/1, a/2 and b/3, in this order, and a page of several suites."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("b/3", "a/2", "a/1")):
        folder = tmp_path / "results" / name
        folder.mkdir(parents=True)
        (folder / "records.jsonl").touch()
        began = f"2030-01-01T00:00:0{3 - number}.5+00:00"
        (folder / "plan.json").write_text(json.dumps({"began": began}))
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "page.json").touch()
    return tmp_path / "results"


@pytest.mark.parametrize(
    ("name", "run"),
    [
        (None, "b/3"), ("latest", "b/3"), ("a", "a/2"), ("a~1", "a/1"), ("a~0", "a/2"), ("suites/a.yaml", "a/2"),
        ("a.yml~1", "a/1"), ("results/a/1", "a/1"),
    ],
)  # fmt: skip
def test_a_run_is_a_folder_or_a_suite_or_the_latest_one(results, name, run):
    assert open_run(name, results).folder.resolve() == results / run


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("c", "there is no run of 'c' in it. Known: a, b."),
        ("a~2", "a~2: the number of runs of a is 2. Use a number below 2"),
        ("latest~1", "latest~1: the number of runs of b is 1."),
        ("a~x", "a~x: expected NAME~N for the Nth run before the latest one"),
        ("results/a/9", "results/a/9: is not the folder of a run."),
        ("page", "page: this is the page of several suites. Give the folder of one run."),
    ],
)
def test_a_name_without_a_run_is_a_mistake(results, name, says):
    with pytest.raises(UserError) as error:
        open_run(name, results)
    assert says in str(error.value)


def test_a_suite_is_found_although_a_folder_has_its_name(results, tmp_path):
    (tmp_path / "a").mkdir()
    assert open_run("a", results).folder.resolve() == results / "a/2"
    assert suite_of_runs("a", results) == "a"


@pytest.mark.parametrize(
    ("name", "suite"),
    [
        (None, "b"), ("latest", "b"), ("latest~0", "b"), ("a", "a"), ("a~1", "a"), ("suites/a.yaml", "a"),
        ("results/a/1", "a"), ("c", "c"),
    ],
)  # fmt: skip
def test_the_suite_of_runs_has_every_name_of_one_of_them(results, name, suite):
    assert suite_of_runs(name, results) == suite
