"""A crawl of four data sets on a simulated clock: nothing is asked against the policy, and nothing twice for two of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import bench_crawl

pytestmark = pytest.mark.slow


def crawl(*arguments: str) -> dict[str, Any]:
    return bench_crawl.crawl(bench_crawl.options_of(["--videos", "120", "--days", "45", *arguments]))


@pytest.fixture(scope="module")
def shared() -> dict[str, Any]:
    return crawl("--years", "6")


def test_no_question_is_against_the_policy(shared: dict[str, Any]) -> None:
    assert shared["violations"] == []
    assert len(shared["early"]) <= 0.01 * shared["questions"], "answers that were recorded after later ones"
    assert shared["dead"] > 10 and shared["reasons"]["unavailable"] > 5, "there was something to violate"


def test_the_first_round_asks_once_for_each_video(shared: dict[str, Any]) -> None:
    questions, clips, _ = shared["first"]
    assert questions <= 1.1 * shared["videos"], (
        "a question for each, and few more: bans, and the retries of the first day"
    )
    assert clips >= 0.95 * shared["clips"]


def test_without_sharing_videos_are_asked_for_again(shared: dict[str, Any]) -> None:
    alone = crawl("--years", "6", "--no-sharing")
    assert alone["questions"] > 1.2 * shared["questions"]
    assert alone["violations"], "data sets that know nothing of each other's open runs break the policy"
