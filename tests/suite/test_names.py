"""Names of axes, levels and suites: what is a name, and what a reference to one means."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from toy_suite import SUITE, read, toy_catalog

from harness.errors import UserError, did_you_mean
from harness.plan.planner import make_plan
from harness.records.plan import Claim
from harness.suite.files import suite_name, suites_in
from harness.suite.loader import load_suite
from harness.suite.names import LONGEST, find_name

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def with_values(values: str, baseline: str = "0.1") -> str:
    """The toy suite that compares values of a learning rate."""
    text = SUITE.replace("    plain: {}\n    backwards: {use: [reverse]}\n", "")
    text = text.replace("  what:\n", f"  what: {{path: use.descent.lr, values: {values}}}\n")
    return text.replace("baseline: plain", f"baseline: {baseline}")


def with_levels(levels: str, baseline: str) -> str:
    text = SUITE.replace("    plain: {}\n    backwards: {use: [reverse]}\n", f"    {levels}\n")
    return text.replace("baseline: plain", f"baseline: {baseline}")


def error_of(text: str, *settings: str) -> str:
    with pytest.raises(UserError) as caught:
        read(text, *settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("[0.1, 1e-1, 1]", "suite.yaml:8:46: 1e-1 is the same value as 0.1 (line 8, column 41). Remove one of them."),
        ("[1, 0.1, 1.0]", "1.0 is the same value as 1 (line 8, column 41)"),
        ("[true, True]", "True is the same value as true"),
        ("['a', a]", "a is the same value as a"),
        ("[16, 0x10]", "0x10 is the same value as 16"),
        ("[1, '1']", "1 is the same value as 1"),
        ("[.nan, .NaN]", ".NaN is the same value as .nan"),
        (f"['{COMPOSED}', '{DECOMPOSED}']", "is the same value as"),
        ("[0.1, ~]", "suite.yaml:8:46: the value of an axis cannot be ~, which stands for the default. Name the levels: "),
        ("[0.1, null]", "cannot be ~"),
        ("[0.1, [1, 2]]", "suite.yaml:8:46: the value of an axis must be a text, a number or a truth value, not a list."),
        ("[0.1, {a: 1}]", "not a mapping."),
        ("[0.1, '']", "this value cannot be the name of a level: it is empty. Name the levels: "),
        ('["a\\nb", 1]', "it contains U+000A (a control character), which is not visible"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_levels_are_errors_at_their_places(values, message):
    assert message in error_of(with_values(values))


def test_one_and_true_are_different_values():
    assert list(read(with_values("[true, 1]", "1")).axes["what"]) == ["true", "1"]


@pytest.mark.parametrize(
    ("levels", "baseline", "found"),
    [
        ("{8: {}, 16: {use: [reverse]}}", "8", "8"),
        ("{8: {}, 16: {use: [reverse]}}", "8.0", "8"),
        ("{true: {}, false: {use: [reverse]}}", "true", "true"),
        ("{True: {}, False: {use: [reverse]}}", "true", "True"),
        ("{on: {}, off: {use: [reverse]}}", "on", "on"),
        ("{yes: {}, no: {use: [reverse]}}", "no", "no"),
        ("{1.10: {}, 1.1: {use: [reverse]}}", "1.10", "1.10"),
        ("{1.10: {}, 1.1: {use: [reverse]}}", "1.1", "1.1"),
        ("{010: {}, 10: {use: [reverse]}}", "010", "010"),
        ("{~: {}, other: {use: [reverse]}}", "'~'", "~"),
        (f"{{{DECOMPOSED}: {{}}, other: {{use: [reverse]}}}}", COMPOSED, COMPOSED),
        (f"{{{COMPOSED}: {{}}, other: {{use: [reverse]}}}}", DECOMPOSED, COMPOSED),
    ],
)
def test_a_baseline_is_found_as_it_was_written_or_by_its_value(levels, baseline, found):
    suite = read(with_levels(levels, baseline))
    assert suite.baseline == found
    assert found in suite.axes["what"]


@pytest.mark.parametrize("written", ["1e-5", "1.0e-05", "0.00001", "'1e-5'", "10e-6"])
def test_references_to_numbers_are_found_by_value(written):
    claims = f"claims: [{{says: s, level: {written}, expect: lower}}]\nmeasure:"
    suite = read(with_values("[0.1, 0.00001]").replace("measure:", claims))
    assert suite.claims[0].level == "1e-05"
    context = SUITE.replace("compare:", "  rate: {path: use.descent.lr, values: [0.1, 0.00001]}\ncompare:")
    suite = read(context.replace("measure:", f"skip: [{{rate: {written}, because: slow}}]\nmeasure:"))
    assert suite.skip == (({"rate": ["1e-05"]}, "slow"),)
    plan = make_plan(suite, toy_catalog(), only={"rate": ["0.1", written.strip("'")]})
    assert [block.name for block in plan.blocks] == ["0.1"]
    assert len(plan.skipped) == 2


def test_another_number_is_no_typing_error():
    message = error_of(with_values("[0.001, 0.0001]", "0.00001"))
    assert message == "suite.yaml:9:33: axis what has no level '0.00001'. Known: 0.0001, 0.001."
    assert did_you_mean("lr_1e-5", ["lr_1e-4", "lr_1e-3"]) == "Known: lr_1e-3, lr_1e-4."
    assert did_you_mean("lr-1e-5", ["lr_1e-5", "lr_1e-3"]).startswith("Did you mean lr_1e-5")


@pytest.mark.parametrize(("setting", "baseline"), [("8.0", "8"), ("true", "true"), ("{axis: what, baseline: 8}", "8")])
def test_settings_name_levels_like_the_file(setting, baseline):
    levels = with_levels("{8: {}, true: {use: [reverse]}}", "8")
    path = "compare" if setting.startswith("{") else "compare.baseline"
    assert read(levels, f"{path}={setting}").baseline == baseline


def test_settings_and_presets_replace_the_texts_of_earlier_values():
    text = with_levels("{8: {}, 16: {use: [reverse]}}", "8") + "presets: {other: {compare.baseline: 16.0}}\n"
    assert read(text, "compare.baseline='16'").baseline == "16"
    assert read(text, "compare.baseline=16").baseline == "16"
    assert read(text, "presets={}", f"axes.{DECOMPOSED}={{path: dataset.size, values: [8, 9]}}").axes[COMPOSED]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("''", "it is empty"),
        ("' '", "it is empty"),
        ('"\\u200d"', "it is empty"),
        ("' a'", "it begins or ends with white space"),
        ('"a\\u200b"', "it contains U+200B (zero width space), which is not visible"),
        ('"\\u202eb"', "it contains U+202E (right-to-left override), which is not visible"),
        ('"a\\tb"', "it contains U+0009"),
        ('"a\\u2028b"', "it contains U+2028"),
        ("x" * 300, f"it has 300 characters, and at most {LONGEST} are allowed"),
    ],
)
def test_what_is_no_name(name, why):
    message = error_of(with_levels(f"{{{name}: {{}}, other: {{use: [reverse]}}}}", "other"))
    assert message.startswith(f"suite.yaml:9:6: this text cannot be the name of a level or an axis: {why}")
    assert why in error_of(SUITE.replace("compare:", f"  {name}: {{path: dataset.size, values: [8, 9]}}\ncompare:"))


@pytest.mark.parametrize(("one", "other"), [("a b", "a  b"), ("a b", "a\u00a0b"), ("\u2764", "\u2764\ufe0f")])
def test_names_that_look_the_same_are_refused(one, other):
    message = error_of(with_levels(f"{{'{one}': {{}}, '{other}': {{use: [reverse]}}}}", one))
    assert f"{other!r} looks like {one!r}, another level." in message


def test_keys_with_composed_and_decomposed_accents_are_the_same():
    message = error_of(with_levels(f"{{{COMPOSED}: {{}}, {DECOMPOSED}: {{use: [reverse]}}}}", COMPOSED))
    assert f"the key '{COMPOSED}' occurs twice" in message


def test_emoji_and_other_scripts_are_names():
    names = [
        "\U0001f469\u200d\U0001f4bb",
        "\u05e9\u05dc\u05d5\u05dd",
        "\u4e2d\u6587",
        "a/b",
        "a, b",
        "Packed",
        "packed",
    ]
    levels = ", ".join(f"'{name}': {{use: [{{name: descent, lr: 0.{n + 1}}}]}}" for n, name in enumerate(names))
    assert list(read(with_levels(f"{{{levels}}}", "packed")).axes["what"]) == names


def test_json_writes_an_emoji_as_two_escapes():
    values = {"axis": "what", "baseline": "\U0001f422 plain"}
    text = with_levels('{"\\ud83d\\udc22 plain": {}, other: {use: [reverse]}}', "other")
    assert read(text, f"compare={json.dumps(values)}").baseline == values["baseline"]
    for half in ("\\ud83d", "\\udc22\\ud83d", "\\udc22"):
        message = error_of(with_levels(f'{{"{half}": {{}}, other: {{use: [reverse]}}}}', "other"))
        assert message.startswith(f"suite.yaml:9:6: this text contains {half[:6]}, which is only half of a character.")


@pytest.mark.parametrize(
    ("baseline", "found"), [("[plain]", "found a list"), ("{plain: 1}", "found a mapping"), ("~", "found ~"), ("", "~")]
)
def test_a_reference_that_is_no_name_says_what_was_found(baseline, found):
    assert "baseline: expected a name, " in (message := error_of(with_levels("{a: {}, b: {}}", baseline)))
    assert found in message


def test_a_number_with_thousands_of_digits_is_no_integer():
    assert "cannot be" not in error_of(with_values(f"[{'9' * 5000}, 0.1]", "1"))


def test_a_preset_is_found_in_any_form(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(SUITE + f"presets: {{{COMPOSED}: {{compare.baseline: backwards}}}}\n", encoding="utf-8")
    assert load_suite(path, toy_catalog(), preset=DECOMPOSED).baseline == "backwards"


def test_a_stored_name_is_found_in_any_form():
    assert find_name(COMPOSED, [DECOMPOSED]) == DECOMPOSED
    assert find_name("1e-3", ["0.001", "0.0010"]) is None
    assert find_name("true", ["1"]) is None
    assert find_name("~", ["null"]) is None


def test_a_warning_names_levels_that_specify_the_same_trial():
    plan = make_plan(read(with_levels("{plain: {}, same: {}, other: {use: [reverse]}}", "plain")), toy_catalog())
    assert len(plan.blocks[0].trials) == 3
    what = "same and plain specify the same trial, so a difference between them is noise."
    assert plan.remarks == (f"suite.yaml:9:17: {what}",)
    control = Claim("same", "same", "step_time", "equal", 0.1, "", {}, "all", "ratio")
    suite = read(with_levels("{plain: {}, same: {}, other: {use: [reverse]}}", "plain"))
    assert make_plan(replace(suite, claims=(control,)), toy_catalog()).remarks == (), "it is a control"


@pytest.mark.parametrize("name", ["reference", "latest", "pages", "a~1", "..", "a\u200b", "x" * 150, "caf\udce9"])
def test_a_file_that_cannot_name_a_suite_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="Rename the file"):
        suite_name(tmp_path / f"{name}.yaml")


def test_the_name_of_a_suite_is_that_of_its_file(tmp_path):
    path = tmp_path / f"my {DECOMPOSED} \U0001f422.v1.yml"
    path.write_text(SUITE)
    assert load_suite(path, toy_catalog()).name == f"my {COMPOSED} \U0001f422.v1"


def test_a_folder_has_suites_with_either_ending(tmp_path):
    for name in ("b.yml", "a.yaml", "notes.txt"):
        (tmp_path / name).write_text(SUITE)
    assert [path.name for path in suites_in(tmp_path)] == ["a.yaml", "b.yml"]
    (tmp_path / "b.yaml").write_text(SUITE)
    with pytest.raises(UserError, match="it has the same name as b"):
        suites_in(tmp_path)
