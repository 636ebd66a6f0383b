"""Atomic file operations: a file appears whole or not at all.

Everything that Clipquarry publishes is written beside its target, flushed to the disk and renamed. Names that
came from outside are checked before they become paths.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from clipquarry.errors import ClipquarryError, MachineError, RetryLater, UserError, unread

TEMPORARY_PREFIX = ".clipquarry-tmp-"
"""Prefix of the names of unfinished files, which any process may delete when they are old."""

_UNFINISHED = (
    ".part",
    ".partial",
    ".crdownload",
    ".opdownload",
    ".download",
    ".aria2",
    ".filepart",
    ".tmp",
    ".!qb",
    ".!ut",
    ".bc!",
    "~",
)
"""Ends of the names, in small letters, that programs give to what they have not finished, and to files beside it."""
_OF_RSYNC = re.compile(r"\..+\.[A-Za-z0-9]{6}\Z")
_BESIDE = (".part", ".aria2")
"""Ends of the names of files beside one that has its whole name, and perhaps its whole size, before it is finished."""

_NO_FILE = (errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.EPERM)
"""Errors of reading what is no file of ours; others may pass, or say that there is none."""

_NO_LINK = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def is_unfinished(name: str, beside: Container[str] = ()) -> bool:
    """Whether a program still works on a file of a person's folder, by its name, or by those of the files ``beside`` it: a
    browser, a torrent, ``aria2c``, ``rsync`` (``.name.XXXXXX``), or a program of ours.
    """
    by_name = name.startswith(TEMPORARY_PREFIX) or name.lower().endswith(_UNFINISHED)
    return by_name or bool(_OF_RSYNC.match(name)) or any(f"{name}{end}" in beside for end in _BESIDE)


def temporary_beside(target: Path) -> Path:
    """A fresh name in ``target``'s folder that contains this process. It has the same suffix, because ffmpeg picks
    the container by it.
    """
    return target.with_name(f"{_owned()}{target.suffix}")


def owned_beside(target: Path) -> Path:
    """The same, ending in ``target``'s whole name, so that the remains of one folder can be told from those of
    others.
    """
    return target.with_name(f"{_owned()}{target.name}")


def _owned() -> str:
    return f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}~{_host()}~{os.getpid()}-"


def is_abandoned(path: Path, older_than: float) -> bool:
    """Whether no process works on an unfinished file or folder: its process has ended, or nobody has touched it for
    long.

    A time more than a day in the future comes from a wrong clock, and counts as long ago.
    """
    owner = path.name.split("~", 2)
    if len(owner) == 3 and owner[1] == _host():
        pid = owner[2].partition("-")[0]
        if pid.isdigit() and not _is_alive(int(pid)):
            return True
    age = time.time() - path.lstat().st_mtime  # of a link itself, not of its target
    return age > older_than or age < -86_400


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", os.uname().nodename)[:40]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sweep_unfinished(folder: Path, *, older_than: float = 86_400, depth: int | None = None) -> int:
    """Delete what killed processes left unfinished below ``folder`` (see :func:`is_abandoned`); returns the number.

    ``depth``: how many levels of folders to search; None: all.
    """
    removed = 0
    for place, folders, names in os.walk(folder):
        left = [name for name in (*folders, *names) if name.startswith(TEMPORARY_PREFIX)]
        deep = depth is not None and len(Path(place).relative_to(folder).parts) >= depth
        folders[:] = [] if deep else [name for name in folders if name not in left]
        for path in (Path(place, name) for name in left):
            removed += remove_abandoned(path, older_than)
    return removed


def remove_abandoned(path: Path, older_than: float) -> bool:
    """Remove an unfinished file or folder that no process works on; returns whether it is gone. Permission errors
    are ignored.
    """
    with suppress(OSError):
        if is_abandoned(path, older_than):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            return True
    return False


def sync_folder(folder: Path) -> None:
    """Flush a rename to the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Flush a finished file's bytes to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file_system(path: Path) -> None:
    """Flush everything that was written to ``path``'s file system: one call for very many files."""
    fd = os.open(path, os.O_RDONLY)
    try:
        try:
            failed = ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0
        except AttributeError:  # another libc
            os.sync()
            return
        if failed:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(fd)


def publish(temporary: Path, target: Path) -> None:
    """Rename a finished, verified temporary file to its target (same folder), durably."""
    sync_file(temporary)
    os.replace(temporary, target)
    sync_folder(target.parent)


def found_at(path: Path) -> str:
    """``file``, ``folder``, ``broken link``, ``other`` (a pipe, a device), or "" for nothing. Links are followed.

    Unlike ``is_file`` and then ``lexists``, it cannot take a file that somebody writes at this moment for something else.
    Raises PermissionError.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return ""
        if stat.S_ISLNK(mode):
            return "broken link"
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"


def make_parent(target: Path) -> None:
    """Make the folder of ``target``. Raises :class:`UserError` for a file, or a broken link, in the place of a folder."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"{error.filename} is no folder, and files belong into it: move it away, then run this again."
        ) from error


