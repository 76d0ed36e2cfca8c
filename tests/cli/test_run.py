"""The command line as a user meets it; in processes of its own where signals, pipes and imports matter."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import COMMAND, harness, heed_ctrl_c, lines_of, the_run
from toy_suite import SUITE, TOY


def test_run_measures_prints_and_keeps(here):
    (here / "toy.yaml").write_text(
        SUITE + "  memory: {}\n  cost: {}\n  profile: {steps: 1}\n"
        "claims:\n  - {says: Backwards costs nothing, level: backwards, expect: equal within 90%}\n"
    )
    done = harness("run", "toy.yaml", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "all · train  backwards" in done.stderr
    assert "5 processes" in done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[0] == "Does the toy work?"
    baseline, level = (next(line for line in lines if line.startswith(name)) for name in ("plain", "backwards"))
    assert baseline.endswith("baseline")
    assert "changes example order" in level
    assert "points/s" in done.stdout
    assert "all · train: memory" in done.stdout
    assert "256 FLOP (same)" in done.stdout
    assert any(line.strip().startswith("HOLDS: Backwards costs nothing") for line in lines)
    assert lines[-1].startswith("Sensitivity: differences of ")
    assert lines[1].startswith('True: "Backwards costs nothing". backwards takes ')
    folder = the_run(here)
    assert f"Report: {(folder / 'report.html').relative_to(here)}" in lines
    assert {path.name for path in folder.iterdir()} >= {
        "suite.yaml", "plan.json", "machine.json", "records.jsonl", "report.html", "report.md", "tables", "traces", "worker.log",
    }  # fmt: skip
    assert (folder / "suite.yaml").read_text() == (here / "toy.yaml").read_text()
    machine = json.loads((folder / "machine.json").read_text())
    assert machine["threads"] == 1
    assert machine["plugins"]["rnn-harness"]
    assert machine["packages"]["torch"]
    report = (folder / "report.md").read_text()
    assert "## Claims" in report
    assert "plain: operators" in report
    assert "all · train: peak of each phase" in report
    assert "## Cost" in report
    resources = (folder / "tables" / "resources.csv").read_text().splitlines()
    assert "train,backwards,parameters,9,,1.0,same," in resources
    assert (folder / "tables" / "comparisons.csv").read_text().count("step_time") == 1
    assert len(list(folder.glob("traces/*/worker.pt.trace.json.gz"))) == 2

    # the report is rebuilt from the records, without torch, and says the same
    (folder / "report.md").unlink()
    again = harness("report", cwd=here)
    assert again.returncode == 0
    assert again.stdout == done.stdout
    assert (folder / "report.md").read_text() == report
    found = json.loads(harness("report", folder, "--json", cwd=here).stdout)
    assert found["comparisons"][0]["low"] < found["comparisons"][0]["ratio"]
    flops = next(q for q in found["resources"] if (q["level"], q["quantity"]) == ("backwards", "flops"))
    assert (flops["value"], flops["verdict"]) == (256.0, "same")


def test_a_failed_trial_is_exit_code_3_and_the_rest_is_there(here):
    text = SUITE.replace("backwards:", "bad: {model: {name: broken, how: raises}}\n    backwards:")
    (here / "toy.yaml").write_text(text)
    done = harness("run", "toy.yaml", cwd=here)
    assert done.returncode == 3
    assert "all, bad: failed in verify: verifying: RuntimeError: the toy is broken" in done.stdout
    assert "5 processes" in done.stderr
    assert harness("report", cwd=here).returncode == 3


def test_a_broken_promise_is_exit_code_3(here):
    (here / "toy.yaml").write_text(SUITE.replace("use: [reverse]", "use: [doubled]"))
    done = harness("run", "toy.yaml", cwd=here)
    assert done.returncode == 3
    assert "invalid: promises the same computation" in done.stdout


def test_a_reporter_that_fails_hides_nothing_and_is_exit_code_3(here):
    (here / "bad_reporter.py").write_text(
        "import harness\n"
        "def write(report, folder):\n    raise OSError('the disk is full')\n"
        "@harness.hookimpl\ndef provide_reporters():\n"
        "    yield harness.Reporter('bad', write, 'writes nothing')\n"
    )
    done = harness("-p", "bad_reporter.py", "run", "toy.yaml", cwd=here)
    assert done.returncode == 3
    assert "reporter bad (plugin bad_reporter.py): OSError: the disk is full" in done.stdout
    assert "5 processes" in done.stderr
    assert (the_run(here) / "report.md").exists()


def test_a_claim_that_fails_twice_closes_the_gate(here):
    slow = SUITE.replace("use: [reverse]", "use: [{name: spin, share: 3.0}]").replace("margin: 99%", "margin: 50%")
    claims = "claims:\n  - {says: Spinning is free, level: backwards, expect: lower by 50%}\n"
    (here / "toy.yaml").write_text(slow + claims)
    assert "a quick look never decides" in harness("run", "toy.yaml", "--quick", "--until-decided", cwd=here).stderr
    done = harness("run", "toy.yaml", "--gate", "--until-decided", cwd=here)
    assert done.returncode == 1, done.stderr
    assert "98 % interval" in done.stdout
    assert "all: a claim fails by it; measuring it once more" in done.stderr
    assert "FAILS: Spinning is free (all: " in done.stdout
    assert "; measured again: all: " in done.stdout
    folder = the_run(here)
    before = (folder / "records.jsonl").read_text()
    assert harness("run", "--resume", folder, "--gate", cwd=here).returncode == 1
    assert (folder / "records.jsonl").read_text() == before
    assert harness("report", cwd=here).returncode == 0  # a finding, where nobody guards


def test_only_given_twice_keeps_both():
    from harness.api.session import chosen

    assert chosen(["cell=lstm", "data=words", "cell=gru,rnn"]) == {"cell": ["lstm", "gru", "rnn"], "data": ["words"]}


def test_quick_is_labelled(here):
    done = harness("run", "toy.yaml", "--quick", "--set", "measure.speed.batches=2", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "A first look, one process per block: nothing here is a verdict." in done.stdout
    assert "first look: " in done.stdout
    assert "A first look" in (the_run(here) / "report.md").read_text()


SLOW = [
    "--set",
    "measure.speed.seconds=400 ms",
    "--set",
    "measure.speed.half_width=0.01%",
    "--set",
    "measure.speed.budget=5 s",
]


def started(here: Path) -> tuple[subprocess.Popen[str], Path]:
    """A run with at least one replicate on disk and more to come."""
    process = subprocess.Popen(
        [*COMMAND, "run", "toy.yaml", *SLOW], cwd=here, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=heed_ctrl_c,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        folders = list(here.glob("results/toy/*"))
        if folders and any(line["measure"] == "speed.train" for line in lines_of(folders[0])):
            return process, folders[0]
        time.sleep(0.1)
    raise AssertionError("nothing was measured")


def test_ctrl_c_loses_nothing_and_resume_repeats_nothing(here):
    process, folder = started(here)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"harness run --resume {folder.relative_to(here)}" in errors
    assert "Traceback" not in errors
    before = (folder / "records.jsonl").read_text()
    assert before
    # -p is remembered, so that the printed command is all it takes
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--resume", str(folder)],
        cwd=here,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    after = (folder / "records.jsonl").read_text()
    assert after.startswith(before)
    keys = [(r["level"], r["measure"], r["role"], r["replicate"]) for r in lines_of(folder)]
    assert len(keys) == len(set(keys))
    assert max(r["replicate"] for r in lines_of(folder)) >= 4
    assert harness("run", "--resume", folder, cwd=here).returncode == 0
    assert (folder / "records.jsonl").read_text() == after


def test_a_killed_run_leaves_no_process_behind_and_can_be_resumed(here):
    process, folder = started(here)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    assert children
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline, "the fork server outlived its run"
        time.sleep(0.05)
    kept = [r for r in lines_of(folder) if r["measure"] == "speed.train"]
    done = harness("run", "--resume", folder, cwd=here)
    assert done.returncode == 0, done.stderr
    assert [r for r in lines_of(folder) if r["measure"] == "speed.train"][: len(kept)] == kept


@pytest.mark.slow
def test_resume_refuses_what_has_changed(here):
    toy = here / "my_toy.py"
    toy.write_text(TOY.read_text().replace('HERE = "toy"', 'HERE = "my_toy"'))
    command = [sys.executable, "-m", "harness", "-p", str(toy)]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, "run", *arguments], cwd=here, capture_output=True, text=True, timeout=300)

    assert run("toy.yaml", "--quick", "--set", "measure.speed.batches=1").returncode == 0
    folder = str(the_run(here))
    toy.write_text(toy.read_text() + "\n# changed\n")
    refused = run("--resume", folder)
    assert refused.returncode == 2
    assert "plugins or data have changed since this run began" in refused.stderr
    assert "goes on as it was planned" in run("--resume", folder, "--quick").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nothing.yaml"], "nothing.yaml: there is no such file."),
        (["run", "ty.yaml"], "Did you mean toy.yaml"),
        (["run", "empty"], "empty: there are no suites in this folder. Create one with `harness new suite NAME`."),
        (["check", "."], "is a directory, not a suite. Name one YAML file in it."),
        (["run", "empty.yaml"], "empty.yaml: is empty."),
        (["run", "broken.yaml"], "broken.yaml:1:6: is not YAML: "),
        (["run", "binary.yaml"], "is not UTF-8 text"),
        (["run"], "give a suite, or --resume with the folder of a run."),
        (["run", "--resume", "nowhere"], "nowhere: is not the folder of a run."),
        (["run", "toy.yaml", "--results", "toy.yaml"], "toy.yaml/toy: cannot write results there"),
        (["run", "toy.yaml", "--set", "base.model=liner"], "--set base.model=liner: there is no model named 'liner'"),
        (["run", "toy.yaml", "--only", "what"], "--only what: it takes AXIS=LEVEL"),
        (["run", "toy.yaml", "--executor", "lcal"], "there is no executor named 'lcal'. Did you mean local?"),
        (["run", "toy.yaml", "--device", "gpu"], "there is no device 'gpu'"),
        (["check", "toy.yaml", "--set", "measure.sped={}"], "there is no field 'sped' here. Did you mean speed?"),
        (["describe", "liner"], "no part is named 'liner'. Did you mean linear"),
        (["list", "modles"], "there is no kind of part 'modles'. Did you mean model?"),
        (["report"], "results: there is no run in it yet."),
        (["rnu"], "No such command 'rnu'."),
    ],
)  # fmt: skip
def test_mistakes_are_a_sentence_and_exit_code_2(here, arguments, message):
    (here / "empty").mkdir()
    (here / "empty.yaml").write_text("")
    (here / "broken.yaml").write_text("a: [1")
    (here / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    done = harness(*arguments, cwd=here)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (here / "results").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_files_without_permission(here):
    (here / "toy.yaml").chmod(0)
    assert "cannot be read: Permission denied." in harness("run", "toy.yaml", cwd=here).stderr
    (here / "toy.yaml").chmod(0o644)
    here.chmod(0o555)
    assert "cannot write results there: Permission denied." in harness("run", "toy.yaml", cwd=here).stderr


def test_a_device_that_is_not_there(here):
    done = harness("run", "toy.yaml", "--device", "cuda:9", cwd=here)
    assert done.returncode == 2
    assert "there is no cuda:9 on this machine." in done.stderr
    assert not list((here / "results" / "toy").iterdir())


def test_plan_and_check_start_nothing(here):
    plan = harness("plan", "toy.yaml", cwd=here)
    assert "1 blocks" in plan.stdout
    assert "linear + points + descent + reverse  (changes order)" in plan.stdout
    assert json.loads(harness("plan", "toy.yaml", "--json", cwd=here).stdout)["axis"] == "what"
    assert "fine: 1 blocks, 2 trials, 0 skipped." in harness("check", "toy.yaml", cwd=here).stdout
    assert not (here / "results").exists()


def test_list_and_describe(here):
    assert "linear" in harness("list", "models", cwd=here).stdout
    rows = json.loads(harness("list", "--json", cwd=here).stdout)
    assert {row["kind"] for row in rows["parts"]} >= {
        "model",
        "dataset",
        "optimization",
        "metric",
        "reporter",
        "executor",
    }
    text = harness("describe", "picky", cwd=here).stdout
    assert "changes: rounding" in text
    assert "amount: float = 1.0" in text
    (row,) = json.loads(harness("describe", "mlp", "--json", cwd=here).stdout)
    assert [p["name"] for p in row["parameters"]] == ["hidden_size", "dropout"]


def test_a_broken_plugin_makes_list_fail_and_says_which(here):
    (here / "bad_plugin.py").write_text(
        "import harness\n@harness.hookimpl\ndef provide_models():\n    raise RuntimeError('no')\n    yield\n"
    )
    done = harness("-p", "bad_plugin.py", "list", cwd=here)
    assert done.returncode == 3
    assert "problem: plugin bad_plugin.py: provide_models failed: RuntimeError: no" in done.stderr
    assert "linear" in done.stdout


def test_the_self_test_replays_and_says_what_holds(here):
    done = harness("selftest", "--count", "40", "--json", cwd=here)
    found = json.loads(done.stdout)
    assert {"environment": "load", "clock": None, "processes": 5}.items() <= found["cells"][-6].items()
    assert done.returncode == (0 if all(c["holds"] for c in found["checks"] if c["binding"]) else 3)
    assert "three different things" in harness("selftest", "--live", "--traces", "x.npz", cwd=here).stderr
    assert harness("selftest", "--traces", "nowhere.npz", cwd=here).returncode == 2


@pytest.mark.slow
def test_noise_is_recorded_and_replayed(here):
    done = harness("selftest", "--record", "mine.npz", "--count", "1", "--seconds", "0.5", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "1 of 'nat', 1 of 'load'" in done.stdout
    from harness.tools.selftest.traces import load_traces

    for environment, (trace,) in load_traces(here / "mine.npz").items():
        assert trace.shape[1] == 4
        assert len(trace) >= 40, environment
        assert (trace > 0).all()
    again = harness("selftest", "--traces", "mine.npz", "--count", "5", cwd=here)
    assert "Fewer than 60 traces of an environment say little about it." in again.stdout


@pytest.mark.slow
def test_the_doctor_looks_and_measures(here):
    found = json.loads(harness("doctor", "--json", cwd=here).stdout)
    names = [finding["name"] for finding in found]
    assert {"torch", "plugins", "clock", "CPU share", "smallest difference"} <= set(names)
    assert "toy.py" in next(finding["what"] for finding in found if finding["name"] == "plugins")
    looked = harness("doctor", "--no-measure", cwd=here)
    assert looked.returncode == (3 if "BAD " in looked.stdout else 0), looked.stdout
    assert "ok    torch: " in looked.stdout
    assert "smallest difference" not in looked.stdout


def test_the_schema_is_json(here):
    assert "properties" in json.loads(harness("schema", cwd=here).stdout)


def test_a_reader_that_has_had_enough(here):
    done = subprocess.run(
        f"{' '.join(COMMAND)} list | head -1", shell=True, cwd=here, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "models"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["run", "--help"],
        ["report"],
        ["report", "--json"],
        ["report", "--as", "latex"],
        ["plot", "--list"],
        ["schema"],
    ],
)
def test_fast_verbs_do_not_import_torch(here, arguments):
    """A plugin that names its code by reference costs them nothing either, so none is given here."""
    from made import block

    from harness.records.plan import Plan
    from harness.records.store import Store

    store = Store.create(here / "results", Plan("toy", "q?", "what", (block("a", "b"),)), "")
    assert store.folder.is_dir()
    script = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))\n"
        "from harness.cli import main\n"
        f"sys.argv = ['harness', *{arguments!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=here, capture_output=True, text=True, timeout=60)
    assert done.stderr.strip().endswith("False"), done.stderr


def test_a_factorial_ends_with_its_effects(here):
    text = SUITE.replace(
        "  what:\n    plain: {}\n    backwards: {use: [reverse]}\ncompare: {axis: what, baseline: plain}",
        """\
  turned: {off: {}, on: {use: [{name: spin, share: 3.0}]}}
  order: {kept: {}, reversed: {use: [reverse]}}
