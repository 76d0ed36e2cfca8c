"""report.html is one file: complete, escaped, limited in size, and not allowed to load anything."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from unittest.mock import patch

import pytest
from large_run import plan_of_many, records_of_many
from made import block, learning_block, record, run
from made_effects import TIMES, plan_of, speed_records

from harness.analysis.findings import find
from harness.records.plan import Claim, Plan, Skipped
from harness.records.record import Record
from harness.report.formats import html
from harness.report.plots import plots
from harness.report.plots.inline_svg import adapted, svg_of
from harness.report.report import report_of
from harness.report.table import Section, Table

NASTY = [
    '<script>alert("1")</script>',
    "{{ 7 * 7 }}",
    "]]> & <!-- --",
    "Größe · 長さ · ‮ \u2028 ünd",
    "$a_b^{$ 'x' \"y\"",
    "</svg></style>",
]
VOID = {"meta", "br", "link", "img", "input", "hr", "path", "use", "stop"}


class Page(HTMLParser):
    """The parts of a page that a browser reads, as far as these tests need them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.inside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.inside.pop() == tag

    def handle_data(self, data):
        if self.inside and self.inside[-1] == "script":
            self.scripts.append(data)
        elif self.inside[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("\n".join(self.texts).split())


def squeezed(text: str) -> str:
    return " ".join(text.split())


def report(catalog, levels=("slow", "fast"), contexts=("a", "b"), facts=None, question="Which?", **plan):
    blocks, records = [], []
    for context in contexts:
        this = replace(block("plain", *levels), context={"where": context})
        blocks.append(this)
        for n in range(5):
            for i, level in enumerate(("plain", *levels)):
                records.append(record(this, level, n, [1e6 * (1 + i) * (1 + n / 1000)] * 10))
    return report_of(Plan("suite", question, "what", tuple(blocks), **plan), records, catalog, facts or {}, "suite/run")


@pytest.fixture(scope="module")
def page(catalog):
    claim = Claim("It pays", "slow", "step_time", "lower", 0.0, "train", {}, "all", "ratio")
    facts = {"python": "3.11", "packages": {"torch": "2.13"}, "git": {"dirty": False}}
    return html.render(report(catalog, claims=(claim,), facts=facts), "question: Which?\n")


def test_page_loads_nothing_and_allows_only_its_own_script(page):
    parsed = Page(page)
    assert parsed.inside == []
    assert not {"img", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in parsed.elements}
    for tag, attributes in parsed.elements:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert re.match(r"#|plots/", attributes.get("href", "#")), (tag, attributes)
    (script,) = parsed.scripts
    policy = next(a["content"] for tag, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert "unsafe-eval" not in policy
    outside = re.findall(r"https?://[^\s\"'<]+", page)
    assert set(outside) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in page
    assert "url(" not in html.asset("report.css")


def test_the_first_screen_has_answer_plot_and_claims_in_this_order(page):
    first, rest = page.split("</section>", 1)
    order = [
        'id="summary"', "<h1", 'class="answer">', "<svg", "<svg", 'id="claims"', "It pays.", "2.000 times",
        "Tested: faster by more than", "Sensitivity: ", "Measured on ", "<summary>How to read this",
    ]  # fmt: skip
    at = -1
    for text in order:
        at = first.index(text, at + 1)
    assert first.count("<figure") == 1
    assert first.count("<svg") == 2  # the second is for narrow screens
    assert "<details open" not in first
    assert "<table" not in first
    places = [rest.index(text) for text in ('<h2 id="s1-h">Comparisons', "<table", 'id="machine"', 'id="reproduce"')]
    assert places == sorted(places)
    assert "<svg" not in rest  # the only plot is on the first screen
    assert "harness run suite.yaml" in page
    assert "question: Which?" in page


def test_nothing_is_wider_than_a_phone_by_itself():
    style = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", html.asset("report.css"))
    pixels = {"px": 1, "rem": 16, "em": 16}
    widths = [
        float(size) * pixels[unit] for size, unit in re.findall(r"[;{ ](?:min-)?width: ([\d.]+)(px|rem|em)", style)
    ]
    assert widths
    assert max(widths) <= 390


def test_every_plot_on_the_page_has_the_colours_of_its_levels(catalog):
    made = report(catalog, contexts=("10", "20", "40"))
    parts, first = html.parts_of(made)
    svgs = [first.svg, first.narrow, *(picture.svg for part in parts for picture in part.pictures)]
    assert len(svgs) == 3  # and the break-evens
    for svg in svgs:
        assert "var(--blue)" in svg  # slow
        assert "var(--vermilion)" in svg  # fast
        assert "var(--green)" not in svg


def test_ids_are_unique_and_every_link_has_a_target(page):
    elements = Page(page).elements
    ids = Counter(a["id"] for _, a in elements if "id" in a)
    assert max(ids.values()) == 1
    wanted = {a["href"][1:] for _, a in elements if a.get("href", "").startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]*)\)", page)) | {
        a["aria-labelledby"] for _, a in elements if "aria-labelledby" in a
    }
    assert wanted <= set(ids)


