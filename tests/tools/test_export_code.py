"""Code taken out of packages by its source: what is kept, in which order, under which names; and that it still works."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.tools.export.modules import Modules, Outside, Unit
from harness.tools.export.names import mentions
from harness.tools.export.shake import Shaken, Shaker

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


def shaken(*wanted: str, **settings) -> Shaken:
    """The code of these names, given as module:name."""
    shaker = Shaker(Modules(frozenset({"parcel"})), **settings)
    return shaker.shake([Unit(*one.split(":")) for one in wanted])


def run(found: Shaken) -> dict:
    """The code's names, once it has been run where the package cannot be imported."""
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


def test_only_what_is_reached_is_kept_with_comments_and_texts_beside_it(package):
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
    found = shaken("parcel.a:wanted")
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


def test_one_name_for_two_things_is_renamed_wherever_it_is_used(package):
    package(
        one="LIMIT = 1\n\ndef cut(x):\n    return x[:LIMIT]\n",
        two="from parcel import one\nfrom parcel.one import cut as short\n\nLIMIT = 2\n\n"
        "class Cut:\n    cut = 'mine'\n\ndef cut(x, depth=0):\n"
        "    if depth:\n        return cut(x, depth - 1)\n"
        "    LIMITS = [LIMIT for _ in range(1)]\n"
        "    return one.cut(x) + short(x) + x[:LIMIT] + f'{LIMITS[0]}' + Cut.cut + f'a {LIMIT}{1}'\n",
    )
    found = shaken("parcel.two:cut")
    name = found.names[Unit("parcel.two", "cut")]
    assert name == "two_cut"
    names = run(found)
    assert names[name]("abc", 1) == "aaab2minea 21"
    assert (names["LIMIT"], names["two_LIMIT"]) == (1, 2)
    assert names["cut"]("xyz") == "x"


def test_statements_that_share_a_line_are_told_apart(package):
    package(a="import os; ONE = 1; TWO = ONE + 1; THREE = os  # three\n\ndef wanted():\n    return TWO\n")
    found = shaken("parcel.a:wanted")
    assert "ONE = 1\nTWO = ONE + 1\n" in found.code
    assert "THREE" not in found.code
    assert run(found)["wanted"]() == 2


def test_what_a_local_name_hides_is_not_taken_for_the_modules(package):
    package(
        a="from parcel.b import one, two, three\n\n"
        "def wanted(one):\n    two = 2\n    inner = lambda three: three + two\n    return inner(one)\n",
        b="def one(): ...\ndef two(): ...\ndef three(): ...\n",
    )
    found = shaken("parcel.a:wanted")
    assert "def one" not in found.code
    assert "def two" not in found.code
    assert "def three" not in found.code
    assert run(found)["wanted"](3) == 5


def test_a_name_that_a_local_one_would_hide_is_avoided(package):
    package(
        a="from parcel import b\n\ndef wanted(collate):\n    return b.collate(collate)\n",
        b="def collate(x):\n    return [x]\n",
    )
    found = shaken("parcel.a:wanted")
    assert found.names.get(Unit("parcel.b", "collate")) == "b_collate"
    assert run(found)["wanted"](1) == [1]


def test_names_through_modules_stars_and_doors(package):
    package(
        __init__="from .deep import *\nfrom .other import renamed as public\n",
        deep="from .base import Base\n__all__ = ['Deep']\n\nclass Deep(Base):\n    y = 2\n",
        base="class Base:\n    x = 1\n",
        other="def renamed():\n    return 'r'\n",
        use="import parcel\nimport parcel.base as b\nimport parcel.other\n\n"
        "def wanted():\n    return parcel.Deep.x, b.Base.x, parcel.public(), parcel.other.renamed()\n",
    )
    assert run(shaken("parcel.use:wanted"))["wanted"]() == (1, 1, "r", "r")


def test_imports_inside_functions_are_followed(package):
    package(
        a="def wanted():\n    from parcel.b import late  # which reads this one in turn\n    import json\n"
        "    return json.loads(late())\n",
        b="from parcel.a import wanted\n\ndef late():\n    return '[1]'\n",
    )
    found = shaken("parcel.a:wanted")
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

    # Nobody asks for this.
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


def test_classes_lose_the_methods_that_nothing_mentions(package):
    package(a=CLASSES)
    found = shaken("parcel.a:Wanted", mentioned={"first"})
    for gone in ("dropped", "Nobody asks", "Unused", "lru_cache"):
        assert gone not in found.code
    assert "def keys" in found.code  # a dict's own, and dict may call it
    names = run(found)
    assert names["Wanted"]().first() == "named3"
    assert "Unused" in shaken("parcel.a:Wanted", whole=True).code


def test_a_class_of_which_nothing_is_left_is_still_one(package):
    package(a="class Wanted:\n    def gone(self):\n        return 1\n\ndef make():\n    return Wanted()\n")
    names = run(shaken("parcel.a:make"))
    assert type(names["make"]()) is names["Wanted"]


def test_annotations_bring_imports_and_types_but_no_code(package):
    package(
        a="from __future__ import annotations\nfrom typing import TYPE_CHECKING, Any, Literal\n"
        "from parcel.b import Big, How\nif TYPE_CHECKING:\n    from parcel.c import Never\n\n"
        "def wanted(x: Any, how: How, big: Big, never: Never) -> Big:\n    local: Big = x\n    return local\n",
        b="from typing import Literal\n\nHow = Literal['a', 'b']\n\nclass Big: ...\n",
        c="class Never: ...\n",
    )
    found = shaken("parcel.a:wanted")
    assert found.imports == "from typing import Any, Literal"
    assert "How = Literal" in found.code
    assert "class" not in found.code


