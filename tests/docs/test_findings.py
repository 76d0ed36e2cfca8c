"""The findings: every claim is on a page, a text that contradicts its run is refused, and no measured number is typed."""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.analysis.verdicts import Answer

ROOT = Path(__file__).parents[2]
FINDINGS = ROOT / "docs" / "findings"
pytestmark = pytest.mark.skipif(
    not (ROOT / "results" / "reference").exists(), reason="a source distribution has no reference runs"
)
#: A number with decimals or a unit of a result. Settings are written as `code` or as plain integers.
MEASURED = re.compile(r"\d\.\d|\d ?%|\d×|\b\d+ (points?|times|ms|KiB|MiB)\b")


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules of the generator."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    names = ("advice", "catalog", "finding_page", "finding_plot", "numbers", "runs", "verdict")
    return SimpleNamespace(**{name: importlib.import_module(f"_generate.{name}") for name in names})


@pytest.fixture
def tbptt(generator: SimpleNamespace) -> tuple[Any, Any]:
    """The advice about truncated backpropagation, and the reference run that decides it."""
    store = importlib.import_module("harness.records.store").Store.open(ROOT / "results" / "reference" / "tbptt")
    make_report = importlib.import_module("harness.report.report").make_report
    report = make_report(store, generator.catalog.catalog_of(ROOT))
    run = generator.runs.StoredRun("tbptt", Path("suites/tbptt.yaml"), "this machine", store.folder, report)
    return generator.advice.read(ROOT / "docs" / "_findings" / "tbptt.md"), run


def test_every_claim_is_on_a_page(generator: SimpleNamespace):
    claimed = {
        (plan.parent.name, claim["says"])
        for plan in (ROOT / "results" / "reference").glob("*/plan.json")
        for claim in json.loads(plan.read_text())["claims"]
    }
    shown = {(use.suite, use.claim) for advice in generator.advice.all_advice(ROOT) for use in advice.claims}
    assert shown == claimed


def test_a_text_that_contradicts_its_run_is_refused(generator: SimpleNamespace, tbptt: tuple[Any, Any]):
    advice, run = tbptt
    checked = generator.verdict.checked_verdict
    assert checked(advice, [run]) == "False"
    with pytest.raises(SystemExit, match="expects the verdict 'True'; the claims give 'False'"):
        checked(replace(advice, verdict="True"), [run])
    with pytest.raises(SystemExit, match="expected True for 'Truncation to 20 steps"):
        checked(replace(advice, decided_by=(replace(advice.decided_by[0], answer="True"),)), [run])
    with pytest.raises(SystemExit, match="no stored run with the claim 'Nobody'"):
        checked(replace(advice, decided_by=(replace(advice.decided_by[0], claim="Nobody"),)), [run])


def test_a_number_that_the_run_does_not_have_is_refused(generator: SimpleNamespace, tbptt: tuple[Any, Any]):
    numbers = generator.numbers.StoredNumbers({"tbptt": tbptt[1]})
    assert numbers.render('{{ effect("tbptt", "w20") }} times', "here") == "1.52 times"
    for text in ('{{ effect("tbptt", "w21") }}', '{{ effect("nosuch", "w20") }}', '{{ effectt("tbptt", "w20") }}'):
        with pytest.raises(SystemExit, match=r"^here: "):
            numbers.render(text, "here")


HOLDS, FAILS, OPEN = Answer.HOLDS, Answer.FAILS, Answer.UNDECIDED


@pytest.mark.parametrize(
    ("machines", "verdict"),
    [
        ([[(HOLDS, 3)]], "True"),
        ([[(FAILS, 0)]], "False"),
        ([[(FAILS, 1)]], "It depends"),  # it is true in one context
        ([[(OPEN, 0)]], "Not decided"),
        ([[(HOLDS, 3), (OPEN, 0)]], "Not decided"),
        ([[(HOLDS, 3), (FAILS, 0)]], "It depends"),
        ([[(HOLDS, 3)], [(OPEN, 0)]], "True"),  # another machine decided nothing
        ([[(HOLDS, 3)], [(FAILS, 0)]], "It depends"),
        ([[(OPEN, 0)], [(OPEN, 0)]], "Not decided"),
    ],
)
def test_the_verdict_follows_from_the_claims_of_all_machines(
    generator: SimpleNamespace, machines: list[list[tuple[Answer, int]]], verdict: str
):
    runs = []
    for i, answers in enumerate(machines):
        results = [
            SimpleNamespace(claim=SimpleNamespace(says=str(n)), answer=answer, true_in=("place",) * true)
            for n, (answer, true) in enumerate(answers)
        ]
        report = SimpleNamespace(findings=SimpleNamespace(claims=results))
        runs.append(SimpleNamespace(suite="suite", machine=f"machine {i}", report=report))
    uses = tuple(SimpleNamespace(suite="suite", claim=str(n), where={}) for n in range(max(map(len, machines))))
    assert generator.verdict.verdict_of(SimpleNamespace(decided_by=uses), runs) == verdict


def test_measured_numbers_are_computed(generator: SimpleNamespace):
    for advice in generator.advice.all_advice(ROOT):
        for text in (advice.title, advice.advice, advice.stakes, advice.answer, *advice.sections.values()):
            prose = re.sub(r"```.*?```|`[^`]*`|\{\{.*?\}\}|\]\([^)]*\)", "", text, flags=re.DOTALL)
            assert not (found := MEASURED.search(prose)), f"{advice.name}: {prose[max(0, found.start() - 40) :][:80]}"


def test_every_source_has_an_address_and_at_most_one_quotation(generator: SimpleNamespace):
    for advice in generator.advice.all_advice(ROOT):
        for source in (*advice.sources, *advice.see_also):
            assert re.match(r"https?://\S+$", source.url), (advice.name, source.url)
            assert len(source.quote) < 250, advice.name


def test_plots_are_small_and_load_nothing():
    plots = sorted(FINDINGS.glob("*.svg"))
    assert len(plots) >= 20
    for plot in plots:
        assert plot.stat().st_size < 20_000
        root = ElementTree.fromstring(plot.read_bytes())
        assert float(root.get("width", "0")) <= 500  # readable on a phone
        assert not [element for element in root.iter() if element.tag.endswith(("script", "image", "use"))]


def test_the_readme_states_what_the_pages_state(generator: SimpleNamespace):
    """Its numbers are those of the index, which is generated."""
    index = (FINDINGS / "index.md").read_text()
    stakes = {name: text for text, name in re.findall(r"^\| (.+) \| \[[^]]*\]\(([\w-]+)\.md\) \|", index, re.MULTILINE)}
    lines = re.findall(r"^- .*\(docs/findings/([\w-]+)\.md\)(.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(lines) == 5
    for name, line in lines:
        assert line.endswith(f": {stakes[name]}."), name
