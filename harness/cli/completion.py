"""``harness completion``: the script that turns on completion in a shell."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from harness.errors import UserError

#: How to load the script in every new shell.
INSTALL = {
    "bash": 'put this line into ~/.bashrc: eval "$(harness completion bash)"',
    "zsh": 'put this line into ~/.zshrc, after compinit: eval "$(harness completion zsh)"',
    "fish": "run once: harness completion fish > ~/.config/fish/completions/harness.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(INSTALL)), required=False)
@click.pass_context
def completion(context: click.Context, shell: str | None) -> None:
    """Print the script that turns on completion in bash, zsh or fish.

    Without an argument, the variable SHELL names the shell. The first line of the script says how to install it.

    \b
    Example:
      eval "$(harness completion bash)"
    """
    if shell is None:
        shell = Path(os.environ.get("SHELL", "")).name
        if shell not in INSTALL:
            raise UserError(
                f"no completion for the shell in SHELL={os.environ.get('SHELL', '')!r}.",
                fix="Name one: harness completion bash",
            )
    made = get_completion_class(shell)
    assert made is not None
    script = made(context.find_root().command, {}, "harness", "_HARNESS_COMPLETE").source()
    click.echo(f"# To complete in every new {shell}, {INSTALL[shell]}\n{script}", nl=False)
