"""Two recurrent units whose gates depend little, or not at all, on the previous state."""

import harness


@harness.hookimpl
def provide_models():
    yield harness.Model(
        "min_gru",
        "guest_models.min_gru:min_gru",
        "minGRU: gates that read the input alone, so that all steps can be computed at once",
        source="Feng et al. 2024, arXiv 2410.01201, section 3.1 and appendix B; the scan: Heinsen 2023",
        offers={"sequence"},
        computes="min_gru",
        implementation={"scan", "double"},
    )
    yield harness.Model(
        "sru",
        "guest_models.sru:sru",
        "simple recurrent unit: products of matrices with the input alone, a highway around",
        source="Lei et al. 2018, equations 1 to 4",
        offers={"sequence"},
    )
