"""The part of ``harness ab`` that compares commands: its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

EXAMPLES = (
    "  harness ab 'python train.py' 'python train.py --packing'",
    "  harness ab 'python train.py --seed {seed}' 'python train.py --packing --seed {seed}' \\",
    "      --seeds 10 --metric 'acc=([\\d.]+)' --better higher --margin '1 point'",
)


def command_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options for commands: --metric, --better, --seeds and --limit, in this order."""
    options = (
        click.option(
            "--metric", "metrics", multiple=True, metavar="HOW",
            help="Read a score from what the commands print: a pattern with one group (last:PATTERN for the last "
            "match), json:KEY, or file:PATH:KEY. The first score decides.",
        ),
        click.option(
            "--better", metavar="DIRECTION", default="",
            help="Which values of the score are better: higher or lower, or acc=higher,loss=lower.",
        ),
        click.option(
            "--seeds", type=click.IntRange(1), metavar="N",
            help="Run under N seeds, 10 by default, and compare the scores of each. {seed} in a command is the seed.",
        ),
        click.option(
            "--limit", metavar="TIME", default="", help="The most time that one run of a command may take; 1 h."
        ),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command
