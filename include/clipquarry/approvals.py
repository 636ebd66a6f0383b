"""Questions to people at gates that did not hold, and their answers: one document a gate, ``{run}/approvals/{gate}.json``.

A question is about one verdict, which its fingerprint names. An answer holds as long as the gate's stored result has that
fingerprint: where the gate ran again and found something else, it is asked anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from clipquarry.errors import ApprovalWanted, ClipquarryError, UserError
from clipquarry.files import known_object, read_json, write_json
from clipquarry.run_folder import RunFolder

RELEASE: Final = "release"
STOP: Final = "stop"
COMMAND_LINE: Final = "command line"
AIRFLOW: Final = "airflow"
LONGEST: Final = 1000
"""Characters of a reason."""
CODE: Final = 10
"""Characters of the short form of a fingerprint, which people compare and type."""

Standing = Literal["", "asked", "approved", "stopped"]


@dataclass(frozen=True)
class Approval:
    """A question about ``gate``, and its answer. ``checks`` are those that it is about; ``sentence`` is the gate's.

    Times are ISO 8601, UTC. ``where`` it was asked: :data:`COMMAND_LINE` or :data:`AIRFLOW`. ``problem`` says why the last answer
    was not taken.
    """

    gate: str
    fingerprint: str
    checks: tuple[str, ...]
    sentence: str
    asked: str
    where: str = COMMAND_LINE
    answer: str = ""
    by: str = ""
    because: str = ""
    at: str = ""
    problem: str = ""

    @property
    def code(self) -> str:
        """The short form of the fingerprint."""
        return self.fingerprint[:CODE]

    @property
    def entry(self) -> dict[str, Any]:
        """What a lock says of it."""
        return {"gate": self.gate, "checks": list(self.checks), "by": self.by, "because": self.because, "at": self.at}

    @property
    def told(self) -> str:
        """One sentence of the answer."""
        did = "released all the same" if self.answer == RELEASE else "stopped the run"
        return f"{self.by} {did} at {self.at}, because “{self.because}”"

    def answered(self, answer: str, *, by: str, because: object) -> Approval:
        """With an answer. Raises :class:`UserError` for one without a reason, or without a name."""
        if not (who := tidy(by)):
            raise UserError("An answer needs somebody who gives it: sign in with a name.")
        return replace(
            self, answer=answer, by=who, because=reason(because), at=datetime.now(UTC).isoformat(timespec="seconds"), problem=""
        )  # fmt: skip

    def error(self, more: str = "") -> ApprovalWanted:
        error = ApprovalWanted(f"{self.sentence}{more}")
        error.gate = self.gate
        return error


def tidy(text: str) -> str:
    """Text in one line, whose characters all print."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))


def reason(text: object) -> str:
    """The reason of an answer. Raises :class:`UserError` for none, and for one that is too long."""
    found = tidy(text) if isinstance(text, str) else ""
    if not found:
        raise UserError(
            "An answer needs a reason: write why, in a few words. It stands in the release and in the report."
        )
    if len(found) > LONGEST:
        raise UserError(f"The reason has {len(found)} characters: write at most {LONGEST}.")
    return found


def ask(place: RunFolder, asked: Approval) -> Approval:
    """Note a question, and give it; the same one that was asked before keeps its time, and is not written again: a person
    may answer it at this moment. So does one that was just released.
    """
    before = read_approval(place, asked.gate)
    if before is not None and before.answer != STOP and before.fingerprint == asked.fingerprint:
        asked = replace(asked, asked=before.asked)
        if before.answer or asked == before:
            return before
    return note(place, asked)


def note(place: RunFolder, approval: Approval) -> Approval:
    """Store a question or its answer."""
    write_json(place.approval(approval.gate), asdict(approval))
    return approval


def forget(place: RunFolder, gate: str) -> None:
    """Remove a question that no longer arises."""
    place.approval(gate).unlink(missing_ok=True)


def read_approval(place: RunFolder, gate: str) -> Approval | None:
    """The question about a gate, with its answer; None where there is none, or a damaged one, which is asked anew."""
    try:
        value = read_json(place.approval(gate))
        texts = {name: str(value[name]) for name in Approval.__dataclass_fields__ if name != "checks"}
        return Approval(checks=tuple(map(str, value["checks"])), **{**texts, "gate": gate})
    except (ClipquarryError, OSError, KeyError, TypeError):
        return None


def standing(place: RunFolder, gate: str, result: Mapping[str, Any]) -> tuple[Standing, Approval | None]:
    """What became of a gate's stored ``result``: the empty word where nobody was asked about this very verdict."""
    told = read_approval(place, gate)
    if told is None or not told.fingerprint or result.get("fingerprint") != told.fingerprint:
        return "", None
    words: dict[str, Standing] = {"": "asked", RELEASE: "approved", STOP: "stopped"}
    return words.get(told.answer, "asked"), told


def found_in(place: RunFolder, wanted: Standing) -> list[Approval]:
    """The questions of a run that stand so, by the time at which they were asked."""
    found = []
    for path in place.approvals():
        word, told = standing(place, path.stem, known_object(place.gate(path.stem)))
        if told is not None and word == wanted:
            found.append(told)
    return sorted(found, key=lambda one: (one.asked, one.gate))
