"""The files of a commit of a git repository, in a folder of the user's cache."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from harness.errors import Place, UserError


def commit_of(folder: Path, name: str, where: Place | str | None = None) -> str:
    """The full hash of the commit that a branch, a tag or an abbreviated hash names. Raises UserError if there is
    none."""
    try:
        return git(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
    except FileNotFoundError:
        raise UserError("git is not installed.", where=where) from None
    except subprocess.CalledProcessError:
        if not is_repository(folder):
            what, fix = f"{folder} is not in a git repository.", "Give the older function as a file."
            raise UserError(what, where=where, fix=fix) from None
        fix = "Name a commit, a branch or a tag, such as HEAD~1 or main."
        raise UserError(f"there is no commit {name!r} in this repository.", where=where, fix=fix) from None


def is_repository(folder: Path) -> bool:
    """Whether a folder lies in the working tree of a git repository."""
    try:
        git(folder, "rev-parse", "--show-toplevel")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def checkout(folder: Path, commit: str, where: Place | str | None = None) -> Path:
    """The folder that holds what `folder` held in a commit, given by its full hash. Its files are written once. Raises
    UserError if they cannot be."""
    top = Path(os.fsdecode(git(folder, "rev-parse", "--show-toplevel")).strip())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "harness" / "commits"
    written = cache / commit
    if not written.is_dir():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as temporary:
                archive = git(top, "archive", "--format=tar", commit)
                with tarfile.open(fileobj=BytesIO(archive)) as files:
                    files.extractall(Path(temporary) / "files", filter="data")
                try:
                    (Path(temporary) / "files").rename(written)
                except OSError:
                    if not written.is_dir():  # another process has not written it meanwhile
                        raise
        except (OSError, subprocess.CalledProcessError, tarfile.TarError) as error:
            raise UserError(f"the files of commit {commit[:12]} cannot be written: {error}.", where=where) from error
    return written / folder.resolve().relative_to(top.resolve())


def git(folder: Path, *arguments: str, timeout: float | None = None) -> bytes:
    """What git prints. Raises CalledProcessError if it fails, TimeoutExpired if it takes longer than `timeout` seconds,
    and OSError if it is not installed."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=timeout).stdout
