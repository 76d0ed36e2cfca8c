"""Values as Python code: parameters, facts of a dataset, and batches with their tensors in one compressed text."""

from __future__ import annotations

import base64
import dataclasses
import enum
import math
import textwrap
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import UserError
from harness.measure.runtime.tensor_text import PackedTensor, pack_tensor
from harness.tools.rendering import literal

#: Types whose values are written as Python shows them. Subclasses are not.
PLAIN = (type(None), bool, int, bytes, complex)


@dataclass
class LiteralWriter:
    """Writes values as code. A tensor becomes ``TENSORS[index]``, and its values are added to `tensors`."""

    #: Gives the name that a class has in the script.
    name_of: Callable[[Any, str], str]
    tensors: list[PackedTensor] = field(default_factory=list)
    #: The arguments of `random_tensor` for the tensors that it makes, by their id, and its name in the script.
    random: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    random_tensor: str = "random_tensor"

    def write(self, value: Any, what: str) -> str:
        """The value as an expression. Raises UserError, which names `what`, if it cannot be written as code."""
        if type(value) is str:
            return literal(value)
        if type(value) in PLAIN:
            return repr(value)
        if isinstance(value, float):
            return repr(float(value)) if math.isfinite(value) else f'float("{float(value)}")'
        if id(value) in self.random:
            return f"{self.random_tensor}{self.random[id(value)]!r}"
        if (packed := pack_tensor(value)) is not None:
            self.tensors.append(packed)
            return f"TENSORS[{len(self.tensors) - 1}]"
        if isinstance(value, enum.Enum):
            return f"{self.name_of(type(value), what)}[{value.name!r}]"
        if (names := field_names(value)) is not None:
            fields = ", ".join(f"{name}={self.write(getattr(value, name), what)}" for name in names)
            return f"{self.name_of(type(value), what)}({fields})"
        if isinstance(value, Mapping):
            pairs = (f"{self.write(key, what)}: {self.write(inner, what)}" for key, inner in value.items())
            return f"{{{', '.join(pairs)}}}"
        if type(value) in (list, tuple, set, frozenset):
            inner = ", ".join(self.write(each, what) for each in value)
            if type(value) is tuple:
                return f"({inner}{',' if len(value) == 1 else ''})"
            return f"[{inner}]" if type(value) is list else f"{type(value).__name__}([{inner}])"
        raise UserError(
            f"{what} contains a {type(value).__name__}, which cannot be written as code.",
            fix="Use numbers, text, tensors, and NamedTuples, dataclasses, lists or dictionaries of them.",
        )

    def rows(self) -> str:
        """The type, stored type and shape of each tensor, as the rows of a tuple."""
        return "\n".join(f'    ("{each.dtype}", "{each.stored}", {each.shape!r}),' for each in self.tensors)

    def text(self, width: int = 100) -> str:
        """The values of the tensors one after another, compressed, as letters and digits."""
        content = zlib.compress(b"".join(tensor.content for tensor in self.tensors), 9)
        return textwrap.fill(base64.b64encode(content).decode(), width)


def field_names(value: Any) -> list[str] | None:
    """The fields of a NamedTuple or a dataclass; None for other values."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(value._fields)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [each.name for each in dataclasses.fields(value) if each.init]
    return None
