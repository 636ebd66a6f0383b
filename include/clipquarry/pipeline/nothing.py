"""Exceptions of a stage that has nothing to do."""

from __future__ import annotations


class NothingToDo(Exception):
    """The stage is switched off, or its input was not requested; the sentence says which."""


class NothingInThisRun(NothingToDo):
    """No later stage has anything to do either."""