design: factorial""",
    )
    claim = "claims:\n  - {says: Spinning is dear, effect: turned, expect: higher by 20%}\n"
    (here / "toy.yaml").write_text(text.replace("margin: 99%", "margin: 50%") + claim)
    done = harness("run", "toy.yaml", cwd=here)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    table = lines[lines.index("all · train: effects") + 1 :][:5]
    assert table[0].split("  ")[0] == "factors"
    assert [re.split("  +", line)[:2] for line in table[2:]] == [
        ["turned", "average over contexts"], ["order", "average over contexts"], ["turned x order", "interaction"]
    ]  # fmt: skip
    assert "slower" in table[2]
    assert any(line.strip().startswith("HOLDS: Spinning is dear") for line in lines)
    folder = the_run(here)
    assert (folder / "plots" / "effects-all-train.png").exists()
    assert "## Effects" in (folder / "report.md").read_text()
    rows = (folder / "tables" / "effects.csv").read_text().splitlines()
    assert rows[0].startswith("mode,metric,estimand,factors,scale,effect,low,high,")
    assert "train,step_time,interaction,turned x order,ratio," in "\n".join(rows)
    found = json.loads(harness("report", folder, "--json", cwd=here).stdout)["effects"]
    (turned,) = (e for e in found if (e["factors"], e["metric"]) == ("turned", "step_time"))
    assert turned["low"] < turned["effect"] < turned["high"]
    before = (folder / "records.jsonl").read_text()
    assert harness("run", "--resume", folder, cwd=here).returncode == 0  # the same plan, and nothing left to do
    assert (folder / "records.jsonl").read_text() == before
