"""The ledger: a database of every source video and attempt, with outcome, reason and the time of the next attempt."""

from clipquarry.ledger.answers import Attrition, Coverage, Delivered, NextDue, ReasonCount, RunInfo
from clipquarry.ledger.catalog import Synced
from clipquarry.ledger.crawl import Pace, Question, Rates, SharedWith
from clipquarry.ledger.ledger import Ledger
from clipquarry.ledger.plan import PLAN_SCHEMA
from clipquarry.ledger.policy import RULES, Decision, Rule, VideoState, decide, describe, observe
from clipquarry.ledger.record import Recorded

__all__ = [
    "PLAN_SCHEMA", "RULES", "Attrition", "Coverage", "Decision", "Delivered", "Ledger", "NextDue", "Pace", "Question", "Rates",
    "ReasonCount", "Recorded", "Rule", "RunInfo", "SharedWith", "Synced", "VideoState", "decide", "describe", "observe",
]  # fmt: skip
