"""A command that packs a run into one file."""

import harness


@harness.hookimpl
def register_commands():
    yield harness.Command("bundle", "guest_command.bundle:bundle", "Pack a run into one zip file.", group="archive")
