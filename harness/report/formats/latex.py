"""The report's tables as LaTeX, to paste into a paper or to read with ``\\input``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.report.cells import FIRST_LOOK
from harness.report.formats import saved
from harness.report.plots.figures import file_name
from harness.report.report import Report
from harness.report.table import Table

#: A table with more rows than this may break across pages.
LONG = 30
#: The text of a column with a longer cell than this wraps.
WIDE = 36
PACKAGES = ("\\usepackage[T1]{fontenc}", "\\usepackage{textcomp}", "\\usepackage{array,booktabs,longtable}")

#: Characters that LaTeX would read as a command, a comment, a ligature or the optional argument of a line break.
ESCAPES = {
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}",
    "|": "\\textbar{}", '"': "\\textquotedbl{}", "`": "\\textasciigrave{}", "'": "\\textquotesingle{}",
    "[": "{[}", "]": "{]}", "*": "{*}", "\u00a0": "~", "\u00ad": "\\-", "\u2026": "\\ldots{}",
    "\u2013": "--", "\u2014": "---", "\u2018": "`", "\u2019": "'", "\u201c": "``", "\u201d": "''",
}  # fmt: skip
#: Characters that exist only in math mode.
MATHEMATICS = {
    "×": "\\times", "−": "-", "±": "\\pm", "·": "\\cdot", "≤": "\\leq", "≥": "\\geq", "≠": "\\neq", "≈": "\\approx",
    "∞": "\\infty", "→": "\\rightarrow", "←": "\\leftarrow", "√": "\\surd", "∑": "\\sum", "²": "^2", "³": "^3",
    "α": "\\alpha", "β": "\\beta", "γ": "\\gamma", "δ": "\\delta", "ε": "\\varepsilon", "η": "\\eta",
    "θ": "\\theta", "λ": "\\lambda", "μ": "\\mu", "µ": "\\mu", "ρ": "\\rho", "σ": "\\sigma", "τ": "\\tau",
    "φ": "\\varphi", "ω": "\\omega", "Δ": "\\Delta", "Σ": "\\Sigma", "Ω": "\\Omega",
}  # fmt: skip
#: A hyphen that is the sign of a number.
MINUS = re.compile(r"(?<![^\s(\[])-(?=[\d.])")
NUMBER = re.compile(r"[-+−×]?\s?\d")


def write(report: Report, folder: Path) -> list[Path]:
    """Write tables.tex into the run's folder."""
    return saved(folder / "tables.tex", render(report))


def render(report: Report) -> str:
    """A comment with the packages that the tables need, then the claims and every table of the report."""
    suite = report.findings.plan.suite
    body: list[str] = []
    labels: dict[str, int] = {}
    for heading, one in _tables(report):
        label = "-".join(filter(None, (_ascii(suite), _ascii(heading), _ascii(one.title)))).lower()
        labels[label] = labels.get(label, 0) + 1
        if labels[label] > 1:
            label += f"-{labels[label]}"
        caption = one.title + (f" ({FIRST_LOOK}: nothing here is a verdict)" if report.first_look else "")
        body += [*table(one, caption, f"tab:{label}"), ""]
    remarks = [f"Run {report.run} on {report.machine}.", *report.flags]
    remarks += [f"{title}: {text}" for title, texts in report.remarks for text in texts]
    head = ["% Into the preamble:", *(f"%   {line}" for line in PACKAGES)]
    if not _is_known("\n".join(body)):
        head += ["% Some names have characters that pdflatex does not know: use lualatex, with a font that has them."]
    head += [f"% {_one_line(remark)}" for remark in (report.question, *remarks)]
    return "\n".join([*head, "", *body])


def _tables(report: Report) -> Iterator[tuple[str, Table]]:
    if report.claims:
        rows = tuple((one.says, one.words.lower(), one.details) for one in report.claims)
        yield "", Table("Claims", ("claim", "answer", "reason"), rows)
    for section in report.sections:
        for one in (*section.tables, *section.details):
            yield section.title, one


def table(one: Table, caption: str, label: str) -> list[str]:
    """The lines of one table: a longtable where it has many rows."""
    columns, rows = "".join(_columns(one)), [f"{_row(row)} \\\\" for row in one.rows]
    head = ["\\toprule", f"{_row(one.headers)} \\\\", "\\midrule"]
    title = f"\\caption{{{escape(caption)}}}\\label{{{label}}}"
    notes = [f"\\par\\smallskip {escape(note)}" for note in one.notes if note]
    if len(rows) > LONG:
        begin = ["\\begingroup\\footnotesize", f"\\begin{{longtable}}{{{columns}}}", f"{title} \\\\"]
        pages = [*head, "\\endfirsthead", *head, "\\endhead", "\\bottomrule", "\\endfoot"]
        return [*begin, *pages, *rows, "\\end{longtable}", *notes, "\\par\\endgroup"]
    begin = ["\\begin{table}[htbp]", "\\centering\\footnotesize", title, f"\\begin{{tabular}}{{{columns}}}"]
    return [*begin, *head, *rows, "\\bottomrule", "\\end{tabular}", *notes, "\\end{table}"]


def escape(text: str) -> str:
    """Text as LaTeX sets it, on one line. Characters without a command stay as they are."""
    found: list[str] = []
    for character in MINUS.sub("−", _one_line(text)):
        if character in MATHEMATICS:
            found.append(f"${MATHEMATICS[character]}$")
        elif character == "-" and found and found[-1] == "-":
            found.append("{}-")  # two of them would become a dash
        elif character == "," and found and found[-1] == ",":
            found.append("{},")  # and two of these a quotation mark
        else:
            found.append(ESCAPES.get(character, character))
    return "".join(found)


def _one_line(text: str) -> str:
    """Text without line breaks, control characters and unassigned code points."""
    text = "".join(" " if c.isspace() and c != "\u00a0" else c for c in text)
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cs", "Cn", "Co"))


def _row(cells: Sequence[str]) -> str:
    return " & ".join(escape(cell) for cell in cells)


def _columns(one: Table) -> Iterator[str]:
    """Numbers are aligned right, text left; long text wraps."""
    wide = [max((len(row[i]) for row in one.rows), default=0) > WIDE for i in range(len(one.headers))]
    width = f"{min(0.45, 0.6 / max(1, sum(wide))):.2g}"
    for i, wraps in enumerate(wide):
        cells = [row[i] for row in one.rows if row[i] not in ("", "-")]
        if wraps:
            yield f">{{\\raggedright\\arraybackslash}}p{{{width}\\linewidth}}"
        else:
            yield "r" if i and cells and all(NUMBER.match(cell) for cell in cells) else "l"


def _ascii(text: str) -> str:
    """Text as part of a label, safe in every document."""
    return file_name(unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()).replace("_", "-")


def _is_known(text: str) -> bool:
    """Whether pdflatex sets all of the text with `PACKAGES`."""
    return all(ord(c) < 256 for c in text)
