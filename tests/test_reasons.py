"""What holds of a reason stands once, beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clipquarry.reasons import Reason, Trait, with_trait

PROJECT = Path(__file__).parents[1]

SETS = {
    Trait.STOPS_CRAWL: "bot_check rate_limit http_429",
    Trait.STOPPED: "waiting bot_check rate_limit",
    Trait.NO_ANSWER: "not_asked not_due waiting",
    Trait.PASSES: "no_network transport http_429 http_5xx tool_stale tool_failed egress_refused",
    Trait.SOON: "no_network http_429 http_5xx transport truncated",
    Trait.OF_SERVER: "http_429 http_5xx rate_limit bot_check egress_refused forbidden_media transport",
    Trait.OUR_FAULT: "tool_stale tool_failed",
    Trait.SETTLES: "private removed terminated violation copyright geo age members not_yet unavailable not_found gone too_short "
    "not_a_video corrupt",
    Trait.LACKS: "not_found gone forbidden_media",
    Trait.ALIKE: "unavailable geo copyright",
    Trait.CAME: "ok too_short truncated corrupt",
    Trait.UNUSABLE: "too_short truncated corrupt not_a_video",
    Trait.BROKEN: "truncated corrupt not_a_video",
    Trait.OF_FILE: "corrupt truncated not_a_video too_short no_frames no_audio tool_failed",
}


@pytest.mark.parametrize("trait", list(Trait), ids=lambda trait: str(trait.name))
def test_of_which_reasons_it_holds(trait: Trait) -> None:
    """As policy read them before they stood beside the reasons; a change here is a change of what is asked, and when."""
    assert {str(reason) for reason in with_trait(trait)} == set(SETS[trait].split())


def test_a_reason_may_have_none() -> None:
    assert not Reason.BAD_ROW.traits and not Reason.DUPLICATE.traits


def test_every_trait_is_asked_for() -> None:
    text = "\n".join(path.read_text() for path in (PROJECT / "include").rglob("*.py") if path.name != "reasons.py")
    assert {name for name in Trait.__members__ if not re.search(rf"\bTrait\.{name}\b", text)} == set()
