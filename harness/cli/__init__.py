"""The command line: a module for each command, the options that they share, and `app`, which runs them."""

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line, as the script `harness` does."""
    from harness.cli.app import main as run

    run()
