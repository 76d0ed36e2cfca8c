"""From a text such as "bench.py:softmax" or "package.module:softmax" to the function that it names."""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from harness.errors import Place, UserError, did_you_mean
from harness.plugins.commits import checkout
from harness.plugins.isolation import error_text, isolated

#: The folder of this package, whose own imports are none of the user.
HERE = Path(__file__).parents[1]
FORM = "Write file.py:name or package.module:name."


class CodeReference(NamedTuple):
    """The parts of a reference: a file or a module, and the name of a function in it."""

    module: str
    name: str

    @property
    def is_file(self) -> bool:
        """Whether the module is given as a file."""
        return self.module.endswith(".py")

    @property
    def text(self) -> str:
        """The reference as it was written."""
        return f"{self.module}:{self.name}"


def is_reference(text: str) -> bool:
    """Whether a text has the form of a reference."""
    module, _, name = text.rpartition(":")
    return (module.endswith(".py") or is_dotted(module)) and is_dotted(name)


def is_dotted(text: str) -> bool:
    """Whether a text is a name with dots, such as "package.module"."""
    return all(part.isidentifier() for part in text.split("."))


def parse_reference(text: str, where: Place | str | None = None) -> CodeReference:
    """The parts of a reference. Raises UserError if the text has another form."""
    if not is_reference(text):
        raise UserError(f"{text!r} does not name a function.", where=where, fix=FORM)
    module, _, name = text.rpartition(":")
    return CodeReference(module, name)


def function_of(text: str, where: Place | str | None = None, commit: str = "") -> Callable[..., Any]:
    """The function that a reference names, as the working tree has it, or as it is in a `commit` of the repository.

    A file is relative to the working folder, and its folder is importable. Raises UserError if there is no such file,
    module or function, and if the import fails.
    """
    reference = parse_reference(text, where)
    root, module_name = location_of(reference, where)
    if commit:
        root = checkout(root, commit, where)
        if not (root / Path(*module_name.split("."))).with_suffix(".py").is_file() and reference.is_file:
            what = f"commit {commit[:12]} has no file {reference.module}."
            raise UserError(what, where=where or text, fix="Name a commit that has it.")
    module = import_from(root, module_name, where)
    found: Any = module
    for part in reference.name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            known = [name for name, value in vars(found).items() if callable(value) and not name.startswith("_")]
            what = f"{reference.module} has no function {reference.name!r}."
            raise UserError(what, where=where or text, fix=did_you_mean(part, known)) from None
    if not callable(found):
        what = f"{text} cannot be called: it is a value of type {type(found).__name__}."
        raise UserError(what, where=where, fix="Name a function.")
    return found  # type: ignore[no-any-return]


def origin_of(text: str, where: Place | str | None = None, commit: str = "") -> tuple[str, str]:
    """The file or module of a reference, and its version: a hash of the file, or the commit. The module is not
    imported. Raises UserError if there is no such file, module or function."""
    reference = parse_reference(text, where)
    root, name = location_of(reference, where)
    if commit:
        return reference.module, f"commit:{commit[:12]}"
    inside = root / Path(*name.split("."))
    file = inside.with_suffix(".py") if inside.with_suffix(".py").is_file() else inside / "__init__.py"
    if not file.is_file():  # such as a compiled module
        return reference.module, "0"
    content = file.read_bytes()
    check_defines(content, reference, file, where)
    return reference.module, f"sha256:{hashlib.sha256(content).hexdigest()[:12]}"


def source_of(text: str, commit: str = "") -> str:
    """The source of the file of a reference. Raises UserError if there is none."""
    reference = parse_reference(text)
    root, name = location_of(reference)
    root = checkout(root, commit) if commit else root
    file = (root / Path(*name.split("."))).with_suffix(".py")
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the source cannot be read: {error_text(error)}.", where=str(file)) from None


