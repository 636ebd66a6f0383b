"""The words of a broken check: numbers, limit, cure; and no noise beside them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from clipquarry.quality.checks import CATALOGUE
from clipquarry.quality.results import CheckResult, GateResult
from clipquarry.quality.wording import BROKEN, advice_of, broken_sentence, percent
from write_advice import advice_of_the_page


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
    assert broken_sentence(check, *numbers, ["a", "b", "c", "d"]).startswith(words)


def test_percent_is_not_rounded_to_what_it_is_not() -> None:
    assert [percent(share) for share in (0.0, 1.0, 0.5, 0.999)] == ["0 %", "100 %", "50 %", "99.9 %"]
    assert percent(0.6, 0.6) == "60 %"


def test_every_phrase_is_of_a_check() -> None:
    assert set(BROKEN) <= set(CATALOGUE)


def test_the_advice_is_that_of_the_page() -> None:
    told = advice_of_the_page()
    differing = [name for name in CATALOGUE if told.get(name) != advice_of(name)]
    assert differing == [], "run: python tests/quality/write_advice.py"


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
    assert str(gate.error()).endswith("What to do ('clips.coverage' in docs/checks.md): do this.")


def test_great_expectations_says_nothing() -> None:
    script = (
        "import logging, sys; logging.basicConfig(level=logging.INFO, stream=sys.stdout)\n"
        "from clipquarry.quality.engine import Engine; Engine()._whole"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
