"""The command line: one module per command, the options that they share, and `app`, which finds and runs commands.

In: the arguments of a command. Out: printed text and an exit code. `tools` and `builtin` may import this one.

The module of a command declares its options. What the command executes is imported inside its function if it needs
numpy, pydantic or jinja2: those take longer to import than ``harness COMMAND --help`` and completion may take.
"""

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line, as the script `harness` does."""
    from harness.cli.app import main as run

    run()
