"""The command line itself: lookup of commands, the text of ``harness --help``, and errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from commands import call, harness
from made import block
from toy_suite import SUITE

from harness.builtin.commands import COMMANDS
from harness.cli.app import core_commands, load
from harness.records.plan import Plan
from harness.records.store import Store

CORE = [(name, group, summary) for group, rows in COMMANDS.items() for name, _, summary in rows]

HELLO = """
import click, harness

@click.command()
@click.argument("name", default="world")
def hello(name):
    if name == "nobody":
        raise ValueError("nobody is here")
    click.echo(f"Hello {name}")

@harness.hookimpl
def register_commands():
    yield harness.Command("hello", "my_command:hello", "Greet somebody.", group="greet")
    yield harness.Command("plain", lambda: None, "A function.", group="run")
    yield harness.Command("gone", "no_such_module:gone", "Gone.")
"""


@pytest.fixture
def here(here: Path):
    (here / "my_command.py").write_text(HELLO)
    yield here
    for name in ("my_command", "other_command", "broken_command"):
        sys.modules.pop(name, None)


def sections(text: str) -> dict[str, dict[str, str]]:
    """The commands and summaries of a help text by heading."""
    found: dict[str, dict[str, str]] = {}
    for heading, body in re.findall(r"^(\w[\w ]*):\n((?:  .*\n)+)", text, re.MULTILINE):
        rows = re.sub(r"\n {5,}", " ", body)
        found[heading] = dict(re.findall(r"^  (\S+) +(.*)$", rows, re.MULTILINE))
    return found


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_help_shows_whole_summaries_in_groups(tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = call("--help", cwd=tmp_path).stdout
    assert max(map(len, text.splitlines())) <= columns
    found = sections(text)
    assert [heading for heading in found if heading not in ("Options", "First steps")] == [
        "Run", "Look", "Share", "Extend", "Check"
    ]  # fmt: skip
    for name, group, summary in CORE:
        assert found[group.capitalize()][name] == summary


@pytest.mark.parametrize(("name", "summary"), [(name, summary) for name, _, summary in CORE])
def test_a_summary_is_the_first_sentence_of_the_command_s_help(name, summary):
    command = load(core_commands()[name])
    assert " ".join((command.help or "").partition("\n\n")[0].split()) == summary


def test_a_plugin_file_provides_commands(here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = sections(call("-p", "my_command.py", "--help", cwd=here).stdout)
    assert list(found)[-2:] == ["Greet", "Other"], "after the core's groups"
    assert found["Greet"] == {"hello": "Greet somebody."}
    assert found["Run"]["plain"] == "A function."
    assert call("-p", "my_command.py", "hello", "you", cwd=here).stdout == "Hello you\n"
    assert "Usage: harness hello" in call("-p", "my_command.py", "hello", "--help", cwd=here).stdout
    assert (
        "hello       Greet somebody.  (my_command.py)"
        in call("-p", "my_command.py", "list", "commands", cwd=here).stdout
    )
    described = call("-p", "my_command.py", "describe", "hello", cwd=here).stdout
    assert "command hello: Greet somebody." in described
    assert "harness hello --help" in described


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["helo"], "there is no command named 'helo'. Did you mean hello?"),
        (["plain"], "command plain (plugin my_command.py): expected a click.Command, got a function."),
        (["gone"], "command gone (plugin my_command.py): importing no_such_module failed: ModuleNotFoundError"),
        (["hello", "--loud"], "No such option '--loud'. See: harness hello --help"),
        (["run", "--quik"], "No such option '--quik'."),
        (["plot", "latest", "--format", "gif"], "Invalid value for '--format': 'gif' is not one of"),
    ],
)
def test_errors_of_commands(here, arguments, message):
    done = call("-p", "my_command.py", *arguments, cwd=here)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {message}")


def test_several_errors_are_one_line_each(here):
    (here / "toy.yaml").write_text(SUITE + "nothing: 1\nnowhere: 2\n")
    done = harness("check", "toy.yaml", cwd=here)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("Error: ") for line in lines)


def test_command_that_raises_has_exit_code_3(here):
    done = call("-p", "my_command.py", "hello", "nobody", cwd=here)
    assert done.returncode == 3
    assert "ValueError: nobody is here" in done.stderr


def test_without_a_command_the_help_is_shown(tmp_path):
    done = call(cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage: harness" in done.stderr
    assert "Usage: harness new" in call("new", cwd=tmp_path).stderr


def test_core_command_wins_over_a_plugin_command(here):
    (here / "other_command.py").write_text(HELLO.replace('"plain"', '"run"').replace("my_command", "other_command"))
    text = call("-p", "other_command.py", "--help", cwd=here).stdout
    assert sections(text)["Run"]["run"].startswith("Measure a suite")
    assert "plugin other_command.py: provides command 'run', which is a name of the core; it is not used" in " ".join(
        text.split()
    )


def test_two_plugins_with_one_command_are_both_named(here):
    (here / "other_command.py").write_text(HELLO.replace("my_command", "other_command"))
    done = call("-p", "my_command.py", "-p", "other_command.py", "hello", cwd=here)
    assert done.returncode == 2
    assert "two plugins provide a command named 'hello': my_command.py and other_command.py." in done.stderr
    assert (
        "provides command 'hello', and so does"
        in call("-p", "my_command.py", "-p", "other_command.py", "--help", cwd=here).stdout
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import no_such_module", "the plugin file failed to import: ModuleNotFoundError"),
        ("import harness\n@harness.hookimpl\ndef register_commands():\n    raise OSError('no')", "OSError: no"),
        (HELLO.replace('"greet"', '"a\\nb"'), "group = 'a\\nb' is not a line of text"),
        (
            HELLO.replace("harness.Command(", "harness.Model(")
            .replace(', group="greet"', "")
            .replace(', group="run"', ""),
            "register_commands yields a Model; expected a harness.Command",
        ),
    ],
    ids=["import", "hook", "group", "kind"],
)
def test_broken_plugin_does_not_break_the_help(here, body, message, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    (here / "broken_command.py").write_text(body)
    done = call("-p", "broken_command.py", "--help", cwd=here)
    assert done.returncode == 0, done.stderr
    assert sections(done.stdout)["Run"]["run"].startswith("Measure a suite")
    problems = " ".join(done.stdout.partition("Problems:\n")[2].split())
    assert "broken_command.py" in problems
    assert message in problems


#: Command lines in the order in which one process runs them: the first ones import least.
LIGHT = [
    ["--help"],
    ["run", "--help"],
    ["compare", "--help"],
    ["list"],
    ["conform", "--help"],
    ["export", "--help"],
    ["report"],
    ["report", "--json"],
    ["report", "--as", "latex"],
    ["plot", "latest", "--list"],
    ["schema"],
]
SCRIPT = """
import contextlib, io, json, sys
from harness.cli.app import main
found = []
for sys.argv[1:] in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            assert not end.code or sys.argv[1] == "plot", sys.argv  # the run has no records, so it has no plots
    found.append(sorted(sys.modules))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> dict[str, set[str]]:
    """The modules that have been imported after each of `LIGHT`."""
    folder = tmp_path_factory.mktemp("light")
    Store.create(folder / "results", Plan("toy", "q?", "what", (block("a", "b"),)), "")
    command = [sys.executable, "-c", SCRIPT, json.dumps(LIGHT)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = map(set, json.loads(done.stdout))
    return {" ".join(words): names for words, names in zip(LIGHT, found, strict=True)}


#: Packages whose import takes long.
SLOW = {"torch", "numpy", "pydantic", "yaml", "jinja2", "rich", "harness.plan", "harness.report"}


def test_help_imports_no_command(modules):
    """Nor the modules that commands need: numpy, pydantic, the planner, reports."""
    assert "harness.builtin.commands" in modules["--help"]
    assert (
        not {f"harness.{code.partition(':')[0]}" for rows in COMMANDS.values() for _, code, _ in rows}
        & modules["--help"]
    )
    assert not SLOW & modules["--help"]


@pytest.mark.parametrize("arguments", ["run --help", "compare --help"])
def test_the_help_of_a_command_does_not_import_what_it_executes(modules, arguments):
    assert not SLOW & modules[arguments]


@pytest.mark.parametrize("arguments", [" ".join(words) for words in LIGHT])
def test_commands_that_measure_nothing_do_not_import_torch(modules, arguments):
    assert "torch" not in modules[arguments]


def test_rich_is_imported_where_a_report_is_shown(modules):
    assert "rich" not in modules["export --help"], "nor in the commands before it, such as list"
    assert "rich" in modules["report"]


def test_closed_pipe_is_no_error(tmp_path):
    done = subprocess.run(
        f"{sys.executable} -m harness list metrics | head -1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("metrics (")


def test_every_option_that_chooses_plugins_is_the_same_before_and_after_a_command(here):
    for words in (["-p", "my_command.py", "list", "commands"], ["list", "commands", "-p", "my_command.py"]):
        assert "Greet somebody." in call(*words, cwd=here).stdout


def test_commands_are_click_commands():
    assert all(isinstance(load(entry), click.Command) for entry in core_commands().values())
