"""Who labels what: a clip has one seat that people share, or two that one person each holds.

A person takes a seat, or is given it. A seat that was taken is lent: it is free again when its holder has shown no life for the
time of a lease, and, of two seats, has done nothing on it. In a shared clip a seat keeps nobody out: it only sends people to other clips first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

SHARED = "shared"
FIRST, SECOND, AGREED = "first", "second", "agreed"
"""Two people's own work on a clip, and what came out of both."""
LEASE = timedelta(minutes=10)


@dataclass(frozen=True)
class Seat:
    """``holder``: empty where nobody has it. ``given``: by somebody who assigns clips; it then stays without a lease.
    ``worked``: the holder has done something on it.
    """

    name: str
    holder: str = ""
    until: datetime | None = None
    given: bool = False
    worked: bool = False

    def is_free(self, now: datetime) -> bool:
        """Whether a person may take it. One's own work of two is never taken from under anybody: only a gift moves it."""
        if not self.holder:
            return True
        own_work = self.worked and self.name != SHARED
        return not self.given and not own_work and (self.until is None or self.until <= now)

    def taken(self, annotator: str, now: datetime) -> Seat:
        if annotator == self.holder:
            return replace(self, until=now + LEASE)
        return Seat(self.name, annotator, now + LEASE)

    def plain(self) -> dict[str, Any]:
        return {
            "holder": self.holder, "until": self.until.isoformat() if self.until else None,
            "given": self.given, "worked": self.worked,
        }  # fmt: skip


def seat_names(annotators: int) -> tuple[str, ...]:
    """The seats of each clip of a project for one annotator, or for two who do not see each other's work."""
    return (FIRST, SECOND) if annotators == 2 else (SHARED,)


def seats_of(told: Mapping[str, Any], names: Iterable[str]) -> dict[str, Seat]:
    """Seats from their plain form; a damaged one is free."""
    found = {}
    for name in names:
        one = told.get(name)
        if not isinstance(one, Mapping) or not isinstance(one.get("holder"), str):
            found[name] = Seat(name)
            continue
        found[name] = Seat(
            name, one["holder"], _time(one.get("until")), one.get("given") is True, one.get("worked") is True
        )
    return found


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def seat_for(seats: Mapping[str, Seat], annotator: str, now: datetime, *, also_shared: bool = False) -> Seat | None:
    """The seat that a person has or may take, the own one first. ``also_shared``: of a shared clip also one that another person
    has. None: both are others'; nobody has both seats of a clip.
    """
    for seat in seats.values():
        if seat.holder == annotator:
            return seat
    for seat in seats.values():
        if seat.is_free(now) or (also_shared and seat.name == SHARED):
            return seat
    return None
