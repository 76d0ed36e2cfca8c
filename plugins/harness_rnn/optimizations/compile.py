"""torch.compile on a loop over time."""

from __future__ import annotations

import os
import shutil
from inspect import signature
from typing import Any, Literal

import torch
import torch._inductor.compile_fx  # two seconds that no process has to spend in its first step
from torch import nn

from harness import Recipe, Skip


def compile(recipe: Recipe, *, what: Literal["step", "loop"] = "step") -> Recipe:
    """Compile a scratch cell with Inductor: its `step`, called once for each time step, or its whole `loop`.

    `step` compiles once for training and once for inference, whatever the lengths. `loop` is unrolled over time: every
    length is a program of its own, half a second to two for each of its steps to compile. torch.compile keeps eight
    and fails at the ninth, so let `pad_to` fix the length, keep it short, and raise `measure.limit`. torch's own
    modules have no loop to compile: under torch.compile nn.LSTM, nn.GRU and nn.RNN are left as they are, and nn.LSTM
    cannot be trained where that is overruled. Write it beside `from_scratch` or with a scratch model.

    Compiling is no part of the clock: each process does it when it verifies or warms up, and finds on disk what an
    earlier one has compiled. It runs in the process itself, without a pool of workers. On a CPU it pays seldom and late
    for a recurrent net: ask how many steps win back what it took. Source: Ansel et al. 2024; torch.compile.
    """
    if not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
        raise Skip("torch.compile needs a C++ compiler, and there is none (g++, clang++ or what CXX names)")
    method = {"step": "cell", "loop": "loop"}[what]

    def compiled(init: Any) -> Any:
        def initialise_and_compile(model: nn.Module) -> None:
            init(model)
            rnn = model.encoder.rnn
            # Sizes are dynamic: the rows of a batch vary. The whole graph or nothing: falling back to eager, silently,
            # would be timed as compiled.
            settings: dict[str, Any] = {"dynamic": True, "fullgraph": True, "options": {"compile_threads": 1}}
            if "isolate_recompiles" in signature(torch.compile).parameters:
                # Or else the members of a block would share one limit, and search each other's programs at every call.
                settings["isolate_recompiles"] = True
            setattr(rnn, method, torch.compile(getattr(rnn, method), **settings))

        return initialise_and_compile

    return recipe.wrap("init", compiled)
