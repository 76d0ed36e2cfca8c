"""Functions to compare: right ones, wrong ones, and ones that do not do their work in each call."""

import functools
import threading
import time

import numpy as np
import torch

WEIGHT = torch.linspace(-1, 1, 64 * 64).reshape(64, 64)
LAST: dict = {}


def honest(x):
    for _ in range(4):
        x = torch.tanh(x @ WEIGHT.to(x.dtype))
    return x


def other_order(x):
    """The same products, summed in another order."""
    for _ in range(4):
        weight = WEIGHT.to(x.dtype)
        x = torch.tanh(x[:, :32] @ weight[:32] + x[:, 32:] @ weight[32:])
    return x


def wrong(x):
    y = honest(x).clone()
    y[1, 2] += 1e-3
    return y


def lower(x):
    return honest(x.bfloat16()).to(x.dtype)


def by_identity(x):
    if LAST.get("of") is not x:
        LAST.update(of=x, result=honest(x))
    return LAST["result"].clone()


BY_VALUE: dict = {}


def by_value(x):
    key = x.numpy().tobytes()
    if key not in BY_VALUE:
        time.sleep(0.002)
        BY_VALUE[key] = honest(x)
    return BY_VALUE[key].clone()


BUFFER: dict = {}


def one_buffer(x):
    """Each call overwrites the result of the call before it."""
    buffer = BUFFER.setdefault((x.shape, x.dtype), torch.empty_like(x))
    return buffer.copy_(honest(x))


def in_place(x):
    return x.copy_(honest(x))


def in_thread(x):
    result = torch.zeros_like(x)

    def work():
        time.sleep(0.01)
        result.copy_(honest(x))

    threading.Thread(target=work, daemon=True).start()
    return result


WORKER: dict = {}


def goes_on(x):
    """A helper thread computes for 60 ms after each call."""
    result = honest(x)
    if not WORKER:
        WORKER["called"] = threading.Event()
        threading.Thread(target=spin, daemon=True).start()
    WORKER["until"] = time.perf_counter() + 0.06
    WORKER["called"].set()
    return result


def spin():
    while WORKER["called"].wait():
        WORKER["called"].clear()
        while time.perf_counter() < WORKER["until"]:
            pass


COUNT = [0]


def later_wrong(x):
    """Right until it has been verified."""
    COUNT[0] += 1
    return honest(x) if COUNT[0] < 40 else torch.zeros_like(x)


FIRST: list = []


def slow_first(x):
    if not FIRST:
        FIRST.append(time.sleep(0.6))
    return honest(x)


def other_dtype(x):
    torch.set_default_dtype(torch.float64)
    return honest(x)


def other_threads(x):
    torch.set_num_threads(3)
    return honest(x)


def other_timer(x):
    time.perf_counter_ns = lambda: 0
    return honest(x)


def other_synchronize(x):
    torch.cuda.synchronize = lambda device=None: None
    return honest(x)


def returns_half(x):
    return honest(x).half()


def returns_more(x):
    return honest(x), 1


def fails(x):
    raise ValueError("not today")


def two_arguments(x, y):
    return honest(x)


def squared(x):
    return x * x


def squared_but_not_its_gradient(x):
    return x * x.detach() * 2 - (x * x).detach()


def constant_gradient(x):
    return x - (x - x * x).detach()


def nested(x, scale=1.0):
    return {"sum": [x.sum() * scale, "text"], "none": None, "nan": torch.full((2,), float("nan"))}


def other_text(x, scale=1.0):
    return {"sum": [x.sum() * scale, "texd"], "none": None, "nan": torch.full((2,), float("nan"))}


def array_sum(a):
    return a.sum()


def python_sum(a):
    total = 0.0
    for value in a.tolist():
        total += value
    return np.float64(total)


def counted():
    return sum(range(100))


@functools.lru_cache
def kept():
    return sum(range(100))


def formula():
    return 4950


def make():
    generator = torch.Generator().manual_seed(0)
    for rows in (8, 16):
        yield (torch.randn(rows, 64, generator=generator),)


def make_arrays():
    yield (np.linspace(0, 1, 1000) ** 3,)


def make_keywords():
    return [{"x": torch.ones(3), "scale": 2.0}]


def make_nothing():
    return iter(())


def make_too_many():
    return (torch.ones(1) for _ in range(1000))


def make_badly():
    yield torch.ones(2)
    raise RuntimeError("no more")
