"""Optimizations: verification for every model and shape, and the computation of each."""

from __future__ import annotations

import itertools
from random import Random

import pytest
import torch
from harness_rnn.contract import SequenceExample, collate, count
from harness_rnn.datasets.lengths import lengths
from harness_rnn.models.torch_rnn import lstm
from harness_rnn.optimizations import bucket, clip, forget_bias, pack, segment
from harness_rnn.optimizations.segment import cut
from rnn_suite import CUT, SHAPES, TORCH, base

from harness.errors import UserError
from harness.plugins.recipe import Recipe
from harness.testing import assert_promises, verify_level, verify_levels

SCRATCH = ["scratch_rnn", "scratch_lstm", "scratch_gru"]


#: Levels of torch's models, and what they change.
LEVELS = {
    "packed": ({"use": ["pack"]}, "rounding"),
    "sorted and packed": ({"use": [{"name": "pack", "enforce_sorted": True}]}, "rounding"),
    "cut": ({"use": [CUT]}, "rounding"),
    "bucketed and cut": ({"use": ["bucket", CUT]}, "order"),
    "segmented": ({"use": ["segment"]}, "rounding"),
    "from scratch": ({"use": ["from_scratch"]}, "rounding"),
    "hoisted and cut": ({"use": [{"name": "from_scratch", "hoist": True}, CUT]}, "rounding"),
    "scratch model": ({"model": {"name": "scratch_MODEL"}}, "rounding"),
    "hoisted scratch model": ({"model": {"name": "scratch_MODEL", "hoist": True}}, "rounding"),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("model", TORCH)
def test_optimizations_keep_the_results_of_torch_models(model, shape, catalog):
    levels = {name: level for name, (level, _) in LEVELS.items()}
    for name in ("scratch model", "hoisted scratch model"):
        levels[name] = {"model": {**levels[name]["model"], "name": f"scratch_{model}"}}
    findings = verify_levels(base(model, **shape), levels, catalog=catalog)
    results = {name: (finding["outcome"], finding["changes"]) for name, finding in findings.items()}
    assert results == {name: ("ok", changes) for name, (_, changes) in LEVELS.items()}, findings


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("model", SCRATCH)
def test_scratch_models_keep_their_results_in_segments(model, shape, catalog):
    assert_promises(base(model, **shape), {"use": [CUT]}, catalog=catalog)


def test_from_scratch_keeps_the_nonlinearity(catalog):
    assert_promises(base("rnn", nonlinearity="relu"), {"use": ["from_scratch"]}, catalog=catalog)


def test_different_size_is_a_different_model(catalog):
    finding = verify_level(base("lstm"), {"model": {"name": "scratch_lstm", "hidden_size": 16}}, catalog=catalog)
    assert (finding["outcome"], finding["changes"]) == ("ok", "model")


def test_naive_readout_changes_the_answer(catalog):
    finding = verify_level(base("lstm"), {"use": ["last_naive"]}, catalog=catalog)
    assert (finding["outcome"], finding["changes"]) == ("ok", "answer")


@pytest.mark.parametrize(("name", "shape"), [("reads_pads", {"bidirectional": True}), ("naive_readout", {})])
def test_verification_finds_models_that_read_padding(name, shape, tmp_path):
    """Two typical errors, declared as the same computation, are found with extreme lengths."""
    plugin = tmp_path / f"mistakes_{name}.py"
    plugin.write_text(MISTAKES)
    finding = verify_level(base("lstm", **shape), {"use": [name]}, plugins=[plugin])
    assert finding["outcome"] == "invalid"
    assert "promises the same computation, but" in finding["reason"]
    with pytest.raises(AssertionError, match="invalid: promises the same computation"):
        assert_promises(base("lstm", **shape), {"use": [name]}, plugins=[plugin])


MISTAKES = """
import harness
from harness_rnn.models.encoder import last_valid
from harness_rnn.optimizations.last_naive import last_naive

def reads_pads(recipe):
    def core(model, x, lengths, carry=None):
        outputs, _ = model.encoder.rnn(x)
        return outputs, last_valid(outputs, lengths), None
    return recipe.replace("model.core", core)

@harness.hookimpl
def provide_optimizations():
    yield harness.Optimization("reads_pads", reads_pads, changes="rounding")
    yield harness.Optimization("naive_readout", last_naive, changes="rounding")
"""


def test_naive_readout_reads_padding():
    torch.manual_seed(0)
    data = lengths(examples=64, vocabulary=50)
    model = lstm(data.facts, hidden_size=8)
    batch = collate(data.train[:8])
    outputs, final, _ = model.run(batch)
    longest = int(batch.lengths.argmax())
    difference = (outputs[:, -1] - final).abs().amax(1)
    assert difference[longest] == 0
    assert difference[batch.lengths < batch.lengths.max()].min() > 1e-4


def test_scratch_models_cannot_be_packed(catalog):
    with pytest.raises(UserError, match="pack needs packable, which scratch_lstm does not offer"):
        verify_level(base("scratch_lstm"), {"use": ["pack"]}, catalog=catalog)


@pytest.mark.parametrize("others", [["clip"], [{"name": "clip", "max_value": 0.001}], ["forget_bias"]])
def test_larger_declared_changes_are_verified_less_strictly(others, catalog):
    assert_promises(base("lstm"), {"use": others}, catalog=catalog)


@pytest.mark.parametrize(("first", "second"), [("pack", "segment"), ("segment", "pack")])
def test_pack_and_segment_exclude_each_other(first, second, catalog):
    with pytest.raises(UserError, match=f"{second} replaces model.core, which {first} has changed already"):
        verify_level(base("lstm"), {"use": [first, second]}, catalog=catalog)


def test_segment_sorts_an_unsorted_batch():
    """A direct call of the model returns the rows in the order of the batch."""
    torch.manual_seed(0)
    model = lstm(lengths(vocabulary=50).facts, hidden_size=6, num_layers=2, bidirectional=True).double()
    core = segment.segment(Recipe(), overhead=5).seam("model.core", type(model).core)
    batch = collate(lengths(vocabulary=50, examples=64).train[:9])
    x = model.embed(batch.tokens)
    valid = (torch.arange(x.shape[1]) < batch.lengths[:, None])[..., None]
    for ours, theirs in zip(core(model, x, batch.lengths)[:2], model.core(x, batch.lengths)[:2], strict=True):
        mask = valid if ours.ndim == 3 else True
        assert ((ours - theirs) * mask).abs().max() < 1e-12


@pytest.mark.parametrize("seed", range(50))
def test_cuts_cover_every_step_and_cost_least(seed):
    """Against all possible cuts."""
    random = Random(seed)
    sizes = sorted((random.randint(1, 12) for _ in range(random.randint(1, 6))), reverse=True)
    overhead = random.choice([0, 3, 10])

    def cost(bounds: list[int]) -> int:
        total = 0
        for start, stop in itertools.pairwise(bounds):
            total += sum(size > start for size in sizes) * (stop - start) + overhead
        return total

    inner = sorted(set(sizes))[:-1]
    ways = [[0, *chosen, sizes[0]] for n in range(len(inner) + 1) for chosen in itertools.combinations(inner, n)]
    pieces = cut(sizes, overhead)
    assert [pieces[0].start, *(piece.stop for piece in pieces)] in ways
    assert [piece.active for piece in pieces] == [sum(size > piece.start for size in sizes) for piece in pieces]
    assert cost([0, *(piece.stop for piece in pieces)]) == min(map(cost, ways))


def test_counted_slots_equal_computed_slots():
    examples = [SequenceExample(i, torch.full((n,), 2), 0) for i, n in enumerate([5, 1, 100])]
    batch = collate(examples)
    model = lstm(lengths().facts, hidden_size=16)

    def slots(recipe: Recipe) -> float:
        found = recipe.seam("count", lambda model, batch: count(batch))(model, batch)
        assert found["tokens"] == 106
        return found["slots"]

    assert slots(Recipe()) == 300
    assert slots(pack.pack(Recipe())) == 106
    assert slots(segment.segment(Recipe(), overhead=0)) == 106
    assert slots(segment.segment(Recipe(), overhead=10**6)) == 300
    assert slots(segment.segment(Recipe())) == 300  # a cut costs 1,000 in a model this small
    large = lstm(lengths().facts, hidden_size=256)
    assert segment.segment(Recipe()).seam("count", lambda m, b: count(b))(large, batch)["slots"] == 3 * 5 + 95


def test_buckets_hold_every_example_once_and_pad_less():
    data = lengths(examples=512, spread=0.8)
    order = bucket.bucket(Recipe(), pool=8).seam("order", lambda *given: [])
    batches = order(data.train, 32, Random(0))
    assert sorted(p for batch in batches for p in batch) == list(range(512))
    assert {len(batch) for batch in batches} == {32}
    slots = [sum(count(collate([data.train[p] for p in b]))["slots"] for b in way) for way in (
        batches, [range(at, at + 32) for at in range(0, 512, 32)]
    )]  # fmt: skip
    assert slots[0] < 0.7 * slots[1]
    assert order(data.train, 32, Random(0)) == batches


def test_clip_bounds_the_norm_and_the_values():
    for settings, measure in (
        ({"max_norm": 0.5}, torch.linalg.vector_norm),
        ({"max_value": 0.5}, lambda g: g.abs().max()),
    ):
        layer = torch.nn.Linear(4, 4, bias=False)
        layer.weight.grad = torch.randn(4, 4) * 100
        seen = []
        update = clip.clip(Recipe(), **settings).seam(
            "update", lambda m, o, seen=seen: seen.append(m.weight.grad.clone())
        )
        update(layer, None)
        assert measure(seen[0]) == pytest.approx(0.5, rel=1e-4)


def test_clip_refuses_invalid_values():
    with pytest.raises(ValueError, match="max_norm = -1: it must be above 0"):
        clip.clip(Recipe(), max_norm=-1)


@pytest.mark.parametrize("name", ["lstm", "scratch_lstm"])
def test_forget_bias_is_the_total_in_every_layer_and_direction(name, catalog):
    from harness.plugins.catalog import resolve

    family = "torch_rnn" if name == "lstm" else "scratch"
    build = resolve(f"harness_rnn.models.{family}:{name}", "test")
    model = build(lengths().facts, hidden_size=6, num_layers=2, bidirectional=True)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    forget_bias.forget_bias(Recipe(), value=1.0).seam("init", lambda model: None)(model)
    after = model.state_dict()
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        total = after[f"encoder.rnn.bias_ih_{suffix}"] + after[f"encoder.rnn.bias_hh_{suffix}"]
        assert torch.equal(total[6:12], torch.ones(6))
        for kind in ("bias_ih", "bias_hh"):
            key = f"encoder.rnn.{kind}_{suffix}"
            assert torch.equal(after[key][:6], before[key][:6])
            assert torch.equal(after[key][12:], before[key][12:])
    assert torch.equal(after["classifier.bias"], before["classifier.bias"])


def test_chrono_biases_mirror_each_other():
    torch.manual_seed(0)
    model = lstm(lengths().facts, hidden_size=200)
    forget_bias.forget_bias(Recipe(), longest=50).seam("init", lambda model: None)(model)
    total = model.encoder.rnn.bias_ih_l0 + model.encoder.rnn.bias_hh_l0
    assert torch.equal(total[:200], -total[200:400])
    assert 0 <= total[200:400].min() < 1.0
    assert 3.5 < total[200:400].max() <= torch.log(torch.tensor(49.0))


def test_gru_has_no_forget_gate(catalog):
    with pytest.raises(UserError, match="forget_bias needs forget_gate, which gru does not offer"):
        verify_level(base("gru"), {"use": ["forget_bias"]}, catalog=catalog)
