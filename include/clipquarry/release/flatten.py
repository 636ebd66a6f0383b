"""Class folders as one flat folder: the layout without labels, where a clip lies once whatever its classes are called.

The rule is that of the reorganiser of kinetics-download-prep: every ``{source}/{class}/{clip}.mp4`` moves into ``target``; where a name
is taken, the older file has it. Two differences, both meant: the file that loses its name stays in the class folder, or goes
there as ``{clip}.mp4.newer``, instead of being overwritten, unless it has the same bytes; and trailing slashes mean nothing.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from clipquarry.errors import UserError
from clipquarry.files import disk_errors, link_or_copy, publish, sha256_of, temporary_beside

SUFFIX = ".mp4"
NEWER = ".newer"
"""Behind the name of a file that gave its place to an older one."""


def flatten(source: Path, target: Path, *, link: bool = False) -> Counter[str]:
    """Move the clips of ``source``'s class folders into ``target`` (made when absent), or ``link`` them there and leave them.

    Returns how many files were ``moved`` (or ``linked``), were the ``same`` as one that was there, or lost their name to an
    ``older`` one. Safe to run again. Raises :class:`UserError` when there is no such folder.
    """
    if not source.is_dir():
        raise UserError(f"{source} is no folder: give the folder that holds the class folders.")
    source, target = source.resolve(), target.resolve()
    if target.is_relative_to(source) and target.parent == source:
        raise UserError(f"{target} lies among the class folders of {source}: choose a folder beside it.")
    target.mkdir(parents=True, exist_ok=True)
    told: Counter[str] = Counter()
    for folder in sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")):
        for file in sorted(folder.glob(f"[!.]*{SUFFIX}")):
            if file.is_file() and not file.is_symlink():
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
        link_or_copy(target, file.with_name(f"{file.name}{NEWER}"))  # before its name is taken: a kill loses nothing
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
    """Time of birth where the file system tells it, else of the last change of its bytes."""
    stat = path.stat()
    return float(getattr(stat, "st_birthtime", stat.st_mtime))
