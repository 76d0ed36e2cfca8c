"""SKILL.md, which coding agents read: its front matter, and the options and files that it names."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from harness.cli.ab import ab
from harness.cli.series import series

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SKILL.md").read_text()


def test_the_front_matter_has_a_name_and_a_description():
    _, front, body = TEXT.split("---\n", 2)
    found = yaml.safe_load(front)
    assert set(found) == {"name", "description"}
    assert re.fullmatch(r"[a-z-]{1,64}", found["name"])
    assert 100 < len(found["description"]) <= 1024
    assert body.count("\n") < 60, "an agent reads it whole"


def test_every_option_exists():
    options = {option for command in (ab, series) for parameter in command.params for option in parameter.opts}
    for page in (ROOT / "SKILL.md", ROOT / "docs" / "agents.md"):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page.read_text()))
        # These belong to other commands.
        assert named - {"--quick", "--resume"} <= options, page.name
        assert {"--inputs", "--series", "--expect", "--json"} <= named


def test_the_files_that_it_names_exist():
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    assert all((ROOT / link).is_file() for link in links)


def test_the_exit_codes_are_those_of_the_decisions():
    from harness.api.series import CODES

    assert f"Exit code {CODES['keep']} is keep, {CODES['discard']} discard, {CODES['undecided']} undecided." in TEXT
