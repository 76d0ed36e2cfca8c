"""``harness describe``: describe a part as its author does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import click

from harness.cli import completers
from harness.cli.options import as_json_option, echo_json
from harness.cli.plugin_options import catalog_of, plugin_option
from harness.errors import UserError
from harness.plugins.catalog import KINDS, Catalog, Entry
from harness.plugins.isolation import visible
from harness.plugins.kinds import MeasureKind
from harness.plugins.parts import Command, Dataset, Executor, Promise, Reporter
from harness.wrapping import columns, wrapped

#: Kinds that have no parameters in a suite.
WITHOUT_PARAMETERS = (Reporter, Executor, Promise, Command)
#: What each value of `changes` promises.
PROMISES = {
    "rounding": "the same computation",
    "order": "the same computation, on other batches",
    "update": "the same gradients before the update",
    "model": "nothing: it makes a different model",
    "answer": "nothing: it changes the answer on purpose, and is never ranked",
}
#: The widest text, also in wider terminals and in files.
WIDTH = 116


@click.command()
@plugin_option
@click.argument("name", shell_complete=completers.parts())
@click.option("--example", is_flag=True, help="Print only the example: a suite, or a command line.")
@as_json_option
@click.pass_context
def describe(context: click.Context, name: str, example: bool, as_json: bool) -> None:
    """Describe a part: its parameters, requirements, source and an example.

    The example of a model, dataset or optimization is a suite that you can run, if everything it needs is installed.

    \b
    Example:
      harness describe lstm --example > lstm.yaml
    """
    rows = describe_named(catalog_of(context), name)
    if as_json:
        echo_json(rows)
    elif example:
        found = [row["example"]["text"].rstrip("\n") for row in rows if row["example"]]
        if not found:
            fix = "A suite needs a model, a dataset and an optimizer."
            raise UserError(f"no example of {name} can be made from the installed parts.", fix=fix)
        click.echo("\n\n".join(found))
    else:
        width = min(columns() or WIDTH, WIDTH)
        click.echo("\n\n".join(in_words(row, width) for row in rows))


def describe_named(catalog: Catalog, name: str) -> list[dict[str, Any]]:
    """Every part of this name, as plain values. Raises UserError if there is none."""
    return [describe_entry(catalog, entry) for entry in catalog.named(name)]


def describe_entry(catalog: Catalog, entry: Entry) -> dict[str, Any]:
    """A part as plain values: its description, parameters, requirements, source and an example."""
    from harness.plan.examples import Example, example_of

    part = entry.part
    code = catalog.code(entry)
    example = example_of(catalog, entry)
    if isinstance(part, Command):
        code = getattr(code, "callback", None) or code
        example = Example("command", f"harness {part.name} --help")
    doc = (inspect.getdoc(code) or "").replace("\b\n", "")  # click's mark for a paragraph that is not wrapped
    return {
        "kind": part.kind,
        "name": part.name,
        "plugin": entry.plugin,
        "version": entry.version,
        "summary": part.summary,
        **{name: getattr(part, name, None) for name in ("changes", "role", "computes")},
        "source": part.source,
        "scores": {
            name: f"{score.summary or name} ({score.better} is better)"
            for name, score in getattr(part, "scores", {}).items()
        },
        "needs": sorted(part.needs),
        "offered_by": {word: parts_with(catalog, "offers", word) for word in sorted(part.needs)},
        "offers": sorted(part.offers),
        "needed_by": {word: parts_with(catalog, "needs", word) for word in sorted(part.offers)},
        "doc": doc,
        "parameters": settings_of(catalog, part) if isinstance(part, MeasureKind) else parameters_in(entry, code, doc),
        "code": location_of(code),
        "example": {**vars(example), "plans": example.plans} if example else None,
    }


def parameters_in(entry: Entry, code: Callable[..., Any], doc: str) -> list[dict[str, Any]]:
    """The parameters of a part's code that a suite may set. A dataset also has its batch size."""
    from harness.plugins.signature import BATCH_SIZE, REQUIRED, parameters_of

    part = entry.part
    parameters = {} if isinstance(part, WITHOUT_PARAMETERS) else parameters_of(code, part.given, entry.owner)
    if isinstance(part, Dataset):
        parameters[BATCH_SIZE.name] = BATCH_SIZE
    return [
        {
            "name": parameter.name,
            "type": parameter.type_name,
            "choices": parameter.choices,
            "required": parameter.default is REQUIRED,
            "default": None if parameter.default is REQUIRED else parameter.default,
            "meaning": parameter.meaning(doc),
        }
        for parameter in parameters.values()
    ]