@contextmanager
def writing(target: Path, mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open a temporary file beside ``target``, which becomes ``target`` only if the block ends without an error.

    Text is UTF-8 with ``\n`` line ends. A full disk becomes :class:`RetryLater`.
    """
    make_parent(target)
    temporary = temporary_beside(target)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with disk_errors(target):
            with open(temporary, mode, **text) as handle:  # type: ignore[call-overload]
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, target)
            sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def publish_new(temporary: Path, target: Path) -> None:
    """As :func:`publish`, for a target that is not there yet. Raises FileExistsError: what lies there is never replaced."""
    sync_file(temporary)
    place_new(temporary, target)
    sync_folder(target.parent)


def place_new(temporary: Path, target: Path) -> None:
    """Rename a file to a target that is not there yet, on the same file system. Raises FileExistsError. Nothing is flushed."""
    try:
        os.link(temporary, target)
        temporary.unlink()
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        if os.path.lexists(target):  # a file system without hard links: as good as it gets
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        os.replace(temporary, target)


def write_new(target: Path, text: str) -> None:
    """Write a new file, whole or not at all. Raises FileExistsError: an existing file is never replaced."""
    temporary = temporary_beside(target)
    try:
        with disk_errors(target):
            temporary.write_text(text, encoding="utf-8")
            publish_new(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn 'no space' and 'quota' errors into one sentence that says to retry, 'read-only' into one that says what
    to mount, a folder in a file's place into one that names it.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RetryLater(
                f"The disk that holds {where} is full: free some space, then run this again; finished work is kept."
            ) from error
        if error.errno == errno.EROFS:
            raise MachineError(
                f"{error.filename or where} is on a read-only disk: mount it writable, then run this again; finished work is kept."
            ) from error
        if error.errno == errno.EISDIR:
            place = error.filename2 or error.filename or where
            raise UserError(f"{place} is a folder where a file belongs: move it away, then run this again.") from error
        raise


def write_json(target: Path, value: Any) -> None:
    """Write a JSON document, sorted and indented, whole or not at all."""
    with writing(target) as handle:
        json.dump(value, handle, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        handle.write("\n")


def refuse_pipe(path: Path) -> None:
    """Raise :class:`UserError` for a pipe in place of a file, because reading it would never end."""
    if path.is_fifo():
        raise UserError(f"{path} is a pipe and no file; delete it or restore the file.")


def read_json(path: Path) -> Any:
    """Read a JSON document; a broken one, or what is no file, is a :class:`UserError` that names the path."""
    refuse_pipe(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise UserError(f"{path} cannot be read ({error.strerror}): delete it or restore the file.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable as JSON ({unread(error)}); delete it or restore it.") from error


def known_document(path: Path) -> Any:
    """A JSON document; None if it is absent or damaged."""
    try:
        return read_json(path)
    except (ClipquarryError, OSError):
        return None


def known_object(path: Path) -> dict[str, Any]:
    """A JSON object; empty if it is absent, damaged or something else."""
    return as_object(known_document(path))


def as_object(value: Any) -> dict[str, Any]:
    """The value if it is an object; else an empty object."""
    return dict(value) if isinstance(value, Mapping) else {}


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_of_files(paths: Iterable[Path], look: Callable[[Path, bytes], None] | None = None) -> tuple[str, int]:
    """One digest of several files together, of their names, sizes and bytes in this order, and their bytes. ``look`` gets
    every file's content, so that nobody reads it twice.
    """
    hashed, size = hashlib.sha256(), 0
    for path in paths:
        if look is None:
            size += _hash_file(path, hashed.update)
            continue
        content = path.read_bytes()
        hashed.update(f"{path.name}\0{len(content)}\0".encode())
        hashed.update(content)
        size += len(content)
        look(path, content)
    return hashed.hexdigest(), size


def _hash_file(path: Path, update: Callable[[bytes], None]) -> int:
    """Give name, size and bytes of a file to a hash, in pieces; its size."""
    with open(path, "rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        update(f"{path.name}\0{size}\0".encode())
        while piece := handle.read(1 << 20):
            update(piece)
    return size


def inside(root: Path, *parts: str) -> Path:
    """Join untrusted names below ``root``; refuse a path that leaves it, or a name that is not plain."""
    path = root
    for part in parts:
        for name in part.split("/"):
            if name in ("", ".", "..") or "\x00" in name or "\\" in name:
                raise UserError(f"The name {part!r} cannot be used below {root}: it holds an empty, '.' or '..' part.")
            path = path / name
    return path


def link_or_copy(source: Path, target: Path) -> str:
    """Make ``target`` the same file as ``source``: a hard link, or a copy across file systems.

    An existing target is replaced atomically. Returns ``"link"`` or ``"copy"``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)  # the usual case: nothing is half-made even for a moment
        return "link"
    except FileExistsError:
        with suppress(OSError):  # a broken link
            if source.samefile(target):
                return "link"
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
    temporary = temporary_beside(target)
    how = "link"
    try:
        with disk_errors(target):
            try:
                os.link(source, temporary)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                shutil.copyfile(source, temporary)
                sync_file(temporary)
                how = "copy"
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return how
