"""The YAML reader: scalars, keys, limits, and the places of values."""

from __future__ import annotations

import math

import pytest

from harness.errors import UserError
from harness.suite.yaml_source import read_file, read_text


def value(text: str):
    return read_text(text, "f.yaml").value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on", "on"), ("off", "off"), ("no", "no"), ("yes", "yes"), ("y", "y"),
        ("true", True), ("False", False), ("null", None), ("~", None), ("''", ""),
        ("010", 10), ("0o10", 8), ("0x1F", 31), ("-3", -3), ("+3", 3), ("1_000", "1_000"), ("0b1", "0b1"),
        ("1e-3", 0.001), ("1.", 1.0), (".5", 0.5), ("1.5E3", 1500.0), (".inf", math.inf), ("-.inf", -math.inf),
        ("1:30", "1:30"), ("2001-01-01", "2001-01-01"), ("'5'", "5"), ('"on"', "on"), ("!!str 5", "5"),
        ("!!int '5'", 5), ("!!float 5", 5.0), ("!!bool true", True), ("1%", "1%"), ("60 s", "60 s"),
    ],
)  # fmt: skip
def test_scalars_by_the_core_schema_of_yaml_1_2(text, expected):
    assert value(f"a: {text}") == {"a": expected}
    assert type(value(f"a: {text}")["a"]) is type(expected)


def test_keys_are_strings():
    assert value("{on: 1, 64: 2, 1e-3: 3, null: 4}") == {"on": 1, "64": 2, "1e-3": 3, "null": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1: the key 'a' occurs twice (first in line 1)."),
        ("a: !!python/object:os.system x", "f.yaml:1:4: the tag !!python/object:os.system is not allowed here."),
        ("a: !mine x", "the tag !mine is not allowed here."),
        ("a: !!int x", "the tag !!int is not allowed here."),
        ("a: !!set {b}", "the tag !!set is not allowed here."),
        (
            "base: &b {x: 1}\nc:\n  <<: *b",
            "f.yaml:3:3: YAML 1.2 has no merge keys. Put shared values in base; levels patch it.",
        ),
        ("? [a]\n: 1", "f.yaml:1:3: expected text as a key."),
        ("a: &a [*a]", "f.yaml:1:4: this alias contains itself."),
        ("a: [1, 2", "is not valid YAML: "),
        ("a: 1\n b: 2", "f.yaml:2:"),
        ("a: *nowhere", "is not valid YAML: found undefined alias"),
        ("\x00", "is not valid YAML: "),
        ("a: 1\n---\nb: 2", "is not valid YAML: "),
        ("", "f.yaml: this file is empty."),
        ("# only a comment", "is empty."),
    ],
)
def test_invalid_yaml_is_refused_with_its_place(text, message):
    with pytest.raises(UserError) as caught:
        value(text)
    assert message in str(caught.value)


def test_aliases_are_limited():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for before, name in zip("abcdef", "bcdefg", strict=True):
        bomb += f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
    with pytest.raises(UserError, match="more than 10000 values"):
        value(bomb)
    assert value("a: &a [1]\nb: *a") == {"a": [1], "b": [1]}


def test_deep_nesting_is_an_error():
    with pytest.raises(UserError):
        value("[" * 5000 + "]" * 5000)


def test_places_of_values_and_keys():
    source = read_text("a:\n  bc: [1, 22]\n", "f.yaml")
    assert str(source.place(("a", "bc", 1))) == "f.yaml:2:11"
    assert str(source.place(("a", "bc"), key=True)) == "f.yaml:2:3"
    assert str(source.place(("a", "bc", 7, "no"))) == "f.yaml:2:7"


def test_unreadable_files_are_errors(tmp_path):
    (tmp_path / "packing.yaml").write_text("a: 1")
    with pytest.raises(UserError, match=r"file not found\. Did you mean .*packing.yaml"):
        read_file(tmp_path / "pakcing.yaml")
    with pytest.raises(UserError, match="expected a suite, found a folder"):
        read_file(tmp_path)
    (tmp_path / "image.yaml").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UserError, match="is not UTF-8 text"):
        read_file(tmp_path / "image.yaml")
