"""Command lines: words, variables, seeds, and programs that cannot be found."""

from __future__ import annotations

import pytest

from harness.errors import UserError
from harness.plugins.command_line import CommandLine


def test_words_variables_and_seed():
    command = CommandLine.parse("SEED={seed} MODE='a b' python train.py --out 'run {seed}.txt'")
    assert command.words == ("python", "train.py", "--out", "run {seed}.txt")
    assert command.has_seed
    assert command.with_seed(7) == (
        ["python", "train.py", "--out", "run 7.txt"],
        {"HARNESS_SEED": "7", "SEED": "7", "MODE": "a b"},
    )
    assert not CommandLine.parse("python train.py").has_seed


@pytest.mark.parametrize("text", ["grep '|' file", "python -c 'x = 1; print(x)'", 'sh -c "a && b"', "echo it\\'s"])
def test_quoted_characters_are_no_operators_of_a_shell(text):
    assert CommandLine.parse(text).words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("python 'a", 'the command "python \'a" cannot be read: no closing quotation. Close the quotation mark.'),
        ("A=1", "the command 'A=1' names no program. Example: "),
        ("a | b", "the command 'a | b' has '|', which only a shell understands. Let a shell run it: sh -c 'a | b'"),
        ("a>b", "the command 'a>b' has '>', which only a shell understands."),
        ("a && b", "the command 'a && b' has '&&', which only a shell understands."),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(UserError) as caught:
        CommandLine.parse(text)
    assert str(caught.value).startswith(message)


def test_programs_that_are_not_there(tmp_path):
    (tmp_path / "train.sh").write_text("echo")

    def complaint(text: str) -> str:
        with pytest.raises(UserError) as caught:
            CommandLine.parse(text).check_program(tmp_path)
        return str(caught.value)

    CommandLine.parse("sh train.sh").check_program(tmp_path)
    assert complaint("slep 1").startswith("slep 1: there is no program 'slep'. Did you mean sleep")
    assert "Is it installed, and is its folder in the variable PATH?" in complaint("qqzzqq 1")
    assert complaint("./trian.sh") == "./trian.sh: there is no program './trian.sh'. Did you mean train.sh?"
    assert "'./train.sh' is not executable. Make it executable (chmod +x ./train.sh)" in complaint("./train.sh")
