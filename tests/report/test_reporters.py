"""Every way of writing a report: whole, valid, and with every name escaped."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from made import block, learning_block, record, runs
from made_effects import TIMES, plan_of, speed_records
from made_quantities import memory
from markdown_it import MarkdownIt

from harness.builtin.memory import Memory
from harness.plugins.parts import Reporter
from harness.records.plan import Claim, Plan, Skipped
from harness.records.record import Record
from harness.records.settings import Measures
from harness.report.formats import github, junit, latex, markdown, tensorboard, terminal
from harness.report.report import report_of
from harness.report.rows import json_text, write_csv, write_json
from harness.report.table import Section, Table

NASTY = "a&b_%$#{}~^\\ | <i> ]]> `c` *d* [e] 'f' \"g\" é 中文 −1 -- {{x}} ${y} @me"
BAD = "line one\nline two\ttab \x00\x1b[31mred\x7f \ufffe end"


def claim(says: str, level: str, by: float) -> Claim:
    return Claim(says, level, "step_time", "lower", by, "train", {}, "all", "ratio")


@pytest.fixture(scope="module")
def nasty(catalog):
    """A report in which every name is full of what some format takes for its own."""
    this = replace(block(NASTY, "fast " + NASTY, "broken|one"), context={"axis|&": NASTY, "two": "<b>"})
    records = [
        record(this, trial.level, n, [2e6 if trial is this.baseline else 1e6] * 10)
        for trial in this.trials[:2]
        for n in range(5)
    ]
    records.append(Record(this.id, "broken|one", "x", "verify", "variant", 0, 1, "failed", BAD))
    claims = (
        claim(NASTY, "fast " + NASTY, 0.05),
        claim("not so " + BAD, "fast " + NASTY, 0.9),
        claim("c", "nobody", 0.1),
    )
    skipped = (Skipped({"axis|&": "x", "two": "y", NASTY: "z"}, "because | & <reason>"),)
    plan = Plan("sui_te&<", f"Is {NASTY} fast?", NASTY, (this,), skipped, claims)
    facts = {"processor": "CPU & <Co> | 50%", "cores": 2}
    return replace(report_of(plan, records, catalog, facts, "sui_te/run"), problems=("metric m | <x>: " + BAD,))


@pytest.fixture(scope="module", params=["nasty", "nothing", "failed", "design", "learning"])
def report(request, catalog, nasty):
    """Reports of every kind there is."""
    if request.param == "nasty":
        return nasty
    if request.param == "design":
        plan = plan_of()
        return report_of(plan, speed_records(plan.blocks[0], TIMES), catalog, {})
    if request.param == "learning":
        this = learning_block("plain", "fast")
        values = {"plain": [0.1, 0.2, 0.3, 0.2, 0.1], "fast": [0.4, 0.5, 0.6, 0.5, 0.4]}
        records = [r for level, each in values.items() for r in runs(this, level, close=each)]
        return report_of(Plan("s", "q", "what", (this,)), records, catalog, {})
    this = block("a", "b")
    records = []
    if request.param == "failed":
        records = [Record(this.id, "a", "a", "verify", "variant", 0, 1, "failed", "the baseline broke")]
    return report_of(Plan("s", "q", "what", (this,)), records, catalog, {})


def tables_in(report) -> list[Table]:
    return [one for section in report.sections for one in (*section.tables, *section.details)]


def test_every_reporter_writes_what_it_says(report, catalog, tmp_path, monkeypatch):
    monkeypatch.delenv(github.VARIABLE, raising=False)
    for name, entry in catalog.entries(Reporter).items():
        if name == "plots":  # slow, and with tests of its own
            continue
        folder = tmp_path / name
        folder.mkdir()
        written = catalog.code(entry)(report, folder)
        assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file()), name
        before = {path: path.read_bytes() for path in written}
        catalog.code(entry)(report, folder)
        assert {path: path.read_bytes() for path in written} == before, name


# LaTeX


def check_latex(text: str, tables: int) -> None:
    """Environments, groups and mathematics end where they should, rows have as many cells as columns, and nothing is
    left that TeX would take for a command."""
    lines = [line for line in text.split("\n") if not line.startswith("%")]
    assert not any(re.search(r"(?<!\\)%", line) for line in lines)
    body = "\n".join(lines)
    names, labels = [], re.findall(r"\\label\{([^}]*)\}", body)
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        if kind == "begin":
            names.append(name)
        else:
            assert names.pop() == name
    assert names == []
    assert len(labels) == len(set(labels)) == tables
    assert all(re.fullmatch(r"tab:[a-z0-9.-]+", label) for label in labels)
    assert body.count("\\caption{") == tables
    known = {
        "begin", "end", "centering", "footnotesize", "caption", "label", "toprule", "midrule", "bottomrule", "par",
        "smallskip", "raggedright", "arraybackslash", "linewidth", "begingroup", "endgroup", "endfirsthead", "endhead",
        "endfoot", "ldots",
    }  # fmt: skip
    known |= {command[1:].removesuffix("{}") for command in latex.ESCAPES.values() if command[1:2].isalpha()}
    known |= {command[1:] for command in latex.MATHEMATICS.values() if command[1:2].isalpha()}
    assert set(re.findall(r"\\([a-zA-Z]+)", body)) <= known
    columns = 0
    for line in lines:
        if found := re.search(r"\\begin\{(?:tabular|longtable)\}\{(.*)\}$", line):
            columns = len(re.findall(r"[lr]|p\{", re.sub(r">\{[^}]*\}|p\{[^}]*\}", lambda m: m[0][:2], found[1])))
        mathematics, depth, cells, at = False, 0, 1, 0
        while at < len(line):
            if line[at] == "\\":
                at += 2
                continue
            mathematics ^= line[at] == "$"
            depth += {"{": 1, "}": -1}.get(line[at], 0)
            cells += line[at] == "&"
            assert depth >= 0, line
            assert mathematics or line[at] not in "^", line
            assert line[at] not in '#"<>|' or "\\begin{" in line, line
            assert line[at] != "_" or "label{" in line, line
            assert ord(line[at]) >= 32, line
            at += 1
        assert not mathematics, line
        assert depth == 0, line
        if line.endswith("\\\\") and "caption" not in line:
            assert cells == columns, line
        else:
            assert cells == 1, line


def test_latex_compiles_in_theory(report):
    check_latex(latex.render(report), len(tables_in(report)) + bool(report.claims))


def test_latex_escapes_every_special():
    assert latex.escape("\\{}&%$#_~^") == (
        "\\textbackslash{}\\{\\}\\&\\%\\$\\#\\_\\textasciitilde{}\\textasciicircum{}"
    )
    assert latex.escape("a\nb\x00\x1bc") == "a bc"
    assert latex.escape("a--b,,c") == "a-{}-b,{},c"
    assert latex.escape("-9.3 [-1 to 2] a-1 × −3") == "$-$9.3 {[}$-$1 to 2{]} a-1 $\\times$ $-$3"
    assert latex.escape("50 %") == "50 \\%"
    assert latex.escape("é 中") == "é 中"


def test_latex_says_when_pdflatex_will_not_do(nasty, catalog):
    assert "lualatex" in latex.render(nasty)
    this = block("a", "b")
    plain = report_of(Plan("s", "é × −", "what", (this,)), [], catalog, {})
    assert "lualatex" not in latex.render(plain)
    for package in ("booktabs", "longtable", "array", "fontenc"):
        assert re.search(rf"^%.*\\usepackage.*{package}", latex.render(plain), re.MULTILINE)


def test_latex_goes_over_pages_and_wraps_where_it_must(nasty):
    many = Table("many", ("level", "ratio", "why"), tuple((f"l{n}", f"{n}.5", "word " * 20) for n in range(31)), ("n",))
    text = latex.render(replace(nasty, sections=(Section("s", "", (many,)),), claims=()))
    check_latex(text, 1)
    assert "\\begin{longtable}{lr>{\\raggedright\\arraybackslash}p{" in text
    assert text.count("level & ratio & why \\\\") == 2
    few = latex.render(replace(nasty, sections=(Section("s", "", (replace(many, rows=many.rows[:30]),)),), claims=()))
    assert "longtable}" not in "\n".join(line for line in few.split("\n") if not line.startswith("%"))


# JSON


def test_json_is_json_and_says_its_format(report, tmp_path):
    (path,) = write_json(report, tmp_path)

    def refuse(word: str):
        raise AssertionError(word)

    data = json.loads(path.read_text(), parse_constant=refuse)
    assert data["format"] == 2
    assert data["question"] == report.question
    assert len(data["comparisons"]) == len(report.findings.comparisons)


def test_json_has_no_infinities():
    data = {"a": [math.inf, (math.nan, 1.5)], "b": {"c": -math.inf}, "d": True}
    assert json.loads(json_text(data)) == {"a": [None, [None, 1.5]], "b": {"c": None}, "d": True}


# JUnit

#: What all schemas of such files have in common: attributes, the needed ones first, and children in their order.
ALLOWED = {
    "testsuites": (set(), {"name", "tests", "failures", "errors"}, ["testsuite"]),
    "testsuite": ({"name", "tests", "failures", "errors"}, {"skipped"}, ["properties", "testcase"]),
    "properties": (set(), set(), ["property"]),
    "property": ({"name", "value"}, set(), []),
    "testcase": ({"name", "classname"}, set(), ["skipped", "error", "failure", "system-out"]),
    "skipped": (set(), {"message"}, []),
    "error": (set(), {"message", "type"}, []),
    "failure": (set(), {"message", "type"}, []),
    "system-out": (set(), set(), []),
}


def check_junit(element: ElementTree.Element) -> None:
    needed, more, children = ALLOWED[element.tag]
    assert needed <= set(element.attrib) <= needed | more
    tags = [child.tag for child in element]
    assert set(tags) <= set(children)
    assert tags == sorted(tags, key=children.index)
    if element.tag == "testcase":
        assert len(tags) == len(set(tags))
        assert sum(tag in ("skipped", "error", "failure") for tag in tags) <= 1
    for child in element:
        check_junit(child)


def suite_of(report, tmp_path) -> ElementTree.Element:
    (path,) = junit.write(report, tmp_path)
    root = ElementTree.parse(path).getroot()
    check_junit(root)
    (suite,) = root
    cases = suite.findall("testcase")
    for element in (root, suite):
        assert int(element.get("tests")) == len(cases)
        for kind in ("failure", "error"):
            assert int(element.get(f"{kind}s")) == len(suite.findall(f"testcase/{kind}"))
    assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))
    return suite


def test_junit_keeps_to_what_all_schemas_allow(report, tmp_path):
    suite = suite_of(report, tmp_path)
    assert suite.get("name") == report.findings.plan.suite
    trials = sum(len(block.trials) for block in report.findings.plan.blocks)
    expected = len(report.claims) + trials + len(report.findings.plan.skipped) + len(report.problems)
    assert len(suite.findall("testcase")) == expected


def test_junit_says_what_passed_failed_and_was_skipped(nasty, tmp_path):
    suite = suite_of(nasty, tmp_path)
    cases = suite.findall("testcase")
    endings = {
        (case.get("classname"), case.get("name")): [c.tag for c in case if c.tag != "system-out"] for case in cases
    }
    name = f"sui_te&<.{NASTY} · <b>"
    assert endings["sui_te&<.claims", NASTY] == []
    assert endings["sui_te&<.claims", "not so " + junit.legal(BAD)] == ["failure"]
    assert endings["sui_te&<.claims", "c"] == ["skipped"]
    assert endings[name, NASTY] == []
    assert endings[name, "fast " + NASTY] == []
    assert endings[name, "broken|one"] == ["error"]
    assert endings["sui_te&<.x · y", "z"] == ["skipped"]
    assert endings["sui_te&<.problems", "problem 1"] == ["error"]
    fast = next(case for case in cases if case.get("name") == "fast " + NASTY)
    lines = fast.find("system-out").text.split("\n")
    assert "[[PROPERTY|train.step_time.verdict=faster]]" in lines
    assert any(re.fullmatch(r"\[\[PROPERTY\|train\.step_time\.interval=\S+ to \S+\]\]", line) for line in lines)
    broken = next(case for case in cases if case.get("name") == "broken|one")
    assert "\\x00\\x1b[31mred" in broken.find("error").get("message")
    assert broken.find("error").get("type") == "failed"


def test_junit_of_a_run_that_measured_nothing_passes_nothing(catalog, tmp_path):
    this = block("a", "b")
    suite = suite_of(report_of(Plan("s", "q", "what", (this,)), [], catalog, {}), tmp_path)
    assert [[c.tag for c in case if c.tag != "system-out"] for case in suite.findall("testcase")] == [["skipped"]] * 2


def test_junit_of_what_is_not_timed_passes(catalog, tmp_path):
    this = replace(block("a", "b"), measures=Measures.of(memory=Memory(of=("train",))))
    records = [
        Record(this.id, level, level, "memory.train", "variant", 0, 1, "ok", "", memory([100, 300], [50, 60]))
        for level in "ab"
    ]
    report = report_of(Plan("s", "q", "what", (this,)), records, catalog, {})
    assert report.findings.quantities
    suite = suite_of(report, tmp_path)
    assert [[c.tag for c in case] for case in suite.findall("testcase")] == [["system-out"]] * 2


def test_junit_of_a_baseline_that_failed_skips_the_others(catalog, tmp_path):
    this = block("a", "b")
    records = [Record(this.id, "a", "a", "verify", "variant", 0, 1, "failed", "broke")]
    suite = suite_of(report_of(Plan("s", "q", "what", (this,)), records, catalog, {}), tmp_path)
    assert [[c.tag for c in case if c.tag != "system-out"] for case in suite.findall("testcase")] == [
        ["error"], ["skipped"]
    ]  # fmt: skip


# Markdown


def shown(token) -> str:
    """The text of an inline token as a reader sees it."""
    return "".join(
        "\n" if child.type == "softbreak" else child.content
        for child in token.children or ()
        if child.type != "html_inline"
    )


def rows_of(text: str) -> list[list[list[str]]]:
    """The tables of a Markdown text, their rows and cells as a reader sees them."""
    found: list[list[list[str]]] = []
    inside = False
    for token in MarkdownIt().enable("table").parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("td_open", "th_open", "td_close", "th_close"):
            inside = token.type.endswith("open")
        elif token.type == "inline" and inside:
            found[-1][-1].append(shown(token))
    return found


def as_read(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def test_a_summary_shows_every_table_as_it_is(report, monkeypatch):
    text = github.render(report)
    found = rows_of(text)
    assert len(found) == len(tables_in(report))
    for rows, one in zip(found, tables_in(report), strict=True):
        assert rows == [[as_read(cell) for cell in row] for row in (one.headers, *one.rows)]


def test_a_summary_begins_with_the_claims_and_warns_in_plain_words(nasty):
    text = github.render(nasty)
    tokens = [shown(token) for token in MarkdownIt().enable("table").parse(text) if token.type == "inline"]
    assert tokens[0] == as_read(nasty.question)
    assert tokens[1].startswith(f"True: {NASTY} (") or tokens[1].startswith(f"True: {as_read(NASTY)} (")
    assert tokens[2].startswith("False: not so line one line two")
    assert any(token.startswith("Failed: ") for token in tokens)
    assert any(token.startswith("Problems: metric m | <x>") for token in tokens)
    assert "::" not in re.sub(r"\w::\w", "", text)  # no workflow commands
    assert "<i>" not in text
    assert "<b>" not in text


def test_a_summary_fits_and_says_what_it_left_out(nasty):
    big = Table("big", ("a", "b"), tuple((f"row {n}", "é" * 50) for n in range(100)))
    large = replace(nasty, sections=tuple(Section(f"s{n}", "", (big,)) for n in range(12)))
    assert github.LIMIT == 1024 * 1024
    text = github.render(large, 100_000)
    assert 80_000 < len(text.encode()) <= 100_000
    left = int(re.search(r"^(\d+) parts of this report are left out", text, re.MULTILINE)[1])
    assert left == 12 - len(rows_of(text)) > 0
    assert "True" in text
    assert text.rstrip().endswith("50%, 2 cores, None threads per process, torch None (None), Python None.")
    for room in (0, 100, 2000):
        assert len(github.render(large, room).encode()) <= max(room, 1000)


def test_a_summary_is_added_to_the_step_s_once(nasty, tmp_path, monkeypatch):
    step, folder = tmp_path / "step", tmp_path / "run"
    step.write_text("before")
    folder.mkdir()
    monkeypatch.setenv(github.VARIABLE, str(step))
    github.write(nasty, folder)  # a preview, not a run's folder
    assert step.read_text() == "before"
    (folder / "plan.json").write_text("{}")
    for _ in range(2):
        github.write(nasty, folder)
    text = (folder / "summary.md").read_text()
    assert re.fullmatch(re.escape("before\n" + text) + "<!-- harness [0-9a-f]{12} -->\n", step.read_text())
    step.unlink()
    github.write(nasty, folder)
    assert step.read_text().startswith(text)
    github.write(replace(nasty, question="another"), folder)
    assert step.read_text().count("<!-- harness ") == 2
    step.write_text("x" * (github.LIMIT - len(text.encode()) + 500))  # what is cut is not added again, cut shorter
    for _ in range(2):
        github.write(nasty, folder)
    assert len(step.read_bytes()) <= github.LIMIT
    assert step.read_text().count("parts of this report are left out") == 1
    step.write_text("x" * github.LIMIT)  # full: what cannot be shown is not added
    github.write(nasty, folder)
    assert step.read_text() == "x" * github.LIMIT


def test_markdown_tables_keep_their_columns(report):
    found = rows_of(markdown.render(report))
    assert [len(rows) for rows in found] == [len(one.rows) + 1 for one in tables_in(report)]
    for rows, one in zip(found, tables_in(report), strict=True):
        assert all(len(row) == len(one.headers) for row in rows)


# The rest


def test_csv_has_names_as_they_are(nasty, tmp_path):
    write_csv(nasty, tmp_path)
    with (tmp_path / "tables" / "comparisons.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row[NASTY] for row in rows} >= {"fast " + NASTY}
    assert {row["axis|&"] for row in rows} == {NASTY}


def test_a_narrow_terminal_wraps_what_is_wider_than_it():
    table = Table("t", ("level", "tokens/s", "verdict"), (("a", "169,374", "slower " * 9), ("b", "1", "faster")))
    text = terminal.table(table, 40)
    assert max(map(len, text.splitlines())) <= 40
    assert "169,374" in text
    assert text.count("slower") == 9


def test_the_text_is_the_terminal_s_without_where_it_lies(report, tmp_path):
    (path,) = terminal.write(report, tmp_path)
    text = path.read_text()
    assert text == terminal.render(report).replace("\x1b[31m", "") + "\n"
    there = terminal.render(report, tmp_path)
    assert there.replace(f"\nReport: {tmp_path}", "").replace("\x1b[31m", "").split() == text.split()
    assert text.startswith(report.question)
    assert "\x1b" not in text
    for name in ("report.md", "report.html"):  # the page is named first where it is there
        (tmp_path / name).touch()
        assert f"\nReport: {tmp_path / name}\n" in f"{terminal.render(report, tmp_path)}\n"


def test_all_reporters_are_fast_and_torch_free(catalog):
    """They run after every run and with every report; a plugin that needs torch is not among them."""
    names = list(catalog.entries(Reporter))
    assert {"markdown", "terminal", "plots", "csv", "json", "latex", "junit", "github", "tensorboard"} <= set(names)
    for entry in catalog.entries(Reporter).values():
        assert ": " in entry.part.summary
        assert len(entry.part.summary) < 90
    assert tensorboard.__name__.startswith("harness.report.formats")


# Terminals and spreadsheets


def test_no_name_or_reason_commands_a_terminal(nasty):
    for text in (terminal.render(nasty), markdown.render(nasty), github.render(nasty), latex.render(nasty)):
        assert not set("\x00\x1b\x7f") & set(text)
    assert "31m" not in terminal.render(nasty)  # a colour is gone, not shown by its code


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|'/C calc'!A0", "'+cmd|'/C calc'!A0"),
        ("-2+3+cmd|'/C calc'!A0", "'-2+3+cmd|'/C calc'!A0"),
        ("\t=1+1", "'\t=1+1"),
        ('-HYPERLINK("x")', '\'-HYPERLINK("x")'),
        ("+dropout", "+dropout"),  # the names of levels, and numbers, stay what they are
        ("-clip, -decay", "-clip, -decay"),
        ("-0.25", "-0.25"),
        ("a=b", "a=b"),
    ],
)
def test_nothing_in_a_spreadsheet_is_a_formula(catalog, tmp_path, cell, written):
    this = block("a", cell)
    records = [record(this, level, n, [1e6] * 10) for level in ("a", cell) for n in range(5)]
    write_csv(report_of(Plan("s", "q", "what", (this,)), records, catalog, {}), tmp_path)
    rows = list(csv.DictReader((tmp_path / "tables" / "comparisons.csv").open()))
    assert [row["what"] for row in rows] == [written]
