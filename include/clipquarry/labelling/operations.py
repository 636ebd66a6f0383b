"""What an annotator does to a clip: operations, each of which writes some registers. Text from a browser becomes one here, or a sentence.

A register is a field of a region: ``frame`` (written once, by which a region begins), ``box``, ``track``, ``alive`` (False:
deleted), ``labels/ATTRIBUTE``; and of the clip itself (region ``@clip``): ``done``, and ``compared``, which only the server writes.
All else is made of these: to split a track is to write ``track`` of its later boxes, to undo is to write what was there before.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from clipquarry.labelling.model import NAME, Attribute, Frame, box_problem, options_problem, track_problem

CLIP = "@clip"
LABELS = "labels/"
FRAME, BOX, TRACK, ALIVE, DONE = "frame", "box", "track", "alive", "done"
COMPARED = "compared"
"""The frames in which two people's work became one."""
MAX_WRITES = 5_000
_OP = re.compile(r"[A-Za-z0-9-]{8,64}\Z")
_WHAT = re.compile(r"[a-z-]{1,30}\Z")


@dataclass(frozen=True)
class Write:
    """A new value of one register. ``resolves``: the annotator saw all values that the register has, and chose."""

    region: str
    field: str
    value: Any
    resolves: bool = False

    def plain(self) -> list[Any]:
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return [self.region, self.field, value, *([True] if self.resolves else [])]


@dataclass(frozen=True)
class Operation:
    """``op``: made by the browser, so that an operation that is sent twice counts once. ``client``: one window of a browser;
    ``base``: the number of the last operation that it had seen. ``what``: a word for the history. ``undoes``: the operation
    that this one takes back. The server adds ``seq`` (from 1, without gaps), ``by`` and ``at``.
    """

    op: str
    client: str
    base: int
    what: str
    writes: tuple[Write, ...]
    undoes: str | None = None
    seq: int = 0
    by: str = ""
    at: str = ""

    def plain(self) -> dict[str, Any]:
        """As one line of a journal."""
        told: dict[str, Any] = {
            "seq": self.seq, "op": self.op, "by": self.by, "at": self.at, "client": self.client, "base": self.base,
            "what": self.what, "writes": [one.plain() for one in self.writes],
        }  # fmt: skip
        return told if self.undoes is None else {**told, "undoes": self.undoes}


class BadOperation(ValueError):
    """An operation that cannot be one; its text is a sentence for the annotator."""


def parsed(told: Any) -> Operation:
    """An operation from JSON, of the right form; :func:`check_writes` looks at what it writes. Raises BadOperation."""
    if not isinstance(told, Mapping):
        raise BadOperation("An operation is no JSON object.")
    for key, form in (("op", _OP), ("client", _OP), ("what", _WHAT)):
        if not isinstance(told.get(key), str) or not form.match(told[key]):
            raise BadOperation(f"An operation has no usable {key!r}.")
    base, undoes = told.get("base"), told.get("undoes")
    if not isinstance(base, int) or not _is_count(base) or not _is_count(told.get("seq", 0)):
        raise BadOperation("The 'base' or 'seq' of an operation is no whole number.")
    if undoes is not None and (not isinstance(undoes, str) or not _OP.match(undoes)):
        raise BadOperation("An operation takes back one that has no usable name.")
    writes = told.get("writes")
    if not isinstance(writes, list) or not writes or len(writes) > MAX_WRITES:
        raise BadOperation(f"An operation writes nothing, or more than {MAX_WRITES} values.")
    return Operation(
        op=told["op"], client=told["client"], base=base, what=told["what"], writes=tuple(map(_write, writes)), undoes=undoes,
        seq=told.get("seq", 0), by=str(told.get("by", "")), at=str(told.get("at", "")),
    )  # fmt: skip


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _write(told: Any) -> Write:
    if not isinstance(told, list) or len(told) not in (3, 4) or not all(isinstance(one, str) for one in told[:2]):
        raise BadOperation("A value is not written as region, field, value.")
    region, field, value = told[:3]
    return Write(region, field, tuple(value) if isinstance(value, list) else value, len(told) == 4 and told[3] is True)


def check_writes(
    operation: Operation,
    frames: Mapping[str, Frame],
    attributes: tuple[Attribute, ...],
    frame_of: Mapping[str, str],
    gone: Container[str] = (),
) -> None:
    """Raise BadOperation for an operation that does not fit the clip. ``frame_of``: known regions and their frames."""
    own: dict[str, str] = {}
    for write in operation.writes:
        region, field, value = write.region, write.field, write.value
        if region == CLIP:
            if field != DONE or not isinstance(value, bool):
                raise BadOperation("Of a clip only 'done' can be written, true or false.")
            continue
        if field == FRAME:
            if region in frame_of or region in own or not NAME.match(region) or region in gone:
                raise BadOperation(f"The box {region[:80]!r} is there already, or has an unusable name.")
            if not isinstance(value, str) or value not in frames:
                raise BadOperation(f"The box {region} is in a frame that the clip has not.")
            own[region] = value
            continue
        frame = own.get(region) or frame_of.get(region)
        if frame is None:
            raise BadOperation(f"There is no box {region[:80]!r} in this clip.")
        if problem := _value_problem(field, value, frames[frame], attributes):
            raise BadOperation(f"The box {region} {problem}.")
    for region in own:
        if not any(one.region == region and one.field == BOX for one in operation.writes):
            raise BadOperation(f"The new box {region} has no place.")


def _value_problem(field: str, value: Any, frame: Frame, attributes: tuple[Attribute, ...]) -> str | None:
    if field == BOX:
        return box_problem(value, frame)
    if field == TRACK:
        return track_problem(value)
    if field == ALIVE:
        return None if isinstance(value, bool) else "is neither there nor deleted"
    if field.startswith(LABELS):
        return options_problem(field.removeprefix(LABELS), value, attributes)
    return f"has no field {field[:60]!r}"
