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

    `step` makes a few small programs that serve every length and batch: for the first step, the later ones and
    inference, and once more for a batch of one row. `loop` is unrolled over time: every length is a program of its own,
    0.4 to 2 seconds to compile for each of its steps. torch.compile keeps eight and fails at the ninth, so let `pad_to`
    fix the length, keep it short, and raise `measure.limit`. torch's own modules have no loop to compile:
    torch.compile leaves nn.LSTM, nn.GRU and nn.RNN as they are, and nn.LSTM cannot be trained where that is overruled.
    Use it with `from_scratch` or a scratch model.

    The samples hold no compiling: each process does it while it verifies or warms up, and finds on disk what an earlier
    one has compiled. It runs in the process itself, without a pool of workers. Entering a program costs something at
    every call, which in a small net is more than a step's fusion saves; a whole loop can be twice as fast. Ask how many
    steps win back the minutes it took. Source: Ansel et al. 2024; torch.compile.
    """
    if not shutil.which(os.environ.get("CXX", "g++")):
        raise Skip("torch.compile needs a C++ compiler, and there is none (g++, or what the variable CXX names)")
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
