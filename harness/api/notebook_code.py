"""From a callable to a reference that a fresh process can import: `file.py:name` or `package.module:name`.

Versions are measured in fresh processes, which import them by a reference. A function of a module has one already. The
source of a function that was defined in a notebook is written to a module, together with what it uses. Everything else
is refused with the reason.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import site
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from harness.api.session_source import Source, UnusableName, module_of
from harness.errors import UserError

#: Where the source of functions of a notebook is written to, below the folder of all runs.
NOTEBOOK = "notebook"
WRITE_DEF = "Write a function with def at the top level of a file or of a notebook cell."


@dataclass(frozen=True)
class Reference:
    """A reference to code, as a suite names it. `note` says what was written to make it importable; usually nothing."""

    text: str
    note: str = ""

    def __str__(self) -> str:
        return self.text


def references_to(codes: Sequence[Callable[..., Any] | str], results: Path) -> list[str]:
    """The references to several functions as texts. The source of those of a notebook is written below `results`, the
    folder of all runs, and lines on standard error say so. Raises UserError like `reference_to`."""
    references = [reference_to(code, results / NOTEBOOK) for code in codes]
    for note in dict.fromkeys(reference.note for reference in references if reference.note):
        print(note, file=sys.stderr)
    return [reference.text for reference in references]


def reference_to(code: Callable[..., Any] | str, folder: Path) -> Reference:
    """The reference to a function or class, relative to the working folder if its file lies below it. A text is a
    reference already.

    The source of a function of a notebook is written to a module in `folder`, whose name contains a digest of the
    source. Raises UserError, with the reason, for code that a fresh process cannot import."""
    if isinstance(code, str):
        return Reference(code)
    _check_kind(code)
    name, module = code.__qualname__, sys.modules.get(code.__module__ or "")
    if module is None:
        raise UserError(f"the module of {name} is not known, so a fresh process cannot import it.", fix=WRITE_DEF)
    if module.__name__ == "__main__" and not _is_in_file(code, module):
        return _written(code, folder)
    _check_found_again(code, module)
    importable = _importable_name(module)
    return Reference(f"{importable or _shown(Path(_file_of(module)))}:{name}")


def _check_kind(code: Any) -> None:
    """Refuse what has no name of its own in a module."""
    if isinstance(code, functools.partial):
        raise UserError("a functools.partial has no name to import it by.", fix=WRITE_DEF)
    if inspect.ismethod(code):
        fix = "Write a function that makes the object and calls the method."
        raise UserError(f"{code.__qualname__} is a bound method: its object exists only in this process.", fix=fix)
    if not callable(code):
        raise UserError(f"expected a function or a reference, found {type(code).__name__} {code!r:.60}.", fix=WRITE_DEF)
    name = getattr(code, "__qualname__", None)
    if not isinstance(name, str):
        fix = "Write a function that makes the object and calls it."
        raise UserError(f"an object of class {type(code).__name__} has no name to import it by.", fix=fix)
    where = _place(code)
    if "<lambda>" in name:
        raise UserError("a lambda has no name to import it by.", where=where, fix=WRITE_DEF)
    if "<locals>" in name:
        function = name.partition(".<locals>")[0]
        variables = getattr(getattr(code, "__code__", None), "co_freevars", ())
        uses = f" It uses {', '.join(variables)} of {function}." if variables else ""
        what = f"{code.__name__} is defined inside {function}, so a fresh process cannot import it.{uses}"
        fix = "Move it to the top level of the file, and let it get what it uses from its inputs or its module."
        raise UserError(what, where=where, fix=fix)


def _check_found_again(code: Any, module: ModuleType) -> None:
    """Refuse a function whose name in its module means something else, and one that is defined while the module that
    measures it is being imported."""
    found: Any = module
    for part in code.__qualname__.split("."):
        found = getattr(found, part, None)
    place = _file_of(module) or module.__name__
    if _imports_now(code, module):
        what = f"this is called while {place} is being imported, which every measuring process does."
        raise UserError(what, where=_place(code), fix='Move the call below: if __name__ == "__main__":')
    if found is not code:
        what = (
            f"{code.__qualname__} in {place} is not this function: it was decorated, replaced or made in another way."
        )
        raise UserError(what, where=_place(code), fix="Assign the final function to its own name in the module.")


def _imports_now(code: Any, module: ModuleType) -> bool:
    """Whether the module of the code is being imported, and is not the program itself."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals is vars(module):
            return module.__name__ != "__main__"
        frame = frame.f_back
    return False


def _written(code: Any, folder: Path) -> Reference:
    """Write the source of a function of a notebook, with what it uses, to a module."""
    if not isinstance(code, FunctionType | type) or hasattr(code, "__wrapped__"):
        what = (
            f"{code.__qualname__} is a decorated function of this session, whose source cannot be written to a module."
        )
        raise UserError(what, fix="Apply the decorator in a file, and pass the reference 'file.py:name'.")
    try:
        text = module_of(Source.of(code))
    except UnusableName as error:
        fix = "Change this, or write the function to a file and pass the reference 'file.py:name'."
        what = f"{code.__qualname__} is defined in this session, and cannot be written to a module: {error}"
        raise UserError(what, fix=fix) from error
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    file = folder / f"{code.__name__}_{digest}.py"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    shown = _shown(file)
    return Reference(
        f"{shown}:{code.__name__}", f"{code.__name__} is defined in this session; it was written to {shown}."
    )


def _file_of(module: ModuleType) -> str:
    file = getattr(module, "__file__", None) or ""
    return file if file.endswith(".py") else ""


def _is_in_file(code: Any, main: ModuleType) -> bool:
    """Whether code of the program itself was defined in its file, and not typed in afterwards."""
    if not _file_of(main) or not isinstance(code, FunctionType):
        return bool(_file_of(main))
    return Path(code.__code__.co_filename).resolve() == Path(_file_of(main)).resolve()


def _importable_name(module: ModuleType) -> str:
    """The name by which another process imports the module: of a module that is installed, lies in a package or is not
    a Python file. Empty where the file itself is the better reference."""
    if module.__name__ == "__main__":
        return module.__spec__.name if module.__spec__ else ""
    file = Path(_file_of(module)).resolve()
    installed = [*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("stdlib")]
    found = any(file.is_relative_to(Path(folder).resolve()) for folder in installed)
    return module.__name__ if found or not _file_of(module) or (file.parent / "__init__.py").exists() else ""


def _shown(file: Path) -> Path:
    """The file, relative to the working folder if it lies below it."""
    file, here = file.resolve(), Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def _place(code: Any) -> str | None:
    """The file and line of a function."""
    found = getattr(code, "__code__", None)
    return f"{found.co_filename}:{found.co_firstlineno}" if found else None
