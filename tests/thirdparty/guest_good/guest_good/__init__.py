"""A package with one model, which uses only what docs/plugins.md describes."""

import harness


@harness.hookimpl
def provide_models():
    yield harness.Model(
        "mgu",
        "guest_good.mgu:mgu",
        "minimal gated unit: one gate for all",
        source="Zhou et al. 2016, equations 6 to 8",
        offers={"sequence"},
    )
