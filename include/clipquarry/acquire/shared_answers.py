"""Answers about dead videos that runs of other data sets heard a moment ago, shared through the egress's folder.

The ledger hears of a run's answers when the run has ended, which may take weeks. Until then, another run that wants the
same video would ask for it again. So each answer about a video is noted at once, with the time until which it holds (the
ledger's waiting time for its reason), and a run takes what others heard instead of asking.

The notes are lines of JSON in 256 files, ``answers/{2 hex}.jsonl``. A line is added whole, a torn one is skipped, and
expired ones are removed as a file grows.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from clipquarry.acquire.statefile import number
from clipquarry.file_lock import FileLock
from clipquarry.files import disk_errors, publish
from clipquarry.reasons import Reason

FOLDER = "answers"
_LARGE = 256 << 10
"""Bytes from which a file is rid of expired notes."""
_DAY = 86_400.0
_REASONS = {str(reason): reason for reason in Reason}


@dataclass(frozen=True)
class SharedAnswer:
    """What another run heard about a video, and when (seconds since the epoch)."""

    reason: Reason
    evidence: str
    at: float

    @property
    def when(self) -> str:
        """ISO 8601, UTC, as in an attempt."""
        return datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")


class SharedAnswers:
    """The answers heard from one egress. Safe to share between threads and processes.

    ``folder`` is ``DataRoot.egress(name)``. ``run``: the name of this run, whose own notes it does not take: a person who
    starts it again wants to ask again. ``since``: when the run was planned, in seconds since the epoch. What was heard
    before is in the ledger, which the plan has read, but for what the runs ``unrecorded`` heard. ``waits``: seconds for which
    an answer holds, by reason; a reason without is not noted. ``first_waits``: the same for an answer from before ``since``,
    where shorter. Nobody knows whether its run will ever be recorded, so it holds as a first answer does in the ledger: what
    the plan called due is not held up by it.
    """

    def __init__(
        self, folder: Path, *, run: str, since: float, waits: Mapping[str, float], unrecorded: Collection[str] = (),
        first_waits: Mapping[str, float] | None = None, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._folder, self._run, self._since, self._clock = folder / FOLDER, run, since, clock
        self._waits, self._unrecorded = dict(waits), frozenset(unrecorded)
        self._first_waits = dict(first_waits or {})

    def get(self, video: str) -> SharedAnswer | None:
        """What another run heard last about the video, if that still holds."""
        found: SharedAnswer | None = None
        now = self._clock()
        for told in _lines(self._path(video)):
            at, until = number(told.get("at"), -1.0), number(told.get("until"), -1.0)
            reason = _REASONS.get(str(told.get("reason")))
            if told.get("video") != video or told.get("run") == self._run or reason is None:
                continue
            if at < self._since:
                if told.get("run") not in self._unrecorded:
                    continue
                if (first := self._first_waits.get(str(reason))) is not None:
                    until = min(until, _end(at, first))
            if at <= now < until and (found is None or at > found.at):
                found = SharedAnswer(reason, str(told.get("evidence", ""))[:500], at)
        return found

    def put(self, video: str, reason: Reason, evidence: str) -> None:
        """Note an answer. One about our side, or about a window, is not noted."""
        if (wait := self._waits.get(str(reason))) is None:
            return
        now = self._clock()
        note = {
            "video": video, "reason": str(reason), "evidence": evidence, "at": now, "until": _end(now, wait), "run": self._run,
        }  # fmt: skip
        path = self._path(video)
        with FileLock.take(path.with_suffix(".lock")), disk_errors(path):
            if path.exists() and path.stat().st_size > _LARGE:
                self._prune(path, now)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:  # after the torn line of a killed process, a new one begins
                os.write(handle, b"\n" + json.dumps(note, ensure_ascii=False).encode() + b"\n")
            finally:
                os.close(handle)

    def _path(self, video: str) -> Path:
        return self._folder / f"{zlib.crc32(video.encode()) & 0xFF:02x}.jsonl"

    @staticmethod
    def _prune(path: Path, now: float) -> None:
        kept = [one for one in _lines(path) if number(one.get("until"), -1.0) > now]
        new = path.with_suffix(".new")  # only the holder of the lock writes it
        new.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in kept), encoding="utf-8")
        publish(new, path)


def _end(at: float, wait: float) -> float:
    """Until when an answer holds. Whole days run from midnight, as in the ledger: a note must not forbid what that calls due."""
    return (at // _DAY * _DAY if wait >= _DAY else at) + wait


def _lines(path: Path) -> list[dict[str, object]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            told = json.loads(line) if line else None
        except ValueError:
            continue
        if isinstance(told, dict):
            found.append(told)
    return found
