"""The state of the git checkout around a folder."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any


def git_facts(folder: Path) -> dict[str, Any]:
    """The commit, and whether there are uncommitted changes. Empty outside a checkout."""
    try:
        commit, status = (
            subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
            ).stdout
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit.strip(), "dirty": bool(status.strip())}
