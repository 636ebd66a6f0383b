"""Pages and plots: a run's report, and the index over all data sets."""

from clipquarry.report.index import write_index

__all__ = ["write_index"]
