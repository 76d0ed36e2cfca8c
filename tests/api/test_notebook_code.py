"""References to functions: which ones a fresh process can import, and what is said about the others."""

from __future__ import annotations

import functools
import linecache
import math
import runpy
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from types import ModuleType

import pytest
import toy
import yaml

from harness.api.notebook_code import reference_to
from harness.errors import UserError

HERE = Path(__file__)


def module_level(x):
    return x


@functools.lru_cache
def cached(x):
    return x


class Doubler:
    def __call__(self, x):
        return 2 * x

    def method(self, x):
        return x


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch):
    """Runs texts as the cells of a notebook, whose `__main__` has no file, and returns the session's names."""
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)

    def cell(text: str) -> dict[str, object]:
        name = f"<cell {text}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec", dont_inherit=True), vars(main))
        return vars(main)

    return cell


def refusal(code: object, folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        reference_to(code, folder)
    return str(caught.value)


def test_a_text_is_a_reference_already(tmp_path):
    assert reference_to("code.py:f", tmp_path).text == "code.py:f"


def test_a_function_of_a_file_is_named_by_the_file(tmp_path):
    with chdir(HERE.parents[1]):
        reference = reference_to(module_level, tmp_path)
    assert (reference.text, reference.note) == ("api/test_notebook_code.py:module_level", "")


def test_a_decorated_function_that_the_module_has_under_its_name(tmp_path):
    assert reference_to(cached, tmp_path).text.endswith("tests/api/test_notebook_code.py:cached")


def test_installed_code_is_named_by_its_module(tmp_path):
    assert reference_to(math.sqrt, tmp_path).text == "math:sqrt"
    assert reference_to(functools.reduce, tmp_path).text == "_functools:reduce"
    assert reference_to(yaml.safe_load, tmp_path).text == "yaml:safe_load"


def test_a_function_of_a_package_is_named_by_its_module(tmp_path):
    assert reference_to(reference_to, tmp_path).text == "harness.api.notebook_code:reference_to"


def test_refused_with_the_reason(tmp_path):
    offset = 1

    def closure(x):
        return x + offset

    assert refusal(lambda x: x, tmp_path).startswith(f"{HERE}:")
    assert "a lambda has no name" in refusal(lambda x: x, tmp_path)
    text = refusal(closure, tmp_path)
    assert "closure is defined inside test_refused_with_the_reason" in text
    assert "It uses offset of test_refused_with_the_reason." in text
    assert "Doubler.method is a bound method" in refusal(Doubler().method, tmp_path)
    assert "an object of class Doubler has no name" in refusal(Doubler(), tmp_path)
    assert "functools.partial" in refusal(functools.partial(module_level, 1), tmp_path)
    assert "expected a function or a reference, found int 3" in refusal(3, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_name_that_means_something_else(tmp_path, monkeypatch):
    kept = module_level
    monkeypatch.setattr(sys.modules[__name__], "module_level", toy)
    assert "module_level in" in refusal(kept, tmp_path)
    assert "is not this function" in refusal(kept, tmp_path)


def test_a_call_while_the_module_is_imported(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom harness.api.notebook_code import reference_to\n"
        "def f(x): return x\nprint(reference_to(f, Path('.')))\n"
    )
    ran = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "script.py:f\n"
    ran = subprocess.run([sys.executable, "-c", "import script"], cwd=tmp_path, capture_output=True, text=True)
    assert "is being imported, which every measuring process does" in ran.stderr
    assert '__name__ == "__main__"' in ran.stderr


def test_cells_are_written_to_a_module(session, tmp_path):
    session("import math\nfrom math import sqrt\nfrom os.path import join as joined\nSCALE = {'a': [1, 2.5]}")
    session(
        "class Base:\n    def two(self):\n        return 2\n\nclass Better(Base):\n    def four(self):\n        return 4\n"
    )
    session("def helper(x):\n    return new(x - 1) if x > 0 else sqrt(4)\n")
    names = session(
        "before = 1\n\n\ndef new(x, *, base: Better = Base().two()):\n    helped = [helper(y) for y in range(x)]\n"
        "    return helped + [base, SCALE['a'][1], math.pi, joined('a', 'b'), Better().four()]\n\nafter = 2\n"
    )
    reference = reference_to(names["new"], tmp_path / "code")
    file, _, name = reference.text.rpartition(":")
    assert reference.note == f"new is defined in this session; it was written to {file}."
    text = Path(file).read_text()
    assert "before" not in text
    assert "after" not in text
    written = runpy.run_path(file)
    assert written[name](2) == names["new"](2)
    assert written[name](1) == [2.0, 2, 2.5, math.pi, "a/b", 4]
    again = reference_to(names["new"], tmp_path / "code")
    assert again == reference
    assert len(list((tmp_path / "code").iterdir())) == 1


def test_a_cell_that_was_run_again_gives_another_module(session, tmp_path):
    first = session("def f():\n    return 1\n")["f"]
    second = session("def f():\n    return 2\n")["f"]
    files = [reference_to(f, tmp_path).text.rpartition(":")[0] for f in (first, second)]
    assert [runpy.run_path(file)["f"]() for file in files] == [1, 2]


def test_what_exists_only_in_the_session_is_refused(session, tmp_path):
    names = session("import threading\nlock = threading.Lock()\ndef f():\n    with lock:\n        return 1\n")
    text = refusal(names["f"], tmp_path)
    assert (
        "f is defined in this session, and cannot be written to a module: it uses lock, a value of class lock" in text
    )
    assert "Make it inside the function, or take it as an argument." in text
    names = session("import functools\n@functools.lru_cache\ndef g():\n    return 1\n")
    assert "g is a decorated function of this session" in refusal(names["g"], tmp_path)
    exec(compile("def unknown():\n    return 1\n", "<no cell>", "exec"), names)
    assert "Python does not keep the source of unknown here." in refusal(names["unknown"], tmp_path)
    session("def newer():\n    return 1\n")
    cell = names["newer"].__code__.co_filename
    linecache.cache[cell] = (1, None, ["def newer():\n", "    return 12 + newer()\n"], cell)
    assert "the source of newer at the top level of a cell was not found." in refusal(names["newer"], tmp_path)
    assert not list(tmp_path.iterdir())


def test_values_of_modules_are_imported(session, tmp_path):
    torch = pytest.importorskip("torch")
    names = session(
        "import torch\nimport torch.nn.functional as F\nfrom torch import relu\nkind = torch.float64\n"
        "def f(n):\n    return F.softmax(relu(torch.arange(n, dtype=kind)), 0)\n"
    )
    written = runpy.run_path(reference_to(names["f"], tmp_path).text.rpartition(":")[0])
    assert torch.equal(written["f"](3), names["f"](3))


CELLS = (
    "import harness\nLENGTH = 500",
    "def make():\n    yield ([n * 7919 % 300 for n in range(LENGTH)],)\n",
    "def add(found, number):\n    if number not in found:\n        found.append(number)\n",
    "def old(numbers):\n    found = []\n    for number in numbers:\n        add(found, number)\n    return found\n",
    "def new(numbers):\n    return list(dict.fromkeys(numbers))\n",
    "result = harness.ab(old, new, inputs=make, budget='5s')\nprint(repr(result))",
)
NOTEBOOK = """
import linecache, __main__
for number, text in enumerate({cells!r}):
    name = f"/tmp/cell/{{number}}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec"), vars(__main__))
"""


@pytest.mark.slow  # it measures
def test_functions_of_a_notebook_are_compared(tmp_path):
    command = [sys.executable, "-c", NOTEBOOK.format(cells=CELLS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("<Result: new takes 0."), done.stderr
    assert "): faster; results/ab-new/" in done.stdout
    assert "old is defined in this session; it was written to results/notebook/old_" in done.stderr