def test_statements_that_act_on_what_is_kept_are_kept(package):
    package(
        a="import warnings\n\nTABLE = {}\nOTHER = []\n\n"
        "def one():\n    return 1\n\ndef two():\n    return 2\n\n"
        "TABLE['one'] = one\nTABLE.update(two=two)\nOTHER.append(two)\nwarnings.filterwarnings('ignore', 'never seen')\n"
        "def wanted(name):\n    return TABLE[name]()\n\n"
        "if __name__ == '__main__':\n    print(wanted('one'))\n",
    )
    found = shaken("parcel.a:wanted")
    assert "OTHER" not in found.code
    assert "__main__" not in found.code
    assert "warnings.filterwarnings" in found.code
    assert run(found)["wanted"]("two") == 2


def test_other_peoples_imports_share_names_and_yield_where_they_clash(package):
    package(
        a="import json as j\nimport os.path\nfrom json import dumps\n\n"
        "def one(x):\n    return dumps(j.loads(x)), os.path.basename('a/b')\n",
        b="from pickle import dumps\nfrom parcel.a import one\nimport os\n\n"
        "def wanted(x):\n    return one(x), len(dumps(x)) > 3, os.sep\n",
    )
    found = shaken("parcel.b:wanted")
    assert run(found)["wanted"]("[1]") == (("[1]", "b"), True, "/")
    assert {found.names[Outside("json.dumps")], found.names[Outside("pickle.dumps")]} == {"dumps", "pickle_dumps"}


def test_an_import_that_may_fail_stays_as_it_is(package):
    package(
        a="try:\n    import nowhere_to_be_found as fast\nexcept ImportError:\n    fast = None\n\n"
        "def wanted():\n    return fast\n"
    )
    assert run(shaken("parcel.a:wanted"))["wanted"]() is None


def test_reserved_names_and_used_builtins_are_not_taken(package):
    package(
        a="def main():\n    return compile\n\ndef compile(x):\n    return x\n",
        b="from parcel.a import main\nfrom parcel.c import wanted as w\n\ndef wanted():\n    return main()(1), w()\n",
        c="def wanted():\n    return eval(compile('2', '', 'eval'))\n",
    )
    found = shaken("parcel.b:wanted", reserved=frozenset({"main"}))
    assert found.names[Unit("parcel.a", "main")] == "a_main"
    assert found.names[Unit("parcel.a", "compile")] == "a_compile"
    assert run(found)[found.names[Unit("parcel.b", "wanted")]]() == (1, 2)


def test_globals_comprehensions_and_matches(package):
    package(
        a="count = 0\nrest = 'outer'\n\ndef wanted(value):\n    global count\n    count += 1\n"
        "    squares = [count * y for y in range(2)]\n"
        "    match value:\n        case [first, *rest]:\n            return first, rest, squares\n"
        "        case {'k': k, **more}:\n            return k, more, squares\n",
        b="from parcel.a import wanted as other\n\ncount = 'b'\n\ndef wanted(v):\n    return other(v), count\n",
    )
    found = shaken("parcel.b:wanted")
    assert "rest = 'outer'" not in found.code
    names = run(found)
    wanted = names[found.names[Unit("parcel.b", "wanted")]]
    assert wanted([1, 2]) == ((1, [2], [0, 1]), "b")
    assert wanted({"k": 3, "z": 4}) == ((3, {"z": 4}, [0, 2]), "b")


def test_what_is_provided_is_named_and_not_taken_along(package):
    package(
        a="from parcel import b\n\ndef wanted(x: b.Recipe):\n    return b.Recipe(x)\n",
        b="class Recipe: ...\n",
    )
    found = shaken("parcel.a:wanted", provided={Unit("parcel.b", "Recipe"): "Recipe"}, reserved=frozenset({"Recipe"}))
    assert "class" not in found.code
    assert "def wanted(x: Recipe):\n    return Recipe(x)" in found.code


@pytest.mark.parametrize(
    ("modules", "says"),
    [
        (
            {
                "a": "try:\n    from parcel.b import x\nexcept ImportError:\n    x = None\n\ndef wanted():\n    return x\n"
            },
            "parcel.a imports its own code conditionally (line 1)",
        ),
        (
            {"a": "from parcel import b\n\ndef wanted():\n    return vars(b)\n"},
            "parcel.a uses the module parcel.b as a value",
        ),
        (
            {"a": "def wanted():\n    from parcel.b import nowhere\n    return nowhere\n"},
            "parcel.a uses parcel.b.nowhere, which no statement binds",
        ),
        (
            {"a": "from json import *\n\ndef wanted():\n    return dumps(1)\n"},
            "parcel.a imports everything from json, so where its dumps comes from cannot be said",
        ),
    ],
)
def test_what_cannot_be_told_from_source_is_refused(package, modules, says):
    package(**{"b": "x = 1\n", **modules})
    with pytest.raises(UserError) as caught:
        shaken("parcel.a:wanted")
    assert says in str(caught.value)


def test_a_module_without_source_is_named():
    with pytest.raises(UserError, match=r"there is no Python source of a module parcel\.nowhere"):
        shaken("parcel.nowhere:wanted")


def test_mentions():
    import ast

    assert mentions(ast.parse("a.b.c('model.core', x='d e'); f(g=1)")) == {"b", "c", "core", "d e", "x", "g"}
