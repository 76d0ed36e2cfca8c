"""The kind of measurement does what its paper says, and works in a suite like any other."""

import json
import subprocess
import sys

import pytest
import torch
from guest_noise.analysis import noise_scale

SUITE = """
question: Is the gradient of the larger model noisier?
base: {model: {name: lstm, hidden_size: 8, embedding_size: 8}, dataset: {name: lengths, batch_size: 16}, use: [adam]}
axes: {hidden: {path: model.hidden_size, values: [8, 16]}}
compare: {axis: hidden, baseline: "8"}
measure: {noise: {batches: 4}}
claims: [{says: More gradient, level: "16", metric: gradient_elements, expect: higher}]
"""


def test_the_estimate_is_unbiased_for_gaussian_gradients():
    """Gradients of single examples are normal with mean g and covariance s^2: the noise scale is n s^2 / |g|^2."""
    torch.manual_seed(0)
    n, spread, size, batches = 200, 0.5, 8, 4000
    mean = torch.full((n,), 0.1, dtype=torch.float64)
    gradients = mean + spread / size**0.5 * torch.randn(batches, n, dtype=torch.float64)
    whole = gradients.mean(0)
    small = gradients.square().sum(1).tolist()
    stored = {"batch_size": size, "batches": batches, "small": small, "large": float(whole @ whole)}
    assert noise_scale(stored) == pytest.approx(n * spread**2 / float(mean @ mean), rel=0.05)


def run(folder, *arguments):
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_it_runs_in_a_suite_with_tables_and_a_claim(tmp_path):
    (tmp_path / "noise.yaml").write_text(SUITE)
    done = run(tmp_path, "run", "noise.yaml")
    assert done.returncode == 0, done.stderr
    assert "noise scale" in done.stdout
    assert "True: More gradient" in done.stdout
    (report,) = (tmp_path / "results" / "noise").glob("*/report.json")
    rows = {(r["level"], r["quantity"]): r for r in json.loads(report.read_text())["resources"]}
    assert rows["16", "gradient_elements"]["verdict"] == "more"
    assert rows["8", "noise_scale"]["value"] > 0


def test_its_settings_are_checked_like_those_of_the_core(tmp_path):
    (tmp_path / "noise.yaml").write_text(SUITE.replace("batches: 4", "batchs: 4"))
    done = run(tmp_path, "check", "noise.yaml")
    assert done.returncode == 2
    assert "noise.yaml:6:19: there is no field 'batchs' here. Did you mean batches?" in done.stderr
    (tmp_path / "noise.yaml").write_text(SUITE.replace("batches: 4", "batches: 1"))
    assert "batches: input should be greater than or equal to 2" in run(tmp_path, "check", "noise.yaml").stderr
