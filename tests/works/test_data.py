"""Data.

Train and test may be lists, torch datasets, or files of your own. What breaks the contract of sequences is refused before anything trains,
by `harness check` and by `harness run`, with the name of the example.
"""

from __future__ import annotations

from pathlib import Path

import everyday_data
import pytest
import torch
from everyday_data import Loaded, Streamed, example, lists
from harness_rnn.contract import NO_LABEL, SequenceFacts, sequence_data
from harness_rnn.datasets.delimited import delimited
from harness_rnn.datasets.text import tokenise
from tried import LITTLE, tried

from harness import Data, UserError
from harness.measure.runtime.digests import digest_of_data
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins

CATALOG = Catalog(load_plugins([Path(everyday_data.__file__)]))


def failures(dataset: str) -> dict[str, str]:
    """Why each level fails on a dataset, if it does."""
    base = {
        "model": {"name": "lstm", "hidden_size": 4, "embedding_size": 4},
        "dataset": {"name": dataset, "batch_size": 8},
        "use": ["adam"],
    }
    levels = {"packed": {"use": ["pack"]}, "sorted": {"use": ["bucket"]}}
    if dataset == "with_features":
        del base["model"]["embedding_size"]
    found = tried(CATALOG, base, levels, LITTLE)
    return {level: data["failed"] for level, data in found.items() if "failed" in data}


@pytest.mark.parametrize("dataset", ["torch_dataset", "torch_subset", "bare_class", "only_sequence"])
def test_torch_datasets_without_slices(dataset):
    """A torch `Dataset` is used as it is, if it has a length.

    It needs only `__len__` and `__getitem__(position)`: no slices, no iteration and no lists of positions.
    """
    assert failures(dataset) == {}


def test_an_iterable_dataset_is_refused():
    """A torch `IterableDataset`, a generator or a `DataLoader` is refused, with the reason.

    Each seed shuffles the examples, and splits them if train and test are exchangeable. Both need positions. Put the
    examples into a list, or give the class `__len__` and `__getitem__(position)`.
    """
    generator = (example(position) for position in range(9))
    loader = torch.utils.data.DataLoader(Loaded(64))
    for examples, kind in ((Streamed(), "Streamed"), (generator, "generator"), (loader, "DataLoader")):
        with pytest.raises(TypeError, match=rf"train is a {kind}; expected a list, or an object with __len__\(\) and"):
            sequence_data(examples, [example(0)], everyday_data.FACTS)
        with pytest.raises(TypeError, match=f"test is a {kind}"):
            Data([1, 2, 3], examples, list)


@pytest.mark.parametrize("dataset", ["in_lists", "labelled_steps", "with_features", "with_values"])
def test_kinds_of_labels_and_inputs(dataset):
    """Sequences of tokens or of features have a class, a number, or a class for each step."""
    assert failures(dataset) == {}


def test_sequences_without_steps_are_refused():
    """A sequence has at least one step.

    An empty one is refused with its name. Leave it out, or give it one unknown token. Padded, it would read padding;
    packed, it would be an error of torch.
    """
    with pytest.raises(UserError, match=r"^train example 5 \(id 5\) has no steps; expected at least one: leave it out"):
        everyday_data.empty_row()


def changed(**fields):
    return lambda: lists(lambda one: one._replace(**fields))


