"""The promises of the core by module of `harness.testing`. The function that checks a promise has its name."""

PARTS = ("model", "dataset", "optimization", "metric", "reporter", "executor")
WITH_PARAMETERS = ("model", "dataset", "optimization", "metric")
TRAINED = ("model", "optimization")

#: Name, kinds of part, and the sentence that must be true of each of them.
PROMISES: dict[str, list[tuple[str, tuple[str, ...], str]]] = {
    "declarations": [
        ("torch-free-plugin", PARTS, "The plugin lists its parts without importing torch."),
        ("torch-free-code", ("metric", "reporter", "executor"), "Its code can be imported without torch."),
        ("documented", PARTS, "It has a one-line summary, and its code has a docstring."),
        ("parameters-have-defaults", WITH_PARAMETERS,
         "Each parameter has a type and a default of that type; only the path of a user's own file may have none."),
        ("invalid-parameters-are-rejected", WITH_PARAMETERS,
         "Invalid parameter values are rejected before anything is built."),
    ],
    "models": [
        ("shapes", ("model",),
         "The loss is a finite scalar, and predictions and observations have a row per example, in every setting."),
        ("batch-of-one", ("model",), "It can train on a batch of one example."),
        ("batch-invariance", ("model",),
         "In evaluation mode, the prediction for an example does not depend on the other examples in its batch."),
        ("deterministic-evaluation", ("model",),
         "In evaluation mode, two predictions of one batch are identical, in every setting."),
        ("gradients", ("model",),
         "In float64, the gradient of every parameter agrees with finite differences of the loss."),
        ("trains", TRAINED, "Thirty steps on one batch keep all numbers finite, and a model's loss falls."),
    ],
    "reproducibility": [
        ("repeats", TRAINED, "The same seed gives bit-identical weights and losses, and another seed other weights."),
        ("state-dict", TRAINED,
         "Another instance that loads its saved state predicts the same and trains on identically."),
        ("rebuilds", ("model",),
         "It can be pickled, or another process builds the same weights from its name and seed."),
        ("dtypes", ("model",), "It moves to float64, computes in float64, and comes back unchanged."),
        ("devices", ("model",), "It moves to another device and leaves no tensor behind."),
    ],
    "side_effects": [
        ("global-state", ("model", "dataset", "optimization"),
         "It leaves torch's settings, environment variables and random generators as they were."),
        ("no-leaks", TRAINED,
         "After a step or a prediction, nothing refers to the batch, and the number of tensors does not grow."),
    ],
    "datasets": [
        ("same-in-every-process", ("dataset",),
         "Every process loads the same examples, whatever its hash seed."),
        ("examples-repeat", ("dataset",), "Reading or loading it again gives the same examples and batches."),
        ("batches", ("dataset",),
         "A batch of any size is a NamedTuple of finite tensors with a unique id per example, and moves to a device."),
        ("fingerprint", ("dataset",), "Its content has a fingerprint, which is always the same."),
        ("scores", ("dataset",), "It computes exactly the scores that it declares. They and its criterion are finite."),
    ],
    "optimizations": [
        ("declared-changes", ("optimization",),
         "It changes no more than it declares: rounding, order, update or model."),
        ("plans-without-building", ("optimization",),
         "On an empty recipe, it returns a recipe, builds no module and draws no random number."),
    ],
    "metrics": [
        ("finite-values", ("metric",),
         "It returns finite numbers for every run, or None if the run lacks its input."),
        ("read-only", ("metric",), "It changes nothing that is stored, and returns the same when called again."),
    ],
    "reporters": [
        ("writes-inside-folder", ("reporter",),
         "It writes the files that it names into the run's folder, for every outcome, and changes no other file."),
    ],
    "executors": [
        ("complete-records", ("executor",),
         "It delivers every record of a block, one replicate at a time, and measures nothing twice."),
    ],
}  # fmt: skip
