"""Which way a step was computed, as the names of its operators and kernels tell."""

from __future__ import annotations

from collections.abc import Iterable

COMPILED = "compiled by torch"
ONE_BY_ONE = "operator by operator"
#: What a name holds, in lower case and with a space at its end, and the way that this tells of.
SIGNS = (
    ("aten::mkldnn_rnn_layer", "oneDNN's fused recurrent layer"),
    ("aten::_cudnn_rnn", "cuDNN's fused recurrent layers"),
    ("rnn_blockpersist", "persistent kernels"),
    ("aten::_thnn_fused", "fused cells"),
    ("aten::lstm ", "torch's native loop"),
    ("aten::gru ", "torch's native loop"),
    ("aten::rnn_tanh ", "torch's native loop"),
    ("aten::rnn_relu ", "torch's native loop"),
    ("flash_attention", "flash attention"),
    ("efficient_attention", "memory-efficient attention"),
    ("torch-compiled region", COMPILED),
    ("compiledfunction", COMPILED),
    ("triton_", COMPILED),
    ("_foreach_", "an optimizer over lists of tensors"),
    ("aten::_fused_adam", "a fused optimizer"),
)
#: The ways that stand in for the native loop where they are there: torch's entry point has the same name for all.
_LAYERS = frozenset({"oneDNN's fused recurrent layer", "cuDNN's fused recurrent layers"})


def ways_of(names: Iterable[str]) -> tuple[str, ...]:
    """The ways that the operators' and kernels' names tell of, or that it went operator by operator."""
    lower = [f"{name.lower()} " for name in names]
    found = dict.fromkeys(way for sign, way in SIGNS if any(sign in name for name in lower))
    if not _LAYERS.isdisjoint(found):
        found.pop("torch's native loop", None)
    computing = [way for way in found if "optimizer" not in way]
    return tuple(found) if computing else (ONE_BY_ONE, *found)
