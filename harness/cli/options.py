"""What verbs share: options, the catalog and the plan they name, and how a report is shown.

What a verb needs is imported inside functions, so that ``--help`` and ``list`` stay fast and free of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.api import session
from harness.api.session import Asked
from harness.cli import completing

if TYPE_CHECKING:
    from harness.plugins.catalog import Catalog
    from harness.records.plan import Plan
    from harness.records.store import Store
    from harness.report.report import Report
    from harness.report.suite_batch import SuiteBatch as Page
    from harness.suite.loader import Suite

Context = click.Context
suite_argument = click.argument("suite", type=click.Path(path_type=Path), shell_complete=completing.suites)
set_option = click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", shell_complete=completing.settings,
    help="Override a field, e.g. base.model.hidden_size=64.",
)  # fmt: skip
only_option = click.option(
    "--only", multiple=True, metavar="AXIS=LEVEL,..", shell_complete=completing.levels_of_axes,
    help="Keep only these levels of an axis (and the baseline).",
)  # fmt: skip
device_option = click.option(
    "--device", metavar="DEVICE", shell_complete=completing.devices, help="The same as --set base.device=DEVICE."
)
preset_option = click.option(
    "--preset", metavar="NAME", shell_complete=completing.presets, help="One of the suite's presets, such as full."
)
quick_option = click.option(
    "--quick", is_flag=True, help="One process a block, two seeds: a first look, never a verdict."
)
until_decided_option = click.option(
    "--until-decided", is_flag=True, help="End a block when all its verdicts are in; their intervals pay for it."
)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
results_option = click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Where runs land."
)


def _more_plugins(context: Context, _: click.Parameter, files: tuple[Path, ...]) -> None:
    context.obj = (*(context.obj or ()), *files)


def _fewer_plugins(context: Context, _: click.Parameter, names: tuple[str, ...]) -> None:
    context.meta[WITHOUT] = (*left_out(context), *names)


#: Where a command's contexts keep the installed plugins that are left out.
WITHOUT = "harness.without"


def left_out(context: Context) -> tuple[str, ...]:
    """The installed plugins that the command line leaves out."""
    return tuple(context.meta.get(WITHOUT, ()))


def plugin_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which plugins there are. Before the verb or after it: both work."""
    more = click.option(
        "-p", "--plugin", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="A plugin in one file.",
        expose_value=False, callback=_more_plugins,
    )  # fmt: skip
    fewer = click.option(
        "--without", multiple=True, metavar="PLUGIN", expose_value=False, callback=_fewer_plugins,
        shell_complete=completing.plugins, help="Leave out an installed plugin (or HARNESS_WITHOUT=A,B).",
    )  # fmt: skip
    return more(fewer(command))


def catalog_of(context: Context, files: Sequence[str] = (), before: Sequence[str] = ()) -> Catalog:
    """The catalog with the plugin files of the command line, or else `files`, without what it leaves out and what was
    left out `before`."""
    return session.catalog_with(context.obj or files, left_out(context), before)


def catalog_for(context: Context, *stores: Store) -> Catalog:
    """The catalog to read runs with: what they were without is left out."""
    return session.catalog_for(stores, context.obj or (), left_out(context))


def plan_of(context: Context, path: Path, asked: Asked) -> tuple[Suite, Catalog, Plan]:
    """The suite, the catalog and the plan, with what the command line changes."""
    return session.plan_of(path, asked, context.obj or (), left_out(context))


def stopped_while(stop: BaseException) -> str:
    """What plugin code was at when somebody pressed Ctrl-C; empty where it was at nothing."""
    notes = getattr(stop, "__notes__", ())
    return f" while {notes[0]}" if notes else ""


def show(report: Report, store: Store, *, as_json: bool) -> None:
    """Print a report's comparisons, skips, failures and claims."""
    from harness.report.formats import json_report, terminal
    from harness.report.report import to_json

    if as_json:
        click.echo(json_report.text_of({"folder": str(store.folder), **to_json(report)}))
    else:
        click.echo(f"\n{terminal.render(report, store.folder)}")


def show_page(page: Page, reports: Mapping[str, Report], *, as_json: bool) -> None:
    """Print the claims of all suites of a folder."""
    from harness.report.formats import json_report, terminal
    from harness.report.report import to_json
    from harness.report.suite_batch import claims_table

    if as_json:
        suites = {name: {"folder": str(page.runs[name]), **to_json(report)} for name, report in reports.items()}
        click.echo(json_report.text_of({"folder": str(page.folder), "suites": suites}))
        return
    click.echo(f"\n{terminal.table(claims_table(reports))}")
    click.echo(f"\nPage: {page.folder / 'claims.md'}")
