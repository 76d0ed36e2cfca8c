"""A reporter that writes a chat message."""

import harness


@harness.hookimpl
def provide_reporters():
    yield harness.Reporter("chat", "guest_reporter.chat:write", "chat.json: the answer and the claims as a message")
