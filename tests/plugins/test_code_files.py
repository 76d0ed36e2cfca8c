"""References to functions in files and modules, also of another commit."""

import subprocess
import sys

import pytest

from harness.errors import UserError
from harness.plugins.code_files import function_of, import_from, is_reference
from harness.plugins.commits import commit_of


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder of its own, with its own cache. What is imported in it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    import_from.cache_clear()
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("text", ["bench.py:old", "a/b-c/bench.py:old", "pkg.module:old", "pkg:Class.method"])
def test_references_have_a_module_and_a_name(text):
    assert is_reference(text)


@pytest.mark.parametrize("text", ["python train.py", "bench.py", ":f", "bench.py:", "python a.py:f g", "a b:f"])
def test_other_texts_are_no_references(text):
    assert not is_reference(text)


def test_a_function_of_a_file_imports_its_neighbours(folder):
    (folder / "code").mkdir()
    (folder / "code" / "neighbour_a.py").write_text("VALUE = 3\n")
    (folder / "code" / "bench_a.py").write_text("import neighbour_a\ndef f(): return neighbour_a.VALUE\n")
    assert function_of("code/bench_a.py:f")() == 3


def test_a_function_of_a_module_in_the_working_folder(folder):
    (folder / "pkg_b").mkdir()
    (folder / "pkg_b" / "__init__.py").write_text("")
    (folder / "pkg_b" / "inner.py").write_text("class C:\n    @staticmethod\n    def f(): return 4\n")
    assert function_of("pkg_b.inner:C.f")() == 4


def test_two_files_of_the_same_name_keep_their_own_neighbours(folder):
    for name, value in (("one", 1), ("two", 2)):
        (folder / name).mkdir()
        (folder / name / "helper_c.py").write_text(f"VALUE = {value}\n")
        (folder / name / "bench_c.py").write_text("import helper_c\ndef f(): return helper_c.VALUE\n")
    assert [function_of(f"{name}/bench_c.py:f")() for name in ("one", "two", "one")] == [1, 2, 1]


def test_a_function_of_another_commit(folder):
    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True, capture_output=True
        )

    git("init", "-q")
    (folder / "src").mkdir()
    (folder / "src" / "helper_d.py").write_text("VALUE = 'old'\n")
    (folder / "src" / "bench_d.py").write_text("import helper_d\ndef f(): return helper_d.VALUE\n")
    git("add", "."), git("commit", "-qm", "one")
    (folder / "src" / "helper_d.py").write_text("VALUE = 'new'\n")
    (folder / "src" / "bench_d.py").write_text("import helper_d\ndef f(): return helper_d.VALUE\ndef g(): pass\n")
    commit = commit_of(folder, "HEAD")
    assert function_of("src/bench_d.py:f")() == "new"
    assert function_of("src/bench_d.py:f", commit=commit)() == "old"
    assert function_of("src/bench_d.py:f")() == "new"
    with pytest.raises(UserError, match="has no function 'g'"):
        function_of("src/bench_d.py:g", commit=commit)
    with pytest.raises(UserError, match=r"there is no commit 'nosuch'.*HEAD~1"):
        commit_of(folder, "nosuch")


def test_outside_a_repository_there_are_no_commits(folder, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    with pytest.raises(UserError, match="not in a git repository"):
        commit_of(folder, "HEAD")


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("bench_e.py", "does not name a function. Write file.py:name"),
        ("bench.py:f", "file not found. Did you mean bench_e.py"),
        ("bench_e.py:solve", "has no function 'solve'. Did you mean solved"),
        ("bench_e.py:NUMBER", "cannot be called: it is a value of type int"),
        ("broken_e.py:f", r"broken_e\.py:2: importing broken_e failed: ZeroDivisionError"),
        ("syntax_e.py:f", r"syntax_e\.py:1: importing syntax_e failed: SyntaxError"),
        ("no_such_module_e.inner:f", "there is no module 'no_such_module_e'"),
        ("json.py:f", "is also the name of a module that is imported already. Rename the file"),
    ],
)
def test_mistakes_say_what_to_do(folder, reference, says):
    (folder / "bench_e.py").write_text("NUMBER = 3\ndef solved(): pass\n")
    (folder / "broken_e.py").write_text("x = 1\n1 / 0\n")
    (folder / "syntax_e.py").write_text("def f(:\n")
    (folder / "json.py").write_text("def f(): pass\n")
    with pytest.raises(UserError) as raised:
        function_of(reference)
    import re

    assert re.search(says, str(raised.value)), raised.value
