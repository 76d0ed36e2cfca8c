"""The report as JUnit XML, which CI servers show as tests: claims pass, fail or are skipped; failed trials are errors.

Servers validate such files by different schemas, and this file keeps to what these have in common. Not every schema has
properties of a test case, so numbers of a trial are ``[[PROPERTY|name=value]]`` lines in its output.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from harness.analysis.finding import Finding
from harness.analysis.verdicts import Answer, Verdict
from harness.report.cells import BASELINE
from harness.report.formats import saved
from harness.report.report import Report

#: Characters that XML 1.0 does not allow.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Ending = Literal["", "failure", "error", "skipped"]


@dataclass(frozen=True)
class Case:
    """One test case. `ending` is empty where it passes; then the message is its output."""

    group: str
    name: str
    ending: Ending = ""
    type: str = ""
    message: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


def write(report: Report, folder: Path) -> list[Path]:
    """Write junit.xml into the run's folder."""
    return saved(folder / "junit.xml", render(report))


def render(report: Report) -> str:
    """The whole file: one testsuite with the name of the suite."""
    plan, cases = report.findings.plan, cases_of(report)
    endings = Counter(case.ending for case in cases)
    counts = {"tests": len(cases), "failures": endings["failure"], "errors": endings["error"]}
    root = _element(None, "testsuites", {"name": plan.suite, **counts})
    suite = _element(root, "testsuite", {"name": plan.suite, **counts, "skipped": endings["skipped"]})
    properties = _element(suite, "properties")
    for name, value in (
        ("question", report.question), ("run", report.run), ("machine", report.machine),
        ("first_look", str(report.first_look).lower()), ("last_line", report.last_line),
    ):  # fmt: skip
        if value:
            _element(properties, "property", {"name": name, "value": value})
    for case in cases:
        element = _element(suite, "testcase", {"classname": case.group, "name": case.name})
        if case.ending:
            kind = {"type": case.type} if case.ending != "skipped" else {}
            _element(element, case.ending, {"message": case.message, **kind}, case.message)
        lines = [f"[[PROPERTY|{name}={_one_line(value)}]]" for name, value in case.properties.items()]
        if case.message and not case.ending:
            lines.insert(0, case.message)
        if lines:
            _element(element, "system-out", {}, "\n".join(lines))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _element(
    inside: ElementTree.Element | None, tag: str, attributes: Mapping[str, object] | None = None, text: str = ""
) -> ElementTree.Element:
    """A new element, in which all text is legal."""
    legals = {name: legal(str(value)) for name, value in (attributes or {}).items()}
    element = ElementTree.Element(tag, legals) if inside is None else ElementTree.SubElement(inside, tag, legals)
    element.text = legal(text) or None
    return element


def cases_of(report: Report) -> list[Case]:
    """The claims, the trials of each block, the skipped points, and other problems."""
    plan, findings = report.findings.plan, report.findings
    answers: dict[str, Ending] = {Answer.HOLDS: "", Answer.FAILS: "failure", Answer.UNDECIDED: "skipped"}
    found = [
        Case(f"{plan.suite}.claims", one.says, answers[one.answer], "claim", f"{one.words}: {one.details}")
        for one in report.claims
    ]
    facts = facts_of(report)
    ran = {(block, level) for block, level, *_ in findings.numbers}
    ran |= {(one.block.id, level) for one in findings.learning.learned for level, runs in one.runs.items() if runs}
    ran |= {
        (trial.block.id, trial.trial.level) for kind in findings.kinds for trial in kind.data.trials if trial.stages
    }
    ran |= {(block, one.level) for (block, _), profiles in findings.profiles.items() for one in profiles}
    failed = {(record.block, record.level): record for record in findings.failures}
    for block in plan.blocks:
        for trial in block.trials:
            group, place = f"{plan.suite}.{block.name}", (block.id, trial.level)
            known, record = facts.get(place, {}), failed.get(place)
            if record is not None:
                ending: Ending = "skipped" if record.outcome == "skipped" else "error"
                reason = f"{record.outcome} in {record.measure}: {record.reason}"
                found.append(Case(group, trial.level, ending, record.outcome, reason, known))
            elif known or place in ran:
                known = {"verdict": BASELINE, **known} if trial is block.baseline else known
                found.append(_judged(group, trial.level, known))
            else:
                found.append(Case(group, trial.level, "skipped", "", "not measured"))
    for skipped in plan.skipped:
        *context, level = skipped.coordinates.values() if skipped.coordinates else ("",)
        found.append(Case(f"{plan.suite}.{' · '.join(context) or 'all'}", level, "skipped", "", skipped.because))
    found += [
        Case(f"{plan.suite}.problems", f"problem {number}", "error", "problem", text)
        for number, text in enumerate(report.problems, 1)
    ]
    return found


def _judged(group: str, level: str, known: Mapping[str, str]) -> Case:
    """A trial that ran; skipped where it has no valid verdict, for example because its baseline failed."""
    verdicts = [value for name, value in known.items() if name == "verdict" or name.endswith(".verdict")]
    if verdicts and all(verdict == Verdict.INVALID for verdict in verdicts):
        reason = next((value for name, value in known.items() if name.endswith(".reason")), str(Verdict.INVALID))
        return Case(group, level, "skipped", "", reason, known)
    return Case(group, level, properties=known)


def facts_of(report: Report) -> dict[tuple[str, str], dict[str, str]]:
    """What is known of each level of each block, by name: step times, the score that decides, and its quantities."""
    found: dict[tuple[str, str], dict[str, str]] = {}

    def note(one: Finding, prefix: str, **facts: object) -> None:
        known = found.setdefault((one.block.id, one.level), {})
        known |= {f"{prefix}.{name}": str(value) for name, value in facts.items() if value not in (None, "")}

    for one in report.findings.deciding:
        note(
            one, f"{one.mode}.{one.metric}", verdict=one.verdict, **{one.scale: _number(one.size)},
            interval=" to ".join(map(_number, one.interval or ())), reason=one.reason, flags=", ".join(one.flags),
        )  # fmt: skip
    for q in report.findings.quantities:
        note(q, f"{q.mode}.{q.metric}", verdict=q.verdict, ratio=_number(q.ratio), value=_number(q.value))
    return found


def legal(text: str) -> str:
    """Text with the characters that XML does not allow written as Python escapes them."""
    return FORBIDDEN.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _one_line(text: str) -> str:
    """Text inside a property's brackets."""
    return " ".join(text.split()).replace("]]", "] ]")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
