"""Pages and plots: a run's report, and the index over all data sets."""

from clipquarry.report.index import write_index
from clipquarry.report.page import write_report

__all__ = ["write_index", "write_report"]
