"""What a trial promises of its results, in words, and the error where it breaks its promise."""

#: What a trial promises, by what it `changes`.
PROMISES = {
    "rounding": "the same computation",
    "order": "the same computation in another order",
    "update": "the same gradients before the update",
    "model": "finite numbers",
    "answer": "nothing",
}


class BrokenPromise(Exception):
    """A variant breaks a promise of its parts."""
