"""torch.compile on a loop over time, and on a whole model."""

from __future__ import annotations

import os
import shutil
from inspect import signature
from typing import Any, Literal

import torch
import torch._inductor.compile_fx  # imported here, because it would add two seconds to the first step
from torch import nn

from harness import Recipe, Skip


def compile(recipe: Recipe, *, what: Literal["step", "loop"] = "step") -> Recipe:
    """Compile a scratch cell with torch.compile and Inductor (Ansel et al. 2024).

    `what`: step compiles the cell, which is called once per time step. A few small programs serve all lengths and batch
    sizes: for the first step, later steps, inference, and batches of one row.

    `what`: loop compiles the whole loop over time, unrolled. Each length needs a separate program, which takes 0.4 to 2
    seconds per time step to compile. torch.compile keeps eight programs and fails at the ninth, so fix the length with
    `pad_to`, keep it short, and raise `measure.limit`.

    It needs `from_scratch` or a scratch model, because torch.compile does not change nn.LSTM, nn.GRU and nn.RNN.
    Compilation happens while a process verifies or warms up, not in the samples, and later processes find the programs
    on disk. It runs in the process itself, without a pool of workers. Each call of a program has a cost: in a small
    model it can exceed what the fusion of a step saves, while a whole loop can be twice as fast. Compare the gain with
    the time to compile. Raises Skip if there is no C++ compiler.
    """
    check_compiler()
    method = {"step": "cell", "loop": "loop"}[what]

    def compiled(init: Any) -> Any:
        def initialise_and_compile(model: nn.Module) -> None:
            init(model)
            rnn = model.encoder.rnn
            # Sizes are dynamic, because the number of rows varies. With fullgraph, nothing falls back to eager silently
            # and is then timed as compiled.
            settings: dict[str, Any] = {"dynamic": True, "fullgraph": True, "options": {"compile_threads": 1}}
            if "isolate_recompiles" in signature(torch.compile).parameters:
                # Otherwise the members of a block share one limit, and each call searches the programs of all.
                settings["isolate_recompiles"] = True
            setattr(rnn, method, torch.compile(getattr(rnn, method), **settings))

        return initialise_and_compile

    return recipe.wrap("init", compiled)


def compile_model(recipe: Recipe, *, dynamic: bool | None = None) -> Recipe:
    """Compile the model of a training script with Inductor (Ansel et al. 2024), as ``model.compile()`` does.

    `dynamic` says whether one program serves all sizes; by default, torch decides that when a second size comes. What
    torch cannot compile runs as before, so the gain may be zero. Compilation happens while a process verifies or warms
    up, not in the samples, but a step with a new shape may take longer than `measure.limit`. Raises Skip if there is no
    C++ compiler.
    """
    check_compiler()

    def compiled(init: Any) -> Any:
        def initialise_and_compile(model: nn.Module) -> None:
            init(model)
            model.model.compile(dynamic=dynamic, options={"compile_threads": 1})

        return initialise_and_compile

    return recipe.wrap("init", compiled)


def check_compiler() -> None:
    """Raise Skip if there is no C++ compiler."""
    if not shutil.which(os.environ.get("CXX", "g++")):
        raise Skip("torch.compile needs a C++ compiler, but there is none (g++, or the one in the variable CXX)")