def test_everything_is_escaped(catalog):
    facts = {"processor": NASTY[0], "packages": {NASTY[1]: NASTY[5]}, "list": [NASTY[2]], "odd": {NASTY[3]: None}}
    claim = Claim(NASTY[0], NASTY[1], "step_time", "lower", 0.0, "train", {}, "all", "ratio")
    overrides = {"set": [f"a={NASTY[0]}"], "only": [], "plugins": [NASTY[4]]}
    made = report(
        catalog, levels=tuple(NASTY), contexts=(*NASTY[:3], "<b>"), facts=facts, question=" ".join(NASTY),
        claims=(claim,), skipped=(Skipped({"what": NASTY[0]}, NASTY[1]),), overrides=overrides,
    )  # fmt: skip
    section = Section(
        NASTY[0], "\n".join(NASTY), (Table(NASTY[1], tuple(NASTY), (tuple(NASTY),), (NASTY[0],)),), why=True
    )
    made = replace(made, sections=(*made.sections, section), problems=tuple(NASTY), failures=(NASTY[0],), run=NASTY[0])
    text = html.render(made, "\n".join(NASTY))
    parsed = Page(text)
    assert len(parsed.scripts) == 1
    assert sum(tag == "style" for tag, _ in parsed.elements) == 1
    assert "49" not in re.sub(r"[\d.]{3,}", "", parsed.text)
    for nasty in NASTY:
        assert parsed.text.count(squeezed(nasty)) >= 4
    svg = text[text.index("<svg") : text.index("</svg>")]
    assert NASTY[0] not in svg
    assert "&lt;script&gt;" in svg


def test_page_has_every_cell_of_the_report(catalog):
    made = report(catalog, contexts=tuple("abcdefgh"))
    text = Page(html.render(made)).text
    for section in made.sections:
        for table in (*section.tables, *section.details):
            for row in table.rows:
                assert all(squeezed(re.split("[(;]", cell)[0]) in text for cell in row)
    assert "train, 8 contexts" in text


def test_sections_keep_their_text_and_tables(catalog):
    why = Section(
        "Explained",
        "Look:\n- one\n- two\nEnd.",
        (Table("t1", ("a",), (("x",),)),),
        (Table("t2", ("a",), (("y",),)),),
        True,
    )
    only = Section("Only details", "", (), (Table("t3", ("a",), (("z",),)),), False)
    text = html.render(replace(report(catalog), sections=(why, only)))
    assert text.index("Only details</h2>") < text.index('id="reasons"') < text.index("Explained</h2>")
    assert "<li>one</li><li>two</li>" in text
    assert "Explained in detail: 1 table<" in text
    assert "Show only details: 1 table<" in text
    assert text.index("<details", text.index("Explained</h2>")) < text.index(">t2<")


def test_without_matplotlib_the_page_says_how_to_get_plots(catalog):
    with patch.object(plots, "find_spec", lambda name: None):
        text = html.render(report(catalog))
    assert "<svg" not in text
    assert "pip install" in text
    assert "<table" in text


def test_plots_over_the_limit_are_links(catalog, tmp_path, monkeypatch):
    monkeypatch.setattr(html, "MOST_PLOTS", 1)
    made = report_of(plan_of(), speed_records(plan_of().blocks[0], TIMES), catalog, {})
    (path,) = html.write(made, tmp_path)
    text = path.read_text()
    assert text.count("<svg") == 2  # one plot, drawn for two widths
    assert 'href="plots/speed-train.svg"' in text
    monkeypatch.setattr(html, "MOST_TEXT", 10)
    text = html.render(made)
    assert "<svg" not in text
    assert text.count('href="plots/') == 2


