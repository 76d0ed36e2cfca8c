"""The parts of an exported script that are the same for every trial."""

#: Names at the top of a script that are its own.
RESERVED = frozenset(
    {
        "DATA", "DEVICE", "EXPECTED", "FACTS", "FAILURE", "Recipe", "SEED", "TENSORS", "THREADS", "UNPACKED",
        "build_trial", "embedded_batches", "main", "one_step", "timed", "unpack", "unpacked",
    }
)  # fmt: skip

#: What the text below imports.
IMPORTS = ("argparse", "platform", "statistics", "time", "types.SimpleNamespace", "torch", "typing.Any")
UNPACK_IMPORTS = ("base64", "math", "zlib")

RECIPE = '''\
class Recipe:
    """A training step's functions by name. What is done to a trial wraps one of them or replaces it."""

    def __init__(self, changes: tuple = (), by: str = "") -> None:
        self.changes, self.by = changes, by

    def used_by(self, name: str) -> Recipe:
        return Recipe(self.changes, name)

    def wrap(self, seam: str, around: Any) -> Recipe:
        return Recipe((*self.changes, (seam, around)), self.by)

    def replace(self, seam: str, function: Any) -> Recipe:
        return self.wrap(seam, lambda before: function)

    def seam(self, seam: str, function: Any) -> Any:
        for name, around in self.changes:
            if name == seam:
                function = around(function)
        return function
'''

TRAIN = '''\
def one_step(built: Any, batch: Any) -> float:
    """One training step: its loss."""
    batch = batch if built.device.type == "cpu" else batch.to(built.device)
    return float(built.step(built, batch, lambda phase: None))
'''

INFERENCE = '''\
def one_step(built: Any, batch: Any) -> float:
    """One batch through the model in inference mode: the mean size of what it predicts."""
    batch = batch if built.device.type == "cpu" else batch.to(built.device)
    with torch.inference_mode():
        return {mean_size}(built.evaluate(built.model, batch))
'''

MAIN = '''\
def timed(built: Any, batches: list, passes: int) -> float:
    """The median seconds of a step over so many passes. A plain clock around each step, in one process: unlike the
    harness it does not interleave variants, repeat itself in fresh processes, or put weights back after a pass, so
    a difference of some percent between two of these numbers may be nothing."""
    seconds = []
    for batch in batches * passes:
        begun = time.perf_counter()
        one_step(built, batch)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=0, metavar="N", help="by default one for each batch")
    parser.add_argument("--time", type=int, default=0, metavar="N", help="then time N passes over the batches")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--device", default=DEVICE)
    asked = parser.parse_args()
    if asked.threads != torch.get_num_threads():
        torch.set_num_threads(asked.threads)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(f"device {asked.device}, threads {torch.get_num_threads()}, {torch.backends.cpu.get_cpu_capability()}")
'''

STEPS = """\
    batches = embedded_batches()
    built = build_trial(torch.device(asked.device))
    largest = 0.0
    for number in range(asked.steps or len(batches)):
        value = one_step(built, batches[number % len(batches)])
        line = f"step {number + 1}: {NOUN} {value:.9g}"
        if number < len(EXPECTED):
            line += f" (expected {EXPECTED[number]:.9g})"
            largest = max(largest, abs(value - EXPECTED[number]) / max(abs(EXPECTED[number]), 1e-12))
        print(line, flush=True)
"""

AGREES = """\
    if EXPECTED:
        word = "agrees with" if largest < 1e-3 else "DIFFERS FROM"
        print(f"{word} what the harness computed (largest relative difference {largest:.1e})")
"""

FAILS = """\
    print(f"it did not fail here; in the harness it did: {FAILURE}")
"""

TIME = """\
    if asked.time:
        print(f"{1000 * timed(built, batches, asked.time):.3f} ms a step, the median; timed() says what it is worth")
"""

UNPACK = '''\
def unpacked() -> list:
    """The tensors."""
    content, tensors, at = zlib.decompress(base64.b64decode(DATA)), [], 0
    for dtype, stored, shape in TENSORS:
        kind = getattr(torch, stored)
        size = math.prod(shape) * kind.itemsize
        flat = torch.frombuffer(bytearray(content[at : at + size]), dtype=kind) if size else torch.empty(0)
        tensors.append(flat.to(getattr(torch, dtype)).reshape(shape))
        at += size
    return tensors


UNPACKED = unpacked()


def unpack(index: int) -> torch.Tensor:
    """One of the tensors."""
    return UNPACKED[index].clone()
'''
