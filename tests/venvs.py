"""A new virtual environment that shares the installed packages, since installing torch takes minutes. A package that is
installed into it is not visible outside."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

#: Commands of the environment, which its own Python runs.
COMMANDS = {
    "harness": "from harness.cli import main; main()",
    "pip": "from pip._internal.cli.main import main; import sys; sys.exit(main())",
    "pytest": "import pytest, sys; sys.exit(pytest.main())",
}


class Venv:
    """A virtual environment in a folder, and the variables that its commands run with."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.bin = folder / "bin"
        (site,) = folder.glob("lib/python*/site-packages")
        # A .pth file alone is not enough: packages here may be installed by .pth files, too.
        (site / "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        for name, code in COMMANDS.items():
            script = self.bin / name
            script.write_text(f"#!{self.bin / 'python'}\n{code}\n")
            script.chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
        # everything that building and installing a plugin needs is installed here
        if find_spec("hatchling") and find_spec("editables"):
            self.environment |= {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}

    def run(self, *command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """A command of the environment."""
        return subprocess.run(
            [str(part) for part in command], cwd=cwd, env=self.environment, text=True, timeout=600,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
