"""Loading of plugins: clashes, broken plugins, plugin files, and signatures as schemas."""

from __future__ import annotations

import textwrap
from typing import Literal

import pytest

import harness
from harness.errors import UserError, did_you_mean
from harness.plugins.catalog import Catalog, resolve
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Executor, Metric, Model, Optimization, Reporter
from harness.plugins.recipe import Recipe
from harness.plugins.signature import check_values, parameters_of


@pytest.fixture
def plugin(tmp_path, request):
    """Writes a plugin file; returns its path."""

    def write(name: str, body: str):
        path = tmp_path / f"{name}.py"
        path.write_text("import harness\n" + textwrap.dedent(body))
        return path

    return write


ONE = """
@harness.hookimpl
def provide_models():
    yield harness.Model("mine", lambda facts: None)
"""


def test_the_cores_own_parts_come_through_an_entry_point():
    catalog = Catalog(load_plugins())
    for kind, name in ((Metric, "step_time"), (Reporter, "markdown"), (Reporter, "csv"), (Executor, "local")):
        entry = catalog.find(kind, name)
        assert entry.plugin == "rnn-harness"
        assert callable(catalog.code(entry))


def test_a_file_is_a_plugin(plugin):
    catalog = Catalog(load_plugins([plugin("solo_cell", ONE)]))
    entry = catalog.find(Model, "mine")
    assert entry.plugin == "solo_cell.py"
    assert entry.version.startswith("sha256:")


def test_two_plugins_with_one_name_are_both_named(plugin):
    catalog = Catalog(load_plugins([plugin("first_cell", ONE), plugin("second_cell", ONE)]))
    with pytest.raises(UserError) as caught:
        catalog.find(Model, "mine")
    assert str(caught.value) == (
        "two plugins provide a model named 'mine': first_cell.py and second_cell.py. Give only one of them to -p."
    )
    assert [str(p) for p in catalog.problems] == [
        "plugin first_cell.py: provides model 'mine', and so does second_cell.py"
    ]
    assert "mine" not in catalog.entries(Model)
    assert catalog.find(Metric, "step_time")


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("raises_in_hook", ONE + "    raise RuntimeError('no')", "provide_models failed: RuntimeError: no"),
        ("wrong_part", ONE.replace("harness.Model", "harness.Dataset"), "yields a Dataset; expected a harness.Model"),
        ("wrong_hook", ONE.replace("provide_models", "provide_modles"), "the unknown hook 'provide_modles'. Did you mean provide_models"),
        ("wrong_argument", ONE.replace("provide_models()", "provide_models(nothing)"), "cannot be registered"),
        ("wrong_promise", 'import harness\n@harness.hookimpl\ndef provide_optimizations():\n    yield harness.Optimization("x", "y:z", changes="all")', "changes is 'all'; expected one of rounding"),
    ],
)  # fmt: skip
def test_broken_plugin_is_reported_and_others_work(plugin, name, body, reason):
    catalog = Catalog(load_plugins([plugin(name, body), plugin(f"good_beside_{name}", ONE)]))
    (problem,) = catalog.problems
    assert problem.plugin == f"{name}.py"
    assert reason in problem.reason
    assert catalog.find(Model, "mine").plugin == f"good_beside_{name}.py"


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("does_not_parse", "def (", r"does_not_parse.py:2: the plugin file failed to import: SyntaxError"),
        ("does_not_import", "import there_is_no_such_module", r"does_not_import.py:2: .*No module named"),
        ("json", ONE, "a module named 'json' is imported already. Rename the file."),
    ],
)
def test_named_plugin_file_must_load(plugin, name, body, message):
    import json  # noqa: F401  (so that the clash is real)

    with pytest.raises(UserError, match=message):
        load_plugins([plugin(name, body)])


def test_a_plugin_file_imports_its_neighbours(plugin):
    plugin("neighbour_now", "")
    plugin("neighbour_later", "def build(facts): ...")
    file = plugin(
        "has_neighbours", "import neighbour_now\n" + ONE.replace("lambda facts: None", "'neighbour_later:build'")
    )
    catalog = Catalog(load_plugins([file]))
    assert catalog.code(catalog.find(Model, "mine")).__module__ == "neighbour_later"


