"""Names of numbered frames, as ffmpeg writes a pattern (``img_%05d.jpg``) and as a YAML does (``img_{:05d}.jpg``).

A name is a prefix, which may be empty, a number from 0 with leading zeros or without, and ``.jpg``; items that are folders of
frames may have ``.png``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from clipquarry.ids import FLOW_X, FLOW_Y

_PREFIX = r"[^%{}/\\\x00-\x1f\x7f]*"
_PATTERN = re.compile(rf"({_PREFIX})%(0[1-9])?d\.(?:jpg|png)")
_TEMPLATE = re.compile(rf"({_PREFIX})\{{:(0[1-9])?d\}}\.(jpg|png)")
_NAME = re.compile(r"(.*?)([0-9]{1,12})\.jpg", re.DOTALL)
_FLOW = (FLOW_X, FLOW_Y)


class FrameForm(NamedTuple):
    """How the frames of a folder are named: ``template`` for a YAML, its ``prefix``, and the ``first`` number."""

    template: str
    prefix: str
    first: int


def pattern_problem(pattern: str) -> str | None:
    """Why a text is no pattern of frames, or None if it is one."""
    found = _PATTERN.fullmatch(pattern)
    if found is None:
        return f"{pattern[:80]!r} must name each frame by its number, such as img_%05d.jpg"
    if found[1].startswith((*_FLOW, ".")):
        return f"{pattern[:80]!r} begins as images of optical flow or hidden files do"
    return None


def pattern_of(template: str) -> str | None:
    """``img_{:05d}.jpg`` gives ``img_%05d.jpg``; None for a template of another form."""
    found = _TEMPLATE.fullmatch(template)
    pattern = f"{found[1]}%{found[2] or ''}d.{found[3]}" if found else ""
    return pattern if pattern and pattern_problem(pattern) is None else None


def frame_number(name: str, pattern: str) -> int | None:
    """The number in a name that fits the pattern exactly, from 0; None for any other file."""
    digits = name.removeprefix(pattern.partition("%")[0]).removesuffix(pattern[-4:])
    if not (digits.isascii() and digits.isdigit()):
        return None
    number = int(digits)
    return number if pattern % number == name else None


def form_of(names: Iterable[str]) -> FrameForm | None:
    """The form that the frames among a folder's files have; None if there are none, or if they have several."""
    found = [
        (match[1], match[2])
        for name in names
        if not name.startswith((*_FLOW, ".")) and (match := _NAME.fullmatch(name))
    ]
    if not found:
        return None
    prefix = Counter(one for one, _ in found).most_common(1)[0][0]
    numbers = [digits for one, digits in found if one == prefix]
    width = min(map(len, numbers))
    padded = f"0{width}" if width > 1 else ""
    if any(format(int(digits), f"{padded}d") != digits for digits in numbers):
        return None
    form = FrameForm(f"{prefix}{{:{padded}d}}.jpg", prefix, min(map(int, numbers)))
    return form if pattern_of(form.template) else None
