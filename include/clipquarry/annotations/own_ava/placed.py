"""Results in a person's folders: whole or not at all, and never over what lies there."""

from __future__ import annotations

import csv
import errno
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from clipquarry.errors import UserError
from clipquarry.files import disk_errors, make_parent, owned_beside, publish_new, sync_folder, write_new, writing


def place_file(target: Path, text: str, *, replace: bool = False) -> Path | None:
    """Write a new file. One that holds the same is left as it is; another one is refused, or with ``replace`` moved aside.

    Returns where the former one lies now.
    """
    if _holds(target, text):
        return None
    make_parent(target)
    if os.path.lexists(target) and not replace:
        _refuse_other(target, _holds(target, text))
        return None
    new = owned_beside(target)  # whole before the former one makes room, so that a full disk changes nothing
    former = None
    try:
        write_new(new, text)
        former = _make_room(target) if replace else None
        with disk_errors(target):
            publish_new(new, target)
    except FileExistsError:
        _refuse_other(target, _holds(target, text))
    finally:
        new.unlink(missing_ok=True)
    return former


def check_place(target: Path, text: str) -> None:
    """Raises :class:`UserError` where :func:`place_file` without ``replace`` would."""
    if os.path.lexists(target):
        _refuse_other(target, _holds(target, text))


def place_folder(target: Path, texts: Mapping[str, str], *, replace: bool = False) -> Path | None:
    """As :func:`place_file`, for a folder of files by their plain names. An empty folder counts as none."""
    if _holds_all(target, texts):
        return None
    if target.is_dir() and not target.is_symlink():
        with suppress(OSError):  # it holds something
            target.rmdir()
    make_parent(target)
    if os.path.lexists(target) and not replace:
        _refuse_other(target, _holds_all(target, texts))
        return None
    new = owned_beside(target)
    former = None
    try:
        with disk_errors(target):
            new.mkdir()
            for name, text in texts.items():
                (new / name).write_text(text, encoding="utf-8", newline="\n")
            former = _make_room(target) if replace else None
            new.rename(target)  # of a folder: fails on one that holds anything
            sync_folder(target.parent)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        _refuse_other(target, _holds_all(target, texts))
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


def _holds_all(folder: Path, texts: Mapping[str, str]) -> bool:
    try:
        names = set() if folder.is_symlink() else {one.name for one in folder.iterdir()}
    except OSError:
        return False
    return names == set(texts) and all(_holds(folder / name, text) for name, text in texts.items())


def _make_room(target: Path) -> Path | None:
    """Move away what lies there; None where nothing does. The name is taken first, so that nobody else moves something to it."""
    is_folder = target.is_dir() and not target.is_symlink()
    place = 0
    while True:
        place += 1
        former = target.with_name(f"{target.name}.former-{place}")
        try:
            former.mkdir() if is_folder else former.touch(exist_ok=False)
        except FileExistsError:
            continue
        try:
            target.rename(former)
        except FileNotFoundError:
            former.rmdir() if is_folder else former.unlink()
            return None
        return former


def _refuse_other(target: Path, is_same: bool) -> None:
    """What lies there is left alone. Somebody may have written the same since we looked."""
    if not is_same:
        raise UserError(
            f"{target} is there already and is left alone: name another place, or have it moved aside with --replace."
        )
