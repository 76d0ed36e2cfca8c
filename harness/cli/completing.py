"""What a shell offers where one presses TAB: suites, parts, levels, fields, runs.

Each function is asked with what stands before the cursor, and must be quick: it reads files and names, and imports no
torch. One that fails offers nothing; a half-written suite is no reason for a traceback in the middle of a command.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

Offer = str | CompletionItem
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

#: No more files than this are looked into, to tell which are suites.
MOST_FILES = 300


def quiet(offer: Callable[[click.Context, str], Iterable[Offer]]) -> Completer:
    """A function that click asks: what begins as the text before the cursor does; nothing where anything goes wrong."""

    @wraps(offer)
    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            # What plugins print while they are imported is no candidate.
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                found = [
                    one if isinstance(one, CompletionItem) else CompletionItem(one)
                    for one in offer(context, incomplete)
                ]
        except KeyboardInterrupt:
            raise
        except BaseException:  # plugin code may raise anything
            return []
        fitting = {one.value: one for one in found if one.type == "plain" and one.value.startswith(incomplete)}
        # Files and folders are the shell's own to offer, where we have nothing: a shell takes one or the other.
        return list(fitting.values()) or [one for one in found if one.type != "plain"][:1]

    return complete


@quiet
def suites(_: click.Context, incomplete: str) -> Iterator[Offer]:
    """Suites and folders of suites at the path that was begun, or else the shell's own files."""
    begun, typed = folder_and_name(incomplete)
    found: list[str] = []
    for path in sorted(begun.iterdir()) if begun.is_dir() else ():
        if not path.name.startswith(typed) or path.name.startswith(".") > typed.startswith("."):
            continue
        inside = sorted(path.glob("*.y*ml")) if path.is_dir() else []
        named = [one for one in [path, *inside][:MOST_FILES] if is_suite(one)]
        found += [f"{path}/"] * bool(inside and named) + [str(one) for one in named]
    yield from written_as(incomplete, begun, found)
    yield CompletionItem(incomplete, type="file")


@quiet
def runs(context: click.Context, incomplete: str) -> Iterator[Offer]:
    """Folders of runs and of pages, the newest first, and the word for the newest; or else the shell's own folders."""
    found = [str(folder) for folder in folders_of_runs(results_of(context))]
    begun, _ = folder_and_name(incomplete)
    if incomplete.endswith("/"):  # also runs that lie elsewhere
        there = [path for path in sorted(begun.iterdir()) if is_run(path) or any(map(is_run, path.glob("*")))]
        found += [f"{path}{'' if is_run(path) else '/'}" for path in there if str(path) not in found]
    yield from ["latest", *written_as(incomplete, begun, found)] if found else []
    yield CompletionItem(incomplete, type="dir")


@quiet
def suites_or_runs(context: click.Context, incomplete: str) -> Iterator[Offer]:
    """Where either will do."""
    yield from (*runs(context, NO_PARAMETER, incomplete), *suites(context, NO_PARAMETER, incomplete))


@quiet
def names_of_runs(context: click.Context, incomplete: str) -> Iterator[Offer]:
    """What compare takes: the names of suites that have runs, with the one before the latest, and folders."""
    counted: dict[str, int] = {}
    for folder in folders_of_runs(results_of(context)):
        counted[folder.parent.name] = counted.get(folder.parent.name, 0) + 1
    for suite, count in counted.items():
        yield suite
        yield from [f"{suite}~1"] * (count > 1)
    yield from runs(context, NO_PARAMETER, incomplete)


@quiet
def suites_with_runs(context: click.Context, _: str) -> Iterator[Offer]:
    """The names of suites that have runs."""
    yield from dict.fromkeys(folder.parent.name for folder in folders_of_runs(results_of(context)))


@quiet
def parts(context: click.Context, _: str) -> Iterator[Offer]:
    """The names of all parts, each with what it is."""
    yield from named_parts(context)


@quiet
def parts_and_plugins(context: click.Context, _: str) -> Iterator[Offer]:
    """The names of all parts, and of the plugins that bring them."""
    from harness.cli.options import catalog_of

    yield from named_parts(context)
    yield from catalog_of(context).plugins.versions


@quiet
def plugins(*_: Any) -> Iterator[Offer]:
    """The names of installed plugins, without the core."""
    from harness.plugins.manager import CORE, installed

    yield from sorted({name.partition(":")[0] for name in installed()} - {CORE})


