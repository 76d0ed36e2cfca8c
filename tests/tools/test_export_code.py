"""Source slicing: which code is included, in which order and under which names, and whether it runs."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.tools.export.modules import Definition, Modules
from harness.tools.export.names import Imported, mentions
from harness.tools.export.slicing import Slice, Slicer

Package = Callable[..., str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Writes a package of modules, makes it importable for the test, and returns its name."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**modules: str) -> str:
        folder = tmp_path / "parcel"
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        for name in modules:
            if name != "__init__":
                importlib.import_module(f"parcel.{name}")
        return "parcel"

    yield write
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "parcel":
            del sys.modules[name]


def sliced(*wanted: str, **settings) -> Slice:
    """The code of these names, given as module:name."""
    slicer = Slicer(Modules(frozenset({"parcel"})), **settings)
    return slicer.slice([Definition(*one.split(":")) for one in wanted])


def run(found: Slice) -> dict:
    """The module of the sliced code, executed where the package cannot be imported."""
    text = f"from __future__ import annotations\n{found.imports}\n{found.code}\n"
    module = types.ModuleType("exported")
    sys.modules["exported"] = module
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "parcel"}
    path, sys.path = sys.path, [folder for folder in sys.path if not (Path(folder) / "parcel").exists()]
    try:
        exec(compile(text, "exported.py", "exec"), vars(module))
    finally:
        sys.path = path
        sys.modules.update(hidden)
        del sys.modules["exported"]
    return vars(module)


def test_a_slice_has_the_code_that_is_used_with_its_comments(package):
    package(
        a='''
"""A module."""
from math import pi, tau
from parcel.b import helper

#: Twice around.
ROUND = 2 * tau
"""What goes round."""
UNUSED = pi

# Adds
# a round.
def wanted(x):  # noqa: E501
    """It says what it does."""
    return helper(x) + ROUND  # type: ignore[operator]

def unwanted():
    return UNUSED
''',
        b="import os\n\ndef helper(x):\n    return -x\n\ndef other():\n    return os.sep\n",
    )
    found = sliced("parcel.a:wanted")
    assert found.imports == "from math import tau"
    for there in (
        "#: Twice around.",
        '"""What goes round."""',
        "# Adds\n# a round.\ndef wanted(x):\n",
        "# From parcel.b",
    ):
        assert there in found.code
    for gone in ("UNUSED", "unwanted", "other", "noqa", "type: ignore", "A module"):
        assert gone not in found.code
    assert found.code.index("def helper") < found.code.index("def wanted")
    assert run(found)["wanted"](0) == pytest.approx(12.566370614359172)


def test_a_name_with_two_meanings_is_renamed_wherever_it_is_used(package):
    package(
        one="LIMIT = 1\n\ndef cut(x):\n    return x[:LIMIT]\n",
        two="from parcel import one\nfrom parcel.one import cut as short\n\nLIMIT = 2\n\n"
        "class Cut:\n    cut = 'mine'\n\ndef cut(x, depth=0):\n"
        "    if depth:\n        return cut(x, depth - 1)\n"
        "    LIMITS = [LIMIT for _ in range(1)]\n"
        "    return one.cut(x) + short(x) + x[:LIMIT] + f'{LIMITS[0]}' + Cut.cut + f'a {LIMIT}{1}'\n",
    )
    found = sliced("parcel.two:cut")
    name = found.names[Definition("parcel.two", "cut")]
    assert name == "two_cut"
    names = run(found)
    assert names[name]("abc", 1) == "aaab2minea 21"
    assert (names["LIMIT"], names["two_LIMIT"]) == (1, 2)
    assert names["cut"]("xyz") == "x"


def test_statements_on_one_line_are_separated(package):
    package(a="import os; ONE = 1; TWO = ONE + 1; THREE = os  # three\n\ndef wanted():\n    return TWO\n")
    found = sliced("parcel.a:wanted")
    assert "ONE = 1\nTWO = ONE + 1\n" in found.code
    assert "THREE" not in found.code
    assert run(found)["wanted"]() == 2


def test_local_names_hide_those_of_the_module(package):
    package(
        a="from parcel.b import one, two, three\n\n"
        "def wanted(one):\n    two = 2\n    inner = lambda three: three + two\n    return inner(one)\n",
        b="def one(): ...\ndef two(): ...\ndef three(): ...\n",
    )
    found = sliced("parcel.a:wanted")
    assert "def one" not in found.code
    assert "def two" not in found.code
    assert "def three" not in found.code
    assert run(found)["wanted"](3) == 5


def test_a_name_that_a_local_one_would_hide_is_not_chosen(package):
    package(
        a="from parcel import b\n\ndef wanted(collate):\n    return b.collate(collate)\n",
        b="def collate(x):\n    return [x]\n",
    )
    found = sliced("parcel.a:wanted")
    assert found.names.get(Definition("parcel.b", "collate")) == "b_collate"
    assert run(found)["wanted"](1) == [1]


def test_names_are_resolved_through_modules_stars_and_packages(package):
    package(
        __init__="from .deep import *\nfrom .other import renamed as public\n",
        deep="from .base import Base\n__all__ = ['Deep']\n\nclass Deep(Base):\n    y = 2\n",
        base="class Base:\n    x = 1\n",
        other="def renamed():\n    return 'r'\n",
        use="import parcel\nimport parcel.base as b\nimport parcel.other\n\n"
        "def wanted():\n    return parcel.Deep.x, b.Base.x, parcel.public(), parcel.other.renamed()\n",
    )
    assert run(sliced("parcel.use:wanted"))["wanted"]() == (1, 1, "r", "r")


def test_imports_inside_functions_are_resolved(package):
    package(
        a="def wanted():\n    from parcel.b import late  # which reads this one in turn\n    import json\n"
        "    return json.loads(late())\n",
        b="from parcel.a import wanted\n\ndef late():\n    return '[1]'\n",
    )
    found = sliced("parcel.a:wanted")
    assert "parcel.b import" not in found.code
    assert run(found)["wanted"]() == [1]


CLASSES = '''
from abc import ABC, abstractmethod
from functools import lru_cache


class Base(ABC):
    """It has many."""

    kept = 1

    @abstractmethod
    def first(self): ...

    # Nobody calls this.
    def dropped(self):
        return Unused

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, new):
        self._value = new

    def by_name(self):
        return "named"


class Unused: ...


class Wanted(Base, dict):
    def __init__(self):
        self.value = 3

    def first(self):
        return getattr(self, "by_name")() + str(self.value)

    def keys(self):
        return ["a"]

    def only_dropped(self):
        return Unused
'''


def test_methods_that_nothing_mentions_are_left_out(package):
    package(a=CLASSES)
    found = sliced("parcel.a:Wanted", mentioned={"first"})
    for gone in ("dropped", "Nobody calls", "Unused", "lru_cache"):
        assert gone not in found.code
    assert "def keys" in found.code  # a method of dict, which dict may call
    names = run(found)
    assert names["Wanted"]().first() == "named3"
    assert "Unused" in sliced("parcel.a:Wanted", whole=True).code


def test_class_without_used_methods_is_valid(package):
    package(a="class Wanted:\n    def gone(self):\n        return 1\n\ndef make():\n    return Wanted()\n")
    names = run(sliced("parcel.a:make"))
    assert type(names["make"]()) is names["Wanted"]


def test_annotations_include_imports_and_types_but_no_code(package):
    package(
        a="from __future__ import annotations\nfrom typing import TYPE_CHECKING, Any, Literal\n"
        "from parcel.b import Big, How\nif TYPE_CHECKING:\n    from parcel.c import Never\n\n"
        "def wanted(x: Any, how: How, big: Big, never: Never) -> Big:\n    local: Big = x\n    return local\n",
        b="from typing import Literal\n\nHow = Literal['a', 'b']\n\nclass Big: ...\n",
        c="class Never: ...\n",
    )
    found = sliced("parcel.a:wanted")
    assert found.imports == "from typing import Any, Literal"
    assert "How = Literal" in found.code
    assert "class" not in found.code


def test_statements_that_act_on_included_code_are_included(package):
    package(
        a="import warnings\n\nTABLE = {}\nOTHER = []\n\n"
        "def one():\n    return 1\n\ndef two():\n    return 2\n\n"
        "TABLE['one'] = one\nTABLE.update(two=two)\nOTHER.append(two)\nwarnings.filterwarnings('ignore', 'never seen')\n"
        "def wanted(name):\n    return TABLE[name]()\n\n"
        "if __name__ == '__main__':\n    print(wanted('one'))\n",
    )
    found = sliced("parcel.a:wanted")
    assert "OTHER" not in found.code
    assert "__main__" not in found.code
    assert "warnings.filterwarnings" in found.code
    assert run(found)["wanted"]("two") == 2


def test_imports_of_other_code_are_shared_and_renamed_if_they_clash(package):
    package(
        a="import json as j\nimport os.path\nfrom json import dumps\n\n"
        "def one(x):\n    return dumps(j.loads(x)), os.path.basename('a/b')\n",
        b="from pickle import dumps\nfrom parcel.a import one\nimport os\n\n"
        "def wanted(x):\n    return one(x), len(dumps(x)) > 3, os.sep\n",
    )
    found = sliced("parcel.b:wanted")
    assert run(found)["wanted"]("[1]") == (("[1]", "b"), True, "/")
    assert {found.names[Imported("json", "dumps")], found.names[Imported("pickle", "dumps")]} == {
        "dumps",
        "pickle_dumps",
    }


def test_an_import_in_try_stays_unchanged(package):
    package(
        a="try:\n    import nowhere_to_be_found as fast\nexcept ImportError:\n    fast = None\n\n"
        "def wanted():\n    return fast\n"
    )
    assert run(sliced("parcel.a:wanted"))["wanted"]() is None


def test_reserved_names_and_used_builtins_are_not_chosen(package):
    package(
        a="def main():\n    return compile\n\ndef compile(x):\n    return x\n",
        b="from parcel.a import main\nfrom parcel.c import wanted as w\n\ndef wanted():\n    return main()(1), w()\n",
        c="def wanted():\n    return eval(compile('2', '', 'eval'))\n",
    )
    found = sliced("parcel.b:wanted", reserved=frozenset({"main"}))
    assert found.names[Definition("parcel.a", "main")] == "a_main"
    assert found.names[Definition("parcel.a", "compile")] == "a_compile"
    assert run(found)[found.names[Definition("parcel.b", "wanted")]]() == (1, 2)


def test_globals_comprehensions_and_matches(package):
    package(
        a="count = 0\nrest = 'outer'\n\ndef wanted(value):\n    global count\n    count += 1\n"
        "    squares = [count * y for y in range(2)]\n"
        "    match value:\n        case [first, *rest]:\n            return first, rest, squares\n"
        "        case {'k': k, **more}:\n            return k, more, squares\n",
        b="from parcel.a import wanted as other\n\ncount = 'b'\n\ndef wanted(v):\n    return other(v), count\n",
    )
    found = sliced("parcel.b:wanted")
    assert "rest = 'outer'" not in found.code
    names = run(found)
    wanted = names[found.names[Definition("parcel.b", "wanted")]]
    assert wanted([1, 2]) == ((1, [2], [0, 1]), "b")
    assert wanted({"k": 3, "z": 4}) == ((3, {"z": 4}, [0, 2]), "b")


def test_provided_names_are_used_and_not_included(package):
    package(
        a="from parcel import b\n\ndef wanted(x: b.Recipe):\n    return b.Recipe(x)\n",
        b="class Recipe: ...\n",
    )
    found = sliced(
        "parcel.a:wanted", provided={Definition("parcel.b", "Recipe"): "Recipe"}, reserved=frozenset({"Recipe"})
    )
    assert "class" not in found.code
    assert "def wanted(x: Recipe):\n    return Recipe(x)" in found.code


@pytest.mark.parametrize(
    ("modules", "says"),
    [
        (
            {
                "a": "try:\n    from parcel.b import x\nexcept ImportError:\n    x = None\n\ndef wanted():\n    return x\n"
            },
            "parcel.a, line 1: code of a plugin that is imported conditionally cannot be exported. Import it at the top",
        ),
        (
            {"a": "from parcel import b\n\ndef wanted():\n    return vars(b)\n"},
            "parcel.a: the module parcel.b is used as a value, so the code cannot be exported. Import the names",
        ),
        (
            {"a": "def wanted():\n    from parcel.b import nowhere\n    return nowhere\n"},
            "parcel.a: parcel.b.nowhere is not defined, so the code cannot be exported.",
        ),
        (
            {"a": "from json import *\n\ndef wanted():\n    return dumps(1)\n"},
            "parcel.a: everything is imported from json, so the origin of dumps is not known",
        ),
    ],
)
def test_code_that_depends_on_more_than_its_source_is_refused(package, modules, says):
    package(**{"b": "x = 1\n", **modules})
    with pytest.raises(UserError) as caught:
        sliced("parcel.a:wanted")
    assert says in str(caught.value)


def test_a_module_without_source_is_named():
    with pytest.raises(
        UserError, match=r"the module parcel\.nowhere has no Python source, so its code cannot be exported"
    ):
        sliced("parcel.nowhere:wanted")


def test_mentions():
    import ast

    assert mentions(ast.parse("a.b.c('model.core', x='d e'); f(g=1)")) == {"b", "c", "core", "d e", "x", "g"}