def test_plot_is_in_its_section_or_in_a_separate_one(catalog):
    made = report_of(plan_of(), speed_records(plan_of().blocks[0], TIMES), catalog, {})
    parts, first = html.parts_of(made)
    assert first.name == "effects-all-train"
    assert [[p.name for p in part.pictures] for part in parts][:1] == [["speed-train"]]
    parts, _ = html.parts_of(replace(made, sections=()))
    assert [(part.title, len(part.pictures)) for part in parts] == [("Plots", 1)]


@pytest.mark.parametrize("quick", [True, False])
def test_failures_come_before_the_tables(catalog, quick):
    this = block("plain", "new")
    broken = Record(this.id, "new", "new", "verify", "variant", 0, 2, "failed", "it broke <here>")
    made = report_of(Plan("s", "q", "what", (this,), overrides={"quick": quick}), [broken], catalog, {})
    text = Page(html.render(made)).text
    assert text.index("all, new: failed in verify: it broke <here>") < text.index("Comparisons Each level")
    assert "it broke <here>" in text
    assert ("A first look" in text) == quick
    assert "The machine was not recorded." in text


def test_a_learning_run_and_an_empty_one(catalog):
    this = learning_block("plain", "new", seeds=tuple(range(6)))
    records = [
        run(this, level, seed, close=0.5 + 0.1 * (level == "new") + seed / 100)
        for level in ("plain", "new")
        for seed in range(6)
    ]
    for given in (records, records[:1], []):
        text = html.render(report_of(Plan("s", "q", "what", (this,)), given, catalog, {}))
        assert Page(text).inside == []
        assert ("new is better than plain" in text) == (given is records)


def test_the_same_report_gives_the_same_page(catalog):
    made = report(catalog)
    assert html.render(made) == html.render(made)


def test_svgs_have_separate_ids_and_no_fixed_colours(catalog):
    (plot,) = plots.plots_of(report(catalog))
    one, other = svg_of(plot), svg_of(replace(plot, name="another"))
    assert one == svg_of(plot)
    ids = [set(re.findall(r' id="([^"]*)"', text)) for text in (one, other)]
    assert not ids[0] & ids[1]
    for text, its in zip((one, other), ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', text)) == its
        assert not {"#000000", "#444444", "#ffffff", "#dddddd", "#D55E00", "#d55e00"} & set(
            re.findall("#[0-9a-zA-Z]{6}", text)
        )
        assert "<style" not in text
        assert "<metadata" not in text
        assert 'role="img"' in text
        assert "var(--vermilion)" in text
        assert "<text" in text
        assert "DejaVu" not in text


def test_svg_colours_and_ids_are_adapted_to_the_page():
    svg = b"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 72 36" width="72pt">
    <metadata>x</metadata><defs><style>*{a:b}</style><path id="m" style="stroke: #FFFFFF"/></defs><g id="g" clip-path="url(#m)">
    <use xlink:href="#m" style="fill: #0072b2; font: bold 8.5px 'DejaVu Sans', Arial"/><path style="fill: #123456"/></g></svg>"""
    text = adapted(svg, "a plot/1", 'it"s <one>')
    assert 'id="aplot1-m"' in text
    assert 'id="g"' not in text
    assert 'clip-path="url(#aplot1-m)"' in text
    assert 'href="#aplot1-m"' in text
    assert "fill: var(--blue); font: bold 8.5px var(--sans)" in text
    assert "stroke: var(--paper)" in text
    assert "fill: #123456" in text
    assert 'style="--width: 96px"' in text
    assert 'aria-label="it&quot;s &lt;one&gt;"' in text


class Counted(list):
    """Records that count how often they are iterated over."""

    passes = 0

    def __iter__(self):
        self.passes += 1
        return super().__iter__()


def test_records_are_read_a_fixed_number_of_times(catalog):
    passes = []
    for blocks in (3, 12):
        plan = plan_of_many(blocks, trained=blocks)
        records = Counted(records_of_many(plan, processes=5))
        find(plan, records, catalog)
        passes.append(records.passes)
    assert passes[0] == passes[1] < 12


@pytest.mark.slow
def test_two_thousand_trials_take_less_than_five_megabytes(catalog):
    plan = plan_of_many()
    made = report_of(plan, list(records_of_many(plan)), catalog, {})
    text = html.render(made)
    assert sum(len(one.trials) for one in plan.blocks) == 2000
    assert len(text.encode()) < 5_000_000
    assert text.count("<svg") <= html.MOST_PLOTS
    assert Page(text).inside == []
