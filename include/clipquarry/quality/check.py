"""The definition of a check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warn", "info"]


@dataclass(frozen=True)
class Check:
    """One check. ``severity`` is its effect when it does not hold: ``error`` blocks, ``warn`` warns, ``info`` is
    only reported.

    A check with ``blocks_above`` becomes an ``error`` if the share of rows that break it is above that threshold.
    ``advice`` says what to do, in at most two sentences that need no other page: people read them in the report, in
    the task's log and in the error. ``broken`` follows the number of rows that break it (``5 of 6 clips are
    missing``).
    """

    id: str
    gate: str
    severity: Severity
    title: str
    why: str
    invariant: str = ""
    blocks_above: str = ""
    advice: str = field(kw_only=True)
    broken: str = field(default="rows break this", kw_only=True)
    approvable: bool | None = field(default=None, kw_only=True)
    """Whether a person may release although it blocks. Unset: only a check that blocks above a share. What is damaged or is not
    what its record says is never released; how much is missing, or what the publisher did, is for people to judge.
    """

    @property
    def may_be_approved(self) -> bool:
        return bool(self.blocks_above) if self.approvable is None else self.approvable
