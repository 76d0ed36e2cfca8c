"""Exported trials of recurrent models print what the harness computes, and contain only the code they use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from exported import HERE, run_forked, values_of
from harness_rnn.optimizations.autocast import cpu_has_bfloat16
from toy_suite import read

from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.tools.export.check import RUNNER, find_difference
from harness.tools.export.script import ExportedTrial, Script, make_script
from harness.tools.export.trials import find_trial

SUITE = """
question: Does it repeat?
base:
  model: {name: MODEL, hidden_size: 8}
  dataset: DATASET
  use: [adam]
  seed: 3
axes:
  what:
    plain: {}
    level: LEVEL
compare: {axis: what, baseline: plain}
measure: {speed: {batches: 4}}
"""
LENGTHS = "{name: lengths, examples: 64, batch_size: 8, mean: 20, vocabulary: 50}"
COPY = "{name: copy_memory, lag: 5, examples: 64, test_examples: 8, batch_size: 8}"
ADDING = "{name: adding, length: 30, examples: 64, test_examples: 8, batch_size: 8}"

#: Model, level, dataset, mode.
TRIALS = {
    "padded": ("lstm", "{drop: [adam], use: [sgd]}", LENGTHS, "train"),
    "packed": ("lstm", "{use: [pack]}", LENGTHS, "train"),
    "sorted and packed": ("gru", "{use: [{name: pack, enforce_sorted: true}]}", LENGTHS, "train"),
    "from scratch, clipped": ("scratch_gru", "{use: [{name: clip, max_norm: 0.1}]}", LENGTHS, "train"),
    "twin from scratch": ("rnn", "{use: [from_scratch]}", LENGTHS, "train"),
    "both directions, dropout": (
        "lstm", "{model: {num_layers: 2, bidirectional: true, dropout: 0.3}, use: [dropout, bucket]}", LENGTHS, "train",
    ),
    "segments": ("gru", "{model: {bidirectional: true}, use: [{name: segment, overhead: 5}]}", LENGTHS, "train"),
    "synthetic numbers": ("lstm", "{use: [forget_bias, orthogonal]}", ADDING, "train"),
    "chrono": ("lstm", "{use: [{name: forget_bias, longest: 30}]}", ADDING, "train"),
    "windows of steps": ("lstm", "{use: [{name: tbptt, window: 7}, schedule]}", COPY, "train"),
    "windows, one answer": ("rnn", "{use: [{name: tbptt, window: 7}, clip]}", LENGTHS, "train"),
    "inference": ("lstm", "{use: [pack]}", LENGTHS, "inference"),
    "inference of steps": ("transformer", "{}", COPY, "inference"),
    "attention": ("transformer", "{model: {pooling: max, norm_first: true}}", LENGTHS, "train"),
    "readouts": ("gru", "{use: [{name: pool, how: mean}, {name: pad_to, length: 70}]}", LENGTHS, "train"),
    "wrong readout": ("gru", "{use: [last_naive]}", LENGTHS, "inference"),
    "rectified": ("rnn", "{model: {nonlinearity: relu}, use: [identity_rnn]}", LENGTHS, "train"),
    "settings": ("lstm", "{use: [flush_denormal, deterministic, tf32, allocator]}", LENGTHS, "train"),
}  # fmt: skip


def exported(catalog: Catalog, model: str, level: str, dataset: str, mode: str, **more: bool) -> Script:
    text = SUITE.replace("MODEL", model).replace("LEVEL", level).replace("DATASET", dataset)
    if level == "{}":
        text = text.replace("level: {}", "level: {use: [clip]}")
    plan = make_plan(read(text), catalog)
    return make_script(catalog, ExportedTrial(plan, *find_trial(plan, "level"), mode), **more)


@pytest.mark.parametrize("name", TRIALS)
def test_a_script_repeats_the_trial(catalog, name):
    made = exported(catalog, *TRIALS[name])
    assert made.replay.failure == ""
    assert len(made.replay.values) == 4
    assert values_of(made.text) == pytest.approx(made.replay.values, rel=1e-6)
    assert made.needs == "torch"
    assert "def health" not in made.text
    assert "def lengths(" not in made.text


@pytest.mark.skipif(not cpu_has_bfloat16(), reason="no bfloat16 here")
def test_lower_precision_is_repeated(catalog):
    made = exported(catalog, "lstm", "{use: [autocast]}", LENGTHS, "train")
    assert values_of(made.text) == pytest.approx(made.replay.values, rel=1e-6)


def test_a_script_with_all_methods_repeats_the_trial(catalog):
    made = exported(catalog, *TRIALS["packed"], whole=True)
    assert "def health" in made.text
    assert "def gate_statistics" in made.text
    assert values_of(made.text) == pytest.approx(made.replay.values, rel=1e-6)


def test_a_name_with_two_meanings_is_renamed(catalog):
    """`segment` and `tbptt` both have a function `cut`, and segments have no state: the script repeats the failure."""
    made = exported(
        catalog, "lstm", "{use: [{name: segment, overhead: 1}, {name: tbptt, window: 7}]}", LENGTHS, "train"
    )
    assert "def tbptt_cut(" in made.text
    assert "def cut(" in made.text
    assert "tbptt needs a core that returns a state" in made.replay.failure
    with pytest.raises(ValueError, match="tbptt needs a core that returns a state"):
        values_of(made.text)


def test_a_script_runs_without_the_harness_and_its_plugins(catalog, tmp_path):
    made = exported(catalog, *TRIALS["windows of steps"])
    (tmp_path / "trial.py").write_text(made.text)
    done = run_forked([sys.executable, "-I", "-c", RUNNER.replace("{packages}", repr(HERE)), "trial.py"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "agrees with what the harness computed (largest relative difference 0.0e+00)" in done.stdout


CELL = """
# my_cell.py
import torch
import yaml
from torch import nn

