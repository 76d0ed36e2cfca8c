"""Checks that need a fresh process: ``python -m harness.testing.subprocess_checks CHECK JSON``.

The result is one JSON value on the last line of standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.plugins.catalog import KINDS, Catalog, resolve
from harness.plugins.manager import CORE, WITHOUT, installed, load_plugins

#: Seconds. A check imports torch and loads a dataset.
TIMEOUT = 300


def ask(check: str, catalog: Catalog, **details: Any) -> Any:
    """The result of a check in a fresh interpreter, with the plugins of this catalog and another hash seed than here.

    Raises AssertionError with the last line of the error output if the check fails.
    """
    hash_seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, WITHOUT: ",".join(catalog.plugins.without)}
    details["files"] = [str(file) for file in catalog.plugins.files]
    command = [sys.executable, "-P", "-m", "harness.testing.subprocess_checks", check, json.dumps(details)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=TIMEOUT)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise AssertionError(f"in a fresh process it fails: {lines[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def list_parts(files: list[str], plugin: str) -> bool:
    """Whether listing the parts of an installed plugin imports torch."""
    entry_point = installed().get(plugin)
    module = entry_point.load() if entry_point else None
    for hook in KINDS.values():
        list(getattr(module, hook, tuple)())
    return "torch" in sys.modules


def import_code(files: list[str], reference: str) -> bool:
    """Whether importing the code of a part imports torch. Of all plugins, only the file with this code is loaded."""
    others = {name.partition(":")[0] for name in installed()} - {CORE}
    load_plugins((Path(file) for file in files if Path(file).stem == reference.partition(":")[0]), without=others)
    resolve(reference, "the part")
    return "torch" in sys.modules


def digest(files: list[str], of: str, trial: Mapping[str, Any]) -> str:
    """A digest of the "data" of a trial, or of the "weights" of its bare model."""
    from harness.measure.runtime.builder import TrialBuilder
    from harness.measure.runtime.digests import digest_of_data, digest_of_weights
    from harness.records.plan import Trial

    builder, rebuilt = TrialBuilder(Catalog(load_plugins(map(Path, files)))), Trial.from_json(trial)
    return digest_of_data(builder.data(rebuilt.dataset)) if of == "data" else digest_of_weights(builder.bare(rebuilt))


CHECKS: Mapping[str, Callable[..., Any]] = {one.__name__: one for one in (list_parts, import_code, digest)}

if __name__ == "__main__":
    result = CHECKS[sys.argv[1]](**json.loads(sys.argv[2]))
    print(f"\n{json.dumps(result)}")
