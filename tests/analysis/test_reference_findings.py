"""The reference runs give exactly the stored numbers, verdicts and flags."""

from __future__ import annotations

from itertools import compress
from pathlib import Path
from typing import Any

import pytest
from reference_findings import found_in, reference_runs, stored

from harness.plugins.catalog import Catalog
from harness.plugins.parts import Metric


@pytest.fixture(scope="module")
def expected() -> dict[str, dict[str, Any]]:
    return stored()


def test_every_reference_run_has_stored_findings(expected):
    assert list(expected) == [run.name for run in reference_runs()] or not reference_runs()


@pytest.mark.parametrize("run", reference_runs(), ids=lambda run: run.name)
def test_findings_equal_the_stored_ones(run: Path, catalog, expected):
    found = found_in(run, catalog)
    found["resources"] = in_order(found["resources"])
    for name, those in of_installed_metrics(expected[run.name], catalog).items():
        assert same(those, found[name]), f"{name}: {first_difference(those, found[name])}"


def of_installed_metrics(expected: dict[str, Any], catalog: Catalog) -> dict[str, Any]:
    """The stored findings without those of metrics from plugins that are not installed here."""
    numbers = expected["numbers"]
    missing = set(numbers.get("metric", ())) - set(catalog.entries(Metric))
    there = [metric not in missing for metric in numbers.get("metric", ())]
    return {
        **expected,
        "resources": in_order(expected["resources"]),
        "numbers": {name: list(compress(column, there)) for name, column in numbers.items()},
        "break_even": [one for one in expected["break_even"] if one["what"] not in missing],
    }


def in_order(resources: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The table of quantities by columns, with rows in one order, since a report orders them by kind of measurement."""
    names = [name for name in resources if name not in ("value", "unit", "ratio", "verdict", "each_process")]
    places = list(zip(*(resources[name] for name in names), strict=True))
    order = sorted(range(len(places)), key=places.__getitem__)
    return {name: [column[row] for row in order] for name, column in resources.items()}


def same(expected: Any, found: Any) -> bool:
    """Equal to the last digit. A table may have additional columns."""
    if isinstance(expected, dict):
        return set(expected) <= set(found) and all(same(value, found[name]) for name, value in expected.items())
    if isinstance(expected, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    return type(expected) is type(found) and (expected == found or expected != expected != found)


def first_difference(expected: Any, found: Any, at: str = "") -> str:
    """A description of the first difference between two values."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            if name not in found:
                return f"{at}.{name} is missing"
            if not same(value, found[name]):
                return first_difference(value, found[name], f"{at}.{name}")
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return f"{at} has {len(found)} values, not {len(expected)}"
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            if not same(one, other):
                return first_difference(one, other, f"{at}[{index}]")
    return f"{at} is {found!r}, was {expected!r}"


@pytest.mark.parametrize(
    ("expected", "found", "equal"),
    [
        ({"a": [1.0, None]}, {"a": [1.0, None], "new": [1]}, True),
        ({"a": [1.0]}, {"a": [1.0 + 2**-52]}, False),
        ({"a": [1.0]}, {"a": [1]}, False),
        ({"a": ["slower"]}, {"a": ["faster"]}, False),
        ({"a": [1.0, 2.0]}, {"a": [1.0]}, False),
        ({"a": [1.0]}, {}, False),
    ],
)
def test_difference_is_detected(expected, found, equal):
    assert same(expected, found) is equal
