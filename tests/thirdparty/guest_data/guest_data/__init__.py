"""A dataset of the Dyck language: nested brackets up to a given depth."""

import harness


@harness.hookimpl
def provide_datasets():
    step = harness.Score(summary="share of steps at which the bracket to be closed next is known")
    whole = harness.Score(summary="share of sequences in which it is known at every step")
    yield harness.Dataset(
        "dyck",
        "guest_data.dyck:dyck",
        "which bracket is to be closed next, at every step?",
        source="Hewitt et al. 2020, RNNs can generate bounded hierarchical languages with optimal memory",
        offers={"sequences"},
        fingerprint="guest_data.dyck:fingerprint",
        scores={"step_accuracy": step, "whole": whole},
    )
