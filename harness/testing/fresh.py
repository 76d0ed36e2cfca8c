"""Questions that only a fresh process can answer: run as ``python -m harness.testing.fresh QUESTION JSON``.

Its answer is one JSON value on the last line of standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.plugins.manager import WITHOUT, installed

#: A question takes importing torch and loading data; what takes this long hangs.
LIMIT = 300


def ask(question: str, *, hash_seed: str = "0", without: Sequence[str] = (), **details: Any) -> Any:
    """The answer of a fresh interpreter, which does `without` some installed plugins. Raises AssertionError with the
    last line it said where it fails."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "harness.testing.fresh", question, json.dumps(details)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, WITHOUT: ",".join(without)},
        timeout=LIMIT,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise AssertionError(f"in a fresh process it fails: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return json.loads(done.stdout.splitlines()[-1])


def door(plugin: str) -> bool:
    """Whether torch is imported once the plugin's hooks have yielded what they have."""
    from harness.plugins.catalog import KINDS

    entry_point = installed().get(plugin)
    module = entry_point.load() if entry_point else None
    for hook in KINDS.values():
        list(getattr(module, hook, tuple)())
    return "torch" in sys.modules


def code(reference: str, plugins: list[str]) -> bool:
    """Whether torch is imported with the code of a part."""
    from harness.plugins.catalog import resolve
    from harness.plugins.manager import load_plugins

    # Only the file that the code lies in, if any: another may import what it likes.
    load_plugins(Path(file) for file in plugins if Path(file).stem == reference.partition(":")[0])
    resolve(reference, "the part")
    return "torch" in sys.modules


def data(trial: Mapping[str, Any], plugins: list[str]) -> str:
    """A digest of the trial's dataset."""
    from harness.measure.runtime.digests import digest_of_data

    builder, made = _made(trial, plugins)
    return digest_of_data(builder.data(made.dataset))


def weights(trial: Mapping[str, Any], plugins: list[str]) -> str:
    """A digest of the weights of the trial's bare model."""
    from harness.measure.runtime.digests import digest_of_weights

    builder, made = _made(trial, plugins)
    return digest_of_weights(builder.bare(made))


def _made(trial: Mapping[str, Any], plugins: list[str]) -> tuple[Any, Any]:
    from harness.measure.runtime.builder import TrialBuilder
    from harness.plugins.catalog import Catalog
    from harness.plugins.manager import load_plugins
    from harness.records.plan import Trial

    return TrialBuilder(Catalog(load_plugins(map(Path, plugins)))), Trial.from_json(trial)


if __name__ == "__main__":
    questions: dict[str, Any] = {"door": door, "code": code, "data": data, "weights": weights}
    answer = questions[sys.argv[1]](**json.loads(sys.argv[2]))
    print(f"\n{json.dumps(answer)}")
