"""Answers to a gate's question, as Airflow passes them on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from clipquarry.approvals import LONGEST, Approval
from clipquarry.errors import UserError
from clipquarry_airflow.operators.gate import ANSWERS, _answer, _form

ASKED = Approval("clips", "0123456789abcdef", ("clips.coverage",), "It blocks.", "2026-11-30T19:00:00+00:00")


@dataclass
class User:
    id: str
    name: str


def event(**changes: Any) -> dict[str, Any]:
    fields = {"because": "they are gone", "verdict": "0123456789"} | changes.pop("fields", {})
    told = {
        "chosen_options": ["Release"], "params_input": fields, "responded_by_user": {"id": "7", "name": "Ada L"},
        "responded_at": datetime.now(UTC),
    }  # fmt: skip
    return told | changes


@pytest.mark.parametrize(
    ("user", "by"),
    [
        ({"id": "7", "name": "Ada L"}, "Ada L (7)"),
        ({"id": "ada", "name": "ada"}, "ada"),
        ({"id": "ada", "name": ""}, "ada"),
        (User("7", "Ada\x1b[31m\n L"), "Ada\N{REPLACEMENT CHARACTER}[31m L (7)"),
    ],
)
def test_who_answered_is_the_user_of_the_login(user: Any, by: str) -> None:
    told = _answer(ASKED, event(responded_by_user=user, fields={"by": "somebody else"}))
    assert (told.answer, told.by, told.because, told.gate) == ("release", by, "they are gone", "clips")
    assert abs((datetime.fromisoformat(told.at) - datetime.now(UTC)).total_seconds()) < 60


def test_stop_needs_a_reason_too() -> None:
    assert _answer(ASKED, event(chosen_options=["Stop"])).answer == "stop"
    with pytest.raises(UserError, match="needs a reason"):
        _answer(ASKED, event(chosen_options=["Stop"], fields={"because": None}))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"fields": {"because": " \n"}}, "An answer needs a reason"),
        ({"fields": {"because": "x" * (LONGEST + 1)}}, "write at most 1000"),
        ({"fields": {"because": 7}}, "An answer needs a reason"),
        ({"fields": {"verdict": "9876543210"}}, "about the verdict '9876543210', and the gate's verdict is 0123456789"),
        ({"params_input": None}, "about the verdict 'None'"),
        ({"chosen_options": ["Release", "Stop"]}, "Choose one of"),
        ({"chosen_options": ["Yes"]}, "Choose one of"),
        ({"responded_by_user": None}, "needs somebody who gives it"),
    ],
)
def test_what_is_no_answer(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        _answer(ASKED, event(**wrong))


def test_the_form_keeps_its_buttons_off_until_somebody_writes_why() -> None:
    form = {name: param.serialize() for name, param in _form(ASKED).items()}
    assert [*form] == ["because", "verdict"] and [*ANSWERS] == ["Release", "Stop"]
    assert form["because"]["value"] == "" and form["because"]["schema"]["minLength"] == 1
    assert form["verdict"]["value"] == ASKED.code
