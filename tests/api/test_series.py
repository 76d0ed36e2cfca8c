"""A series of tries: its ledger, its decisions, and ``harness series``."""

from __future__ import annotations

import json
import threading
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import call
from made_executor import MADE
from toy_suite import SUITE, TOY

from harness.analysis.online import SeriesState
from harness.analysis.verdicts import Verdict
from harness.api.ledger import Ledger, Try
from harness.api.lookup import PluginChoice
from harness.api.result import Result
from harness.api.series import Decision, Series, decision_on, ledger_of
from harness.api.session import ExecutionOptions, Session, SuiteOverrides
from harness.errors import UserError
from harness.measure.runner import Watcher

SUITE = SUITE.replace("half_width: 50%, margin: 99%", "half_width: 1%, margin: 2%")


def session_of(here: Path, share: float, **changes: str) -> Session:
    """A session of the toy, in which one level takes 1 + share of the baseline's time."""
    text = SUITE.replace("{use: [reverse]}", f"{{use: [{{name: harmful, share: {share}}}]}}")
    for old, new in changes.items():
        text = text.replace(old, new)
    (here / "toy.yaml").write_text(text)
    plugins, options = PluginChoice((TOY, MADE)), ExecutionOptions("made")
    return Session.begin(here / "toy.yaml", SuiteOverrides(gate=True), plugins, here / "results", options)


def one_try(here: Path, series: Series, share: float, level: float | None = None) -> tuple[Decision, Result]:
    """A try whose time is 1 + share of the baseline's, made without measuring."""
    with chdir(here):
        session = session_of(here, share)
        attempt, session = series.begin(session)
        if level:
            session = session.with_faster_level(level)
        result = Result(session.execute(ExecutionOptions("made"), Watcher()), session.store.folder.resolve())
        return series.finish(attempt, result), result


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> tuple[Path, list[Decision]]:
    """A folder with a series of three tries and an unfinished one."""
    here = tmp_path_factory.mktemp("night")
    series = Series.named("night", here / "results")
    decisions = [one_try(here, series, share)[0] for share in (-0.1, 0.1, 0.0)]
    with chdir(here):
        series.begin(session_of(here, -0.5))
    return here, decisions


def test_decisions(night):
    _, decisions = night
    assert [one.word for one in decisions] == ["keep", "discard", "discard"]
    assert [one.code for one in decisions] == [0, 1, 1]
    assert str(decisions[1]).startswith("discard (try 2, error rate ")
    assert str(decisions[1]).endswith(": slower")
    start = SeriesState(0.05)
    assert decisions[0].level == start.next_level
    assert decisions[0].next_level == decisions[1].level == start.begin().keep().next_level
    assert decisions[0].to_json()["decision"] == "keep"


def test_a_ratio_that_lacks_the_error_rate_is_undecided(tmp_path):
    series = Series.named("strict", tmp_path / "results", alpha=1e-9)
    decision, result = one_try(tmp_path, series, -0.02)
    assert decision.word == "undecided"
    assert decision.code == 4
    assert "faster by its 95 % interval, but p = " in decision.reason
    assert result.verdict == "undecided"


def test_the_error_rate_is_stored_with_the_run(night):
    here, decisions = night
    for decision, run in zip(decisions, sorted((here / "results" / "toy").iterdir())[:3], strict=True):
        plan = json.loads((run / "plan.json").read_text())
        assert plan["overrides"]["faster_level"] == decision.level
        assert SuiteOverrides.from_plan(plan["overrides"]).faster_level == decision.level


def test_a_run_with_another_error_rate_is_refused(tmp_path):
    series = Series.named("other", tmp_path / "results")
    with pytest.raises(UserError, match=r"was not measured at the error rate 0.00119 of try 1"):
        one_try(tmp_path, series, -0.1, level=0.04)
    assert ledger_of("other", tmp_path / "results").counts() == {"not finished": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plain: {}": "plain: {}\n    third: {use: [reverse]}"}, "compares the times of one version with a baseline"),
        ({"speed: {": "learning: {steps: 2, seeds: 5}\n  speed: {"}, "compares the times of one version"),
        ({"speed: {": "speed: {of: [train, inference], "}, "needs times in one mode"),
    ],
)
def test_a_run_that_cannot_be_a_try_is_refused(tmp_path, changes, message):
    series = Series.named("s", tmp_path / "results")
    with pytest.raises(UserError, match=message):
        series.begin(session_of(tmp_path, 0.0, **changes))
    assert ledger_of("s", tmp_path / "results").tries == []
    assert not list((tmp_path / "results" / "toy").iterdir())


def test_a_try_ends_once(night):
    here, _ = night
    ledger = ledger_of("night", here / "results")
    with pytest.raises(ValueError, match="try 1 ends here, but has ended before"):
        ledger._take({"try": 1, "decision": "keep"})