def test_missing_plugin_file_is_an_error(tmp_path):
    with pytest.raises(UserError, match="plugin file not found"):
        load_plugins([tmp_path / "nothing.py"])


def test_references_are_resolved_at_first_use():
    assert resolve("math:sqrt", "x")(4) == 2
    for reference, message in (
        ("math", "is not of the form 'module:attribute'"),
        ("math:sqrtt", "math has no callable 'sqrtt'. Did you mean sqrt?"),
        ("no_such_module:x", "model m: importing no_such_module failed: ModuleNotFoundError"),
    ):
        with pytest.raises(UserError, match=message):
            resolve(reference, "model m")


def test_needs_and_offers_are_sets():
    with pytest.raises(TypeError, match="expected a set of words as needs, got one string"):
        Model("m", "a:b", needs="packable")


def test_did_you_mean():
    assert did_you_mean("lsmt", ["lstm", "gru"]) == "Did you mean lstm?"
    assert did_you_mean("x", ["lstm", "gru"]) == "Known: gru, lstm."
    assert did_you_mean("x", []) == "None is available."


def test_the_signature_is_the_schema():
    def build(facts, *, size: int = 3, kind: Literal["a", "b"] = "a", rate: float = 0.5, path: str | None = None):
        return facts

    schema = parameters_of(build, 1, "x")
    assert {name: p.default for name, p in schema.items()} == {"size": 3, "kind": "a", "rate": 0.5, "path": None}
    values, errors = check_values(schema, {"size": 4, "rate": 1}, "x")
    assert not errors
    assert values == {"size": 4, "kind": "a", "rate": 1.0, "path": None}
    _, errors = check_values(schema, {"size": "4", "kind": "c", "siez": 1, "rate": True}, "x")
    assert [str(error) for error in errors] == [
        "x has no parameter 'siez'. Did you mean size?",
        "x.size: expected a valid integer, got '4'. Its type is int.",
        "x.kind: expected 'a' or 'b', got 'c'. Its type is a | b.",
        "x.rate: expected a valid number, got True. Its type is float.",
    ]


def test_parameter_without_a_default_is_required():
    def build(*, path: str):
        return path

    _, errors = check_values(parameters_of(build, 0, "x"), {}, "x")
    assert str(errors[0]) == "x needs a value for path. Its type is str."


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda facts, size=3: None, "parameter 'size' is not keyword-only"),
        (lambda facts, *, size=3: None, "parameter 'size' has no annotation"),
        (lambda facts, **more: None, "parameter 'more' is not keyword-only"),
        (lambda: None, "expected 1 positional parameters in its signature, found 0"),
    ],
)
def test_invalid_signatures_are_refused(build, message):
    with pytest.raises(UserError, match=message):
        parameters_of(build, 1, "model m (plugin p)")


def test_a_class_can_be_the_code():
    class Cell:
        def __init__(self, facts, *, size: int = 3) -> None:
            self.size = size

    assert parameters_of(Cell, 1, "x")["size"].default == 3


def test_recipe_errors_name_the_part_and_a_working_order():
    recipe = Recipe().as_used_by("clip").wrap("update", lambda inner: inner)
    with pytest.raises(UserError) as caught:
        recipe.as_used_by("fused").replace("update", lambda model, optimizer: None)
    assert str(caught.value) == "fused replaces update, which clip has changed already. Put fused before clip."
    with pytest.raises(UserError, match="the unknown seam 'updat'"):
        recipe.wrap("updat", lambda inner: inner)
    order = (
        Recipe()
        .as_used_by("a")
        .replace("order", lambda: [1])
        .as_used_by("b")
        .wrap("order", lambda f: lambda: [*f(), 2])
    )
    assert order.seam("order", lambda: [0])() == [1, 2]
    assert Recipe().seam("order", lambda: [0])() == [0]


def test_public_interface_has_what_authors_need():
    assert set(harness.__all__) >= {"hookimpl", "Model", "Dataset", "Optimization", "Metric", "Data", "Recipe", "Skip"}
    assert isinstance(Optimization("x", "y:z").needs, frozenset)
