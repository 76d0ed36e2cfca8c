"""The fixture `ab`, in test runs of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import pytest

import harness.pytest_plugin as plugin

#: Where the installed harness is older than this code, pytest is told of the plugin.
GIVEN = () if any(one.value == plugin.__name__ for one in entry_points(group="pytest11")) else ("-p", plugin.__name__)
FUNCTIONS = """
def make():
    yield ([number * 7919 % 300 for number in range(600)],)

def old(numbers):
    found = []
    for number in numbers:
        if number not in found:
            found.append(number)
    return found

def new(numbers):
    return list(dict.fromkeys(numbers))

def wrong(numbers):
    return sorted(set(numbers))
"""


#: For a test that measures nothing: every comparison has this answer to its claim.
MADE_UP = """
import pytest
from types import SimpleNamespace

@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    row = {{"claim": "new is fine", "answer": {answer!r}, "reason": "20 processes should settle it"}}
    report = SimpleNamespace(findings=SimpleNamespace(deciding=[]))
    result = SimpleNamespace(ok=True, claims=[row], comparisons=[], folder="there", report=report)
    monkeypatch.setattr("harness.api.ab.ab", lambda *versions, **options: result)
"""


def inner(folder: Path, tests: str, *arguments: object, ini: str = "") -> tuple[int, str]:
    """The exit code and the output of pytest on a module of tests."""
    (folder / "test_speed.py").write_text(FUNCTIONS + dedent(tests))
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *GIVEN, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_a_start_of_pytest_imports_nothing_slow(tmp_path):
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n")
    code = dedent(f"""
        import sys, pytest
        status = pytest.main(["-q", "-p", "no:cacheprovider", *{GIVEN!r}])
        slow = {{"torch", "numpy", "pydantic", "yaml", "jinja2", "click"}} & set(sys.modules)
        assert "harness.pytest_plugin" in sys.modules
        assert not slow, slow
        sys.exit(status)
    """)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "harness ab" not in done.stdout


@pytest.mark.slow
def test_what_a_test_measures(tmp_path):
    code, output = inner(
        tmp_path,
        """
        def test_true(ab):
            result = ab(old, new, inputs=make).expect("at least 5% faster")
            assert result.ratio < 0.5

        def test_wrong(ab):
            ab(old, wrong, inputs="test_speed.py:make").expect("at most 5% slower")
        """,
        "--junit-xml=junit.xml",
        "--ab-budget=5s",
        "--ab-results=runs",
    )
    assert code == 1
    assert "1 failed, 1 passed" in output
    assert "wrong: invalid in verify: " in output
    assert f"The run: {tmp_path}/runs/ab-wrong/" in output
    summary = output.partition("harness ab")[2]
    assert "test_speed.py::test_true: new takes 0." in summary
    assert "test_speed.py::test_true: new is at least 5% faster: holds" in summary
    assert "test_speed.py::test_wrong: wrong against old: invalid" in summary
    cases = {case.get("name"): case for case in ElementTree.parse(tmp_path / "junit.xml").iter("testcase")}
    found = {one.get("name"): one.get("value") for one in cases["test_true"].iter("property")}
    assert found["ab claim"] == "new is at least 5% faster: holds"
    assert float(found["ab new low"]) < float(found["ab new ratio"]) < float(found["ab new high"]) < 0.5
    assert found["ab new verdict"] == "faster"


def test_a_false_claim_fails_the_test(tmp_path):
    (tmp_path / "conftest.py").write_text(MADE_UP.format(answer="fails"))
    tests = "def test_it(ab):\n    ab(old, new).expect('at most 5% slower', undecided='pass')\n"
    code, output = inner(tmp_path, tests)
    assert code == 1
    assert "new is fine: fails (20 processes should settle it)\nThe run: there" in output
    assert "1 failed" in output


def test_what_cannot_be_imported_is_refused_with_the_reason(tmp_path):
    code, output = inner(
        tmp_path,
        """
        def test_closure(ab):
            def local(numbers):
                return old(numbers)
            ab(old, local, inputs=make).expect("at most 5% slower")

        def test_lambda(ab):
            ab(old, lambda numbers: numbers, inputs=make).expect("at most 5% slower")

        def test_claim(ab):
            ab(old, new, inputs=make).expect("at most quick")

        def test_choice(ab):
            ab(old, new, inputs=make).expect("at most 5% slower", undecided="ignore")

        def test_unused(ab):
            ab(old, new, inputs=make)
        """,
    )
    assert code == 1
    assert "local is defined inside test_closure, so a fresh process cannot import it." in output
    assert "a lambda has no name to import it by." in output
    assert "--expect: " in output
    assert "undecided: expected skip, fail or pass, found 'ignore'" in output
    assert "ab(...) alone measures nothing: add .expect(...), or use .result" in output
    assert not (tmp_path / "results").exists()


def test_off(tmp_path):
    tests = "def test_true(ab):\n    ab(old, new, inputs=make).expect('at most 5% slower')\n"
    code, output = inner(tmp_path, tests, "--ab-off")
    assert code == 0
    assert "1 skipped" in output
    assert "--ab-off: functions are not compared" in output


@pytest.mark.parametrize(
    ("arguments", "ini", "argument", "counts"),
    [
        ((), "", None, "1 skipped"),
        (("--ab-undecided=fail",), "", None, "1 failed"),
        (("--ab-undecided=pass",), "", None, "1 passed"),
        ((), "fail", None, "1 failed"),
        (("--ab-undecided=fail",), "fail", "pass", "1 passed"),
    ],
)
def test_undecided_is_a_choice(tmp_path, arguments, ini, argument, counts):
    (tmp_path / "conftest.py").write_text(MADE_UP.format(answer="undecided"))
    tests = f"def test_it(ab):\n    ab(old, new).expect('at most 5% slower', undecided={argument!r})\n"
    code, output = inner(tmp_path, tests, *arguments, ini=f"ab_undecided = {ini}" if ini else "")
    assert counts in output
    assert code == (counts == "1 failed")
    assert "test_speed.py::test_it: new is fine: undecided" in output.partition("harness ab")[2]
    if counts != "1 passed":
        assert "new is fine: undecided (20 processes should settle it)" in output


def test_workers_of_xdist_are_in_the_summary(tmp_path):
    pytest.importorskip("xdist")
    (tmp_path / "conftest.py").write_text(MADE_UP.format(answer="holds"))
    tests = "\n".join(f"def test_{n}(ab):\n    ab(old, new).expect('at most 5% slower')\n" for n in range(3))
    code, output = inner(tmp_path, tests, "-n2")
    assert code == 0, output
    for n in range(3):
        assert f"test_speed.py::test_{n}: new is fine: holds" in output.partition("harness ab")[2]


def test_processes_take_turns(tmp_path):
    code = dedent("""
        import sys, time
        from harness.pytest_plugin import only_one
        with only_one():
            print(time.monotonic(), flush=True)
            time.sleep(0.3)
            print(time.monotonic(), flush=True)
    """)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
        )
        for _ in range(3)
    ]
    spans = sorted([float(number) for number in one.communicate()[0].split()] for one in started)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
