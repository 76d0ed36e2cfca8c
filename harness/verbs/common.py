"""What verbs share: options, the catalog and the plan they name, and how a report is shown.

What a verb needs is imported inside functions, so that ``--help`` and ``list`` stay fast and free of torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.errors import UserError

if TYPE_CHECKING:
    from harness.catalog import Catalog
    from harness.page import Page
    from harness.records import Plan
    from harness.report import Report
    from harness.store import Store
    from harness.suite import Suite

Context = click.Context
suite_argument = click.argument("suite", type=click.Path(path_type=Path))
set_option = click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Override a field, e.g. base.model.hidden_size=64."
)
only_option = click.option(
    "--only", multiple=True, metavar="AXIS=LEVEL,..", help="Keep only these levels of an axis (and the baseline)."
)
device_option = click.option("--device", metavar="DEVICE", help="The same as --set base.device=DEVICE.")
preset_option = click.option("--preset", metavar="NAME", help="One of the suite's presets, such as full.")
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


#: Before the verb or after it: both work.
plugin_option = click.option(
    "-p", "--plugin", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="A plugin in one file.",
    expose_value=False, callback=_more_plugins,
)  # fmt: skip


def catalog_of(context: Context, files: Sequence[str] = ()) -> Catalog:
    """The catalog with the plugin files of the command line, or else `files`."""
    from harness.catalog import Catalog
    from harness.plugins import load_plugins

    return Catalog(load_plugins(context.obj or [Path(file) for file in files]))


@dataclass(frozen=True)
class Asked:
    """What the command line changes in a suite. `seeds` adds seeds to those it has."""

    settings: Sequence[str] = ()
    only: Sequence[str] = ()
    preset: str | None = None
    quick: bool = False
    until_decided: bool = False
    seeds: int | None = None

    @classmethod
    def of(
        cls, settings: Sequence[str], only: Sequence[str], device: str | None, preset: str | None, **how: bool
    ) -> Asked:
        """From the options of a verb."""
        return cls([*settings, *([f"base.device={device}"] if device else [])], only, preset, **how)

    @classmethod
    def from_overrides(cls, overrides: Mapping[str, Any]) -> Asked:
        """What an earlier run was asked for, as its plan keeps it."""
        known = {"settings": overrides["set"], **overrides}
        return cls(**{name: known[name] for name in cls.__dataclass_fields__ if name in known})

    def where_possible(self, suite: Path) -> Asked:
        """The same without the preset where a suite has no such one: of a folder, not every suite needs it."""
        from harness.yaml_source import read_file

        source = read_file(suite)[1].value
        has_it = isinstance(source, dict) and self.preset in (source.get("presets") or {})
        return self if has_it else replace(self, preset=None)

    def overrides(self, catalog: Catalog) -> dict[str, Any]:
        """The same, as a plan keeps it."""
        changed = {name: value for name, value in vars(self).items() if value and name not in ("settings", "only")}
        plugins = [str(file) for file in catalog.plugins.files]
        return {"set": list(self.settings), "only": list(self.only), "plugins": plugins, **changed}

    def plan(self, suite: Suite, catalog: Catalog) -> Plan:
        """The plan of a suite that was read with the same settings."""
        from harness.plan import make_plan

        return make_plan(
            suite, catalog, only=chosen(self.only), quick=self.quick, until_decided=self.until_decided,
            seeds=self.seeds, overrides=self.overrides(catalog),
        )  # fmt: skip


def run_of(run: Path | None, results: Path) -> Store:
    """The run in a folder; the newest one where it is not given, or "latest"."""
    from harness.store import Store

    return Store.latest(results) if run is None or run == Path("latest") else Store.open(run)


def plan_of(context: Context, path: Path, asked: Asked) -> tuple[Suite, Catalog, Plan]:
    """The suite, the catalog and the plan, with what the command line changes."""
    from harness.suite import load_suite

    suite = load_suite(path, asked.settings, asked.preset)
    catalog = catalog_of(context)
    return suite, catalog, asked.plan(suite, catalog)


def replan(store: Store, catalog: Catalog, seeds: int | None = None) -> Plan:
    """The plan of an earlier run, made anew, with more seeds if so asked, and kept; raises UserError where plugins or
    data are no longer the same."""
    from harness.suite import parse_suite
    from harness.yaml_source import read_file

    stored = store.plan()
    asked = Asked.from_overrides(stored.overrides)
    asked = replace(asked, seeds=max(seeds or 0, asked.seeds or 0) or None)
    text, source = read_file(store.folder / "suite.yaml")
    plan = asked.plan(parse_suite(source, stored.suite, text, asked.settings, asked.preset), catalog)
    if [block.id for block in plan.blocks] != [block.id for block in stored.blocks]:
        raise UserError(
            "plugins or data have changed since this run began, so new records could not be compared with it.",
            where=str(store.folder),
            fix="Start a new run.",
        )
    if plan != stored:
        store.keep(plan)
    return plan


def chosen(only: Sequence[str]) -> dict[str, list[str]]:
    """--only AXIS=LEVEL,LEVEL as a mapping; given twice for an axis, it keeps both."""
    found: dict[str, list[str]] = {}
    for text in only:
        axis, equals, levels = text.partition("=")
        if not equals or not levels:
            raise UserError("it takes AXIS=LEVEL or AXIS=LEVEL,LEVEL.", where=f"--only {text}")
        found.setdefault(axis, []).extend(levels.split(","))
    return found


def finish(store: Store, catalog: Catalog) -> Report:
    """Make the report and let every reporter write it. One that fails is among the report's problems."""
    from harness.parts import Reporter
    from harness.report import make_report

    report = make_report(store, catalog)
    problems = []
    for name, entry in catalog.entries(Reporter).items():
        try:
            catalog.code(entry)(report, store.folder)
        except Exception as error:  # a plugin may raise anything, and the folder may be read-only
            problems.append(f"reporter {name} (plugin {entry.plugin}): {type(error).__name__}: {error}")
    return replace(report, problems=(*report.problems, *problems))


def went_wrong(report: Report) -> bool:
    """Whether a trial failed or broke its promise, or a metric or reporter could not do its work."""
    return bool(report.problems) or any(r.outcome in ("failed", "invalid") for r in report.findings.failures)


def show(report: Report, store: Store, *, as_json: bool) -> None:
    """Print a report's comparisons, skips, failures and claims."""
    from harness.builtin import json_report, terminal
    from harness.report import to_json

    if as_json:
        click.echo(json_report.text_of({"folder": str(store.folder), **to_json(report)}))
    else:
        click.echo(f"\n{terminal.render(report, store.folder)}")


def show_page(page: Page, reports: Mapping[str, Report], *, as_json: bool) -> None:
    """Print the claims of all suites of a folder."""
    from harness.builtin import json_report, terminal
    from harness.page import claims_table
    from harness.report import to_json

    if as_json:
        suites = {name: {"folder": str(page.runs[name]), **to_json(report)} for name, report in reports.items()}
        click.echo(json_report.text_of({"folder": str(page.folder), "suites": suites}))
        return
    click.echo(f"\n{terminal.table(claims_table(reports))}")
    click.echo(f"\nPage: {page.folder / 'claims.md'}")
