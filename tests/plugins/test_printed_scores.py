"""Scores in the output of programs: patterns, keys, files, and what is said where there is none or not just one."""

from __future__ import annotations

import os
import time

import pytest

from harness.errors import UserError
from harness.plugins.printed_scores import ScoreNotFound, ScoreReader

OUTPUT = 'step 1\nacc=0.5\n{"loss": 2, "test": {"f1": 0.25}}\nacc=0.75\n{"loss": 1.5}\nend\n'


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (r"acc=([\d.]+)", "acc"),
        (r"test accuracy:\s*(\S+)", "accuracy"),
        (r"(\d+)", "score"),
        (r"(?P<f1>\d+)", "f1"),
        (r"last:val_loss=(.*)", "val_loss"),
        ("json:test.f1", "f1"),
        ("file:out/metrics.json:acc", "acc"),
        (r"file:log.txt:last:loss (\S+)", "loss"),
        ("file:log.txt:json:loss", "loss"),
    ],
)
def test_names_of_scores(text, name):
    assert ScoreReader.parse(text).name == name


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"last:acc=([\d.]+)", 0.75),
        (r"first:acc=([\d.]+)", 0.5),
        (r"step (\d+)", 1.0),
        (r"^step (\d+)$", 1.0),
        ("json:loss", 1.5),
        ("json:test.f1", 0.25),
    ],
)
def test_scores_of_an_output(text, value, tmp_path):
    assert ScoreReader.parse(text).find(OUTPUT, tmp_path, 0, 0.0) == value


def test_equal_matches_are_one_value_and_units_do_not_matter(tmp_path):
    assert ScoreReader.parse(r"acc=(\S+)").find("acc=93.1%\nacc=93.1%.\n", tmp_path, 0, 0.0) == 93.1


@pytest.mark.parametrize(
    ("text", "output", "message"),
    [
        (r"f1=(\S+)", OUTPUT, r"its output has no match of the pattern 'f1=(\\S+)'"),
        (
            r"acc=(\S+)",
            OUTPUT,
            r"the pattern 'acc=(\\S+)' matches 2 different values in its output (0.5, 0.75); write last:acc=(\S+) or "
            r"first:acc=(\S+) to choose one",
        ),
        (r"acc=(\S+)", "acc=high", r"the pattern 'acc=(\\S+)' matches 'high', not a number"),
        (r"acc=(\S+)", "acc=nan", r"the pattern 'acc=(\\S+)' matches nan, not a finite number"),
        ("json:acc", OUTPUT, "its output has no line that is a JSON object with the key 'acc'"),
        ("json:test", OUTPUT, "'test' is {\"f1\": 0.25} in its output, not a number"),
        ("file:metrics.json:acc", "", "it did not write metrics.json (No such file or directory)"),
    ],
)
def test_what_is_said_where_there_is_no_score(text, output, message, tmp_path):
    with pytest.raises(ScoreNotFound) as caught:
        ScoreReader.parse(text).find(output, tmp_path, 0, 0.0)
    assert str(caught.value) == message


def test_a_file_must_be_of_this_run(tmp_path):
    reader = ScoreReader.parse("file:out-{seed}.json:acc")
    file = tmp_path / "out-3.json"
    file.write_text('{"acc": 0.5}')
    assert reader.find("", tmp_path, 3, time.time()) == 0.5
    os.utime(file, (1, 1))
    with pytest.raises(ScoreNotFound, match=r"it did not write out-3.json in this run; the file is older"):
        reader.find("", tmp_path, 3, time.time())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acc=", "the pattern 'acc=' has no group around the number. Examples: "),
        (
            "(a)(b)",
            "the pattern '(a)(b)' has 2 groups; expected one, the number. Write (?:...) for a group that is not",
        ),
        ("acc=(", "'acc=(' is not a regular expression: missing ), unterminated subpattern"),
        ("json:", "'json:' lacks a key. Example: json:accuracy"),
        ("file:metrics.json", "'file:metrics.json' lacks what to read in the file. Write file:PATH:KEY"),
        ("file:", "'file:' lacks a file."),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(UserError) as caught:
        ScoreReader.parse(text)
    assert str(caught.value).startswith(message)