def test_the_ledger_is_shown(night):
    here, decisions = night
    shown = call("series", "night", cwd=here)
    assert shown.returncode == 0
    assert shown.stdout.startswith(
        "night: 4 tries (1 keep, 2 discard, 1 not finished). Rate of false keeps: 5 %. Left for further tries: "
    )
    assert "backwards" in shown.stdout
    assert "not finished (its error rate is spent)" in shown.stdout
    found = json.loads(call("series", "night", "--json", cwd=here).stdout)
    assert [one["decision"] for one in found["tries"]] == ["keep", "discard", "discard", None]
    assert found["tries"][0]["ratio"] == pytest.approx(0.9, abs=0.01)
    assert found["tries"][0]["p"] < found["tries"][0]["level"] == decisions[0].level
    assert found["next_level"] < decisions[2].level
    assert call("series", cwd=here).stdout == shown.stdout.partition("\n")[0] + "\n"
    assert "no series 'nigth' in results. Did you mean night?" in call("series", "nigth", cwd=here).stderr


def test_no_series_yet(tmp_path):
    assert call("series", cwd=tmp_path).stdout.startswith("There is no series in results. To begin one: harness ab ")
    assert json.loads(call("series", "--json", cwd=tmp_path).stdout) == []


def test_the_error_rate_of_a_series_is_fixed(tmp_path):
    Series.named("a", tmp_path, alpha=0.1)
    assert Ledger.read(Series.named("a", tmp_path).file).alpha == 0.1
    with pytest.raises(UserError, match=r"series a has the error rate 0.1, not 0.05"):
        Series.named("a", tmp_path, alpha=0.05)


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".a", "a b", "x" * 101])
def test_names(tmp_path, name):
    with pytest.raises(UserError, match="expected a name of letters, digits"):
        Series.named(name, tmp_path)


@pytest.fixture
def ledger(tmp_path) -> Path:
    series = Series.named("s", tmp_path)
    for _ in range(3):
        series.begin(session_of(tmp_path, 0.0))
    return series.file


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[1:], "s.jsonl:1:1: the ledger is damaged: this is no line of a ledger."),
        (lambda lines: [lines[0], *lines[2:]], "s.jsonl:2:1: the ledger is damaged: try 2 follows try 0."),
        (lambda lines: [*lines, lines[1]], "s.jsonl:5:1: the ledger is damaged: try 1 follows try 3."),
        (lambda lines: [lines[0], "nonsense"], "s.jsonl:2:1: the ledger is damaged: this is no line of a ledger."),
        (lambda lines: [lines[0], "[]"], "s.jsonl:2:1: the ledger is damaged: this is no line of a ledger."),
        (
            lambda lines: [lines[0], lines[1].replace('"level": 0.0', '"level": 0.1')],
            "s.jsonl:2:1: the ledger is damaged: the error rate is 0.101, but the tries before it leave 0.00119.",
        ),
        (lambda lines: [*lines, '{"try": 9, "decision": "keep"}'], "try 9 ends here, but was not begun."),
        (lambda lines: [*lines, '{"try": 1, "decision": "won"}'], "the decision 'won' does not exist."),
        (lambda lines: [lines[0].replace('"format": 1', '"format": 9')], "its first line is not that of a series."),
    ],
)
def test_a_damaged_ledger_is_refused(ledger, change, message):
    lines = change(ledger.read_text().splitlines())
    ledger.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError) as caught:
        Series.named("s", ledger.parents[1]).begin(session_of(ledger.parent, 0.0))
    assert message in str(caught.value)
    assert "Restore the file" in caught.value.fix
    assert ledger.read_text().splitlines() == lines


def test_half_a_line_of_a_killed_process_is_removed(ledger):
    whole = ledger.read_text()
    ledger.write_text(f'{whole}{{"try": 4, "level": 0.0')
    assert len(Ledger.read(ledger).tries) == 3
    attempt, _ = Series.named("s", ledger.parents[1]).begin(session_of(ledger.parent, 0.0))
    assert attempt.number == 4
    assert ledger.read_text().startswith(f'{whole}{{"try": 4, "level": ')
    assert len(ledger.read_text().splitlines()) == 5


def test_tries_that_begin_at_the_same_time(ledger):
    found: list[Try] = []
    series = Series.named("s", ledger.parents[1])
    sessions = [session_of(ledger.parent, 0.0) for _ in range(8)]
    threads = [threading.Thread(target=lambda one=one: found.append(series.begin(one)[0])) for one in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.number for one in found) == list(range(4, 12))
    assert len(Ledger.read(ledger).tries) == 11


def test_a_ledger_that_cannot_be_written(tmp_path):
    (tmp_path / "series").write_text("a file")
    with pytest.raises(UserError, match="the ledger cannot be made"):
        Series.named("s", tmp_path)


def test_every_verdict_has_a_decision():
    words = {v: decision_on(SimpleNamespace(verdict=v, reason=""))[0] for v in Verdict}
    assert {str(v) for v, word in words.items() if word == "keep"} == {"faster"}
    assert {str(v) for v, word in words.items() if word == "discard"} == {"slower", "equivalent", "invalid"}
