"""The verb completion: the script that teaches a shell what to offer where one presses TAB."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from harness.errors import UserError

#: The variable by which the shell's script asks what to offer.
VARIABLE = "_HARNESS_COMPLETE"
#: By shell, how to have the script read in every new one.
INSTALL = {
    "bash": 'put this line into ~/.bashrc: eval "$(harness completion bash)"',
    "zsh": 'put this line into ~/.zshrc, after compinit: eval "$(harness completion zsh)"',
    "fish": "run once: harness completion fish > ~/.config/fish/completions/harness.fish",
}


class Bash(BashComplete):
    """Bash takes = and : for the ends of words. Here they are put together again, and of an offer only what follows the
    last of them is handed back. After an offer that is only a beginning, bash is told to leave no blank."""

    source_template: ClassVar[str] = BashComplete.source_template.replace(
        "COMPREPLY+=($value)", 'COMPREPLY+=("$value")\n            [[ $value == *[=/] ]] && compopt -o nospace'
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        """The whole words before the cursor, and the one at it."""
        words = split_arg_string(os.environ["COMP_WORDS"])
        at = int(os.environ["COMP_CWORD"])
        pieces = words[1 : at + 1] + [""] * (at >= len(words))
        whole: list[str] = []
        for number, piece in enumerate(pieces):
            joins = whole and (piece[:1] in ("=", ":") or (number and pieces[number - 1] in ("=", ":")))
            if joins and piece:
                whole[-1] += piece
            elif not joins:
                whole.append(piece)
        *before, last = whole or [""]
        current = pieces[-1] if pieces and pieces[-1] not in ("=", ":") else ""
        self.cut = len(last) - len(current)
        if last.startswith("--") and "=" in last:  # click takes the option's name off by itself
            self.cut -= last.index("=") + 1
        return before, last

    def format_completion(self, item: CompletionItem) -> str:
        """The part of an offer that bash is to put where the cursor is."""
        return f"{item.type},{item.value[max(0, self.cut) :]}"


def prepare() -> None:
    """Let click ask our bash."""
    add_completion_class(Bash)


@click.command()
@click.argument("shell", type=click.Choice(list(INSTALL)), required=False)
@click.pass_context
def completion(context: click.Context, shell: str | None) -> None:
    """Print the script with which a shell completes what harness takes: suites, parts, levels, fields, runs.

    Without SHELL, that of $SHELL. How to install it stands in the script's first line.

    \b
    eval "$(harness completion bash)"
    """
    if shell is None:
        shell = Path(os.environ.get("SHELL", "")).name
        if shell not in INSTALL:
            raise UserError(
                f"cannot tell the shell from SHELL={os.environ.get('SHELL', '')!r}.",
                fix="Name one: harness completion bash",
            )
    made = Bash if shell == "bash" else get_completion_class(shell)
    assert made is not None
    script = made(context.find_root().command, {}, "harness", VARIABLE).source()
    click.echo(f"# To complete in every new {shell}, {INSTALL[shell]}\n{script}", nl=False)
