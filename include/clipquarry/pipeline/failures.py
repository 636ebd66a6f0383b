"""Error messages of failed tasks for the report: one small file per task, ``{run}/failures/{task}.json``.

A message is written when an error ends a stage or a step, and removed when the task succeeds after all. A blocked gate
is not noted, because its own result says more.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from clipquarry.errors import ClipquarryError, GateBlocked
from clipquarry.files import read_json, write_json
from clipquarry.run_folder import RunFolder


class Failure(NamedTuple):
    """A failed task: its name, one sentence, and when (ISO 8601, UTC)."""

    task: str
    sentence: str
    at: str


def sentence_of(error: BaseException) -> str:
    """The sentence for an error. Any error that is not ours is a defect, and is named as such."""
    if isinstance(error, ClipquarryError):
        return str(error)
    if not isinstance(error, Exception):  # Ctrl-C, a task that was cancelled
        return "It was interrupted; start the run again under the same name, and it goes on where it was."
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}{f': {text}' if text else ''}; this is a defect of Clipquarry or of the machine, and the log has its traceback."


def note_failure(folder: Path, task: str, error: BaseException | str) -> None:
    """Note why ``task`` failed in the run's ``folder``."""
    if isinstance(error, GateBlocked):
        return
    sentence = error if isinstance(error, str) else sentence_of(error)
    with suppress(
        ClipquarryError, OSError
    ):  # a full or read-only disk: the error itself says more than that of its note
        write_json(
            RunFolder(folder).failure(task), {"part": task, "sentence": sentence, "at": datetime.now(UTC).isoformat()}
        )


def clear_failure(folder: Path, task: str) -> None:
    """Remove the note: ``task`` succeeded."""
    with suppress(OSError):
        RunFolder(folder).failure(task).unlink(missing_ok=True)


def failures_of(folder: Path) -> list[Failure]:
    """The notes, first failure first. A damaged note is left out."""
    found = []
    for path in RunFolder(folder).failures():
        try:
            value = read_json(path)
            found.append(Failure(str(value["part"]), str(value["sentence"]), str(value["at"])))
        except (ClipquarryError, OSError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda failure: failure.at)
