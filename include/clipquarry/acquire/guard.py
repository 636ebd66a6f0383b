"""Context manager that turns every exception of a source or a reader into a reason.

Libraries raise exceptions of many types on damaged bytes (``ValueError``, ``OSError`` with any number, a bare
``Exception``). If one left its source, the remaining sources would not be tried.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from clipquarry.acquire.answer import FetchFailed
from clipquarry.errors import ClipquarryError, RetryLater
from clipquarry.reasons import Reason

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_HANDLES = (errno.EMFILE, errno.ENFILE)


@contextmanager
def reasons(other: Reason, what: str = "") -> Iterator[None]:
    """Passes :class:`FetchFailed` and our own errors through; a full disk and too few file handles become RetryLater.

    Every other exception becomes :class:`FetchFailed` with the reason ``other`` and the exception's text after ``what``.
    """
    try:
        yield
    except (FetchFailed, ClipquarryError):
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in _FULL:
            raise RetryLater(
                f"The disk is full ({error}): free some space, then run this again; finished work is kept."
            ) from error
        if number in _NO_HANDLES:
            raise RetryLater("Too many files are open on this machine; run this again with fewer jobs.") from error
        raise FetchFailed(other, f"{what}{': ' if what else ''}{type(error).__name__}: {error}") from error