@quiet
def promises(context: click.Context, _: str) -> Iterator[Offer]:
    """The names of promises."""
    yield from named_parts(context, "promise")


@quiet
def kinds(*_: Any) -> Iterator[Offer]:
    """The kinds of parts, as list takes them."""
    from harness.plugins.catalog import KINDS

    yield from (f"{kind.kind}s" for kind in KINDS)


@quiet
def reporters(context: click.Context, _: str) -> Iterator[Offer]:
    """The names of reporters."""
    yield from named_parts(context, "reporter")


@quiet
def executors(context: click.Context, _: str) -> Iterator[Offer]:
    """The names of executors."""
    yield from named_parts(context, "executor")


@quiet
def metrics(context: click.Context, _: str) -> Iterator[Offer]:
    """The names of metrics."""
    yield from named_parts(context, "metric")


@quiet
def devices(*_: Any) -> Iterator[Offer]:
    """Where a trial may run."""
    yield from ("cpu", "cuda")


@quiet
def presets(context: click.Context, _: str) -> Iterator[Offer]:
    """The presets of the suite on the command line."""
    yield from values_of(context).get("presets") or ()


@quiet
def levels_of_axes(context: click.Context, incomplete: str) -> Iterator[Offer]:
    """AXIS=LEVEL of the suite or the run on the command line; after a comma another level of the same axis."""
    before, comma, _ = incomplete.rpartition(",")
    axis, _, chosen = before.partition("=")
    for name, levels in (axes_of_suite(context) if argument(context, "suite") else axes_of_run(context)).items():
        if not comma:
            yield from (f"{name}={level}" for level in levels)
        elif name == axis:
            yield from (f"{before},{level}" for level in levels if level not in chosen.split(","))


@quiet
def levels(context: click.Context, _: str) -> Iterator[Offer]:
    """The levels that a run compares, without those that are named already."""
    given = context.params.get("levels") or ()
    yield from (level for level in axes_of_run(context, compared=True) if level not in given)


@quiet
def trials(context: click.Context, _: str) -> Iterator[Offer]:
    """The trials of a run, by their level and by their level in its context."""
    for block in blocks_of_run(context):
        for trial in block["trials"]:
            yield trial["level"]
            yield "/".join([*block["context"].values(), trial["level"]])


@quiet
def settings(context: click.Context, incomplete: str) -> Iterator[Offer]:
    """PATH= of every field that the suite has or could have, and after the = what may stand there."""
    path, equals, _ = incomplete.partition("=")
    fields = fields_of(values_of(context))
    if not equals:
        yield from (f"{name}=" for name in fields)
        return
    kind = {"base.model": "model", "base.dataset": "dataset"}.get(path.removesuffix(".name"))
    if kind:
        yield from (f"{path}={one.value}" for one in named_parts(context, kind))
    yield from (f"{path}={value}" for value in fields.get(path, ()))


#: For completers that ask others: click hands one over, and none of them looks at it.
NO_PARAMETER = click.Argument(["none"])


def folder_and_name(incomplete: str) -> tuple[Path, str]:
    """The folder that a path which was begun lies in, and how its name begins."""
    folder, slash, name = incomplete.rpartition("/")
    return Path(folder + slash).expanduser() if slash else Path(), name


def written_as(incomplete: str, begun: Path, found: Iterable[str]) -> Iterator[str]:
    """Paths as they were begun: with ~ where that was written, and with ./ where that was."""
    typed, slash, _ = incomplete.rpartition("/")
    for path in found:
        inside = f"{begun}/"
        yield typed + slash + path.removeprefix(inside) if slash and path.startswith(inside) else path
        if slash and typed in (".", "./"):
            yield typed + slash + path


def is_suite(path: Path) -> bool:
    """Whether a file looks like a suite: YAML with a question on its first level."""
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return any(line.startswith("question:") for line in file.read(65536).splitlines())


def is_run(path: Path) -> bool:
    """Whether a folder holds a run, or the page of several."""
    return (path / "plan.json").is_file() or (path / "page.json").is_file()


def argument(context: click.Context, name: str) -> str:
    """An argument before the cursor; empty where there is none. While an option waits for its value, click has not told
    the arguments apart yet."""
    given = context.params.get(name)
    if given is None:
        order = [one.name for one in context.command.params if isinstance(one, click.Argument)]
        rest = context.args[order.index(name) :] if name in order else []
        given = rest[0] if rest else ""
    return str(given)


def results_of(context: click.Context) -> Path:
    """Where runs land."""
    return Path(context.params.get("results") or "results")


