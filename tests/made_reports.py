"""Text with the special characters of all formats, for tests of reports."""

from __future__ import annotations

from harness.report.table import Table

#: Special characters of LaTeX, HTML, XML, Markdown and GitHub.
NASTY = "a&b_%$#{}~^\\ | <i> ]]> `c` *d* [e] 'f' \"g\" é 中文 −1 -- {{x}} ${y} @me"
#: Control characters.
BAD = "line one\nline two\ttab \x00\x1b[31mred\x7f \ufffe end"


def tables_in(report) -> list[Table]:
    """All tables of a report, in order."""
    return [one for section in report.sections for one in (*section.tables, *section.details)]
