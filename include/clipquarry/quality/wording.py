"""The sentence of a broken check: how many rows break it, and how many may.

Numbers first: ``5 of 6 clips are missing (83 %, at most 60 % allowed)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

_SINGULAR: Final = (
    (" are ", " is "),
    (" have ", " has "),
    (" do ", " does "),
    (" lack ", " lacks "),
    (" were ", " was "),
    (" break ", " breaks "),
)


def percent(share: float, beside: float | None = None) -> str:
    """``83 %``, with enough digits to tell it from 0, from 100, and from the limit that it stands ``beside``."""
    others = [value for value in (0.0, 1.0, beside) if value not in (None, share)]
    texts = [f"{100 * share:.{digits}f}" for digits in range(5)]
    unlike = (
        text for digits, text in enumerate(texts) if text not in [f"{100 * value:.{digits}f}" for value in others]
    )
    return f"{next(unlike, texts[-1])} %"


def broken_sentence(what: str, unexpected: int, checked: int, limit: float, held: bool, ids: Sequence[Any]) -> str:
    """``unexpected`` of ``checked`` rows break a check; ``limit`` is the allowed share, of the severity that was
    reached.

    ``what`` is :attr:`Check.broken`.
    """
    if unexpected == 1:
        for many, one in _SINGULAR:
            what = what.replace(many, one, 1)
    share = unexpected / checked
    allowed = f", at most {percent(limit)} allowed" if limit else ""
    such = f", such as {', '.join(str(one) for one in ids[:3])}" if ids else ""
    within = "Within the threshold: " if held and limit else ""
    return f"{within}{unexpected:,} of {checked:,} {what} ({percent(share, limit or None)}{allowed}){such}."
