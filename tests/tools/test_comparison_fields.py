"""Everything that a run stores is compared in some field, and docs/compare.md describes each field."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from made import SPEC, block, learning_block

from harness.errors import UserError
from harness.records.plan import Plan, Trial
from harness.records.settings import Learning, Speed
from harness.tools.comparison.fields import (
    BY_NAME,
    FIELDS,
    differences,
    fields_of_measures,
    fields_of_run,
    fields_of_trial,
    merged,
    of_machines,
    parse_allowed,
    run_key,
)
from harness.tools.comparison.pairs import in_both

ROOT = Path(__file__).parents[2]
MACHINE = ROOT / "results" / "reference" / "packing" / "machine.json"
PLAN = Plan("made", "Is it?", "what", (block("plain", "other"),))


def run_differences(a, b):
    return differences(fields_of_run(*a), fields_of_run(*b))


def trial_differences(a, b, place):
    return differences(fields_of_trial(a), fields_of_trial(b), place)


TRIAL = Trial("other", SPEC, SPEC, (SPEC,), 1, 0, "cpu", "print", "rounding", {"A": "1"})


def test_every_field_is_filled_and_none_is_unknown():
    filled = {
        *fields_of_run({}, PLAN),
        *fields_of_trial(TRIAL),
        *fields_of_measures(learning_block("a", "b", speed=Speed())),
    }
    assert filled == set(BY_NAME) - {"kernel_path"}  # only a profile shows it
    assert len(BY_NAME) == len(FIELDS)
    for field in FIELDS:
        assert field.what.endswith(".")
        assert set(field.rules_out) <= {"times", "ratios", "amounts", "scores"}


@pytest.mark.skipif(not MACHINE.exists(), reason="the reference runs are not part of a source distribution")
def test_every_fact_of_a_real_machine_is_in_some_field():
    facts = json.loads(MACHINE.read_text())
    for name, value in facts.items():
        if name == "git":
            continue
        other = {**facts, name: {"x": "1"} if isinstance(value, dict) else "something else"}
        assert run_differences((facts, PLAN), (other, PLAN)), name
    assert run_differences((facts, PLAN), (facts, PLAN)) == []
    (found,) = run_differences((facts, PLAN), ({**facts, "power_limit": 100}, PLAN))
    assert (found.name, found.a, found.b, found.rules_out) == ("facts: power_limit", "absent", "100", ())


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Trial)])
def test_every_part_of_a_trial_is_compared(name):
    """All values that the trial id is hashed from, and more. Trials are matched by their place in the suite."""
    others = {
        "model": dataclasses.replace(SPEC, name="y"), "dataset": dataclasses.replace(SPEC, parameters={"n": 1}),
        "use": (), "batch_size": 3, "seed": 1, "device": "cuda", "fingerprint": "else", "changes": "model",
        "environment": {"A": "2"},
    }  # fmt: skip
    if name in ("level", "on"):
        return
    other = dataclasses.replace(TRIAL, **{name: others[name]})
    found = trial_differences(TRIAL, other, "here")
    assert {difference.field.name for difference in found} >= {name}
    if other.id != TRIAL.id and name != "device":
        assert any("ratios" in difference.rules_out for difference in found)


@pytest.mark.parametrize("kind", [Speed, Learning])
def test_every_setting_of_a_measure_is_compared(kind):
    """A missing setting could make two different runs comparable by mistake."""
    plain = fields_of_measures(learning_block("a", "b", speed=Speed()))
    for setting in kind.model_fields:
        if setting in ("checkpoint", "planned", "metric", "also", "better", "faster_level", "of_programs"):
            # how often a run is saved, when seeds were planned, what is judged, which each run states itself, which
            # optional scores are computed and which direction of an own score is better, which `scores` lists, and the
            # error rate of one verdict in one run; and whether the trials are programs, which they say themselves
            continue
        if (kind, setting) == (Learning, "margin"):
            continue
        values = {
            "of": ("inference",), "cache": "cold", "seeds": (1, 2), "half_width": 0.5, "margin": 0.5, "quick": True,
            "until": "decided", "looks": (3, 5, 10), "rates": (0.01, 0.01, 0.01), "pooled": True, "method": 2,
            "scores": {"x": {"better": "lower", "compared": "ratio"}},
        }  # fmt: skip
        settings = {setting: values.get(setting, 7)}
        made = learning_block(
            "a", "b", speed=Speed(**settings) if kind is Speed else Speed(), **(settings if kind is Learning else {})
        )
        assert fields_of_measures(made) != plain, setting


def test_differences_are_merged_with_their_places_in_the_order_of_the_fields():
    one = trial_differences(TRIAL, dataclasses.replace(TRIAL, seed=1, batch_size=2), "here")
    other = trial_differences(TRIAL, dataclasses.replace(TRIAL, seed=1), "there")
    found = merged([*other, *one])
    assert [(d.field.name, d.places) for d in found] == [("batch_size", ("here",)), ("seed", ("there", "here"))]
    assert found[1].words == "seed was 0 and is 1"


def test_a_parameter_that_one_run_lacks_is_absent():
    newer = dataclasses.replace(TRIAL, model=dataclasses.replace(SPEC, parameters={"bias": False}))
    (found,) = trial_differences(TRIAL, newer, "here")
    assert (found.name, found.a, found.b) == ("model: bias", "absent", "no")


def test_different_gpu_models_are_different_machines():
    one, other = ({"gpus": 1, "gpu_models": [name]} for name in ("H100", "H200"))
    (found,) = of_machines(run_differences((one, PLAN), (other, PLAN)))
    assert (found.name, found.a, found.b) == ("gpu_models", "H100", "H200")
    assert run_differences(({"gpus": 0}, PLAN), ({"gpus": 0, "gpu_models": []}, PLAN)) == []


def test_the_kernel_path_is_compared_if_both_profiles_show_it():
    paths = in_both({"train": "a loop", "inference": "x"}, {"train": "fused", "other": 1})
    (found,) = differences(*({"kernel_path": path} for path in paths), "here")
    assert (found.name, found.a, found.b, found.rules_out) == ("kernel_path: train", "a loop", "fused", ())


def test_a_history_separates_torch_versions_and_not_commits():
    facts = {"torch": "1", "git": {"commit": "a"}}
    assert run_key(facts, PLAN) == run_key({**facts, "git": {"commit": "b", "dirty": True}}, PLAN)
    assert run_key(facts, PLAN) != run_key({**facts, "torch": "2"}, PLAN)


def test_only_known_fields_can_be_allowed():
    assert parse_allowed(["torch", "seed"]) == {"torch", "seed"}
    with pytest.raises(UserError, match="there is no field named") as error:
        parse_allowed(["procesor"])
    assert "processor" in error.value.fix


def test_the_docs_list_every_field():
    """The table in docs/compare.md is the table of the code."""
    words = {(): "nothing", ("times",): "times", ("times", "ratios"): "times, ratios", ("scores",): "scores",
             ("times", "ratios", "amounts"): "times, ratios, amounts",
             ("times", "ratios", "amounts", "scores"): "everything"}  # fmt: skip
    page = (ROOT / "docs" / "compare.md").read_text()
    for field in FIELDS:
        assert f"| `{field.name}` | {field.what} | {words[field.rules_out]} |" in page
