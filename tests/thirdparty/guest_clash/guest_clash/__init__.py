"""A guest that brings a name that is taken."""

import harness


@harness.hookimpl
def provide_models():
    yield harness.Model("lstm", "guest_clash.nothing:lstm", "not the one you think")