NAMED = r"^train example 5 \(id 5\) has "


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (changed(label=2), NAMED + "the label 2; expected a class from 0 to 1"),
        (changed(label=-1), NAMED + "the label -1; expected a class from 0 to 1"),
        (changed(label=1.0), NAMED + "the label 1.0 of type float; expected a class as int"),
        (changed(label=True), NAMED + "the label True of type bool; expected a class as int"),
        (changed(label=torch.tensor(1)), NAMED + "the label .* of type Tensor; expected a class as int"),
        (changed(tokens=torch.tensor([2, 10])), NAMED + "the token 10 at step 1; ids are from 1 .* to 9"),
        (changed(tokens=torch.tensor([3, 0, 2])), NAMED + "the token 0 at step 1, which is padding; ids are from 1"),
        (changed(tokens=torch.tensor([3, -2])), NAMED + "the token -2 at step 1"),
        (changed(tokens=torch.tensor([3, 4]).int()), r"^train example 5 has tokens \(2,\) int32; expected \(steps,\) int64"),
        (changed(tokens=[3, 4]), "^train example 5 has a list as tokens; expected a tensor"),
        (changed(id=4), r"^train example 5 \(id 4\) has the id of another example; ids must differ"),
        (lambda: lists(lambda one: tuple(one)), "^train example 5 is a tuple without id; expected a SequenceExample"),
        (lambda: everyday_data.steps(lambda label: label[:-1]), NAMED + "5 labels for 6 steps"),
        (lambda: everyday_data.steps(lambda label: label + 1), NAMED + "the label 2; expected classes from 0 to 1, or"),
        (lambda: everyday_data.steps(lambda label: label - 1), NAMED + "the label -1; expected classes from 0 to 1, or"),
        (lambda: everyday_data.steps(lambda label: label * 0 + NO_LABEL), NAMED + "no label: each is -100; leave it out"),
        (lambda: everyday_data.steps(lambda label: label.float()), NAMED + r"labels \(6,\) float32; expected a"),
        (lambda: everyday_data.steps(lambda label: label.tolist()), NAMED + r"labels of type list; expected a tensor \(6,\)"),
        (lambda: everyday_data.features(float("nan")), NAMED + "a feature at step 2 that is not finite"),
        (lambda: everyday_data.features(float("-inf")), NAMED + "a feature at step 2 that is not finite"),
        (lambda: everyday_data.features(width=4), r"^sequence 5 is \(6, 4\) float32, and sequence 0 is \(1, 3\) float32"),
        (lambda: everyday_data.values(float("inf")), NAMED + "the label inf, which is not finite"),
        (lambda: everyday_data.values(3), NAMED + "the label 3 of type int; expected a float"),
    ],
)  # fmt: skip
def test_examples_that_break_the_contract_are_refused(build, message):
    """Labels, token ids, features and ids that no model could use are refused with the name of the example.

    All examples of lists and of `Sequences` are checked. Of a dataset that may load its examples one by one, 1,000 of
    each set are checked.
    """
    with pytest.raises((UserError, ValueError), match=message):
        build()


def test_labels_that_no_training_example_has():
    """A class that occurs only in the test set is allowed.

    No model can learn it, and the score shows that. The number of classes is a fact of the dataset, not of its sample.
    """
    data = lists(lambda one: one._replace(label=2), SequenceFacts(vocabulary=10, classes=4))
    assert data.facts.classes == 4


def test_large_datasets_are_not_read_twice():
    """A dataset that loads its examples one by one is not read completely before training begins."""
    train, test = Loaded(50_000), Loaded(3000, 50_000)
    digest_of_data(sequence_data(train, test, everyday_data.FACTS))
    assert train.read < 1200
    assert test.read < 1200


ROWS = [f"film {number}\t{'pos' if number % 2 else 'neg'}" for number in range(20)]


def table(here: Path, *rows: str, name: str = "a.tsv", end: str = "\n", encoding: str = "utf-8") -> str:
    """The path of a table with a header."""
    path = here / name
    path.write_bytes(end.join(["text\tlabel", *rows, ""]).encode(encoding))
    return str(path)


@pytest.mark.parametrize("stray", [['"Oh no\tpos', 'the end"\tneg'], ['"Oh\tpos', *ROWS, 'end"\tneg'], ['"Oh no\tpos']])
def test_a_stray_quote_hides_no_rows(tmp_path, stray):
    """A quote that hides the rows after it is an error with file and line.

    `quoting: none` reads quotes as characters, `quoting: multiline` says that a field has several lines. Fields with
    several lines that do not look like rows are read without either.
    """
    path = table(tmp_path, *ROWS, *stray)
    with pytest.raises(ValueError, match=r"a\.tsv:22: .*set quoting: none"):
        delimited(path=path)
    data = delimited(path=path, quoting="none")
    assert len(data.train) + len(data.test) == 20 + len(stray)
    if len(stray) > 1:
        data = delimited(path=path, quoting="multiline")
        assert len(data.train) + len(data.test) == 21


