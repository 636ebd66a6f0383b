"""Reader of FineGYM's annotations (specification 4.3 of the other data sets).

``annotation.json``: ``{video: {"E_sssssss_eeeeee": {"event": n, "timestamps": [[start, end]], "segments": null or {"A_ssss_eeee":
{"stages": n, "timestamps": [[start, end], …]}}}}}``. Times are seconds: of an event in its video, of a segment's stages in its event.
A list of a split has lines ``{video}_{event}_{segment} {label from 0}``. Digits in names are rounded; the times count.

``event_annotation.json``, which the reference makes while it cuts: ``{"{video}_{event}": segments}`` of the events that have any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

from clipquarry import microseconds
from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.label_table import Label
from clipquarry.annotations.labels import LabelIndex
from clipquarry.annotations.small_file import read_small_json
from clipquarry.annotations.ucf_lists import lines_of
from clipquarry.errors import UserError
from clipquarry.ids import YOUTUBE_FORM, is_youtube_id
from clipquarry.reasons import Reason

_EVENT = re.compile(r"E_[0-9]{6,7}_[0-9]{6,7}\Z")
_NAME = re.compile(rf"({YOUTUBE_FORM})_(E_[0-9]{{6,7}}_[0-9]{{6,7}})_(A_[0-9]{{4,6}}_[0-9]{{4,6}})")
_LINE = re.compile(r"(\S+)[ \t]+([0-9]{1,6})", re.ASCII)
_SHOWN = 200
_SLACK = microseconds.SECOND // 2
"""A segment may end that much after its event, where it is cut; one that ends later belongs to another."""


class _Unusable(Exception):
    """Why a row cannot be used."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason, self.sentence = reason, sentence


class FineGym:
    """The content of an ``annotation.json``. Raises :class:`UserError` for a file that is none."""

    def __init__(self, path: Path) -> None:
        videos = read_small_json(path, "annotation.json of FineGYM")
        if not isinstance(videos, dict) or not all(isinstance(events, dict) for events in videos.values()):
            raise UserError(f"{path} is not an object of videos that are objects of events: get the file again.")
        self._videos: dict[str, dict[str, Any]] = videos

    def events(self) -> Iterator[Item | RejectedRow]:
        """Each event as a clip without a label, named ``{video}_{event}``. Its line is its number in the file, from 1."""
        every = ((video, event, told) for video, events in self._videos.items() for event, told in events.items())
        for number, (video, event, told) in enumerate(every, 1):
            try:
                if not is_youtube_id(video) or not _EVENT.match(event):
                    raise _Unusable(Reason.BAD_ID, "it is no id of a video with the name of an event (E_000000_000000)")
                start, end = _window(told)
            except _Unusable as error:
                shown = visible(f"{video}_{event} {json.dumps(told)}", _SHOWN)
                yield RejectedRow(number, error.reason, error.sentence, shown)
            else:
                yield Item(number, video, f"{video}_{event}", None, start, end)

    def segments(self, path: Path, labels: LabelIndex) -> Iterator[Item | RejectedRow]:
        """The segments that the list of a split names, in its order; their times are those of the video."""
        for number, line in lines_of(path):
            try:
                yield self._segment(number, line, labels)
            except _Unusable as error:
                yield RejectedRow(number, error.reason, error.sentence, visible(line, _SHOWN))

    def _segment(self, number: int, line: str, labels: LabelIndex) -> Item:
        if (found := _LINE.fullmatch(line)) is None:
            raise _Unusable(Reason.BAD_ROW, "it is not the name of a segment and the number of its class")
        name, index = found[1], int(found[2])
        if (parts := _NAME.fullmatch(name)) is None:
            raise _Unusable(Reason.BAD_ID, "the name is not VIDEO_E_000000_000000_A_0000_0000")
        if index >= len(labels):
            raise _Unusable(Reason.UNKNOWN_LABEL, f"the class is not one of 0 to {len(labels) - 1}")
        video, event, segment = parts.groups()
        start, end = self._times(video, event, segment)
        label = labels.names[index]
        return Item(number, video, name, label, start, end, (Label(index, label),))

    def _times(self, video: str, event: str, segment: str) -> tuple[int, int]:
        """Start and end of a segment in its video, in microseconds."""
        of_event = self._videos.get(video, {}).get(event)
        if of_event is None:
            raise _Unusable(Reason.BAD_ROW, "annotation.json has no such event")
        begins, ends = _window(of_event)
        segments = of_event.get("segments")
        if segments is None:
            raise _Unusable(Reason.BAD_ROW, "its event has no segments in annotation.json")
        if not isinstance(segments, dict) or segment not in segments:
            raise _Unusable(Reason.BAD_ROW, "annotation.json has no such segment in its event")
        start, end = _window(segments[segment], last=-1)
        length = ends - begins
        if start < 0:
            raise _Unusable(Reason.BAD_TIME, f"it starts {microseconds.text(-start)} s before its event")
        if start >= length:
            what = f"it starts at {microseconds.text(start)} s of an event of {microseconds.text(length)} s"
            raise _Unusable(Reason.BAD_TIME, f"{what}: its clip would be empty")
        if end > length + _SLACK:
            what = f"it ends at {microseconds.text(end)} s of an event of {microseconds.text(length)} s"
            raise _Unusable(Reason.BAD_TIME, what)
        return begins + start, begins + min(end, length)

    def write_events(self, handle: IO[str], videos: Collection[str]) -> None:
        """Write ``event_annotation.json`` of these videos, as ``json.dump`` writes it, in this file's order."""
        named = (
            (f"{video}_{event}", told["segments"])
            for video, events in self._videos.items() if video in videos
            for event, told in events.items() if isinstance(told, dict) and told.get("segments") is not None
        )  # fmt: skip
        json.dump(dict(named), handle)


def _window(told: Any, last: int = 0) -> tuple[int, int]:
    """From the start of the first pair of an event's or a segment's times to the end of pair ``last``, in microseconds."""
    pairs = told.get("timestamps") if isinstance(told, dict) else None
    if not isinstance(pairs, list) or not pairs:
        raise _Unusable(Reason.BAD_TIME, "annotation.json has no times of it")
    try:
        (start, _), (_, end) = pairs[0], pairs[last]
        if any(type(value) not in (int, float) for value in (start, end)):
            raise TypeError
        begins, ends = microseconds.of(start), microseconds.of(end)
    except (ValueError, TypeError) as error:
        raise _Unusable(Reason.BAD_TIME, "its times in annotation.json are no pairs of seconds") from error
    if begins >= ends:
        what = f"it ends at {microseconds.text(ends)} s, where it starts or before ({microseconds.text(begins)} s)"
        raise _Unusable(Reason.BAD_TIME, what)
    return begins, ends
