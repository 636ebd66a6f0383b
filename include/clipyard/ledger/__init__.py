"""The ledger: every source video, every attempt, its outcome and reason, and when to try again."""

from clipyard.ledger.answers import Attrition, Coverage, NextDue, ReasonCount, RunInfo
from clipyard.ledger.catalog import Synced
from clipyard.ledger.ledger import Ledger
from clipyard.ledger.plan import PLAN_SCHEMA
from clipyard.ledger.policy import RULES, Decision, Rule, VideoState, decide, describe, observe
from clipyard.ledger.record import Recorded

__all__ = [
    "PLAN_SCHEMA", "RULES", "Attrition", "Coverage", "Decision", "Ledger", "NextDue", "ReasonCount", "Recorded", "Rule",
    "RunInfo", "Synced", "VideoState", "decide", "describe", "observe",
]  # fmt: skip
