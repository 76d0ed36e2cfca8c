"""A package with a new kind of measurement: its settings, its quantities and their analysis."""

import harness


@harness.hookimpl
def provide_measures():
    yield harness.MeasureKind(
        "noise",
        "guest_noise.measure:measure",
        "gradient noise scale: the batch size from which on larger batches reduce the noise little",
        source="McCandlish et al. 2018, An Empirical Model of Large-Batch Training, appendix A.1",
        settings="guest_noise.analysis:Noise",
        analyse="guest_noise.analysis:analyse",
        estimate=2.0,
        quantities={
            "gradient_elements": harness.Quantity("gradient elements", judged="exact"),
            "noise_scale": harness.Quantity("noise scale"),
        },
    )
