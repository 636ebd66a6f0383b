"""The checks between the stages of a run.

Four gates, each a set of Great Expectations suites built from the data set's YAML and run over the run's tables:
``annotations``, ``clips``, ``frames`` and ``lists``. Everything a caller needs is here::

    result = run_gate("clips", spec, run_dir, data, GateParams())
    if result.blocked:
        raise result.error()

Great Expectations takes seconds to import, so it is imported only while a gate runs.
"""

from clipyard.quality.checks import CATALOGUE, GATES, Check, Severity
from clipyard.quality.gates import run_gate
from clipyard.quality.params import GateParams
from clipyard.quality.results import CheckResult, GateResult, HistoryPoint, history, load_result

__all__ = [
    "CATALOGUE",
    "GATES",
    "Check",
    "CheckResult",
    "GateParams",
    "GateResult",
    "HistoryPoint",
    "Severity",
    "history",
    "load_result",
    "run_gate",
]
