"""Waits of a run for files that a person must place: what, where, since when, until when.

A task that waits leaves ``{run}/waiting/{task}.json``. It waits without a worker: the task ends, and is started again at
``resume_at`` to look. A look asks no server, until something new lies in the folders, or it is time to ask again. A file
counts once nobody has written it for a while. A note is removed when the task goes on, and when its time is over.
"""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from clipquarry.errors import ClipquarryError, WaitUntil
from clipquarry.files import is_unfinished, read_json, write_json
from clipquarry.reasons import Reason
from clipquarry.run_folder import RunFolder

SHORTEST, LONGEST = timedelta(seconds=20), timedelta(minutes=10)
"""Time between two looks: a tenth of the time waited so far, within these."""
ASK_AGAIN, ASK_SOON = timedelta(hours=6), timedelta(minutes=10)
"""Time after which sources are asked again, although nothing was placed: those that failed, and those that failed for now."""
SETTLED = timedelta(seconds=15)
"""A file that nobody wrote for this long is whole."""
TOGETHER = timedelta(minutes=2)
"""Files that a person copies one after the other are waited for, unless the last whole one is older than this."""
TWO_LOOKS = timedelta(seconds=1)
"""Between two looks at a file that was written a moment ago, where nothing waits for it to settle."""
_MOST = 5000
"""Files of the folders that are noted, the newest: a person's folder may hold any number."""

_SHOWN = 5
"""Names in a sentence."""

Seen = Mapping[str, str]
"""What lay in the folders: quoted paths, with size and time."""


@dataclass(frozen=True)
class Waiting:
    """A note. ``folders`` are where something may be placed, ``seen`` is what lay there before it was last tried. ``quiet`` are
    folders in which a change also ends the wait, but whose files nobody placed. ``page``: where in the UI a person may end it.
    """

    sentence: str
    folders: tuple[Path, ...]
    since: datetime
    until: datetime
    ask_at: datetime
    seen: Seen
    quiet: tuple[Path, ...] = ()
    page: str = ""

    def resume_at(self, now: datetime) -> datetime:
        """When to look next."""
        pause = min(max((now - self.since) / 10, SHORTEST), LONGEST)
        return min(now + pause, max(self.until, now + timedelta(seconds=1)))

    def is_over(self, now: datetime) -> bool:
        return now >= self.until

    def should_try(self, now: datetime) -> bool:
        """Whether to try again: a whole file lies there that did not, or servers may be asked again, or it is over."""
        if self.is_over(now) or now >= self.ask_at:
            return True
        new = [
            found
            for found in _files((*self.folders, *self.quiet))
            if not found.unfinished and self.seen.get(found.name) != found.mark
        ]
        whole = [found.written for found in new if found.is_settled(now)]
        # Beside a list that was just placed another may still be copied, whose cut end would be read.
        return bool(whole) and (len(whole) == len(new) or max(whole) < now.timestamp() - TOGETHER.total_seconds())

    def there(self, now: datetime) -> str:
        """What lies in the folders since the last try, and what of it is not finished, in a sentence."""
        states: dict[str, list[str]] = {"whole": [], "still growing": [], "unfinished": []}
        for found in sorted(_files(self.folders)):
            if self.seen.get(found.name) != found.mark:
                word = "unfinished" if found.unfinished else "whole" if found.is_settled(now) else "still growing"
                states[word].append(f"{found.plain} ({found.bytes / 1e6:,.1f} MB)")
        told = [f"{word}: {_some(names)}" for word, names in states.items() if names]
        return f"New there: {'; '.join(told)}." if told else "Nothing new lies there yet."

    def error(self, now: datetime) -> WaitUntil:
        return WaitUntil(str(self), resume_at=self.resume_at(now), reason=Reason.NOT_FOUND, page=self.page)

    def __str__(self) -> str:
        until = f"This waits until {self.until:%Y-%m-%d %H:%M} UTC, and goes on by itself."
        return f"{self.sentence} {until} {self.there(datetime.now(UTC))}"

    def as_json(self) -> dict[str, Any]:
        times = {name: getattr(self, name).isoformat() for name in ("since", "until", "ask_at")}
        return {
            "sentence": self.sentence.encode("utf-8", "backslashreplace").decode(),
            "folders": [_quoted(folder) for folder in self.folders], "seen": dict(self.seen), **times,
            "quiet": [_quoted(folder) for folder in self.quiet], "page": self.page,
        }  # fmt: skip


def read_waiting(file: Path) -> Waiting | None:
    """The note; None where there is none, or a damaged one."""
    try:
        value = read_json(file)
        times = {name: datetime.fromisoformat(value[name]) for name in ("since", "until", "ask_at")}
        if any(moment.tzinfo is None for moment in times.values()):
            return None
        folders, quiet = (
            tuple(Path(os.fsdecode(unquote_to_bytes(name))) for name in names)
            for names in (value["folders"], value.get("quiet", []))
        )
        page = str(value.get("page", ""))
        return Waiting(str(value["sentence"]), folders, seen=dict(value["seen"]), quiet=quiet, page=page, **times)
    except (ClipquarryError, OSError, KeyError, TypeError, ValueError):
        return None


