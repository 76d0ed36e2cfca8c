"""``harness run``: measuring, printing, storing, interruption, resume and exit codes."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import COMMAND, call, harness, heed_ctrl_c, lines_of, the_run
from made_executor import MADE
from toy_suite import SUITE, TOY


@pytest.fixture(scope="module")
def complete(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with a complete run of the toy, and what the command printed."""
    here = tmp_path_factory.mktemp("complete")
    (here / "toy.yaml").write_text(
        SUITE + "  memory: {}\n  cost: {}\n  profile: {steps: 1}\n"
        "claims:\n  - {says: Backwards costs nothing, level: backwards, expect: equal within 90%}\n"
    )
    return here, harness("run", "toy.yaml", cwd=here)


@pytest.fixture
def copied(complete, tmp_path: Path) -> Path:
    """A copy of the folder with the complete run."""
    return shutil.copytree(complete[0], tmp_path / "copy")


def test_run_measures_prints_and_stores(complete):
    here, done = complete
    assert done.returncode == 0, done.stderr
    assert "all · train  backwards" in done.stderr
    assert "5 processes" in done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[0] == "Does the toy work?"
    level = next(line for line in lines if re.match(r"backwards +\d", line))
    assert re.search(r"\d\.\d{3} ±\d", level)
    assert "*changes example order: backwards." in " ".join(lines)
    assert any(line.startswith('True: "Backwards costs nothing" (tested: ') for line in lines)
    assert any(line.startswith("Sensitivity: ") for line in lines)
    assert max(map(len, lines)) <= 80
    folder = the_run(here)
    assert f"Report: {(folder / 'report.html').relative_to(here)} (all numbers: --verbose)" in lines
    everything = harness("report", folder, "--verbose", cwd=here).stdout
    for text in ("points/s", "all · train: memory", "256 FLOP (same)", "Sensitivity: differences of "):
        assert text in everything
    assert "all · train: memory" in (folder / "report.txt").read_text()
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


def test_report_from_stored_records_is_the_same(complete, copied):
    folder = the_run(copied)
    report = (folder / "report.md").read_text()
    (folder / "report.md").unlink()
    again = harness("report", cwd=copied)
    assert again.returncode == 0
    assert again.stdout == complete[1].stdout
    assert (folder / "report.md").read_text() == report
    found = json.loads(harness("report", folder, "--json", cwd=copied).stdout)
    assert found["comparisons"][0]["low"] < found["comparisons"][0]["ratio"] < found["comparisons"][0]["high"]
    flops = next(q for q in found["resources"] if (q["level"], q["quantity"]) == ("backwards", "flops"))
    assert (flops["value"], flops["verdict"]) == (256.0, "same")


def test_failed_trials_give_exit_code_3_and_the_rest_is_measured(here):
    levels = "bad: {model: {name: broken, how: raises}}\n    twice: {use: [doubled]}\n    backwards:"
    (here / "toy.yaml").write_text(SUITE.replace("backwards:", levels))
    done = harness("run", "toy.yaml", cwd=here)
    assert done.returncode == 3
    reason = "all, bad: failed in verify: verifying a batch of 8: RuntimeError: the toy is broken (toy.py:"
    assert reason in " ".join(done.stdout.split())
    assert re.search(r"^twice +invalid$", done.stdout, re.MULTILINE)
    assert "Failed: all, twice: invalid in verify: promises the same computation" in " ".join(done.stdout.split())
    assert "5 processes" in done.stderr
    assert harness("report", cwd=here).returncode == 3
    # each alone is sufficient
    stored = (the_run(here) / "records.jsonl").read_text()
    for outcomes, code in ((["failed"], 3), (["invalid"], 3), (["failed", "invalid"], 0)):
        text = stored
        for outcome in outcomes:
            assert f'"outcome": "{outcome}"' in stored
            text = text.replace(f'"outcome": "{outcome}"', '"outcome": "skipped"')
        (the_run(here) / "records.jsonl").write_text(text)
        assert harness("report", cwd=here).returncode == code


def test_failing_reporter_gives_exit_code_3_and_the_rest_is_written(copied):
    (copied / "bad_reporter.py").write_text(
        "import harness\n"
        "def write(report, folder):\n    raise OSError('the disk is full')\n"
        "@harness.hookimpl\ndef provide_reporters():\n"
        "    yield harness.Reporter('bad', write, 'writes nothing')\n"
    )
    (the_run(copied) / "report.md").unlink()
    done = harness("-p", "bad_reporter.py", "run", "--resume", the_run(copied), cwd=copied)
    assert done.returncode == 3
    assert "reporter bad (plugin bad_reporter.py): OSError: the disk is full" in done.stdout
    assert "5 processes" in done.stderr
    assert (the_run(copied) / "report.md").exists()


