"""Commands that measure little or nothing, and the messages of user errors."""

from __future__ import annotations

import json
import os

import pytest
from commands import harness
from toy_suite import SUITE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nothing.yaml"], "nothing.yaml: file not found."),
        (["run", "ty.yaml"], "ty.yaml: file not found. Did you mean toy.yaml"),
        (["run", "empty"], "empty: there are no suites in this folder. Create one with `harness new suite NAME`."),
        (["check", "."], ".: expected a suite, found a folder. Name a YAML file in it."),
        (["run", "empty.yaml"], "empty.yaml: this file is empty."),
        (["run", "broken.yaml"], "broken.yaml:1:6: this is not valid YAML: "),
        (["run", "binary.yaml"], "is not UTF-8 text"),
        (["run"], "give a suite, or --resume with the folder of a run."),
        (["run", "--resume", "nowhere"], "results: there is no run of 'nowhere' in it."),
        (["run", "toy.yaml", "--results", "toy.yaml"], "toy.yaml/toy: cannot write results there"),
        (["run", "toy.yaml", "--set", "base.model=liner"], "--set base.model=liner: there is no model named 'liner'"),
        (["run", "toy.yaml", "--only", "what"], "--only what: expected AXIS=LEVEL"),
        (["run", "toy.yaml", "--executor", "lcal"], "there is no executor named 'lcal'. Did you mean local?"),
        (["run", "toy.yaml", "--device", "gpu"], "--set base.device=gpu: unknown device 'gpu'. Use cpu, cuda or cuda:1."),
        (["check", "toy.yaml", "--set", "measure.sped={}"], "there is no field 'sped' here. Did you mean speed?"),
        (["describe", "liner"], "there is no part named 'liner'. Did you mean linear"),
        (["list", "modles"], "there is no kind of part 'modles'. Did you mean model?"),
        (["report"], "results: there is no run in it yet."),
        (["rnu"], "there is no command named 'rnu'. Did you mean run?"),
    ],
)  # fmt: skip
def test_errors_are_one_message_and_exit_code_2(here, arguments, message):
    (here / "empty").mkdir()
    (here / "empty.yaml").write_text("")
    (here / "broken.yaml").write_text("a: [1")
    (here / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    done = harness(*arguments, cwd=here)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not (here / "results").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root ignores the permissions of files")
def test_unreadable_and_unwritable_files_are_errors(here):
    (here / "toy.yaml").chmod(0)
    assert "cannot be read: Permission denied." in harness("run", "toy.yaml", cwd=here).stderr
    (here / "toy.yaml").chmod(0o644)
    here.chmod(0o555)
    assert "cannot write results there: Permission denied." in harness("run", "toy.yaml", cwd=here).stderr


def test_plan_and_check_measure_nothing(here):
    plan = harness("plan", "toy.yaml", cwd=here)
    assert "1 block. Estimated time: " in plan.stdout
    assert "linear + points + descent + reverse  (changes order)" in plan.stdout
    assert json.loads(harness("plan", "toy.yaml", "--json", cwd=here).stdout)["axis"] == "what"
    assert "toy.yaml is valid: 1 block, 2 trials, 0 skipped." in harness("check", "toy.yaml", cwd=here).stdout
    assert not (here / "results").exists()


def test_check_and_plan_find_what_would_fail_in_a_run(here):
    for command in ("check", "plan"):
        done = harness(command, "toy.yaml", "--set", "base.dataset.size=60", cwd=here)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "Error: toy.yaml:5:19: dataset points: the work set needs 8 x 8 = 64 examples and the training set has 60; "
            "lower measure.speed.batches or dataset.batch_size.\n"
        )
    bad = "{name: adaptive, lr: -1}"
    (here / "toy.yaml").write_text(SUITE.replace("{use: [reverse]}", f"{{drop: [descent], use: [{bad}]}}"))
    done = harness("check", "toy.yaml", cwd=here)
    assert done.returncode == 2
    assert (
        "toy.yaml:10:5: level 'backwards' fails: building the model: ValueError: Invalid learning rate: -1"
        in done.stderr
    )


def test_check_plan_and_run_print_warnings(here):
    learning = "measure: {learning: {seeds: 1, epochs: 1, evaluations: 2}}\n"
    cycle = SUITE.replace("{use: [reverse]}", "{use: [{name: one_cycle, total: 90}]}").partition("measure:")[0]
    (here / "toy.yaml").write_text(cycle + learning)
    warning = "warning: toy.yaml:10:30: one_cycle: the cycle has 90 updates, and a run has 64 steps.\n"
    check = harness("check", "toy.yaml", cwd=here)
    assert (check.returncode, check.stderr) == (0, warning)
    plan = harness("plan", "toy.yaml", "--json", cwd=here)
    assert plan.stderr == warning
    made = json.loads(plan.stdout)
    assert made["remarks"] == [warning.removeprefix("warning: ").strip()]
    assert 0 < made["seconds"]["least"] <= made["seconds"]["expected"] <= made["seconds"]["most"]
    assert set(made["seconds"]["blocks"]) == {block["id"] for block in made["blocks"]}
    run = harness("run", "toy.yaml", "--set", "measure.learning={seeds: 1, steps: 64, evaluations: 2}", cwd=here)
    assert warning in run.stderr
    report = next((here / "results").rglob("report.md")).read_text()
    assert "one_cycle: the cycle has 90 updates" in report


def test_plan_says_what_its_times_are_calculated_from(here):
    assert "It was calculated from a rehearsal on this machine." in harness("plan", "toy.yaml", cwd=here).stdout
    (here / "toy.yaml").write_text(SUITE.replace("model: linear", "model: {name: broken, how: raises}"))
    for command in ("plan", "check"):
        refused = harness(command, "toy.yaml", cwd=here)
        assert refused.returncode == 2
        assert "toy.yaml:9:5: level 'plain' fails: one train step: RuntimeError: the toy is broken" in refused.stderr


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
        "promise",
        "command",
    }
    text = harness("describe", "picky", cwd=here).stdout
    assert "changes: rounding" in text
    assert "amount: float = 1.0" in text
    (row,) = json.loads(harness("describe", "mlp", "--json", cwd=here).stdout)
    assert [p["name"] for p in row["parameters"]] == ["hidden_size", "dropout"]


def test_broken_plugin_makes_list_fail_with_its_name(here):
    (here / "bad_plugin.py").write_text(
        "import harness\n@harness.hookimpl\ndef provide_models():\n    raise RuntimeError('no')\n    yield\n"
    )
    done = harness("-p", "bad_plugin.py", "list", cwd=here)
    assert done.returncode == 3
    assert "problem: plugin bad_plugin.py: provide_models failed: RuntimeError: no" in done.stderr
    assert "linear" in done.stdout


def test_schema_command_prints_json(here):
    assert "properties" in json.loads(harness("schema", cwd=here).stdout)
