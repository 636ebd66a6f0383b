"""An error in a data set's YAML, and what makes a text unfit as a path."""

from __future__ import annotations

from typing import NamedTuple

from clipquarry.settings import PRIVATE

Where = tuple[str | int, ...]
"""The key: names, and numbers in lists."""


class Problem(NamedTuple):
    """An error, and its key."""

    where: Where
    text: str


def path_problem(path: str) -> str | None:
    """Why a text cannot be the path of a file below a data set's folder, or None if it can."""
    names = path.split("/")
    if any(name in ("", ".", "..") for name in names) or "\\" in path:
        return f"{path!r} must be a path below the data set's folder: no empty names, no '.' or '..', no backslash"
    if any(name.casefold() == PRIVATE.casefold() or name.startswith(f"{PRIVATE}-tmp-") for name in names):
        return f"{path!r} lies in a folder that is Clipquarry's own ({PRIVATE}): choose another name"
    if not path.isprintable() or any(len(name.encode()) > 200 for name in names):
        return f"{path[:60]!r} cannot be a path: names have at most 200 bytes and no control characters"
    return None
