"""A plugin's kind of measurement in the report: its quantities, its section, and its errors."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made import block
from toy_suite import TOY

import harness
from harness.plugins.catalog import Catalog
from harness.plugins.kinds import MeasureKind, Quantity
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Reporter
from harness.records.plan import Plan
from harness.records.record import Record
from harness.records.settings import Measures, Settings
from harness.report import Report, Section, Table, report_of
from harness.report.formats import html, latex, markdown, terminal

QUANTITIES = {
    "weight": Quantity("weight", "bytes", "exact"),
    "drift": Quantity("drift"),
    "start": Quantity("start", "seconds", "processes"),
}
OWNER = "measure sway (plugin package)"


def weights(data):
    """The stored data, unchanged."""
    return [(trial, trial.stages["sway"][0]) for trial in data.trials if "sway" in trial.stages]


def report_with(stored=None, **kind) -> Report:
    """The report of a run with levels a and b for which the kind `sway` stored this data. `kind` are its fields."""
    part = MeasureKind("sway", lambda task: {}, "how far a model sways", quantities=QUANTITIES, **kind)

    class Package:
        @harness.hookimpl
        def provide_measures(self):
            return [part]

    plugins = load_plugins([TOY])
    plugins.manager.register(Package(), name="package")
    plugins.versions["package"] = "1"
    this = replace(block("a", "b"), measures=Measures.of(sway=Settings()))
    stored = stored or {"a": {"weight": 1024}, "b": {"weight": 2048}}
    records = [Record(this.id, level, level, "sway", "variant", 0, 1, "ok", "", data) for level, data in stored.items()]
    return report_of(Plan("s", "Does it sway?", "what", (this,)), records, Catalog(plugins), {})


def section_in(report: Report) -> Section:
    (found,) = (section for section in report.sections if "sway" in section.title.lower())
    return found


def test_kind_without_a_section_gets_a_table_of_quantities():
    report = report_with(analyse=weights)
    assert report.problems == ()
    assert section_in(report) == Section(
        "Sway",
        "How far a model sways.",
        (Table("all: sway", ("what", "weight"), (("a", "1.00 KiB"), ("b", "2.00 KiB (× 2, more)"))),),
        why=True,
    )
    assert [(q.level, q.verdict) for q in report.findings.quantities] == [("a", ""), ("b", "more")]


def test_section_of_a_kind_appears_in_every_format():
    def section(found):
        rows = tuple((trial.trial.level, str(trial.stages["sway"][0]["weight"])) for trial in found.data.trials)
        return Section("Sway of models", "Less is calmer.", (Table("Sway", ("level", "amount"), rows),))

    report = report_with(section=section)
    assert report.problems == ()
    assert section_in(report).tables[0].rows == (("a", "1024"), ("b", "2048"))
    for text in (terminal.render(report), markdown.render(report), html.render(report), latex.render(report)):
        assert "1024" in text
        assert "Sway" in text


@pytest.mark.parametrize("kind", [{}, {"analyse": lambda data: []}, {"section": lambda found: None}])
def test_kind_without_results_adds_nothing(kind):
    report = report_with(**kind)
    assert (report.sections, report.problems) == ((), ())


def raises(given):
    raise SystemExit("I give up")


def spoils(data):
    """An analysis that changes its copy of the data."""
    for trial in data.trials:
        trial.stages["sway"][0].clear()
    return []


@pytest.mark.parametrize(
    ("analyse", "problem"),
    [
        (raises, "SystemExit: I give up"),
        (lambda data: None, "TypeError: 'NoneType' object is not iterable"),
        (lambda data: [("a", {"weight": 1})], "ValueError: its analysis gives something other than (trial, {name: number})"),
        (lambda data: [(data.trials[0], [1])], "ValueError: its analysis gives something other than (trial, {name: number})"),
        (lambda data: [(data.trials[0], {"height": 1})], "ValueError: its analysis gives 'height', which is not among"),
        (lambda data: [(data.trials[0], {"weight": float("nan")})], "ValueError: its analysis gives 'nan' for weight"),
        (lambda data: [(data.trials[0], {"weight": True})], "ValueError: its analysis gives 'True' for weight"),
        (lambda data: [(data.trials[0], {"weight": ()})], "ValueError: its analysis gives '()' for weight"),
        (lambda data: [(data.trials[0], {"start": 1.0})], "ValueError: its analysis gives no tuple for start"),
        ("no.such_module:analyse", "importing no.such_module failed"),
    ],
)  # fmt: skip
def test_failing_analysis_is_reported(analyse, problem):
    report = report_with(analyse=analyse)
    (named,) = report.problems
    assert named.startswith(f"{OWNER}: ")
    assert problem in named
    assert report.sections == ()
    assert problem in terminal.render(report).replace("&#39;", "'")


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (raises, "SystemExit: I give up"),
        (lambda found: "a text", "its section is 'a text' of type str; expected Section"),
        (lambda found: Section("Sway", "", ("a text",)), "a table of its section is 'a text' of type str; expected Table"),
        (lambda found: Section("Sway", "", (Table("t", ("a",), ((1,),)),)), "is '1' of type int; expected str"),
        (lambda found: Section(None, ""), "is 'None' of type NoneType; expected str"),
        (lambda found: Section("Sway", "", (Table("t", ("a", "b"), (("1",),)),)), "a row of its table 't' does not have 2 cells"),
        (lambda found: Section("Sway", "", None), "TypeError"),
        ("no.such_module:section", "importing no.such_module failed"),
    ],
)  # fmt: skip
def test_failing_section_is_reported_and_the_rest_is_shown(section, problem):
    report = report_with(analyse=weights, section=section)
    (named,) = report.problems
    assert named.startswith(f"{OWNER}: ")
    assert problem in named
    assert report.sections == ()
    assert len(report.findings.quantities) == 2


def test_plugin_receives_copies():
    report = report_with(analyse=spoils)
    (kind,) = report.findings.kinds
    assert [trial.stages["sway"][0] for trial in kind.data.trials] == [{"weight": 1024}, {"weight": 2048}]


def test_quantities_with_negative_values_have_no_ratio():
    stored = {"a": {"weight": -4, "drift": -1.5}, "b": {"weight": 2, "drift": 3.0}}
    report = report_with(stored, analyse=weights)
    assert report.problems == ()
    weight, drift = (q for q in report.findings.quantities if q.level == "b")
    assert (weight.ratio, weight.estimate, weight.verdict) == (None, None, "more")
    assert (drift.ratio, drift.verdict) == (None, "")


def test_records_of_an_unknown_kind_are_reported():
    this = replace(block("a", "b"), measures=Measures.of(sway=Settings()))
    report = report_of(Plan("s", "q", "what", (this,)), [], Catalog(load_plugins([TOY])), {})
    assert report.problems == ("no plugin provides the kind of measurement 'sway', so its records are not shown",)


def test_every_reporter_writes_a_report_with_a_problem(tmp_path, catalog):
    report = report_with(analyse=weights, section=raises)
    for entry in catalog.entries(Reporter).values():
        for path in catalog.code(entry)(report, tmp_path):
            assert path.stat().st_size
    for name in ("report.txt", "report.md", "report.html", "summary.md", "junit.xml", "report.json"):
        assert "I give up" in (tmp_path / name).read_text(), name
