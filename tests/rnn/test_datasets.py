"""Built-in datasets of sequences: collating, tokens, splits, lengths and fingerprints."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from harness_rnn.contract import PADDING, UNKNOWN, collate, count, probes
from harness_rnn.datasets import lengths as lengths_module
from harness_rnn.datasets import reviews as reviews_module
from harness_rnn.datasets import syllables as syllables_module
from harness_rnn.datasets.lengths import lengths
from harness_rnn.datasets.reviews import reviews
from harness_rnn.datasets.syllables import syllables
from harness_rnn.datasets.text import tokenise
from harness_rnn.datasets.vendored import read_lines


def sizes(examples) -> list[int]:
    return [len(example.tokens) for example in examples]


@pytest.fixture(scope="module")
def movies():
    return reviews()


def test_collate_pads_to_the_longest_and_keeps_ids():
    data = lengths(examples=16)
    batch = collate(data.train[3:7])
    assert batch.ids.tolist() == [3, 4, 5, 6]
    assert batch.tokens.shape == (4, max(batch.lengths))
    for row, example in enumerate(data.train[3:7]):
        assert torch.equal(batch.tokens[row, : len(example.tokens)], example.tokens)
        assert batch.tokens[row, len(example.tokens) :].eq(PADDING).all()
    steps = float(max(batch.lengths))
    assert count(batch) == {"tokens": float(batch.lengths.sum()), "slots": 4 * steps, "time_steps": steps}


def test_reviews_are_the_sentences_and_their_signs(movies):
    data = movies
    assert len(data.train) + len(data.test) == 10_568
    assert len(data.test) == 1057
    labels = Counter(example.label for example in [*data.train, *data.test])
    assert labels == {1: 5242, 0: 5326}
    everything = sizes([*data.train, *data.test])
    assert (min(everything), sorted(everything)[len(everything) // 2], max(everything)) == (2, 21, 64)
    assert data.facts.vocabulary == 5000


def test_the_vocabulary_is_built_on_the_training_set_alone():
    data = reviews(vocabulary=30_000)
    seen = set(torch.cat([example.tokens for example in data.train]).tolist())
    assert seen == set(range(2, data.facts.vocabulary))  # every id occurs in train, where no word is unknown
    unknown = sum(int(example.tokens.eq(UNKNOWN).sum()) for example in data.test)
    assert unknown > 500  # words that only the test set has


def test_frequent_words_come_first():
    data = reviews(vocabulary=100)
    assert data.facts.vocabulary == 100
    counts = Counter(torch.cat([example.tokens for example in data.train]).tolist())
    known = [counts[token] for token in range(2, 100)]
    assert known == sorted(known, reverse=True)


def test_characters_make_longer_sequences():
    data = reviews(unit="character")
    everything = sizes([*data.train, *data.test])
    assert sorted(everything)[len(everything) // 2] == 108
    assert max(everything) == 257


def test_punctuation_is_tokenised_separately():
    assert tokenise("It's GOOD, isn't it?", "word") == ["it's", "good", ",", "isn't", "it", "?"]


def test_split_is_reproducible_and_disjoint(movies):
    first, second = movies, reviews()
    assert sizes(first.train) == sizes(second.train)
    assert {e.id for e in first.train}.isdisjoint(e.id for e in first.test)


def test_syllables_are_counted():
    data = syllables()
    assert len(data.train) + len(data.test) == 117_485
    words = {}
    for example in [*data.train, *data.test]:
        words[(example.tokens + ord("a") - 2).to(torch.uint8).numpy().tobytes().decode()] = example.label + 1
    known = {"cat": 1, "water": 2, "elephant": 3, "university": 5, "antidisestablishmentarianism": 6}
    assert {word: words[word] for word in known} == known
    assert sorted(map(len, words))[len(words) // 2] == 7
    assert data.facts.classes == 6
    assert int(torch.cat([example.tokens for example in data.train]).max()) < data.facts.vocabulary


def test_vendored_files_match_the_readme():
    assert len(read_lines("reviews.tsv.gz")) == 10_606
    assert len(read_lines("syllables.tsv.gz")) == 117_485


@pytest.mark.parametrize(
    ("settings", "low", "mean", "high"),
    [
        ({"distribution": "fixed", "mean": 25}, 25, 25, 25),
        ({"distribution": "uniform", "mean": 50}, 1, 50, 99),
        ({"distribution": "lognormal", "mean": 40, "spread": 0.6}, 1, 40, 400),
        ({"distribution": "lognormal", "mean": 40, "spread": 0.0}, 40, 40, 40),
        ({"distribution": "bimodal", "short": 10, "long": 200, "long_share": 0.1}, 10, 29, 200),
        ({"distribution": "zipf", "exponent": 2.0, "longest": 50}, 1, None, 50),
    ],
)
def test_lengths_follow_their_distribution(settings, low, mean, high):
    data = lengths(examples=4000, **settings)
    found = sizes(data.train)
    assert low <= min(found)
    assert max(found) <= high
    if mean is not None:
        assert sum(found) / len(found) == pytest.approx(mean, rel=0.05)


def test_lognormal_spread_and_zipf_slope():
    logs = torch.tensor(sizes(lengths(examples=4000, mean=60, spread=0.5, longest=10_000).train)).double().log()
    assert logs.std() == pytest.approx(0.5, rel=0.05)
    counts = Counter(sizes(lengths(examples=20_000, distribution="zipf", exponent=2.0).train))
    assert math.log(counts[1] / counts[4]) / math.log(4) == pytest.approx(2.0, abs=0.2)


def test_lengths_from_a_file(tmp_path):
    path = tmp_path / "lengths.txt"
    path.write_text("3 5\n8\n")
    data = lengths(distribution="file", file=str(path), examples=200)
    assert set(sizes(data.train)) == {3, 5, 8}
    path.write_text("3\n5 x\n")
    with pytest.raises(ValueError, match=r"lengths.txt:2: 'x' is not a length"):
        lengths(distribution="file", file=str(path))
    with pytest.raises(ValueError, match="distribution: file needs the parameter file"):
        lengths(file=str(path))


def test_first_token_determines_the_class():
    data = lengths(examples=500, classes=3)
    assert all(example.label == int(example.tokens[0]) % 3 for example in data.train)
    assert len({example.label for example in data.train}) == 3


def test_fingerprints_follow_the_content(tmp_path):
    assert len(reviews_module.fingerprint(unit="word", vocabulary=5, test_share=0.1)) == 16
    assert syllables_module.fingerprint(most=6, test_share=0.1) != reviews_module.fingerprint(
        unit="word", vocabulary=5, test_share=0.1
    )
    path = tmp_path / "lengths.txt"
    path.write_text("3")
    before = lengths_module.fingerprint(file=str(path))
    path.write_text("4")
    assert lengths_module.fingerprint(file=str(path)) != before


@pytest.mark.parametrize("seed", range(5))
def test_probe_batch_has_extreme_lengths(seed):
    mixed, single, uneven = (collate(rows).lengths.tolist() for rows in probes(lengths(examples=64).train, seed))
    assert mixed.count(1) >= 2
    assert len(set(mixed)) < len(mixed) - 1
    assert mixed != sorted(mixed, reverse=True)
    assert len(single) == 1
    assert max(uneven) > 10 * sorted(uneven)[-2]
