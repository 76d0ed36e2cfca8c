"""Plugin code that prints, raises or changes global state does not affect other results. See also tests/thirdparty."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from made import block, record

import harness
from harness.analysis.findings import find
from harness.errors import UserError
from harness.measure.runner import notify
from harness.measure.runtime.global_state import GlobalState
from harness.measure.servers import Servers
from harness.measure.worker import at_most, new_facts
from harness.plugins.catalog import MOST, Catalog
from harness.plugins.isolation import error_text, isolated, one_line, visible
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Executor, Metric, Model, Reporter
from harness.records.plan import Plan, digest
from harness.records.store import OWN, Store
from harness.report.report import make_report, report_of
from harness.report.writer import report_run, snapshot
from harness.testing.synthetic_run import write_run


@pytest.fixture
def restored():
    """Undoes what a plugin changes in the process of the tests."""
    state, on_alarm = GlobalState(), signal.getsignal(signal.SIGALRM)
    yield
    state.restore()
    signal.signal(signal.SIGALRM, on_alarm)


@pytest.fixture
def plugin(tmp_path):
    """Writes a plugin file; returns its path."""

    def write(name: str, body: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text("import harness\n" + textwrap.dedent(body))
        return path

    return write


class Strange(BaseException):
    def __str__(self) -> str:
        raise SystemExit


def test_output_of_plugins_goes_to_the_error_stream(capfd):
    with isolated("trying"):
        print("by Python")
        os.write(1, b"by the system\n")
        subprocess.run([sys.executable, "-c", "print('by another process')"], check=True)
    print("ours")
    captured = capfd.readouterr()
    assert captured.out == "ours\n"
    assert set(captured.err.splitlines()) == {"by Python", "by the system", "by another process"}


def test_streams_and_working_directory_are_restored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    streams = sys.stdout, sys.stderr

    def misbehave() -> None:
        os.chdir("/")
        sys.stdout = sys.stderr = None
        raise SystemExit

    with pytest.raises(SystemExit), isolated("trying"):
        misbehave()
    assert (sys.stdout, sys.stderr) == streams
    assert Path.cwd() == tmp_path


def test_ctrl_c_names_the_running_plugin():
    with pytest.raises(KeyboardInterrupt) as stop, isolated("reading metrics"), isolated("importing plugin x"):
        raise KeyboardInterrupt
    assert stop.value.__notes__ == ["importing plugin x", "reading metrics"]


def test_text_is_made_safe_for_terminals():
    assert (
        visible("a\tb\n\x1b[31mred\x1b[0m \x1b]0;t\x07 \x9b2J \u202ex")
        == r"a	b" + "\n" + r"red \x1b]0;t\x07 \x9b2J \u202ex"
    )
    assert one_line("a\n\r b") == "a b"
    assert visible("naïve × 2 — ☃ 🙂") == "naïve × 2 — ☃ 🙂"
    assert error_text(ValueError("no\n\x1b[2J" + "x" * 500)).startswith(r"ValueError: no \x1b[2J")
    assert len(error_text(ValueError("x" * 500))) < 450
    assert error_text(Strange()) == "Strange: its message cannot be read"
    assert error_text(KeyError()) == "KeyError"


ONE = """
@harness.hookimpl
def provide_models():
    yield harness.Model("mine", lambda facts: None)