def test_gate_that_cannot_fail_is_an_error(here):
    """It would pass in CI without testing anything."""
    done = harness("run", "toy.yaml", "--gate", "--quick", cwd=here)
    assert done.returncode == 2
    assert "--gate: a first look (--quick) decides no claim, so the gate cannot fail." in done.stderr
    (here / "toy.yaml").write_text(SUITE)
    done = harness("run", "toy.yaml", "--gate", cwd=here)
    assert done.returncode == 2
    assert "--gate: there is no claim, so the gate cannot fail. Add a claim, such as" in done.stderr
    (here / "folder").mkdir()
    (here / "folder" / "toy.yaml").write_text(SUITE)
    assert harness("run", "folder", "--gate", cwd=here).returncode == 2
    assert not list((here / "results").glob("*/*/records.jsonl"))


def test_claim_that_fails_twice_fails_the_gate(here):
    slow = SUITE.replace("use: [reverse]", "use: [{name: spin, share: 3.0}]").replace("margin: 99%", "margin: 50%")
    claims = "claims:\n  - {says: Spinning is free, level: backwards, expect: lower by 50%}\n"
    (here / "toy.yaml").write_text(slow + claims)
    done = harness("run", "toy.yaml", "--gate", cwd=here)
    assert done.returncode == 1, done.stderr
    assert "all: a claim is false here; measuring it again" in done.stderr
    text = " ".join(done.stdout.split())
    assert 'False: "Spinning is free" (tested: at least 50 % faster). backwards takes ' in text
    assert "easured again: all: " in text
    folder = the_run(here)
    before = (folder / "records.jsonl").read_text()
    assert harness("run", "--resume", folder, "--gate", cwd=here).returncode == 1
    assert (folder / "records.jsonl").read_text() == before
    assert harness("report", cwd=here).returncode == 0  # without --gate a false claim is no error


def made(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """``harness run`` without measuring."""
    return harness("-p", MADE, "run", *arguments, "--executor", "made", cwd=cwd)


def test_quick_run_is_labelled(here):
    done = made("toy.yaml", "--quick", "--set", "measure.speed.batches=2", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "A first look with one process per block: it gives no verdicts." in done.stdout
    assert "first look: " in (the_run(here) / "report.txt").read_text()
    assert "A first look" in (the_run(here) / "report.md").read_text()


#: Long enough for several processes, so that a run can be interrupted with work left.
SLOW = [
    *("--set", "measure.speed.seconds=100 ms", "--set", "measure.speed.half_width=0.01%"),
    *("--set", "measure.speed.budget=2 s"),
]


def started(here: Path) -> tuple[subprocess.Popen[str], Path]:
    """A run with at least one stored replicate and more to measure."""
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


def test_ctrl_c_loses_no_records_and_resume_repeats_none(here):
    process, folder = started(here)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"Resume with: harness run --resume {folder.relative_to(here)}\n" in errors
    assert "Traceback" not in errors
    before = (folder / "records.jsonl").read_text()
    assert before
    done = call("run", "--resume", folder, cwd=here)  # without -p: the run has stored its plugin files
    assert done.returncode == 0, done.stderr
    after = (folder / "records.jsonl").read_text()
    assert after.startswith(before)
    keys = [(r["block"], r["level"], r["measure"], r["role"], r["replicate"]) for r in lines_of(folder)]
    assert len(keys) == len(set(keys))
    assert max(r["replicate"] for r in lines_of(folder)) >= 4
    assert harness("run", "--resume", "latest", cwd=here).returncode == 0
    assert (folder / "records.jsonl").read_text() == after


def test_killed_run_leaves_no_process_and_can_be_resumed(here):
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
def test_resume_refuses_changed_plugins_and_data(here):
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
    assert "--resume: a resumed run keeps its plan" in run("--resume", folder, "--quick").stderr


def test_missing_device_is_an_error(here):
    done = made("toy.yaml", "--device", "cuda:9", cwd=here)
    assert done.returncode == 2
    assert "there is no cuda:9 on this machine." in done.stderr
    assert not list((here / "results" / "toy").iterdir())


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
    done = made("toy.yaml", cwd=here)
    assert done.returncode == 0, done.stderr
    lines = (the_run(here) / "report.txt").read_text().splitlines()
    table = lines[lines.index("all · train: effects") + 1 :][:5]
    assert table[0].split("  ")[0] == "factors"
    assert [re.split("  +", line)[:2] for line in table[2:]] == [
        ["turned", "average over contexts"], ["order", "average over contexts"], ["turned x order", "interaction"]
    ]  # fmt: skip
    assert "slower" in table[2]
    assert any(line.strip().startswith('True: "Spinning is dear"') for line in lines)
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
    assert made("--resume", folder, cwd=here).returncode == 0  # the same plan, and nothing left to measure
    assert (folder / "records.jsonl").read_text() == before
