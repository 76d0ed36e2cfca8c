"""The promises that the core asks of parts: by name the code under `harness.testing`, the kinds, and the sentence."""

PARTS = ("model", "dataset", "optimization", "metric", "reporter", "executor")
WITH_PARAMETERS = ("model", "dataset", "optimization", "metric")
LEARNING = ("model", "optimization")

PROMISES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "door-without-torch": ("any_part:door_without_torch", PARTS, "Its plugin's door opens without torch."),
    "says-what-it-is": (
        "any_part:says_what_it_is", PARTS,
        "It has a summary in one line, and its code has a docstring.",
    ),
    "parameters-have-defaults": (
        "any_part:parameters_have_defaults", WITH_PARAMETERS,
        "Each parameter has a type and a default of that type; only a path of the user's own may be without.",
    ),
    "wrong-parameters-are-refused": (
        "any_part:wrong_parameters_are_refused", WITH_PARAMETERS,
        "What no parameter can mean is refused before anything is built.",
    ),
    "shapes": (
        "models:shapes", ("model",),
        "The loss is a finite scalar, and what it predicts and observes has a row for each example, in every setting.",
    ),
    "batch-of-one": ("models:batch_of_one", ("model",), "A batch of one example can be learned from."),
    "alone-as-in-company": (
        "models:alone_as_in_company", ("model",),
        "In evaluation an example gets the same answer alone as in a batch of others.",
    ),
    "evaluation-is-steady": (
        "models:evaluation_is_steady", ("model",),
        "In evaluation the same batch gets the same answer twice, in every setting.",
    ),
    "gradients": (
        "models:gradients", ("model",),
        "In float64 the gradient of every parameter agrees with finite differences of the loss.",
    ),
    "trains": (
        "models:trains", LEARNING,
        "Thirty steps on one batch keep every number finite, and a model's loss falls.",
    ),
    "repeats": (
        "repeating:repeats", LEARNING,
        "The same seed gives the same weights and losses to the last bit, and another seed other weights.",
    ),
    "state-dict": (
        "repeating:state_dict", LEARNING,
        "Saved and loaded into another instance, its state gives the same answers and goes on alike.",
    ),
    "rebuilds": (
        "repeating:rebuilds", ("model",),
        "It can be pickled, or another process builds the same weights from its name and seed.",
    ),
    "dtypes": ("repeating:dtypes", ("model",), "It moves to float64, computes in it, and comes back unchanged."),
    "devices": ("repeating:devices", ("model",), "It moves to another device and leaves no tensor behind."),
    "global-state": (
        "leaving:global_state", ("model", "dataset", "optimization"),
        "It leaves torch's global state, the environment and other generators as they were.",
    ),
    "keeps-no-batch": (
        "leaving:keeps_no_batch", LEARNING,
        "After a step or a prediction nothing keeps the batch alive, and tensors do not pile up.",
    ),
    "same-everywhere": (
        "datasets:same_everywhere", ("dataset",),
        "Every process loads the same examples, whatever the hash seed.",
    ),
    "examples-repeat": (
        "datasets:examples_repeat", ("dataset",),
        "Asked again, it gives the same examples, and the same batch of them.",
    ),
    "batches": (
        "datasets:batches", ("dataset",),
        "A batch of any size is a NamedTuple of finite tensors with an id for each example, its own, and moves.",
    ),
    "fingerprint": ("datasets:fingerprint", ("dataset",), "Its content has a fingerprint, the same each time."),
    "scores": ("datasets:scores", ("dataset",), "It computes the scores that its door names, and no others."),
    "keeps-its-word": (
        "optimizations:keeps_its_word", ("optimization",),
        "It changes no more than it says: computation, order, update or model.",
    ),
    "plans-without-building": (
        "optimizations:plans_without_building", ("optimization",),
        "On an empty recipe it gives a recipe back, builds nothing and draws nothing.",
    ),
    "reads-without-torch": (
        "metrics:without_torch", ("metric", "reporter", "executor"),
        "Its code can be imported without torch.",
    ),
    "answers": (
        "metrics:answers", ("metric",),
        "It gives finite numbers of any run, or None of one that has not what it reads.",
    ),
    "reads-only": (
        "metrics:reads_only", ("metric",),
        "It changes nothing that is stored, and reads the same twice.",
    ),
    "stays-inside": (
        "reporters:stays_inside", ("reporter",),
        "It writes the files that it names into the run's folder, whatever was found, and touches no others.",
    ),
    "hands-on": (
        "executors:hands_on", ("executor",),
        "It hands on every record of a block, replicate by replicate, and does nothing twice.",
    ),
}  # fmt: skip