def settings_of(catalog: Catalog, kind: MeasureKind) -> list[dict[str, Any]]:
    """The settings of a kind of measurement, as a suite writes them under ``measure``."""
    schema = catalog.measures[kind.name].settings.suite_form().model_json_schema()
    return [
        {
            "name": name,
            "type": values_in_words(field),
            "choices": field.get("enum"),
            "required": name in schema.get("required", ()),
            "default": field.get("default"),
            "meaning": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def values_in_words(schema: Mapping[str, Any]) -> str:
    """The values that a JSON Schema allows, in a few words."""
    if "$comment" in schema:
        return str(schema["$comment"])
    if "anyOf" in schema:
        return " or ".join(values_in_words(each) for each in schema["anyOf"] if each.get("type") != "null")
    return " or ".join(map(str, schema.get("enum", [schema.get("type", "any value")])))


def parts_with(catalog: Catalog, attribute: str, word: str) -> dict[str, list[str]]:
    """The parts that offer or need a word, by kind."""
    found = {
        kind.kind: [name for name, entry in catalog.entries(kind).items() if word in getattr(entry.part, attribute)]
        for kind in KINDS
    }
    return {kind: names for kind, names in found.items() if names}


def location_of(code: Callable[..., Any]) -> dict[str, Any]:
    """The module and name of a part's code, and its file and line if they are known."""
    plain = inspect.unwrap(code)
    try:
        file, line = inspect.getsourcefile(plain), inspect.getsourcelines(plain)[1]
    except (OSError, TypeError):  # not written in Python, or not in a file
        file, line = None, None
    name = getattr(plain, "__qualname__", type(plain).__qualname__)
    return {"module": getattr(plain, "__module__", None), "name": name, "file": file, "line": line}


def in_words(row: dict[str, Any], width: int = WIDTH) -> str:
    """A described part as text of this width."""
    lines: list[str] = []

    def add(text: str, indent: str = "  ", hang: str = "    ") -> None:
        lines.append(wrapped(visible(text), indent, hang, width))

    add(f"{row['kind']} {row['name']}: {row['summary']}  ({row['plugin']} {row['version']})", "")
    if row["changes"]:
        add(f"changes: {row['changes']}, so it promises {PROMISES[row['changes']]}")
    for key in ("role", "computes", "source"):
        if row[key]:
            add(f"{key}: {row[key]}")
    for word in row["needs"]:
        add(f"needs: {word}, which {offering(row['offered_by'][word])}")
    for word in row["offers"]:
        needed_by = row["needed_by"][word]
        add(f"offers: {word}{f', for {listed(needed_by)}' if needed_by else ''}")
    for name, text in row["scores"].items():
        add(f"score {name}: {text}")
    code = row["code"]
    place = f" ({code['file']}:{code['line']})" if code["file"] else ""
    add(f"code: {code['module']}:{code['name']}{place}")
    for text in paragraphs(row["doc"]):
        margin = "  " + text[: len(text) - len(text.lstrip())]
        add(text.lstrip(), margin, margin + "  " * text.lstrip().startswith("- "))
    if row["parameters"]:
        lines += ["", "  parameters"]
    for parameter in row["parameters"]:
        default = "required" if parameter["required"] else f"= {parameter['default']!r}"
        add(f"{parameter['name']}: {parameter['type']} {default}", " " * 4, " " * 8)
        if parameter["meaning"]:
            add(parameter["meaning"], " " * 8, " " * 8)
    if row["example"]:
        lines += ["", "  example"]
        for line in row["example"]["text"].splitlines():
            margin = "    " + line[: len(line) - len(line.lstrip())]
            add(line.lstrip(), margin, margin + "    ")  # a suite may go on in the next line, if it is indented
    return "\n".join(lines)


def paragraphs(doc: str) -> list[str]:
    """The paragraphs of a docstring, each in one line after an empty one; indented lines and items of lists as they
    are."""
    found: list[str] = []
    before = ""
    for line in doc.splitlines():
        goes_on = before and line and not line.startswith((" ", "- "))
        if goes_on and not before.startswith(" "):
            found[-1] += f" {line}"
        else:
            found += ["", line] if not found else [line]
        before = line
    return found


def offering(by_kind: dict[str, list[str]]) -> str:
    """The parts that offer a word, as the end of a sentence."""
    one = sum(map(len, by_kind.values())) == 1
    return f"{listed(by_kind)} offer{'s' * one}" if by_kind else "nothing here offers"


def listed(by_kind: dict[str, list[str]]) -> str:
    """Names by kind, as text."""
    return " and ".join(f"{kind}{'s' * (len(names) > 1)} {', '.join(names)}" for kind, names in by_kind.items())