import harness
from harness_rnn import contract
from harness_rnn.models.encoder import last_valid as at_the_end


class Leaky(nn.Module):
    def __init__(self, input_size, hidden_size, leak):
        super().__init__()
        self.output_size, self.leak = hidden_size, leak
        self.inputs = nn.Linear(input_size, hidden_size)

    def forward(self, x, lengths, carry=None):
        h = x.new_zeros(len(x), yaml.safe_load(str(self.output_size)))
        outputs = []
        for step in self.inputs(x).unbind(1):
            h = (1 - self.leak) * h + self.leak * torch.tanh(step)
            outputs.append(h)
        outputs = torch.stack(outputs, 1)
        return outputs, at_the_end(outputs, lengths), h


def leaky(facts, *, hidden_size: int = 8, leak: float = 0.5) -> contract.SequenceModel:
    return contract.SequenceModel(facts, Leaky(6, hidden_size, leak), 6)


@harness.hookimpl
def provide_models():
    yield harness.Model("leaky", leaky, "a leaky integrator", offers={"sequence"})
"""


def test_the_code_of_a_plugin_file_is_included(tmp_path):
    (tmp_path / "my_leaky_cell.py").write_text(CELL)
    made = exported(Catalog(load_plugins([tmp_path / "my_leaky_cell.py"])), "leaky", "{use: [clip]}", LENGTHS, "train")
    assert "return SequenceModel(facts, Leaky(6, hidden_size, leak), 6)" in made.text
    assert "return outputs, last_valid(outputs, lengths), h" in made.text
    assert "hookimpl" not in made.text
    assert made.needs == "torch, yaml"
    assert "my_leaky_cell" in made.included
    assert "my_leaky_cell.py sha256:" in made.text
    assert values_of(made.text) == pytest.approx(made.replay.values, rel=1e-6)


@pytest.mark.slow
def test_a_compiled_loop_is_repeated(catalog):
    made = exported(catalog, "scratch_lstm", "{use: [compile]}", LENGTHS, "train")
    assert made.replay.failure == ""
    assert find_difference(made.text, made.replay, {}, 60) == ""


@pytest.mark.slow
def test_every_trial_of_every_suite_is_repeated(catalog):
    """Only the first block of each suite, since the others differ in sizes and data."""
    from harness.suite.loader import load_suite

    root = Path(__file__).parents[2] / "suites"
    for path in sorted(root.rglob("*.yaml")):
        plan = make_plan(load_suite(path, catalog), catalog)
        block = plan.blocks[0]
        for trial in block.trials:
            mode = (block.measures.modes or ("train",))[0]
            made = make_script(catalog, ExportedTrial(plan, block, trial, mode))
            assert made.replay.failure == ""
            assert values_of(made.text) == pytest.approx(made.replay.values, rel=1e-5), (path, trial.level)
