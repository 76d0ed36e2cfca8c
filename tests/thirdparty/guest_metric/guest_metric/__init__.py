"""Two metrics of stored samples."""

import harness


@harness.hookimpl
def provide_metrics():
    yield harness.Metric(
        "compute_time",
        "guest_metric.views:compute_time",
        "a step without the making of its batch",
        unit="ms",
        per="sample",
        scale=1e3,
        formats=".3f",
    )
    yield harness.Metric(
        "tail", "guest_metric.views:tail", "slow steps over the typical one (95 % over 50 %)", formats=".2f"
    )