def waits_of(run: Path) -> list[Waiting]:
    """What a run waits for, longest wait first. A note whose time is over is what a killed run left."""
    now = datetime.now(UTC)
    found = [read_waiting(path) for path in RunFolder(run).waits()]
    return sorted((one for one in found if one is not None and not one.is_over(now)), key=lambda one: one.since)


def look_again(file: Path) -> None:
    """Raise WaitUntil while a task waits and nothing has changed."""
    note, now = read_waiting(file), datetime.now(UTC)
    if note is not None and not note.should_try(now):
        raise note.error(now)


def look_now(file: Path) -> None:
    """Let the next look of a task that waits be one, although nothing has changed: a person asked for it."""
    if (note := read_waiting(file)) is not None:
        write_json(file, replace(note, ask_at=datetime.now(UTC)).as_json())


def look(folders: Iterable[Path]) -> dict[str, str]:
    """What lies in folders, for :func:`wait_for`: taken before something is tried, so that what comes meanwhile is new."""
    return {found.name: found.mark for found in _files(folders) if not found.unfinished}


def still_written(folders: Iterable[Path]) -> list[str]:
    """Names of the files in folders that somebody wrote a moment ago, and that a reader would take for whole by their names."""
    now = datetime.now(UTC)
    return [
        found.plain for found in sorted(_files(folders)) if not found.is_settled(now) and not is_unfinished(found.plain)
    ]


def still_growing(folders: Iterable[Path]) -> list[str]:
    """Names of the files in folders that grow: of those that were written a moment ago, each is looked at twice."""
    places = tuple(folders)
    if not still_written(places):
        return []
    before = {found.name: found.mark for found in _files(places)}
    time.sleep(TWO_LOOKS.total_seconds())
    after = sorted(found for found in _files(places) if before.get(found.name) != found.mark)
    return [found.plain for found in after if not is_unfinished(found.plain)]


def wait_for(
    file: Path,
    sentence: str,
    folders: Iterable[Path],
    days: float,
    *,
    seen: Seen | None = None,
    soon: bool = False,
    quietly: Iterable[Path] = (),
    page: str = "",
) -> None:
    """Note that a task waits, and raise WaitUntil. Returns where ``days`` after the first note are over, or 0.

    ``seen``: what lay in the folders before the task tried. ``soon``: the sources may answer in a few minutes. ``quietly`` and
    ``page``: see :class:`Waiting`.
    """
    now, before = datetime.now(UTC), read_waiting(file)
    since = before.since if before is not None else now
    places, quiet = tuple(dict.fromkeys(folders)), tuple(dict.fromkeys(quietly))
    ask_at = now + (ASK_SOON if soon else ASK_AGAIN)
    until = since + timedelta(days=days)
    note = Waiting(
        sentence, places, since, until, ask_at, look((*places, *quiet)) if seen is None else seen, quiet, page
    )
    if days <= 0 or note.is_over(now):
        stop_waiting(file)
        return
    write_json(file, note.as_json())
    raise note.error(now)


def stop_waiting(file: Path) -> None:
    """Remove a note."""
    with suppress(OSError):
        file.unlink(missing_ok=True)


def sleep_until(moment: datetime) -> None:
    """Sleep in this process: the command line has no scheduler that would start it again."""
    while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:
        time.sleep(min(left, 60))  # a machine that slept meanwhile is awake within a minute


def _quoted(path: Path) -> str:
    """A path as text that JSON can hold, whatever its bytes."""
    return quote_from_bytes(os.fsencode(path))


class _File(NamedTuple):
    """A file in a folder: quoted path, size and time as a mark, size in bytes, time of writing (s), whether a program says that it
    has not finished it.
    """

    name: str
    mark: str
    bytes: int
    written: float
    unfinished: bool

    def is_settled(self, now: datetime) -> bool:
        return not now.timestamp() - SETTLED.total_seconds() < self.written <= now.timestamp()

    @property
    def plain(self) -> str:
        """The file's name for people; what does not print is a question mark."""
        name = os.fsdecode(unquote_to_bytes(self.name)).rpartition("/")[2]
        return "".join(char if char.isprintable() else "?" for char in name)[:100]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _files(folders: Iterable[Path]) -> list[_File]:
    """The newest files in folders."""
    found: list[_File] = []
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            files = {entry.name: entry for entry in entries if _is_file(entry)}
            for name, entry in files.items():
                with suppress(OSError):
                    facts = entry.stat()
                    mark, path = f"{facts.st_size}:{facts.st_mtime_ns}", _quoted(Path(entry.path))
                    found.append(_File(path, mark, facts.st_size, facts.st_mtime, is_unfinished(name, files)))
    return heapq.nlargest(_MOST, found, key=lambda one: one.written)


def _is_file(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.is_file()
    return False
