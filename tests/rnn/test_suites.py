"""The suites of this project plan, and the smoke suite gives verdicts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from harness.analysis.verdicts import Verdict
from harness.plan.planner import make_plan
from harness.plugins.catalog import core_catalog
from harness.records.plan import Plan
from harness.suite.editor_schema import schema_with_parts
from harness.suite.loader import load_suite
from harness.suite.schema import json_schema
from harness.suite.yaml_source import read_file

SUITES = Path(__file__).parents[2] / "suites"


@pytest.fixture(scope="module")
def schemas(catalog):
    made, problems = schema_with_parts(catalog)
    assert problems == []
    return json_schema(core_catalog()), made


def harness(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=400)


@pytest.mark.parametrize("suite", sorted(SUITES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_each_suite_plans(suite, catalog):
    for preset in (None, *(yaml.safe_load(suite.read_text()).get("presets") or {})):
        assert make_plan(load_suite(suite, catalog, preset=preset), catalog).blocks


def test_the_schema_for_editors_is_current():
    stored = json.loads((SUITES / "suite.schema.json").read_text())
    assert stored == json_schema(core_catalog()), "run: harness schema > suites/suite.schema.json"


@pytest.mark.parametrize("suite", sorted(SUITES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_each_suite_passes_both_schemas(suite, schemas):
    source = read_file(suite)[1]
    for schema in schemas:
        jsonschema.validate(source.value, schema)
    line = suite.read_text().partition("\n")[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", line)
    assert (suite.parent / named[1]).resolve() == SUITES / "suite.schema.json"


def test_a_misspelt_parameter_of_the_real_parts_is_refused(schemas):
    plain, with_parts = schemas
    suite = read_file(SUITES / "packing.yaml")[1].value
    suite["base"]["model"] = {"name": "lstm", "hiden_size": 8}
    jsonschema.validate(suite, plain)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(suite, with_parts)


def test_smoke_suite_says_that_harness_works(tmp_path):
    """The size of a difference depends on the machine, and with few samples a claim may stay undecided. None is false,
    and each comparison has a verdict from at least three processes."""
    fields = {
        "speed.seconds": "50 ms",
        "speed.warm_up": "20 ms",
        "speed.batches": "2",
        "profile": "~",
    }
    quickly = [word for name, value in fields.items() for word in ("--set", f"measure.{name}={value}")]
    done = harness("run", SUITES / "smoke.yaml", "--json", *quickly, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr
    found = json.loads(done.stdout)
    assert len(found["claims"]) == 2
    assert "fails" not in {claim["answer"] for claim in found["claims"]}
    steps = [c for c in found["comparisons"] if c["metric"] == "step_time"]
    assert {c["level"] for c in steps} == {"copy", "packed", "wide"}
    for comparison in steps:
        assert comparison["processes"] >= 3
        assert comparison["verdict"] in set(Verdict) - {Verdict.INVALID, Verdict.NONE}
        assert comparison["low"] < comparison["ratio"] < comparison["high"]
    folder = Path(tmp_path / found["folder"])
    plan = Plan.from_json(json.loads((folder / "plan.json").read_text()))
    verified = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    verified = [r for r in verified if r["measure"] == "verify"]
    assert len(verified) == sum(len(block.trials) for block in plan.blocks)
    for record in verified:
        assert record["outcome"] == "ok"
        if record["level"] in ("copy", "packed"):
            assert record["data"]["error"] <= record["data"]["allowed"]
    again = harness("report", folder, "--json", cwd=tmp_path)
    assert {**json.loads(again.stdout), "folder": found["folder"]} == found
