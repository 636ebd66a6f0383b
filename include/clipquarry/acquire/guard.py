"""One wrapper around every source and every reader: whatever arises there becomes a reason, where it arises.

Libraries raise what they like on bytes that make no sense (``ValueError``, ``OSError`` with any number, a bare
``Exception``). Past the source such an error would cost all the others that were not asked yet.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from clipquarry.acquire.answer import NotHad
from clipquarry.errors import ClipquarryError, RetryLater
from clipquarry.reasons import Reason

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_HANDLES = (errno.EMFILE, errno.ENFILE)


@contextmanager
def reasons(other: Reason, what: str = "") -> Iterator[None]:
    """Lets answers and our own errors through; a full disk and too few handles are the machine's (RetryLater).

    Everything else is :class:`NotHad` with the reason ``other`` and the error's own words behind ``what``.
    """
    try:
        yield
    except (NotHad, ClipquarryError):
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in _FULL:
            raise RetryLater(
                f"The disk is full ({error}): free some space, then run this again; finished work is kept."
            ) from error
        if number in _NO_HANDLES:
            raise RetryLater("Too many files are open on this machine; run this again with fewer jobs.") from error
        raise NotHad(other, f"{what}{': ' if what else ''}{type(error).__name__}: {error}") from error
