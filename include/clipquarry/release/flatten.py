"""Conversion of class folders to one flat folder: the layout without labels, which holds each clip once.

The rule is that of kinetics-download-prep: every ``{source}/{class}/{clip}.mp4`` (or another suffix of videos) moves
into ``target``; if a name is taken, the older file gets it. Two intended differences: the file that loses its name
stays in the class folder, or goes there as ``{clip}.mp4.newer``, instead of being overwritten, unless it has the
same bytes. And trailing slashes have no meaning.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from clipquarry.errors import UserError
from clipquarry.files import disk_errors, link_or_copy, publish, sha256_of, sweep_unfinished, temporary_beside
from clipquarry.ids import stems

NEWER = ".newer"
"""Suffix of a file that lost its name to an older one."""


def flatten(source: Path, target: Path, *, link: bool = False) -> Counter[str]:
    """Move the clips of ``source``'s class folders into ``target`` (created if absent), or ``link`` them there and
    leave them.

    Returns how many files were ``moved`` (or ``linked``), were the ``same`` as an existing one, or lost their name
    to an ``older`` one. Safe to run again: unfinished files of a killed run are deleted. Raises :class:`UserError`
    if there is no such folder.
    """
    if not source.is_dir():
        raise UserError(f"{source} is no folder: give the folder that holds the class folders.")
    source, target = source.resolve(), target.resolve()
    if target.is_relative_to(source) and target.parent == source:
        raise UserError(f"{target} lies among the class folders of {source}: choose a folder beside it.")
    target.mkdir(parents=True, exist_ok=True)
    told: Counter[str] = Counter()
    sweep_unfinished(target, depth=0)
    sweep_unfinished(source, depth=1)  # an older clip's second name
    for folder in sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")):
        for file in sorted(folder.iterdir()):
            is_video = any(stems(file.name)) and not file.name.startswith(".")
            if is_video and file.is_file() and not file.is_symlink():
                told[_place(file, target / file.name, link)] += 1
    return told


def _place(file: Path, target: Path, link: bool) -> str:
    with disk_errors(target):
        if not target.exists():
            return _put(file, target, link)
        if target.samefile(file) or _same(file, target):
            if not link:
                file.unlink()
            return "same"
        if _born(target) <= _born(file):
            return "older"
        if link and target.stat().st_nlink > 1:  # its bytes stay in the class folder that it was linked from
            return _put(file, target, link)
        # Before its name is taken, so that a kill loses nothing.
        link_or_copy(target, file.with_name(f"{file.name}{NEWER}"))
        _put(file, target, link)
        return "older"


def _put(file: Path, target: Path, link: bool) -> str:
    if link:
        link_or_copy(file, target)
        return "linked"
    beside = temporary_beside(target)
    try:
        link_or_copy(file, beside)
        publish(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    file.unlink()
    return "moved"


def _same(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and sha256_of(one) == sha256_of(other)


def _born(path: Path) -> float:
    """Time of creation if the file system records it, else of the last modification."""
    stat = path.stat()
    return float(getattr(stat, "st_birthtime", stat.st_mtime))
