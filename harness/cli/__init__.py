"""The command line: one module per command, the options that they share, and `app`, which finds and runs commands."""

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line, as the script `harness` does."""
    from harness.cli.app import main as run

    run()
