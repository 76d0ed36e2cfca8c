"""Findings to tables and sentences, and these to files.

In: a run's `Store`. Out: a `Report`, which every reporter writes in its own format. `api`, `cli` and `tools` may import
this package.
"""

from harness.report.report import Report, make_report, report_of
from harness.report.rows import to_json
from harness.report.table import Section, Table

__all__ = ["Report", "Section", "Table", "make_report", "report_of", "to_json"]
