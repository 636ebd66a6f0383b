"""Why parts of a run failed, for its report: one small file a part, ``{run}/failures/{part}.json``.

Written where an error ends a stage or a step, and removed when the part ends well after all. A blocked gate is not noted: its own
result says more.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from clipquarry.errors import ClipquarryError, GateBlocked
from clipquarry.files import read_json, write_json

FOLDER = "failures"


class Failure(NamedTuple):
    """A part of a run that failed: its name, one sentence, and when (ISO 8601, UTC)."""

    part: str
    sentence: str
    at: str


def sentence_of(error: BaseException) -> str:
    """The words for an error. One that is not ours is a defect, and is named as such."""
    if isinstance(error, ClipquarryError):
        return str(error)
    if not isinstance(error, Exception):  # Ctrl-C, a task that was cancelled
        return "It was interrupted; start the run again under the same name, and it goes on where it was."
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}{f': {text}' if text else ''}; this is a defect of Clipquarry or of the machine, and the log has its traceback."


def note_failure(folder: Path, part: str, error: BaseException | str) -> None:
    """Note why ``part`` failed in the run's ``folder``."""
    if isinstance(error, GateBlocked):
        return
    sentence = error if isinstance(error, str) else sentence_of(error)
    with suppress(
        ClipquarryError, OSError
    ):  # a disk that is full or read-only: the error itself says more than that of its note
        write_json(_file(folder, part), {"part": part, "sentence": sentence, "at": datetime.now(UTC).isoformat()})


def clear_failure(folder: Path, part: str) -> None:
    """``part`` ended well."""
    with suppress(OSError):
        _file(folder, part).unlink(missing_ok=True)


def failures_of(folder: Path) -> list[Failure]:
    """What was noted, first failure first. A damaged note is left out."""
    found = []
    for path in (folder / FOLDER).glob("[!.]*.json"):
        try:
            value = read_json(path)
            found.append(Failure(str(value["part"]), str(value["sentence"]), str(value["at"])))
        except (ClipquarryError, OSError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda failure: failure.at)


def _file(folder: Path, part: str) -> Path:
    return folder / FOLDER / f"{part}.json"
