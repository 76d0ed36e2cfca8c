"""Values as Python code: parameters, what a dataset says of itself, and batches, their tensors in one packed text."""

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
from harness.measure.runtime.replay import Drawn, Packed, pack


@dataclass
class Writer:
    """Writes values as code. `name_of` gives the name that a class has there; tensors go to `tensors`, and the code
    says ``unpack(index)`` for them, where its table has the row."""

    name_of: Callable[[Any, str], str]
    tensors: list[Packed] = field(default_factory=list)
    #: Tensors whose values are drawn there again, by identity.
    drawn: Mapping[int, Drawn] = field(default_factory=dict)
    #: What draws them.
    draw: str = "draw"

    def write(self, value: Any, what: str) -> str:
        """The value as an expression. Raises UserError, saying of `what`, where it cannot be written."""
        if value is None or (isinstance(value, (bool, int, str, bytes, complex)) and type(value) in PLAIN):
            return quoted(value) if type(value) is str else repr(value)
        if isinstance(value, float):
            return repr(float(value)) if math.isfinite(value) else f'float("{float(value)}")'
        if (how := self.drawn.get(id(value))) is not None:
            return f"{self.draw}({how.shape!r}, {how.mean!r}, {how.spread!r}, {how.seed}).to(torch.{how.dtype})"
        if (packed := pack(value)) is not None:
            self.tensors.append(packed)
            return f"unpack({len(self.tensors) - 1})"
        if isinstance(value, enum.Enum):
            return f"{self.name_of(type(value), what)}[{value.name!r}]"
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            inner = (f"{name}={self.write(getattr(value, name), what)}" for name in value._fields)
            return f"{self.name_of(type(value), what)}({', '.join(inner)})"
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [one.name for one in dataclasses.fields(value) if one.init]
            inner = (f"{name}={self.write(getattr(value, name), what)}" for name in fields)
            return f"{self.name_of(type(value), what)}({', '.join(inner)})"
        if isinstance(value, Mapping):
            pairs = (f"{self.write(key, what)}: {self.write(inner, what)}" for key, inner in value.items())
            return f"{{{', '.join(pairs)}}}"
        if type(value) in (list, tuple, set, frozenset):
            return self._several(value, what)
        raise UserError(
            f"{what} holds a {type(value).__name__}, which cannot be written as code, so the trial cannot be exported.",
            fix="Use numbers, text, tensors, and NamedTuples, dataclasses, lists or dictionaries of them.",
        )

    def _several(self, value: Any, what: str) -> str:
        inner = [self.write(one, what) for one in value]
        if isinstance(value, list):
            return f"[{', '.join(inner)}]"
        if isinstance(value, tuple):
            return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
        return f"{type(value).__name__}([{', '.join(inner)}])"

    def table(self) -> str:
        """The type, stored type and shape of each tensor, as a tuple's rows."""
        lines = [""]
        for one in self.tensors:
            row = f"({quoted(one.dtype)}, {quoted(one.stored)}, {one.shape!r}),"
            if len(lines[-1]) + len(row) > 110:
                lines.append("")
            lines[-1] += f" {row}" if lines[-1] else f"    {row}"
        return "\n".join(lines)

    def text(self, width: int = 100) -> str:
        """The tensors' values, one after another: compressed, and in letters and digits."""
        content = zlib.compress(b"".join(one.content for one in self.tensors), 9)
        return textwrap.fill(base64.b64encode(content).decode(), width)


#: Types whose values are written as Python shows them; not their subclasses.
PLAIN = (bool, int, str, bytes, complex)


def quoted(text: str) -> str:
    """A text as code, in double quotes where that needs no more of them."""
    code = repr(text)
    return f'"{code[1:-1]}"' if code[0] == "'" and '"' not in code and "\\" not in code else code