"""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("    raise SystemExit(0)", "provide_models failed: SystemExit: 0"),
        ("    raise type('Odd', (BaseException,), {})('no')", "provide_models failed: Odd: no"),
        ("    while True:\n        yield harness.Model('x', 'y:z')", f"yields more than {MOST} parts; none of them is used"),
        ("    yield harness.Model('../../x', 'y:z')", "'../../x' is not a valid name"),
        ("    yield harness.Model('=cmd()', 'y:z')", "'=cmd()' is not a valid name"),
        ("    yield harness.Model(['x'], 'y:z')", "['x'] is not a valid name"),
        ("    yield harness.Model('x', 3)", "x: build is a int"),
        ("    yield harness.Model('x', 'y:z', 'clears \\x1b[2J')", "x: its summary is not text, or has control characters"),
        ("    yield harness.Model('x', 'y:z', computes='a b')", "x computes 'a b', which is not a valid name"),
        ("    yield harness.Model('x', 'y:z', offers={'<b>'})", "x needs or offers '<b>', which is not a valid name"),
    ],
)  # fmt: skip
def test_unusable_parts_of_a_plugin_are_reported(plugin, body, reason):
    name = f"yields_{digest(body)}"
    first = "    yield harness.Model('first', 'a:b')\n"
    bad = plugin(name, f"@harness.hookimpl\ndef provide_models():\n{first}{body}\n")
    catalog = Catalog(load_plugins([bad, plugin(f"beside_{name}", ONE)]))
    (problem,) = catalog.problems
    assert problem.plugin == f"{name}.py"
    assert reason in problem.reason
    assert catalog.find(Model, "mine").plugin == f"beside_{name}.py"
    assert "x" not in catalog.entries(Model)
    # An unusable part does not affect others. If a hook fails or never ends, none of its parts is used.
    assert ("first" in catalog.entries(Model)) == reason.endswith(("name", "word", "int", "characters"))


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("Metric('m', 'a:b', formats='<b>')", "'m': ValueError: Invalid format specifier"),
        (
            "Metric('m', 'a:b', unit='\\x1b[2J')",
            "it shows the number 1 as '1 \\x1b[2J', which is not one line of plain text",
        ),
        ("Metric('m', 'a:b', per='hour')", "m: per is 'hour'; expected sample, trial or counts"),
        ("Dataset('d', 'a:b', scores={'=1+1': harness.Score()})", "d: '=1+1' is not a score"),
        ("Dataset('d', 'a:b', scores={'s': harness.Score('upwards')})", "d: 's' is not a score"),
    ],
)
def test_part_with_unprintable_text_is_reported(plugin, part, reason):
    hook = "provide_metrics" if part.startswith("Metric") else "provide_datasets"
    body = f"@harness.hookimpl\ndef {hook}():\n    yield harness.{part}\n"
    (problem,) = Catalog(load_plugins([plugin(f"shows_{len(part)}_{len(reason)}", body)])).problems
    assert f"{hook} yields a" in problem.reason
    assert reason in problem.reason


def test_plugins_cannot_replace_parts_of_the_core(plugin):
    body = """
    @harness.hookimpl
    def provide_metrics():
        yield harness.Metric("step_time", lambda samples: samples.wall * 0.5, per="sample")

    @harness.hookimpl
    def provide_reporters():
        yield harness.Reporter("html", lambda report, folder: [])

    @harness.hookimpl
    def provide_executors():
        yield harness.Executor("local", lambda run: None)
    """
    catalog = Catalog(load_plugins([plugin("usurps", body)]))
    for kind, name in ((Metric, "step_time"), (Reporter, "html"), (Executor, "local")):
        assert catalog.find(kind, name).plugin == "rnn-harness"
    assert [p.reason for p in catalog.problems] == [
        f"provides {kind}, which is a name of the core; it is not used"
        for kind in ("metric 'step_time'", "reporter 'html'", "executor 'local'")
    ]


def test_plugin_file_that_exits_on_import_is_an_error(plugin):
    with pytest.raises(UserError, match=r"leaves_early.py:2: the plugin file failed to import: SystemExit: 0"):
        load_plugins([plugin("leaves_early", "raise SystemExit(0)")])


METRICS = {
    "exits": ("raise SystemExit(0)", "trial", "SystemExit: 0"),
    "text": ("return '1.0'", "trial", "ValueError: it gives '1.0', not a finite number"),
    "nan": ("return float('nan')", "trial", "ValueError: it gives 'nan', not a finite number"),
    "truth": ("return True", "trial", "ValueError: it gives 'True', not a finite number"),
    "shape": ("return stored.wall[:2]", "sample", "it gives float64 of shape (2,), not a number for each sample"),
    "words": ("return ['a'] * len(stored.wall)", "sample", "not a number for each sample"),
    "infinite": ("return stored.wall / 0.0", "sample", "ValueError: it gives costs that are not finite"),
    "writes": ("stored.wall[:] = 1e-9\n    return 1.0", "trial", "ValueError: assignment destination is read-only"),
    "replaces": ("object.__setattr__(stored, 'wall', stored.wall / 9)\n    stored.phases.clear()\n    return 1.0", "trial", ""),
    "counts": ("stored.clear()\n    return 1.0", "counts", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_invalid_metric_is_reported_and_other_results_stay(plugin, name):
    body, per, problem = METRICS[name]
    path = plugin(
        f"metric_{name}",
        f"def read(stored):\n    {body}\n\n@harness.hookimpl\ndef provide_metrics():\n"
        f"    yield harness.Metric({name!r}, read, per={per!r})\n",
    )
    this = block("a", "b")
    phases = {"phases": {"forward": [900, 900, 900]}, "counts": {"points": [8.0]}}
    records = [record(this, level, n, [1000 + n, 1000, 1000], **phases) for level in "ab" for n in range(5)]
    plan = Plan("s", "Which?", "what", (this,))
    undisturbed = find(plan, records, Catalog(load_plugins()))
    found = find(plan, records, Catalog(load_plugins([path])))
    assert [c for c in found.comparisons if c.metric != name] == list(undisturbed.comparisons)
    assert {k: v for k, v in found.numbers.items() if k[3] != name} == undisturbed.numbers
    if problem:
        assert len(found.problems) == 1
        assert found.problems[0].startswith(f"metric {name} (plugin metric_{name}.py): ")
        assert problem in found.problems[0]
        assert not any(key[3] == name for key in found.numbers)
    else:
        assert not found.problems


REPORTERS = {
    "deletes": ("(folder / 'records.jsonl').unlink()", ["it removes records.jsonl, which is not its own; restored"]),
    "forges": ("path = folder / 'records.jsonl'\n    path.write_text(path.read_text() * 2)", ["it changes records.jsonl, which is not its own; restored"]),
    "wipes": ("import shutil\n    shutil.rmtree(folder)", [f"it removes {name}, which is not its own; restored" for name in OWN if name != "machine.json"]),
    "exits": ("raise SystemExit(0)", ["SystemExit: 0"]),
    "outside": ("return [folder.parent / 'x']", [": ValueError: it names "]),
    "mutates": ("object.__setattr__(report, 'answer', ('forged',))\n    report.findings.plan.overrides['set'] = ['forged']\n    report.findings.measured[0].processes.clear()", []),
}  # fmt: skip


@pytest.mark.parametrize("name", REPORTERS)
def test_reporters_cannot_damage_the_run_or_other_reports(plugin, tmp_path, name):
    body, problems = REPORTERS[name]
    path = plugin(
        f"a_{name}",
        f"def write(report, folder):\n    {body}\n\n@harness.hookimpl(tryfirst=True)\ndef provide_reporters():\n"
        f"    yield harness.Reporter({name!r}, write)\n"
        f"    yield harness.Reporter('after', lambda report, folder: (folder / 'after').write_text(str(report.summary)))\n",
    )
    store = write_run(tmp_path / "results")
    before = {name: (store.folder / name).read_bytes() for name in OWN if (store.folder / name).is_file()}
    undisturbed = make_report(store, Catalog(load_plugins()))
    made = report_run(store, Catalog(load_plugins([path])))
    assert {name: (store.folder / name).read_bytes() for name in before} == before
    assert made.summary == undisturbed.summary
    assert make_report(store, Catalog(load_plugins())).summary == undisturbed.summary
    assert len(made.problems) == len(problems)
    for problem, expected in zip(made.problems, problems, strict=True):
        assert problem.startswith(f"reporter {name} (plugin a_{name}.py): ")
        assert expected in problem
    assert (store.folder / "after").read_text() == str(undisturbed.summary)
    assert name == "wipes" or "forged" not in (store.folder / "report.md").read_text()


def test_report_of_a_running_measurement_keeps_new_records(tmp_path):
    store = write_run(tmp_path)
    measuring = Store(store.folder)
    measuring.lock()
    records = store.records()
    with snapshot(store) as files:
        assert not files.alone
        measuring.append(records[:1])
        assert list(files.restore()) == []
        (store.folder / "records.jsonl").write_text("")
        assert list(files.restore()) == ["it changes records.jsonl, which is not its own; restored"]
    measuring.unlock()
    assert len((store.folder / "records.jsonl").read_text().splitlines()) == len(records) + 1
    with snapshot(store) as files:
        assert files.alone
        with pytest.raises(UserError, match="another process is measuring into this run, or writing its report"):
            Store(store.folder).lock()


def test_observers_receive_copies(planned):
    plan = planned()

    class Observer:
        @harness.hookimpl
        def plan_ready(self, plan):
            plan.overrides["set"] = ["forged"]
            raise SystemExit(0)

    plugins = load_plugins()
    plugins.manager.register(Observer(), name="observer")
    plugins.versions["observer"] = "1"
    problems: list[str] = []
    watcher = type("Watcher", (), {"problem": staticmethod(problems.append)})()
    notify(Catalog(plugins), "plan_ready", watcher, plan=plan)
    assert "set" not in plan.overrides
    assert problems == ["plugin observer: plan_ready failed: SystemExit: 0"]


MACHINE = """
import os, signal, time
import torch

