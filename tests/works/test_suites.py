"""Suites and results.

A suite may be written in several ways, and stored runs are found again wherever they are copied.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from toy_suite import SUITE, read, toy_catalog

from harness.api.lookup import open_run
from harness.errors import UserError
from harness.plan.planner import make_plan
from harness.records.store import Store
from harness.suite.files import suites_in
from harness.suite.loader import load_suite

LEVELS = "    plain: {}\n    backwards: {use: [reverse]}\n"


def suite_text(levels: str, baseline: str) -> str:
    """The toy suite with other levels."""
    return SUITE.replace(LEVELS, f"    {levels}\n").replace("baseline: plain", f"baseline: {baseline}")


def values_text(values: str, baseline: str) -> str:
    """The toy suite that compares values of one parameter."""
    return SUITE.replace(f"  what:\n{LEVELS}", f"  what: {{path: use.descent.lr, values: {values}}}\n").replace(
        "baseline: plain", f"baseline: {baseline}"
    )


def refusal_of(text: str) -> str:
    with pytest.raises(UserError) as caught:
        read(text)
    return str(caught.value)


def test_numbers_and_truth_values_are_names():
    """Levels may be called 8, 1.10, true, on or no, as a user writes them.

    A reference such as `baseline: 1.10` is read as this text, also without quotes."""
    for baseline, other in (("8", "16"), ("1.10", "1.1"), ("true", "false"), ("on", "off"), ("no", "yes")):
        suite = read(suite_text(f"{{{baseline}: {{}}, {other}: {{use: [reverse]}}}}", baseline))
        assert suite.baseline == baseline
        assert list(suite.axes["what"]) == [baseline, other]


def test_a_number_may_be_written_in_any_form():
    """A level that sets 0.00001 is found as 1e-5, 1.0e-05 or 0.00001, in the suite and on the command line.

    A number that no level has is an error, and no other number is suggested as what was meant."""
    for written in ("1e-5", "1.0e-05", "0.00001"):
        suite = read(values_text("[0.1, 0.00001]", written))
        assert make_plan(suite, toy_catalog(), only={"what": ["0.10"]}).blocks[0].baseline.level == "1e-05"
    assert refusal_of(values_text("[0.001, 0.0001]", "0.00001")).endswith("Known: 0.0001, 0.001.")


def test_the_same_value_twice_is_an_error():
    """An axis with the values 0.001 and 1e-3 is refused, with the positions of both.

    Two levels with names of their own may be the same, as a control; a warning says so."""
    message = refusal_of(values_text("[0.001, 1e-3, 0.01]", "0.001"))
    assert message == "suite.yaml:8:48: 1e-3 is the same value as 0.001 (line 8, column 41). Remove one of them."
    plan = make_plan(read(suite_text("{plain: {}, control: {}}", "plain")), toy_catalog())
    assert len(plan.blocks[0].trials) == 2
    assert "control and plain specify the same trial" in plan.remarks[0]


def test_values_without_a_name_need_one():
    """Null, lists and mappings as values of an axis are refused at their place.

    Null would mean the default of the parameter. Named levels can set all of these values."""
    for value in ("~", "[1, 2]", "{a: 1}"):
        message = refusal_of(values_text(f"[0.1, {value}]", "0.1"))
        assert message.startswith("suite.yaml:8:46: the value of an axis")
        assert "Name the levels" in message


def test_names_may_use_every_script():
    """Names may contain emoji, accents and other scripts, also in suites that were written as JSON.

    Composed and decomposed accents are the same name. Characters that cannot be seen, and names of more than 100
    characters, are refused."""
    levels = json.dumps({"\U0001f422 slow": {}, "שלום": {"use": ["reverse"]}})  # emoji as two escapes
    suite = read(suite_text(levels, '"\\ud83d\\udc22 slow"'))
    assert list(suite.axes["what"]) == ["\U0001f422 slow", "שלום"]
    assert read(suite_text("{cafe\u0301: {}, tea: {use: [reverse]}}", "caf\u00e9")).baseline == "caf\u00e9"
    for name in ('"a\\u200b"', '"a\\nb"', "x" * 101):
        assert "cannot be the name" in refusal_of(suite_text(f"{{{name}: {{}}, tea: {{use: [reverse]}}}}", "tea"))


def test_a_folder_may_have_suites_with_either_ending(tmp_path):
    """A folder of suites may have files that end with .yaml and with .yml.

    Files named reference, latest or pages are refused, since these names have another meaning in the results."""
    for name in ("a.yaml", "b c é.yml"):
        (tmp_path / name).write_text(SUITE, encoding="utf-8")
    assert [load_suite(path, toy_catalog()).name for path in suites_in(tmp_path)] == ["a", "b c é"]
    (tmp_path / "reference.yaml").write_text(SUITE)
    with pytest.raises(UserError, match="a suite cannot be named 'reference'"):
        load_suite(tmp_path / "reference.yaml", toy_catalog())


def test_copies_of_results_keep_their_order(tmp_path):
    """Runs keep their order when results are copied, checked out with git, or resumed.

    `NAME~1` is the run that began before the latest one. The times of files do not matter."""
    suite = read(SUITE)
    plan = make_plan(suite, toy_catalog())
    runs = [Store.create(tmp_path / "results", plan, suite.text) for _ in range(3)]
    runs[0].keep(plan)  # as a resumed run does
    copied = Path(shutil.copytree(tmp_path / "results", tmp_path / "copied", copy_function=shutil.copyfile))
    for age, run in enumerate(reversed(runs)):
        for path in copied.rglob(f"{run.folder.name}/*"):
            os.utime(path, (1e9 + age, 1e9 + age))
    for back, run in enumerate(reversed(runs)):
        assert open_run(f"suite~{back}", copied).folder.name == run.folder.name
