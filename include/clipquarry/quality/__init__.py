"""The checks between the stages of a run.

Each gate is a set of Great Expectations suites built from the data set's YAML and run over the run's tables. Which gates
there are depends on the annotation format (:data:`GATES_OF`). Everything a caller needs is here::

    result = run_gate("clips", spec, run_dir, data, GateParams())
    if result.blocked:
        raise result.error()

Great Expectations takes seconds to import, so it is imported only while a gate runs.
"""

from clipquarry.quality.checks import CATALOGUE, GATES, GATES_OF, Check, Severity
from clipquarry.quality.gates import run_gate
from clipquarry.quality.params import GateParams
from clipquarry.quality.results import CheckResult, GateResult, HistoryPoint, history, load_result

__all__ = [
    "CATALOGUE",
    "GATES",
    "GATES_OF",
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
