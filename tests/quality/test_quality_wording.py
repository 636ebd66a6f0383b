"""The words of a broken check: numbers, limit, cure; and no noise beside them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from clipquarry.pipeline.gates import catalogue
from clipquarry.quality.check import Check
from clipquarry.quality.results import CheckResult, GateResult
from clipquarry.quality.wording import broken_sentence, percent
from quality_world import World

CATALOGUE = catalogue()


@pytest.mark.parametrize(
    ("check", "numbers", "words"),
    [
        (
            "clips.coverage",
            (5, 6, 0.6, False),
            "5 of 6 clips are missing (83 %, at most 60 % allowed), such as a, b, c.",
        ),
        ("clips.coverage", (1, 6, 0.05, False), "1 of 6 clips is missing (17 %, at most 5 % allowed)"),
        (
            "clips.coverage",
            (1, 60, 0.05, True),
            "Within the threshold: 1 of 60 clips is missing (2 %, at most 5 % allowed)",
        ),
        (
            "clips.coverage",
            (11_942, 19_900, 0.6, False),
            "11,942 of 19,900 clips are missing (60.01 %, at most 60 % allowed)",
        ),
        ("clips.one_row", (2, 9, 0.0, False), "2 of 9 selected clips have no result, or two (22 %)"),
        ("boxes.csv_row", (1, 9, 0.0, False), "1 of 9 rows breaks this (11 %)"),
        ("boxes.csv_row", (1, 99_999, 0.0, False), "1 of 99,999 rows breaks this (0.001 %)"),
        ("boxes.csv_row", (99_998, 99_999, 0.0, False), "99,998 of 99,999 rows break this (99.999 %)"),
    ],
)
def test_numbers_first(check: str, numbers: tuple[int, int, float, bool], words: str) -> None:
    assert broken_sentence(CATALOGUE[check].broken, *numbers, ["a", "b", "c", "d"]).startswith(words)


def test_percent_is_not_rounded_to_what_it_is_not() -> None:
    assert [percent(share) for share in (0.0, 1.0, 0.5, 0.999)] == ["0 %", "100 %", "50 %", "99.9 %"]
    assert percent(0.6, 0.6) == "60 %"


def faults(check: Check) -> list[str]:
    """What is wrong with a check's advice."""
    text = check.advice
    sentences = re.split(r"(?<=[.!?])\s+", text)
    others = [name for name in re.findall(r"`([a-z]+\.[a-z_]+)`", text) if name in CATALOGUE]
    return [
        *([f"{len(sentences)} sentences"] if len(sentences) > 2 else []),
        *(f"{len(one.split())} words" for one in sentences if len(one.split()) > 22),
        *([f"{len(text)} characters, of which the page shows 400"] if len(text) > 400 else []),
        *(["no full stop"] if not text.endswith(".") else []),
        *(["a page that the reader lacks"] if re.search(r"docs/|\.md\b|[Ss]ee ", text) else []),
        *(["a place that is not filled in"] if re.search(r"[{}]", text) else []),
        *(f"the advice of another check, {name}" for name in others),
    ]


def test_advice_is_two_sentences_that_need_no_other_page() -> None:
    assert {check.id: found for check in CATALOGUE.values() if (found := faults(check))} == {}


def test_what_a_broken_check_says_has_no_number_and_no_stop() -> None:
    odd = [check.id for check in CATALOGUE.values() if not check.broken or re.search(r"[.:]$|^\d|^[A-Z]", check.broken)]
    assert odd == []


def test_a_gate_that_blocks_says_the_advice_in_its_result_its_lines_and_its_error(world: World) -> None:
    world.recorded[0]["frames"] = 0
    blocked = world.gate("clips")
    advice = CATALOGUE["clips.facts"].advice
    (line,) = [line for line in blocked.lines if line.startswith("clips.facts")]
    assert [check.advice for check in blocked.broken if check.id == "clips.facts"] == [advice]
    assert line.endswith(f" What to do: {advice}") and str(blocked.error()).endswith(f" What to do: {advice}")


def result(*checks: CheckResult) -> GateResult:
    return GateResult("clips", "d", "r", "", "", 0.0, checks, 0, "clips.rows.csv", Path("/data/gates/clips.json"))


def test_one_line_for_each_broken_check() -> None:
    def broken(id_: str, severity: str, scope: str) -> CheckResult:
        return CheckResult(id_, "t", severity, False, scope, sentence=f"said of {scope}.", advice="do this.")  # type: ignore[arg-type]

    gate = result(
        broken("clips.coverage", "warn", "train"), broken("clips.coverage", "error", "all"), broken("clips.coverage", "error", "val"),
        broken("clips.path", "warn", ""), CheckResult("clips.facts", "t", "error", True),
    )  # fmt: skip
    assert gate.lines == (
        "clips.coverage [all] blocks: said of all. What to do: do this.",
        "clips.path warns: said of . What to do: do this.",
    )
    assert "1 more check did not hold." in gate.sentence
    assert str(gate.error()).endswith(" All rows are in /data/gates/clips.rows.csv. What to do: do this.")


def test_a_check_that_this_version_does_not_know_needs_no_advice() -> None:
    gate = result(CheckResult("mine.colours", "t", "error", False, sentence="3 of 9 rows break this."))
    assert gate.lines == ("mine.colours blocks: 3 of 9 rows break this.",)
    assert str(gate.error()).endswith("All rows are in /data/gates/clips.rows.csv.")


def test_great_expectations_says_nothing() -> None:
    script = (
        "import logging, sys; logging.basicConfig(level=logging.INFO, stream=sys.stdout)\n"
        "from clipquarry.quality.engine import Engine; Engine({})._whole"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
