"""A question that is asked again at the moment at which a person answers it."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipquarry import approvals
from clipquarry.approvals import RELEASE, STOP, Approval, ask, note, read_approval
from clipquarry.run_folder import RunFolder

ASKED = Approval("clips", "f" * 64, ("clips.missing",), "Too few clips.", "2026-12-01T10:00:00+00:00")


def test_an_answer_is_not_lost_to_a_run_that_asks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, read = RunFolder(tmp_path), approvals.read_approval
    asked = ask(place, ASKED)

    def person_answers_next(place: RunFolder, gate: str) -> Approval | None:
        found = read(place, gate)
        note(place, asked.answered(RELEASE, by="ada", because="fine"))
        return found

    monkeypatch.setattr(approvals, "read_approval", person_answers_next)
    ask(place, ASKED)
    monkeypatch.undo()
    for _ in range(2):  # before, and after ours has looked
        told = read_approval(place, "clips")
        assert told is not None and (told.answer, told.by) == (RELEASE, "ada")
        assert ask(place, ASKED) == told


def test_a_stopped_gate_is_asked_about_again(tmp_path: Path) -> None:
    place = RunFolder(tmp_path)
    note(place, ASKED.answered(STOP, by="ada", because="no"))
    assert ask(place, ASKED).answer == ""
    told = read_approval(place, "clips")
    assert told is not None and told.answer == ""
