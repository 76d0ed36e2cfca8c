"""A package that records its import in a file. Its model has the name of a model of rnn-harness-plugins."""

import os
from pathlib import Path

import harness

if "GUEST_BLOCKED_LOG" in os.environ:
    with Path(os.environ["GUEST_BLOCKED_LOG"]).open("a") as file:
        file.write("imported\n")


@harness.hookimpl
def provide_models():
    yield harness.Model("gru", "guest_blocked.nothing:gru", "not the one you think")
