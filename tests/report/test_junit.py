"""junit.xml fits all common schemas and has a test case for each trial and claim."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

from made import block
from made_quantities import memory
from made_reports import BAD, NASTY

from harness.builtin.memory import Memory
from harness.records.plan import Plan
from harness.records.record import Record
from harness.records.settings import Measures
from harness.report.formats import (
    junit,
)
from harness.report.report import report_of

#: The common subset of all schemas: required attributes, optional attributes, and children in order.
ALLOWED = {
    "testsuites": (set(), {"name", "tests", "failures", "errors"}, ["testsuite"]),
    "testsuite": ({"name", "tests", "failures", "errors"}, {"skipped"}, ["properties", "testcase"]),
    "properties": (set(), set(), ["property"]),
    "property": ({"name", "value"}, set(), []),
    "testcase": ({"name", "classname"}, set(), ["skipped", "error", "failure", "system-out"]),
    "skipped": (set(), {"message"}, []),
    "error": (set(), {"message", "type"}, []),
    "failure": (set(), {"message", "type"}, []),
    "system-out": (set(), set(), []),
}


def check_junit(element: ElementTree.Element) -> None:
    needed, more, children = ALLOWED[element.tag]
    assert needed <= set(element.attrib) <= needed | more
    tags = [child.tag for child in element]
    assert set(tags) <= set(children)
    assert tags == sorted(tags, key=children.index)
    if element.tag == "testcase":
        assert len(tags) == len(set(tags))
        assert sum(tag in ("skipped", "error", "failure") for tag in tags) <= 1
    for child in element:
        check_junit(child)


def suite_of(report, tmp_path) -> ElementTree.Element:
    (path,) = junit.write(report, tmp_path)
    root = ElementTree.parse(path).getroot()
    check_junit(root)
    (suite,) = root
    cases = suite.findall("testcase")
    for element in (root, suite):
        assert int(element.get("tests")) == len(cases)
        for kind in ("failure", "error"):
            assert int(element.get(f"{kind}s")) == len(suite.findall(f"testcase/{kind}"))
    assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))
    return suite


def test_junit_fits_all_schemas(report, tmp_path):
    suite = suite_of(report, tmp_path)
    assert suite.get("name") == report.findings.plan.suite
    trials = sum(len(block.trials) for block in report.findings.plan.blocks)
    expected = len(report.claims) + trials + len(report.findings.plan.skipped) + len(report.problems)
    assert len(suite.findall("testcase")) == expected


def test_junit_has_passed_failed_and_skipped_cases(nasty, tmp_path):
    suite = suite_of(nasty, tmp_path)
    cases = suite.findall("testcase")
    endings = {
        (case.get("classname"), case.get("name")): [c.tag for c in case if c.tag != "system-out"] for case in cases
    }
    name = f"sui_te&<.{NASTY} · <b>"
    assert endings["sui_te&<.claims", NASTY] == []
    assert endings["sui_te&<.claims", "not so " + junit.legal(BAD)] == ["failure"]
    assert endings["sui_te&<.claims", "c"] == ["skipped"]
    assert endings[name, NASTY] == []
    assert endings[name, "fast " + NASTY] == []
    assert endings[name, "broken|one"] == ["error"]
    assert endings["sui_te&<.x · y", "z"] == ["skipped"]
    assert endings["sui_te&<.problems", "problem 1"] == ["error"]
    fast = next(case for case in cases if case.get("name") == "fast " + NASTY)
    lines = fast.find("system-out").text.split("\n")
    assert "[[PROPERTY|train.step_time.verdict=faster]]" in lines
    assert any(re.fullmatch(r"\[\[PROPERTY\|train\.step_time\.interval=\S+ to \S+\]\]", line) for line in lines)
    broken = next(case for case in cases if case.get("name") == "broken|one")
    assert "\\x00\\x1b[31mred" in broken.find("error").get("message")
    assert broken.find("error").get("type") == "failed"


def test_junit_of_an_empty_run_is_skipped(catalog, tmp_path):
    this = block("a", "b")
    suite = suite_of(report_of(Plan("s", "q", "what", (this,)), [], catalog, {}), tmp_path)
    assert [[c.tag for c in case if c.tag != "system-out"] for case in suite.findall("testcase")] == [["skipped"]] * 2


def test_junit_of_untimed_trials_passes(catalog, tmp_path):
    this = replace(block("a", "b"), measures=Measures.of(memory=Memory(of=("train",))))
    records = [
        Record(this.id, level, level, "memory.train", "variant", 0, 1, "ok", "", memory([100, 300], [50, 60]))
        for level in "ab"
    ]
    report = report_of(Plan("s", "q", "what", (this,)), records, catalog, {})
    assert report.findings.quantities
    suite = suite_of(report, tmp_path)
    assert [[c.tag for c in case] for case in suite.findall("testcase")] == [["system-out"]] * 2


def test_junit_of_a_baseline_that_failed_skips_the_others(catalog, tmp_path):
    this = block("a", "b")
    records = [Record(this.id, "a", "a", "verify", "variant", 0, 1, "failed", "broke")]
    suite = suite_of(report_of(Plan("s", "q", "what", (this,)), records, catalog, {}), tmp_path)
    assert [[c.tag for c in case if c.tag != "system-out"] for case in suite.findall("testcase")] == [
        ["error"], ["skipped"]
    ]  # fmt: skip
