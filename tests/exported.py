"""Run exported scripts without starting Python again."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from types import ModuleType

import torch

#: The packages that a script must not need.
HERE = ("harness", "harness_rnn", "toy")

#: Levels of the toy suite to export.
LEVELS = """\
adaptive: {drop: [descent], use: [adaptive, shorten]}
    backwards: {use: [reverse]}
    lazy: {use: [lazy]}
    deep: {model: mlp}
    broken: {model: broken}
    hangs: {model: {name: broken, how: hangs}}
    crash: {model: {name: broken, how: killed, at: 2}}
    spun: {use: [spin]}
    apart: {use: [{name: elsewhere, threads: 2}]}"""


def values_of(text: str) -> list[float]:
    """The value of each step of a script, which runs in this process."""
    module = ModuleType("exported")
    sys.modules["exported"] = module
    try:
        exec(compile(text, "exported.py", "exec"), vars(module))
        built = module.build_trial(torch.device("cpu"))
        step = vars(module).get("training_step") or module.inference_step
        return [step(built, batch) for batch in module.embedded_batches()]
    finally:
        del sys.modules["exported"]


def run_forked(
    command: Sequence[object], *, cwd: object, env: Mapping[str, str] | None = None, **options: object
) -> subprocess.CompletedProcess[str]:
    """Like `subprocess.run` of ``python -I -c CODE ARGUMENTS``, but in a fork of this process without modules of the
    harness and of plugins. torch is imported already, which takes a new process seconds."""
    _, _, _, code, *arguments = map(str, command)
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                faulthandler.disable()  # pytest's fault handler would print the stack of a crash
                os.dup2(output.fileno(), 1)
                os.dup2(errors.fileno(), 2)
                sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
                for name in [name for name in sys.modules if name.partition(".")[0] in HERE]:
                    del sys.modules[name]
                sys.path[:] = [folder for folder in sys.path if "site-packages" in folder or "lib/python" in folder]
                sys.argv = ["-c", *arguments]
                os.chdir(str(cwd))
                os.environ.update(env or {})
                exec(code, {"__name__": "__main__"})
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(
            list(map(str, command)), os.waitstatus_to_exitcode(status), output.read(), errors.read()
        )
