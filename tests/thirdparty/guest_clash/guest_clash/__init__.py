"""A package whose model has the name of a model of rnn-harness-plugins."""

import harness


@harness.hookimpl
def provide_models():
    yield harness.Model("lstm", "guest_clash.nothing:lstm", "not the one you think")
