"""A newcomer's virtual environment, without the minutes that installing torch takes: it sees what is installed here,
and what is installed into it stays in it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

#: Commands that the environment has of its own, each run by its own Python.
COMMANDS = {
    "harness": "from harness.cli import main; main()",
    "pip": "from pip._internal.cli.main import main; import sys; sys.exit(main())",
    "pytest": "import pytest, sys; sys.exit(pytest.main())",
}


class Venv:
    """A virtual environment in a folder, and what its commands are run with."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.bin = folder / "bin"
        (site,) = folder.glob("lib/python*/site-packages")
        # A .pth file's own lines are not enough: what is here may be installed by .pth files, too.
        (site / "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        for name, code in COMMANDS.items():
            script = self.bin / name
            script.write_text(f"#!{self.bin / 'python'}\n{code}\n")
            script.chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
        if find_spec("hatchling") and find_spec("editables"):  # all that building and installing a plugin takes is here
            self.environment |= {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}

    def run(self, *command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """A command of the environment."""
        return subprocess.run(
            [str(part) for part in command], cwd=cwd, env=self.environment, text=True, timeout=600,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
