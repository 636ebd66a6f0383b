"""User-facing errors: one sentence each, with an exit code that says what to do.

::

    ClipquarryError                     exit 1    base of all; never shown as a traceback
     +- UserError                     exit 2    the input is wrong: fix it, do not retry
     |   +- SpecError                           a data set's YAML (key and line)
     |   +- ManifestError                       a table of an unknown or newer schema
     |       +- MissingColumn                   a table without a column; a KeyError too
     +- GateBlocked                   exit 3    a blocking check failed
     |   +- ApprovalWanted                      a person may release all the same, and nobody has answered yet
     +- MachineError                  exit 10   the machine lacks something (ffmpeg): fail
     +- RetryLater                    exit 11   the machine may recover soon (disk full): retry
     +- WaitUntil                     exit 12   a source asked for a pause: wait without a worker slot
     +- ToolOutdated                  exit 13   yt-dlp no longer understands YouTube: upgrade it, do not wait
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from pathlib import Path

from clipquarry.reasons import Reason


def unread(error: Exception) -> str:
    """Why text could not be read as JSON or YAML, for a person: some of Python's own words name its functions or its stack."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8, at byte {error.start + 1}"
    if "set_int_max_str_digits" in (text := str(error)):
        return "it has a number of thousands of digits"
    return " ".join(text.split())


class Exit(IntEnum):
    """Exit codes of every ``clipquarry`` command; the step operators map them to Airflow's states."""

    OK = 0
    ERROR = 1
    USAGE = 2
    BLOCKED = 3
    FAIL = 10
    RETRY = 11
    WAIT = 12
    UPGRADE = 13


class ClipquarryError(Exception):
    """Base of all errors that are shown as one sentence: what, where, what to do."""

    exit_code: Exit = Exit.ERROR
    places: tuple[Path, ...] = ()
    """Folders into which a person may put what was not to be had; a run that may wait looks there again."""


class UserError(ClipquarryError):
    """The input is wrong; retrying cannot help."""

    exit_code = Exit.USAGE


class SpecError(UserError):
    """A data set's YAML is wrong; the message names the file, the key and the line."""


class ManifestError(UserError):
    """A manifest cannot be read by this version."""


class MissingColumn(ManifestError, KeyError):
    """A manifest lacks a column: it is of another kind, or of an earlier version."""

    def __str__(self) -> str:  # a KeyError would quote the sentence
        return str(self.args[0])


class GateBlocked(ClipquarryError):
    """A blocking check failed."""

    exit_code = Exit.BLOCKED


class ApprovalWanted(GateBlocked):
    """A check did not hold, and a person may release all the same: nobody has answered yet."""

    gate: str = ""


class MachineError(ClipquarryError):
    """The machine lacks what the step needs (ffmpeg, a codec, a JavaScript runtime)."""

    exit_code = Exit.FAIL


class RetryLater(ClipquarryError):
    """The machine cannot go on now but may soon (disk full, too many open files)."""

    exit_code = Exit.RETRY


class WaitUntil(ClipquarryError):
    """A source asked for a pause (bot check, rate limit): resume at ``resume_at`` (aware, UTC). ``page``: where in the UI a person
    may end the wait, as a path below Airflow's address; empty: nowhere.
    """

    exit_code = Exit.WAIT

    def __init__(self, message: str, *, resume_at: datetime, reason: Reason, page: str = "") -> None:
        super().__init__(message)
        self.page = page
        self.resume_at = resume_at
        self.reason = reason


class ToolOutdated(ClipquarryError):
    """yt-dlp (or a tool that it needs) is too old for YouTube: only an upgrade helps, neither waiting nor a retry."""

    exit_code = Exit.UPGRADE
