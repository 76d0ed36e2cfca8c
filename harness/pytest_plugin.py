"""The fixture `ab` for pytest: a test that compares two functions, as ``harness ab`` does.

    def test_new_is_not_slower(ab):
        ab(old, new, inputs=make).expect("at most 5% slower")

pytest loads this module at every start, so it imports nothing of the harness that is slow.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import UserError

if TYPE_CHECKING:
    from harness.api.ab import Code
    from harness.api.result import Result

#: What an undecided comparison does to its test.
UNDECIDED = ("skip", "fail", "pass")
#: The first part of the names of JUnit properties.
PROPERTY = "ab"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("harness", "comparisons of functions (harness)")
    group.addoption("--ab-off", action="store_true", help="Skip tests that compare functions with the fixture ab.")
    group.addoption("--ab-budget", metavar="TIME", default="", help="The time for measuring each comparison, as 15s.")
    group.addoption(
        "--ab-undecided", choices=UNDECIDED, default=None,
        help="What an undecided comparison does to its test: skip it (default), fail it, or let it pass.",
    )  # fmt: skip
    group.addoption(
        "--ab-results", metavar="FOLDER", default="", help="The folder that holds all runs, by default results."
    )
    parser.addini("ab_undecided", "what an undecided comparison does: skip, fail or pass", default=UNDECIDED[0])


@pytest.fixture
def ab(request: pytest.FixtureRequest) -> Iterator[Comparer]:
    """Compare functions: ``ab(old, new, inputs=make).expect("at most 5% slower")``."""
    comparer = Comparer(request)
    yield comparer
    unused = [one for one in comparer.comparisons if not one.used]
    if unused:
        pytest.fail("ab(...) alone measures nothing: add .expect(...), or use .result", pytrace=False)


class Comparer:
    """The fixture. A call makes a comparison; nothing is measured yet."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.request = request
        self.comparisons: list[Comparison] = []

    def __call__(self, old: Code, *new: Code, **options: Any) -> Comparison:
        """The arguments are those of `harness.ab`. The functions must be at the top level of a module."""
        self.comparisons.append(Comparison(self.request, (old, *new), options))
        return self.comparisons[-1]


class Comparison:
    """One comparison in a test. It is measured by `expect`, or at the first use of `result`."""

    def __init__(self, request: pytest.FixtureRequest, versions: tuple[Code, ...], options: dict[str, Any]) -> None:
        self.config, self.node = request.config, request.node
        self.versions, self.options = versions, options
        self.used = False
        self._result: Result | None = None

    @property
    def result(self) -> Result:
        """The result, as `harness.ab` returns it. The test fails if a version fails, or returns something else."""
        if self._result is None:
            self._result = self._measured()
        return self._result

    def expect(self, claim: str, *, undecided: str | None = None) -> Result:
        """Fail the test if the claim, such as "at most 5% slower", is false of a new function, in two measurements. If
        it is undecided, `undecided` says what to do: skip, fail or pass. Returns the result."""
        self.used = True
        choice = undecided or self.config.getoption("ab_undecided") or self.config.getini("ab_undecided")
        if choice not in UNDECIDED:
            pytest.fail(f"undecided: expected skip, fail or pass, found {choice!r}", pytrace=False)
        self.options = {**self.options, "expect": claim}
        self._result = None
        self._heed(self.result, choice)
        return self.result

    def _heed(self, result: Result, choice: str) -> None:
        """End the test as the answers to its claim say."""
        from harness.analysis.verdicts import Answer

        reasons: dict[str, list[str]] = {}
        for row in result.claims:
            self.node.user_properties.append((f"{PROPERTY} claim", f"{row['claim']}: {row['answer']}"))
            reasons.setdefault(row["answer"], []).append(f"{row['claim']}: {row['answer']} ({row['reason']})")
        details = "\n".join([*self._answers(result), f"The run: {result.folder}"])
        if false := reasons.get(Answer.FAILS):
            pytest.fail("\n".join([*false, details]), pytrace=False)
        if (open_ones := reasons.get(Answer.UNDECIDED)) and choice != "pass":
            end = pytest.fail if choice == "fail" else pytest.skip
            end("\n".join([*open_ones, details]))

    def _measured(self) -> Result:
        self.used = True
        if self.config.getoption("ab_off"):
            pytest.skip("--ab-off: functions are not compared")
        from harness.api.ab import ab as compare

        options = {"results": self._results(), **self.options}
        if budget := self.config.getoption("ab_budget"):
            options["budget"] = budget
        try:
            with only_one():
                result = compare(*self.versions, **options)
        except UserError as error:
            pytest.fail(str(error), pytrace=False)
        for answer in self._answers(result):
            self.node.user_properties.append((PROPERTY, answer))
        for row in result.comparisons:
            if row["metric"] == "step_time":
                self.node.user_properties += [
                    (f"{PROPERTY} {row['level']} {name}", row[name]) for name in ("ratio", "low", "high", "verdict")
                ]
        if not result.ok:
            pytest.fail("\n".join([*result.problems, f"The run: {result.folder}"]), pytrace=False)
        return result

    def _results(self) -> Path:
        return self.config.rootpath / (self.config.getoption("ab_results") or "results")

    @staticmethod
    def _answers(result: Result) -> list[str]:
        from harness.report.answers import answer

        return [answer(finding) for finding in result.report.findings.deciding]


@contextmanager
def only_one() -> Iterator[None]:
    """Inside, no other process of this user compares functions: the workers of pytest-xdist take turns."""
    file = Path(tempfile.gettempdir()) / f"harness-ab-{os.getuid()}.lock"
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what was compared, one line for each function. Reports of xdist's workers have the properties, too."""
    lines = [
        f"{report.nodeid}: {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name in (PROPERTY, f"{PROPERTY} claim")
    ]
    if lines:
        terminalreporter.section("harness ab")
        for line in lines:
            terminalreporter.write_line(line)
