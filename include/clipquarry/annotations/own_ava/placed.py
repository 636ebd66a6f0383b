"""Results in a person's folders: whole or not at all, and never over what lies there."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from clipquarry.errors import UserError
from clipquarry.files import disk_errors, make_parent, owned_beside, publish_new, sync_folder, write_new, writing


def place_file(target: Path, text: str, *, replace: bool = False) -> Path | None:
    """Write a new file. One that holds the same is left as it is; another one is refused, or with ``replace`` moved aside.

    Returns where the former one lies now.
    """
    if target.is_file() and _holds(target, text):
        return None
    make_parent(target)
    if os.path.lexists(target) and not replace:
        raise _there(target)
    new = owned_beside(target)  # whole before the former one makes room, so that a full disk changes nothing
    try:
        write_new(new, text)
        former = _make_room(target, replace)
        with disk_errors(target):
            publish_new(new, target)
    except FileExistsError:
        raise _there(target) from None
    finally:
        new.unlink(missing_ok=True)
    return former


def check_place(target: Path, text: str) -> None:
    """Raises :class:`UserError` where :func:`place_file` without ``replace`` would."""
    if os.path.lexists(target) and not (target.is_file() and _holds(target, text)):
        raise _there(target)


def place_folder(target: Path, texts: Mapping[str, str], *, replace: bool = False) -> Path | None:
    """As :func:`place_file`, for a folder of files by their plain names. An empty folder counts as none."""
    if target.is_dir() and not target.is_symlink():
        names = {one.name for one in target.iterdir()}
        if names == set(texts) and all(_holds(target / name, text) for name, text in texts.items()):
            return None
        if not names:
            target.rmdir()
    make_parent(target)
    if os.path.lexists(target) and not replace:
        raise _there(target)
    new = owned_beside(target)
    try:
        with disk_errors(target):
            new.mkdir()
            for name, text in texts.items():
                (new / name).write_text(text, encoding="utf-8", newline="\n")
            former = _make_room(target, replace)
            new.rename(target)  # of a folder: fails on one that holds anything
            sync_folder(target.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return former


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """A csv of our own, which replaces the former one."""
    with writing(path) as handle:
        table = csv.writer(handle, lineterminator="\n")
        table.writerow(columns)
        table.writerows(rows)


def _holds(path: Path, text: str) -> bool:
    content = text.encode()
    try:
        return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def _make_room(target: Path, replace: bool) -> Path | None:
    if not os.path.lexists(target):
        return None
    if not replace:
        raise _there(target)
    place = 1
    while os.path.lexists(former := target.with_name(f"{target.name}.former-{place}")):
        place += 1
    target.rename(former)
    return former


def _there(target: Path) -> UserError:
    return UserError(
        f"{target} is there already and is left alone: name another place, or have it moved aside with --replace."
    )