print("noise")
time.perf_counter = time.perf_counter_ns = lambda: 0
torch.set_default_dtype(torch.float64)
torch.set_num_threads(2)
torch.manual_seed = lambda seed: None
torch.nn.modules.module.register_module_forward_hook(lambda *given: None)
signal.signal(signal.SIGALRM, signal.SIG_IGN)

@harness.hookimpl
def describe_machine():
    {body}
"""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return {'processor': 'the fastest'}", "ValueError: processor is known already"),
        ("return {'room': object()}", "TypeError: Object of type object is not JSON serializable"),
        ("raise SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_measuring_process_reports_changes_by_plugins(plugin, tmp_path, restored, body, reason):
    good = plugin(f"describes_{len(body)}", "@harness.hookimpl\ndef describe_machine():\n    return {'room': 'warm'}\n")
    with Servers(
        tmp_path, Catalog(load_plugins([good, plugin(f"meddles_{len(body)}", MACHINE.replace("{body}", body))]))
    ) as servers:
        facts = servers.get({}).facts
    assert facts["room"] == "warm"
    assert facts["threads"] == 1
    assert facts["processor"] != "the fastest"
    assert facts["plugin_problems"] == [
        *(
            f"plugin meddles_{len(body)}.py: its import changes {what}; restored"
            for what in (
                "time.perf_counter", "time.perf_counter_ns", "torch.manual_seed", "torch's default dtype",
                "the number of threads", "hooks on all modules",
            )
        ),
        f"plugin meddles_{len(body)}.py: describe_machine failed: {reason}",
    ]  # fmt: skip


def test_describe_machine_adds_facts_within_a_time_limit():
    assert new_facts({"room": 21}, {"cores": 2}) == {"room": 21}
    assert new_facts(None, {}) == {}
    with pytest.raises(TimeoutError, match=r"takes longer than 0.01 s"), at_most(0.01):
        time.sleep(60)


def test_block_left_unmeasured_by_a_hook_has_a_report(catalog):
    this = block("a", "b")
    report = report_of(Plan("s", "Which?", "what", (this,)), [], catalog, {})
    assert report.sections[0].tables[0].rows[1][-1].startswith("invalid")
