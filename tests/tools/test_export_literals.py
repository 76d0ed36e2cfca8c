"""Values and tensors that a script contains as code."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch

from harness.errors import UserError
from harness.measure.runtime.tensor_text import unpack_tensors
from harness.tools.export.literals import LiteralWriter
from harness.tools.rendering import literal


class Facts(NamedTuple):
    many: int
    weights: torch.Tensor


def test_values_are_written_as_code():
    writer = LiteralWriter(lambda kind, what: kind.__name__)
    value = {"a": [1, 2.5, True, None], ("b",): {3}, "inf": float("inf"), "f": Facts(2, torch.tensor([[1, -1]]))}
    code = writer.write(value, "it")
    assert code == (
        '{"a": [1, 2.5, True, None], ("b",): set([3]), "inf": float("inf"), "f": Facts(many=2, weights=TENSORS[0])}'
    )
    (tensor,) = writer.tensors
    assert (tensor.dtype, tensor.stored, tensor.shape, tensor.content) == ("int64", "int16", (1, 2), b"\1\0\xff\xff")
    with pytest.raises(UserError, match="it contains a object, which cannot be written as code"):
        writer.write([object()], "it")
    texts = ("a", "it's", 'say "a"', "a\nb", "back\\slash", "\ud800")
    assert [literal(text) for text in texts[:4]] == ['"a"', '"it\'s"', '"say \\"a\\""', "'a\\nb'"]
    assert [eval(literal(text)) for text in texts] == list(texts)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6).reshape(2, 3), torch.tensor(7), torch.tensor([70_000]), torch.tensor([2**40]), torch.zeros(0, 3),
        torch.tensor([True, False]), torch.randn(2, 2, dtype=torch.float64), torch.tensor([1.5], dtype=torch.bfloat16),
        torch.tensor([1 + 2j]), torch.arange(8).reshape(4, 2).T, torch.tensor([200], dtype=torch.uint8),
    ],
)  # fmt: skip
def test_tensors_are_restored_from_text(tensor):
    writer = LiteralWriter(lambda kind, what: "")
    assert writer.write(tensor, "it") == "TENSORS[0]"
    (back,) = unpack_tensors(eval(f"({writer.rows()})"), writer.text())
    assert back.dtype == tensor.dtype
    assert back.shape == tensor.shape
    assert torch.equal(back, tensor)
