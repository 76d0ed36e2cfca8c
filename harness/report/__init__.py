"""Presents findings as tables, sentences and plots, and writes them in the format of each reporter.

In: a `Plan`, its records and its `Findings`. Out: a `Report` and its files. `api`, `testing` and every package
above them may import this one.
"""

from harness.report.report import Report, make_report, report_of
from harness.report.rows import to_json
from harness.report.table import Section, Table

__all__ = ["Report", "Section", "Table", "make_report", "report_of", "to_json"]