def test_fields_with_several_lines(tmp_path):
    """A quoted field may contain line ends, quotes and delimiters, as spreadsheets and pandas write them."""
    rows = ['"so so\nin ""two"" lines, and more\n\nthe end"\tpos', *ROWS]
    data = delimited(path=table(tmp_path, *rows), unit="character")
    assert len(data.train) + len(data.test) == 21
    swapped = [f"{label}\t{text}" for text, label in (row.rsplit("\t", 1) for row in rows)]
    data = delimited(path=table(tmp_path, *swapped), text="label", label="text", unit="character")
    assert len(data.train) + len(data.test) == 21


def test_long_fields(tmp_path):
    """A field may be longer than 131,072 characters, the limit of Python's csv module."""
    data = delimited(path=table(tmp_path, *ROWS, "word " * 60_000 + "\tpos"))
    assert max(len(one.tokens) for one in [*data.train, *data.test]) == 60_000


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_and_byte_order_marks(tmp_path, end, encoding):
    """Line ends of any system, a byte order mark, and blank lines or blank rows at the end do not matter."""
    plain = delimited(path=table(tmp_path, *ROWS, name="plain.tsv"))
    data = delimited(path=table(tmp_path, *ROWS, "", "\t", "  ", end=end, encoding=encoding))
    assert torch.equal(data.train.flat, plain.train.flat)
    assert data.train.labels == plain.train.labels


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "text\tlabel\nd\xe9j\xe0\tpos\n".encode("latin-1"),
            r"a\.tsv:2: invalid UTF-8 \(byte 0xe9\); if it is Latin-1",
        ),
        ("text\tlabel\nfine\tpos\n".encode("utf-16"), r"a\.tsv:1: this is UTF-16; convert it: iconv"),
        ("text\tlabel\nfine\tpos\n".encode("utf-16-le"), r"a\.tsv:1: a NUL byte"),
        (b"text\tlabel\nfine\tpos\nno\0t\tneg\n", r"a\.tsv:3: a NUL byte"),
        (b"text\ttext\tlabel\na\tb\tpos\n", r"a\.tsv:1: 2 columns have the name 'text'; give a number"),
        (b"text\tlable\na\tpos\n", r"a\.tsv:1: there is no column 'label' \(did you mean lable\?\)"),
        (b"text\tlabel\na\tpos\nb\tand\tneg\n", r"a\.tsv:3: 3 columns, but the first row has 2; .* needs quotes"),
        (
            b'"text\tlabel\na\tpos\nb"\tneg\n',
            r"a\.tsv:1: a quoted field goes on for 3 lines, of which 3 look like rows",
        ),
        (b'text\tlabel\n"A" film\tpos\n', r"a\.tsv:2: .* set quoting: none if quotes are ordinary characters"),
        (b"text\tlabel\na\tpos\n\tneg\n", r"a\.tsv:3: the text is empty; remove this row"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, content, message):
    """Other encodings, NUL bytes, duplicate headers, missing columns and rows that are too long are refused.

    The message has the file, the line and what to do. Rows with an empty text are refused, too: whether to drop them
    or to keep them changes the task, so it is not decided silently.
    """
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        delimited(path=str(tmp_path / "a.tsv"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("हिन्दी में किताब।", ["हिन्दी", "में", "किताब", "।"]),
        ("كِتَابٌ جميلٌ", ["كِتَابٌ", "جميلٌ"]),
        ("தமிழ் நூல்", ["தமிழ்", "நூல்"]),
        ("ไม่ดี, มาก", ["ไม่ดี", ",", "มาก"]),
        ("שָׁלוֹם!", ["שָׁלוֹם", "!"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("cafe\u0301 caf\u00e9", ["caf\u00e9", "caf\u00e9"]),
        ("fine 👍🏽👨\u200d👩\u200d👧", ["fine", "👍🏽", "👨\u200d👩\u200d👧"]),
        ("don't stop_it, m²", ["don't", "stop_it", ",", "m²"]),
    ],
)
def test_words_in_any_script(text, words):
    """Words with combining marks stay whole: Devanagari, Arabic with vowels, Tamil, Thai, Hebrew with points.

    Composed and decomposed accents make the same word, and an emoji is one token. Scripts without spaces between words,
    such as Chinese and Thai, are split only at spaces and punctuation marks: use `unit: character` for them.
    """
    assert tokenise(text, "word") == words