def check_defines(content: bytes, reference: CodeReference, file: Path, where: Place | str | None) -> None:
    """Raise UserError if a file is not valid Python, or if it binds no such name. The file is not run, so a name
    that it binds in an unusual form is found later."""
    try:
        tree = ast.parse(content, str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"{reference.module}:{line}" if line else reference.module
        raise UserError(f"this is not valid Python: {error_text(error)}.", where=place) from None
    bound = set(bound_names(tree))
    if not bound & {reference.name.partition(".")[0], "*", "__getattr__"}:
        what = f"{reference.module} has no function {reference.name!r}."
        fix = did_you_mean(reference.name, (name for name in bound if not name.startswith("_")))
        raise UserError(what, where=where or reference.text, fix=fix)


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Every name that a module binds somewhere, and * if it imports all names of another module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def location_of(reference: CodeReference, where: Place | str | None = None) -> tuple[Path, str]:
    """The folder that must be importable, and the name of the module. Raises UserError if there is no such file or
    module."""
    if reference.is_file:
        file = Path(reference.module)
        if not file.is_file():
            folder = file.parent
            near = [str(each) for each in folder.glob("*.py")] if folder.is_dir() else []
            fix = did_you_mean(str(file), near) if near else f"It is relative to the folder {Path.cwd()}."
            raise UserError(f"{file}: file not found.", where=where, fix=fix)
        return file.resolve().parent, file.stem
    here = Path.cwd()
    top = reference.module.partition(".")[0]
    if (here / f"{top}.py").is_file() or (here / top).is_dir():
        return here, reference.module
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        fix = f"Install it, or run the command in the folder that holds it (this is {here})."
        raise UserError(f"there is no module {top!r}.", where=where or reference.text, fix=fix)
    file = Path(spec.origin)
    return (file.parent.parent if file.name == "__init__.py" else file.parent), reference.module


@cache
def import_from(root: Path, name: str, where: Place | str | None = None) -> ModuleType:
    """Import a module from a folder, which is importable for the module's own imports. Modules of other folders with
    the same names are not used for it, and stay what they are. Raises UserError if the import fails."""
    with modules_of(root):
        file = (root / Path(*name.split("."))).with_suffix(".py")
        try:
            with isolated(f"importing {name}"):
                module = importlib.import_module(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # it may raise anything
            place = f"{file}:{line}" if (line := line_in(error, file)) else (where or str(file))
            raise UserError(f"importing {name} failed: {error_text(error)}.", where=place) from error
        if file.is_file() and getattr(module, "__file__", None) != str(file):
            what = f"{name!r} is also the name of a module that is imported already."
            raise UserError(what, where=str(file), fix="Rename the file.")
        return module


@contextmanager
def modules_of(root: Path) -> Iterator[None]:
    """Inside, imports find the modules of a folder first. Afterwards the folder stays importable, unless modules of
    another folder have the same names: then these are in place again."""
    hidden = {name: module for name, module in sys.modules.items() if is_hidden_by(module, name, root)}
    for name in hidden:
        del sys.modules[name]
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if hidden:
            sys.path.remove(str(root))
            tops = {name.partition(".")[0] for name in hidden}
            for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
                del sys.modules[name]
            sys.modules.update(hidden)
        elif str(root) in sys.path[1:]:
            sys.path.remove(str(root))


@contextmanager
def watched_imports(found: set[str]) -> Iterator[None]:
    """Inside, add the name of each module of somebody's own code that an import statement gets."""
    real = builtins.__import__

    def watched(name: str, *arguments: Any, **options: Any) -> Any:
        module = real(name, *arguments, **options)
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and not is_installed(Path(file)) and not Path(file).is_relative_to(HERE):
            found.add(name)
        return module

    builtins.__import__ = watched
    try:
        yield
    finally:
        builtins.__import__ = real


def is_hidden_by(module: ModuleType, name: str, root: Path) -> bool:
    """Whether a folder has a module with the name of an imported one, which comes from another folder of somebody's
    own code. Installed modules are never hidden."""
    top = name.partition(".")[0]
    if not ((root / f"{top}.py").is_file() or (root / top / "__init__.py").is_file()):
        return False
    file = getattr(module, "__file__", None)
    return file is not None and not Path(file).is_relative_to(root) and not is_installed(Path(file))


def is_installed(file: Path) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    return "site-packages" in file.parts or file.is_relative_to(sysconfig.get_path("stdlib"))


def line_in(error: BaseException, file: Path) -> int | None:
    """The line of a file in which an error was raised; None if it was raised elsewhere."""
    if isinstance(error, SyntaxError):
        return error.lineno if error.filename == str(file) else None
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
