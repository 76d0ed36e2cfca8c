"""The command line: verbs to functions. With `harness.cli_trust` the only place that prints or picks an exit code.

What a verb needs is imported inside it, so that ``--help`` and ``list`` stay fast and free of torch.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from harness.cli_trust import as_json_option as as_json
from harness.cli_trust import doctor, selftest
from harness.errors import CLAIM_FAILED, FAILED, INTERRUPTED, MISTAKE, PIPE_CLOSED, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.catalog import Catalog
    from harness.records import Plan
    from harness.report import Report
    from harness.store import Store
    from harness.suite import Suite
    from harness.table import Table

Context = click.Context
suite_argument = click.argument("suite", type=click.Path(path_type=Path))
set_option = click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Override a field, e.g. base.model.hidden_size=64."
)
only_option = click.option(
    "--only", multiple=True, metavar="AXIS=LEVEL,..", help="Keep only these levels of an axis (and the baseline)."
)
device_option = click.option("--device", metavar="DEVICE", help="The same as --set base.device=DEVICE.")
quick_option = click.option("--quick", is_flag=True, help="One process a block: a first look, never a verdict.")
until_decided_option = click.option(
    "--until-decided", is_flag=True, help="End a block when all its verdicts are in; their intervals pay for it."
)
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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@plugin_option
@click.version_option(package_name="rnn-harness", prog_name="harness")
def cli() -> None:
    """Does this choice actually help my recurrent model, and by how much?

    \b
    Start with      harness run suites/smoke.yaml
    then read       harness report
    and see         harness list            what there is to compare
                    harness describe lstm   what one part takes and promises
                    harness plan SUITE      what a suite would measure, and for how long
    """


def catalog_of(context: Context, files: Sequence[str] = ()) -> Catalog:
    """The catalog with the plugin files of the command line, or else `files`."""
    from harness.catalog import Catalog
    from harness.plugins import load_plugins

    return Catalog(load_plugins(context.obj or [Path(file) for file in files]))


@cli.command()
@plugin_option
@click.argument("suite", type=click.Path(path_type=Path), required=False)
@set_option
@only_option
@device_option
@quick_option
@until_decided_option
@results_option
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR", help="Go on with a run that was stopped.")
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", help="How many runs train at a time (all cores); no clock runs then."
)
@click.option("--gate", is_flag=True, help="For CI: exit with 1 if a claim fails, and fails again when measured anew.")
@click.option("--executor", default="local", show_default=True, help="Where blocks are measured; see harness list.")
@as_json
@click.pass_context
def run(
    context: Context,
    suite: Path | None,
    settings: tuple[str, ...],
    only: tuple[str, ...],
    device: str | None,
    quick: bool,
    until_decided: bool,
    results: Path,
    resume: Path | None,
    jobs: int | None,
    gate: bool,
    executor: str,
    as_json: bool,
) -> None:
    """Measure a suite and say what it shows.

    Records are kept in results/<suite>/<run>/ as they are measured; Ctrl-C loses nothing, and --resume DIR goes on.
    The exit code is 3 if a trial failed or broke its promise. A claim that fails is a finding and changes nothing,
    unless --gate is given.
    """
    from harness.parts import Executor
    from harness.progress import Progress
    from harness.run import run_plan, tell
    from harness.store import Store

    if (suite is None) == (resume is None):
        raise UserError("give a suite, or --resume with the folder of a run.", fix="Try: harness run suites/smoke.yaml")
    if resume is not None:
        if settings or only or device or quick or until_decided:
            fix = "Leave out --set, --only, --device, --quick, --until-decided."
            raise UserError("a resumed run goes on as it was planned.", fix=fix)
        store = Store.open(resume)
        catalog = catalog_of(context, store.plan().overrides["plugins"])
        plan = replan(store, catalog)
    else:
        assert suite is not None
        if quick and until_decided:
            raise UserError("--quick never decides, so it cannot run --until-decided.", fix="Leave one of them out.")
        loaded, catalog, plan = plan_of(
            context, suite, settings, only, device, quick=quick, until_decided=until_decided
        )
        catalog.find(Executor, executor)
        store = Store.create(results, plan, loaded.text)
    watcher = Progress(plan, sys.stderr)
    where = suite.parent if suite else Path()
    try:
        jobs = jobs or len(os.sched_getaffinity(0))
        run_plan(plan, store, catalog, executor=executor, watcher=watcher, where=where, confirm=gate, jobs=jobs)
    except UserError:
        store.discard_if_empty()
        raise
    except KeyboardInterrupt:
        click.echo(f"\nStopped. What is measured is kept; go on with: harness run --resume {store.folder}", err=True)
        for problem in finish(store, catalog).problems:
            click.echo(problem, err=True)
        sys.exit(INTERRUPTED)
    report = finish(store, catalog)
    show(report, store, as_json=as_json)
    tell(catalog, "run_finished", watcher, folder=store.folder)
    if went_wrong(report) or watcher.problems:
        sys.exit(FAILED)
    if gate and any(claim.answer == "fails" for claim in report.findings.claims):
        sys.exit(CLAIM_FAILED)


def plan_of(
    context: Context, path: Path, settings: Sequence[str], only: Sequence[str], device: str | None, **how: bool
) -> tuple[Suite, Catalog, Plan]:
    """The suite, the catalog and the plan, with what the command line changes. `how` is for `make_plan`."""
    from harness.plan import make_plan
    from harness.suite import load_suite

    if device:
        settings = [*settings, f"base.device={device}"]
    suite = load_suite(path, settings)
    catalog = catalog_of(context)
    plugins = [str(file) for file in catalog.plugins.files]
    overrides = {"set": list(settings), "only": list(only), "plugins": plugins, **how}
    plan = make_plan(suite, catalog, only=chosen(only), **how, overrides=overrides)
    return suite, catalog, plan


def replan(store: Store, catalog: Catalog) -> Plan:
    """The plan of an earlier run, made anew; raises UserError where plugins or data are no longer the same."""
    from harness.plan import make_plan
    from harness.suite import parse_suite
    from harness.yaml_source import read_file

    stored = store.plan()
    overrides = stored.overrides
    text, source = read_file(store.folder / "suite.yaml")
    suite = parse_suite(source, stored.suite, text, overrides["set"])
    how = {name: overrides[name] for name in ("quick", "until_decided") if name in overrides}
    plan = make_plan(suite, catalog, only=chosen(overrides["only"]), **how, overrides=overrides)
    if [block.id for block in plan.blocks] != [block.id for block in stored.blocks]:
        raise UserError(
            "plugins or data have changed since this run began, so new records could not be compared with it.",
            where=str(store.folder),
            fix="Start a new run.",
        )
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
    if as_json:
        from harness.report import to_json

        click.echo(json.dumps({"folder": str(store.folder), **to_json(report)}, indent=1, ensure_ascii=False))
        return
    from harness.builtin.plots import how_to_get_them
    from harness.effect_tables import words as effect_words
    from harness.health_tables import WORDS as HEALTH
    from harness.learning_tables import WORDS as LEARNT
    from harness.resource_tables import COST, MEMORY

    click.echo(f"\n{report.question}")
    if report.first_look:
        click.echo("A first look, one process a block: nothing here is a verdict. Run without --quick for those.")
    if report.comparisons:
        click.echo("Ratio: time for the same examples over the baseline's; below 1 is faster.")
    for table in report.comparisons:
        show_table(table)
    effects = effect_words(report.findings.plan)
    for title, words, tables in (
        ("Learning", LEARNT, [*report.learning, *report.pareto]), ("Effects", effects, report.effects),
        ("Health", HEALTH, report.health), ("Memory", MEMORY, report.memory), ("Cost", COST, report.cost),
    ):  # fmt: skip
        if tables:
            click.echo(f"\n{title}. {words}")
        for table in tables:
            show_table(table)
    for flag in report.flags:
        click.echo(f"  {flag}")
    for title, lines in (("Failed", report.failures), ("Skipped", report.skipped), ("Problems", report.problems)):
        if lines:
            click.echo(f"\n{title}")
            for line in lines:
                click.echo(f"  {line}")
    if report.claims:
        click.echo("\nClaims")
        for says, answer, reason in report.claims:
            click.echo(f"  {answer.upper()}: {says} ({reason})")
    click.echo(f"\nReport: {store.folder / 'report.md'}")
    if missing := how_to_get_them(report):
        click.echo(missing)
    if report.last_line:
        click.echo(report.last_line)


def show_table(table: Table) -> None:
    """Print one table."""
    from tabulate import tabulate

    click.echo(f"\n{table.title}")
    click.echo(tabulate(table.rows, table.headers, tablefmt="simple", disable_numparse=True))
    for note in table.notes:
        click.echo(note)


@cli.command()
@plugin_option
@suite_argument
@set_option
@only_option
@device_option
@click.pass_context
def check(context: Context, suite: Path, settings: tuple[str, ...], only: tuple[str, ...], device: str | None) -> None:
    """Check a suite without measuring anything.

    Names, parameters, axes, claims and how the optimizations fit together; every complaint says file:line:col.
    """
    _, _, plan = plan_of(context, suite, settings, only, device)
    trials = sum(len(block.trials) for block in plan.blocks)
    click.echo(f"{suite}: fine: {len(plan.blocks)} blocks, {trials} trials, {len(plan.skipped)} skipped.")


@cli.command()
@plugin_option
@suite_argument
@set_option
@only_option
@device_option
@quick_option
@as_json
@click.pass_context
def plan(
    context: Context,
    suite: Path,
    settings: tuple[str, ...],
    only: tuple[str, ...],
    device: str | None,
    quick: bool,
    as_json: bool,
) -> None:
    """Show what a suite would measure: blocks, trials, what is skipped and why, and for how long."""
    from harness.plan import estimated_seconds

    _, _, made = plan_of(context, suite, settings, only, device, quick=quick)
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=1, ensure_ascii=False))
        return
    click.echo(made.question)
    least = most = 0.0
    for block in made.blocks:
        low, high = estimated_seconds(block)
        least, most = least + low, most + high
        modes = ", ".join(block.measures.speed.of) if block.measures.speed else "no clock"
        click.echo(f"\n{block.name} ({modes}; {low:.0f} s at least, budget {high:.0f} s)")
        for trial in block.trials:
            parts = [trial.model.name, trial.dataset.name, *(spec.name for spec in trial.use)]
            promise = "the baseline" if trial is block.baseline else f"changes {trial.changes}"
            click.echo(f"  {trial.id}  {trial.level:<20} {' + '.join(parts)}  ({promise})")
    if made.skipped:
        click.echo("\nSkipped")
        for skipped in made.skipped:
            click.echo(f"  {', '.join(skipped.coordinates.values())}: {skipped.because}")
    budgets = f"budgets allow {most / 60:.1f}, and slow steps take what they take"
    click.echo(f"\n{len(made.blocks)} blocks, {least / 60:.1f} minutes at least; {budgets}.")


@cli.command("list")
@plugin_option
@click.argument("kind", required=False)
@as_json
@click.pass_context
def list_(context: Context, kind: str | None, as_json: bool) -> None:
    """List the parts that plugins bring: models, datasets, optimizations, metrics, reporters, executors.

    Plugins that could not be used are named with the reason, and the exit code is then 3.
    """
    from harness.catalog import KINDS
    from harness.errors import did_you_mean

    catalog = catalog_of(context)
    kinds = {part.kind: part for part in KINDS}
    if kind is not None:
        wanted = kind.removesuffix("s")
        if wanted not in kinds:
            raise UserError(f"there is no kind of part {kind!r}.", fix=did_you_mean(wanted, kinds))
        kinds = {wanted: kinds[wanted]}
    found = {name: catalog.entries(part) for name, part in kinds.items()}
    if as_json:
        rows = [
            {
                "kind": kind,
                "name": name,
                "plugin": entry.plugin,
                "version": entry.version,
                "summary": entry.part.summary,
            }
            for kind, entries in found.items()
            for name, entry in entries.items()
        ]
        problems = [{"plugin": problem.plugin, "reason": problem.reason} for problem in catalog.problems]
        click.echo(json.dumps({"parts": rows, "problems": problems}, indent=1, ensure_ascii=False))
        sys.exit(FAILED if problems else 0)
    for kind_name, entries in found.items():
        click.echo(f"{kind_name}s" if entries else f"{kind_name}s: none")
        width = max(map(len, entries), default=0)
        for name, entry in entries.items():
            promise = f" [changes {entry.part.changes}]" if kind_name == "optimization" else ""
            click.echo(f"  {name:<{width}}  {entry.part.summary}{promise}  ({entry.plugin})")
    for problem in catalog.problems:
        click.echo(f"problem: {problem}", err=True)
    sys.exit(FAILED if catalog.problems else 0)


@cli.command()
@plugin_option
@click.argument("name")
@as_json
@click.pass_context
def describe(context: Context, name: str, as_json: bool) -> None:
    """Describe a part: what it does, takes, promises, needs and offers, and where it comes from."""
    from harness.describe import describe_named, in_words

    rows = describe_named(catalog_of(context), name)
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False, default=str))
    else:
        click.echo("\n\n".join(in_words(row) for row in rows))


@cli.command()
@plugin_option
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@results_option
@as_json
@click.pass_context
def report(context: Context, folder: Path | None, results: Path, as_json: bool) -> None:
    """Rebuild a run's report from its records (the latest run by default). Needs no torch."""
    from harness.store import Store

    store = Store.open(folder) if folder else Store.latest(results)
    made = finish(store, catalog_of(context))
    show(made, store, as_json=as_json)
    if went_wrong(made):
        sys.exit(FAILED)


cli.add_command(doctor)
cli.add_command(selftest)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of a suite, for editors."""
    from harness.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=1))


def main() -> NoReturn:
    """Run the command line and turn whatever happens into a sentence and an exit code."""
    code: Any = 0
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        click.echo(str(error), err=True)
        code = MISTAKE
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped.", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough; what was measured is on disk.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = PIPE_CLOSED
    sys.exit(code if isinstance(code, int) else 0)
