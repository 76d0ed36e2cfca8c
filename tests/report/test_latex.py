"""report.tex is valid LaTeX with every name escaped."""

from __future__ import annotations

import re
from dataclasses import replace

from made import block
from made_reports import tables_in

from harness.records.plan import Plan
from harness.report.formats import (
    latex,
)
from harness.report.report import report_of
from harness.report.table import Section, Table


def check_latex(text: str, tables: int) -> None:
    """Environments, groups and math are closed, rows have as many cells as columns, and no text is read as a command."""
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


def test_latex_is_well_formed(report):
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


def test_latex_recommends_lualatex_for_other_scripts(nasty, catalog):
    assert "lualatex" in latex.render(nasty)
    this = block("a", "b")
    plain = report_of(Plan("s", "é × −", "what", (this,)), [], catalog, {})
    assert "lualatex" not in latex.render(plain)
    for package in ("booktabs", "longtable", "array", "fontenc"):
        assert re.search(rf"^%.*\\usepackage.*{package}", latex.render(plain), re.MULTILINE)


def test_latex_uses_longtable_and_wraps_long_cells(nasty):
    many = Table("many", ("level", "ratio", "why"), tuple((f"l{n}", f"{n}.5", "word " * 20) for n in range(31)), ("n",))
    text = latex.render(replace(nasty, sections=(Section("s", "", (many,)),), claims=()))
    check_latex(text, 1)
    assert "\\begin{longtable}{lr>{\\raggedright\\arraybackslash}p{" in text
    assert text.count("level & ratio & why \\\\") == 2
    few = latex.render(replace(nasty, sections=(Section("s", "", (replace(many, rows=many.rows[:30]),)),), claims=()))
    assert "longtable}" not in "\n".join(line for line in few.split("\n") if not line.startswith("%"))
