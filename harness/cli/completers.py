"""What the shell offers for the names of parts, stored runs and presets. click itself completes commands, options,
choices and paths. Every command imports this module, so it imports little itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from harness.cli.plugin_options import catalog_of
from harness.plugins.catalog import KINDS

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completer(offer: Callable[[click.Context], Iterable[CompletionItem]], otherwise: str = "") -> Completer:
    """A function for click's `shell_complete`: the offers that begin with the typed text. Without any, the shell offers
    its own "file" or "dir" if `otherwise` says so. An error gives no offers, since the user is still typing."""

    def complete(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
        try:
            with redirect_stderr(io.StringIO()):  # plugins may print while they are imported
                found = [item for item in offer(context) if item.value.startswith(typed)]
        except Exception:
            found = []
        return found or ([CompletionItem(typed, type=otherwise)] if otherwise else [])

    return complete


def parts(kind: str = "") -> Completer:
    """Names of the parts of one kind, or of all kinds."""

    def offer(context: click.Context) -> Iterator[CompletionItem]:
        catalog = catalog_of(context)
        for each in KINDS:
            if kind in ("", each.kind):
                for name, entry in catalog.entries(each).items():
                    yield CompletionItem(name, help=f"{each.kind}: {entry.part.summary}")

    return completer(offer)


def _runs(context: click.Context) -> Iterator[CompletionItem]:
    from harness.records.store import plans_in, suites_with_runs

    results = Path(context.params.get("results") or "results")
    yield from map(CompletionItem, ("latest", *sorted(suites_with_runs(results))))
    yield from (CompletionItem(str(plan.parent)) for plan in reversed(plans_in(results)))


def _presets(context: click.Context) -> Iterator[CompletionItem]:
    import yaml

    from harness.suite.yaml_source import is_yaml

    # While an option waits for its value, click has not assigned the arguments yet.
    words = [str(word) for word in (*context.params.values(), *context.args)]
    suite = next(word for word in words if is_yaml(Path(word)))
    yield from map(CompletionItem, yaml.safe_load(Path(suite).read_text(encoding="utf-8"))["presets"])


runs = completer(_runs, "dir")
presets = completer(_presets)
