"""A guest: one model, written by somebody who has read docs/plugins.md and nothing else."""

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