def folders_of_runs(results: Path) -> list[Path]:
    """All runs and pages under a folder, the newest first."""
    from harness.records.store import plans_in

    pages = sorted((page.parent for page in results.glob("pages/*/page.json")), reverse=True)
    return [*(plan.parent for plan in reversed(plans_in(results))), *pages]


def named_parts(context: click.Context, kind: str = "") -> Iterator[CompletionItem]:
    """Parts of one kind, or all, each with what it is."""
    from harness.cli.options import catalog_of
    from harness.plugins.catalog import KINDS

    catalog = catalog_of(context)
    for each in KINDS:
        if kind in ("", each.kind):
            yield from (
                CompletionItem(name, help=f"{each.kind}: {entry.part.summary}" if not kind else entry.part.summary)
                for name, entry in catalog.entries(each).items()
            )


def values_of(context: click.Context) -> Mapping[str, Any]:
    """The values of the suite on the command line, however wrong they are."""
    from harness.suite.yaml_source import read_file

    # export takes a suite or a run in one place
    values = read_file(Path(argument(context, "suite") or argument(context, "run")))[1].value
    return values if isinstance(values, Mapping) else {}


def axes_of_suite(context: click.Context) -> dict[str, list[str]]:
    """The axes of the suite on the command line with their levels."""
    from harness.suite.value_types import level_name

    axes = values_of(context).get("axes") or {}
    return {
        axis: [str(level_name(value)) for value in form["values"]] if {"path", "values"} <= set(form) else list(form)
        for axis, form in axes.items()
        if isinstance(form, Mapping)
    }


def blocks_of_run(context: click.Context) -> list[dict[str, Any]]:
    """The blocks of the run on the command line, or of the latest."""
    folders = folders_of_runs(results_of(context))
    given = argument(context, "run") or argument(context, "run_a") or "latest"
    folder = Path(given)
    if str(given) == "latest":
        folder = next(one for one in folders if (one / "plan.json").is_file())
    elif not is_run(folder):  # a suite's name
        folder = next(one for one in folders if one.parent.name == str(given).partition("~")[0])
    blocks: list[dict[str, Any]] = json.loads((folder / "plan.json").read_text(encoding="utf-8"))["blocks"]
    return blocks


def axes_of_run(context: click.Context, *, compared: bool = False) -> dict[str, list[str]]:
    """The axes beside the compared one with their levels; or the levels of that one."""
    found: dict[str, dict[str, None]] = {}
    for block in blocks_of_run(context):
        if compared:
            found |= {trial["level"]: {} for trial in block["trials"]}
            continue
        for axis, level in block["context"].items():
            found.setdefault(axis, {})[level] = None
    return {name: list(each) for name, each in found.items()}


def fields_of(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Paths of the base and of all measures, those that the suite has first, with values to offer for each."""
    from harness.suite.schema import json_schema

    schema = json_schema()
    found: dict[str, list[str]] = {}
    for name in ("question", "base", "compare", "design", "measure"):
        for path, value in leaves(values.get(name), name):
            found[path] = [] if value is None else [json.dumps(value, ensure_ascii=False).strip('"')]
    for path, field in fields_in(schema, schema, ""):
        choices = [str(value) for one in alternatives(field, schema) for value in one.get("enum", ())]
        known = found.setdefault(path, [])
        known += [value for value in choices if value not in known]
    return found


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value inside another one with its path; `use` is entered by name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list) and path.endswith(".use"):
        for entry in value:
            if isinstance(entry, Mapping) and "name" in entry:
                for key, inner in entry.items():
                    if key != "name":
                        yield from leaves(inner, f"{path}.{entry['name']}.{key}")
    else:
        yield path, value


#: Fields of a suite that --set has little use for: they are not entered.
NOT_SET = ("axes", "claims", "skip", "presets", "question", "use", "drop")


def fields_in(node: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every field of a schema that holds no others, with its path."""
    for name, field in node.get("properties", {}).items():
        if name in NOT_SET:
            continue
        inside = [one for one in alternatives(field, schema) if one.get("additionalProperties") is False]
        for one in inside:
            yield from fields_in(one, schema, f"{path}{name}.")
        if not inside:
            yield f"{path}{name}", field


def alternatives(field: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a field may be, references followed."""
    found = []
    for one in field.get("anyOf", [field]):
        reference = one.get("$ref", "")
        found.append(schema["$defs"][reference.rpartition("/")[2]] if reference else one)
    return found
