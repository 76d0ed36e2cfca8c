"""Parts that try to look cheaper than they are, in real runs. Slow, so it runs only with -m live.

python -m pytest -m live tests/live/test_attacks.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ATTACKS = Path(__file__).parents[1] / "attacks.py"
SPECIMEN = Path(__file__).parents[2] / "harness" / "testing" / "specimen.py"
SUITE = """
question: What does it cost?
base:
  model: specimen
  dataset: {{name: specimen_points, batch_size: 128}}
  use: [{baseline}]
axes: {{what: {{base: {{}}, changed: {{use: [{changed}]}}}}}}
compare: {{axis: what, baseline: base}}
measure: {{speed: {{of: train}}}}
claims:
  - {{says: It costs nothing, level: changed, expect: equal within 2%}}
  - {{says: It is faster, level: changed, expect: lower}}
"""

pytestmark = pytest.mark.live


def comparison(here: Path, changed: str, baseline: str = "descent") -> dict:
    """The comparison of step times, with the answers to both claims."""
    (here / "attack.yaml").write_text(SUITE.format(changed=changed, baseline=baseline))
    command = [sys.executable, "-m", "harness", "-p", ATTACKS, "-p", SPECIMEN, "run", "attack.yaml", "--json"]
    done = subprocess.run(list(map(str, command)), cwd=here, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (one,) = [c for c in found["comparisons"] if c["metric"] == "step_time"]
    print(changed, one["ratio"], one["low"], one["high"], one["verdict"], one["flags"])
    return {**one, "answers": [claim["answer"] for claim in found["claims"]]}


@pytest.mark.parametrize("changed", ["waits", "{name: waits, share: 0.1}", "other_thread", "delegates"])
def test_waiting_and_working_elsewhere_are_not_cheap(tmp_path, changed):
    found = comparison(tmp_path, changed)
    assert found["verdict"] in ("slower", "undecided")
    assert "holds" not in found["answers"]


def test_moved_work_is_not_faster(tmp_path):
    found = comparison(tmp_path, "{name: moved, share: 0.6}", "descent, {name: moved, share: 0.6, thread: false}")
    assert found["verdict"] in ("slower", "equivalent", "undecided")
    assert found["answers"][1] != "holds"


@pytest.mark.parametrize("where", ["buffer", "attribute"])
@pytest.mark.parametrize("every", [10, 20])
def test_counters_in_a_model_run_on(tmp_path, every, where):
    changed = f"{{name: counting, every: {every}, cost_ms: {2 * every}, where: {where}}}"
    found = comparison(tmp_path, changed)
    assert found["verdict"] == "slower"
    assert "mean-decides" in found["flags"]


@pytest.mark.parametrize("every", [2, 3, 5, 8, 16, 20, 33, 50, 64])
def test_a_refresh_costs_its_mean(tmp_path, every):
    """Every n-th step costs 2 n ms more: the same on average for all n."""
    found = comparison(
        tmp_path, f"{{name: refreshing, every: {every}, cost_ms: {2 * every}}}",
        "{name: refreshing, every: 1000000, cost_ms: 0}",
    )  # fmt: skip
    assert found["verdict"] == "slower" or (found["verdict"] == "undecided" and "tail-effect" in found["flags"])
    assert found["answers"][0] != "holds"
