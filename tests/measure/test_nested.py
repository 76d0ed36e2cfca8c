"""Values of any structure: mapped, moved, copied, flattened and digested."""

from __future__ import annotations

from collections import OrderedDict, UserDict, defaultdict
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from harness.measure.runtime.dtypes import floats_as
from harness.measure.runtime.nested import (
    cloned,
    digest_of,
    leaves,
    mapped,
    named_tensors,
    on_device,
    tensors_in,
)


class Pair(NamedTuple):
    x: Any
    y: Any


@dataclass(frozen=True)
class Frozen:
    x: Any
    words: list[str]


@dataclass(slots=True)
class Slotted:
    x: Any


class Encoding(UserDict):
    """As Hugging Face's BatchEncoding: a mapping that is not a dict."""


def packed() -> PackedSequence:
    return pack_sequence([torch.ones(1), torch.full((3,), 2.0), torch.full((2,), 3.0)], enforce_sorted=False)


def structures() -> dict[str, Any]:
    x = torch.arange(3.0)
    return {
        "tensor": x,
        "tuple": (x, 1),
        "list": [x, "a"],
        "named tuple": Pair(x, None),
        "dictionary": {"x": x, 3: x},
        "ordered": OrderedDict(x=x),
        "default": defaultdict(list, x=x),
        "encoding": Encoding(x=x),
        "read-only": MappingProxyType({"x": x}),
        "frozen dataclass": Frozen(x, ["a"]),
        "slotted dataclass": Slotted(x),
        "packed": packed(),
        "nested": {"a": [Pair((x, {"b": Frozen(x, [])}), packed())]},
    }


@pytest.mark.parametrize("name", structures())
def test_map(name):
    value = structures()[name]
    doubled = mapped(
        value, lambda leaf: leaf * 2 if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf
    )
    kind = dict if name == "read-only" else type(value)
    assert type(doubled) is kind
    for one, other in zip(tensors_in(value), tensors_in(doubled), strict=True):
        assert torch.equal(other, one * 2 if one.is_floating_point() else one)


@pytest.mark.parametrize("name", structures())
def test_nothing_changes(name):
    """What needs no change stays the same object, so that nothing is copied in a step."""
    value = structures()[name]
    assert mapped(value, lambda leaf: leaf) is value
    assert on_device(value, "cpu") is value
    assert floats_as(value, torch.float32) is value


@pytest.mark.parametrize("name", structures())
def test_move_and_convert(name):
    moved = on_device(structures()[name], "meta")
    devices = {path: tensor.device.type for path, tensor in named_tensors(moved).items() if tensor.dim()}
    assert {place for path, place in devices.items() if not path.endswith("batch_sizes")} == {"meta"}
    assert {place for path, place in devices.items() if path.endswith("batch_sizes")} <= {"cpu"}
    halves = floats_as(structures()[name], torch.float64)
    assert {one.dtype for one in tensors_in(halves)} <= {torch.float64, torch.int64}


@pytest.mark.parametrize("name", structures())
def test_clone(name):
    value = structures()[name]
    before, copied = digest_of(value), cloned(value)
    assert digest_of(copied) == before or name == "read-only"
    for tensor in tensors_in(copied):
        tensor.add_(1)
    assert digest_of(value) == before != digest_of(copied)


def test_objects_of_other_classes():
    """An object with a method `to` is moved by it; without one, it stays as it is. Arrays stay on the CPU."""

    class Graph:
        def __init__(self, device: str) -> None:
            self.device = device

        def to(self, device: str) -> Graph:
            return Graph(device)

    graph, array, other = on_device([Graph("cpu"), np.ones(2), object], "meta")
    assert graph.device == "meta"
    assert isinstance(array, np.ndarray)
    assert other is object
    assert digest_of([Graph("cpu")]) == digest_of([Graph("meta")])


def test_names():
    value = {"a": [Pair(torch.ones(2), 3)], "b": Frozen(np.ones(2, dtype=np.float32), ["w"])}
    assert [name for name, _ in leaves(value)] == ["['a'][0].x", "['a'][0].y", "['b'].x", "['b'].words[0]"]
    tensors = named_tensors(value)
    assert list(tensors) == ["['a'][0].x", "['a'][0].y", "['b'].x"]
    assert tensors["['a'][0].y"].shape == ()
    assert tensors["['b'].x"].dtype == torch.float32
    assert list(named_tensors(torch.ones(1))) == [""]


def test_clone_keeps_gradients_and_arrays_apart():
    weight, array = torch.ones(2, requires_grad=True), np.zeros(2)
    one, other = cloned((weight, array))
    assert one.requires_grad
    assert one.is_leaf
    other[0] = 1
    assert array[0] == 0


def test_digest_sees_every_difference():
    values = [
        [torch.zeros(2)], [torch.zeros(2, 1)], [torch.zeros(2, dtype=torch.float64)], [torch.tensor([0.0, 1e-30])],
        {"0": torch.zeros(2)}, [np.zeros(2)], [np.zeros(2, dtype=np.float32)], [0.0], [0], ["0"], [None], [],
        [np.array(["a"], dtype=object)], [torch.tensor(0.0)],
    ]  # fmt: skip
    digests = {digest_of(value) for value in values}
    assert len(digests) == len(values)


def test_a_value_that_contains_itself_ends():
    value: list[Any] = [torch.ones(1)]
    value.append(value)
    assert digest_of(value) == digest_of(value)
