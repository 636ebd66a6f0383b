"""Exclusive locks between processes and threads: ``flock`` on a file, one rule for all of them.

The kernel releases a lock when its holder ends, however it ends. Every lock keeps this:

* the file is never a link, and no program that the holder starts inherits it;
* a lock on a file that was removed or replaced meanwhile does not count: it is taken again, on the new file;
* the file's first line names the holder, for the sentence of a process that must wait or give up;
* a file system without locks is an error. It is never a lock that protects nothing.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import time
from pathlib import Path
from threading import Event
from typing import Self

from clipquarry.errors import MachineError, RetryLater, UserError
from clipquarry.files import disk_errors

log = logging.getLogger(__name__)

_MODE = 0o664
"""Less the umask: the users of a shared data root are often one group."""
_POLL_SECONDS = 0.2
_FIRST_NEWS, _NEWS = 5.0, 60.0
"""Seconds until the log says for whom :meth:`FileLock.wait` waits, and between two such lines."""
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
_HOLDER_BYTES = 300


class FileLock:
    """A held lock, made by :meth:`take`, :meth:`attempt` or :meth:`wait`. Leaving the ``with`` block releases it.

    ``holder``, which all three take: what the file says of its holder. None: the process and the machine; empty: nothing is
    written, because the file has content of its own. All three make the folder, and raise UserError where the file cannot be a
    lock, and MachineError where the file system has no locks.
    """

    def __init__(self, path: Path, descriptor: int, *, is_folder: bool = False) -> None:
        self.path, self._descriptor, self._is_folder = path, descriptor, is_folder

    @classmethod
    def take(cls, path: Path, *, holder: str | None = None) -> Self:
        """The lock, however long others hold it. Nothing but a signal ends the wait: only for locks that are held briefly."""
        lock = cls._locked(path, holder, fcntl.LOCK_EX)
        assert lock is not None
        return lock

    @classmethod
    def attempt(cls, path: Path, *, holder: str | None = None) -> Self | None:
        """The lock, or None when another one holds it: :func:`holder_of` says who."""
        return cls._locked(path, holder, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @classmethod
    def attempt_folder(cls, path: Path) -> Self | None:
        """As :meth:`attempt`, on a folder that is there, so that no file is left in it. The folder may be a link."""
        return cls._locked(path, "", fcntl.LOCK_EX | fcntl.LOCK_NB, is_folder=True)

    @classmethod
    def wait(cls, path: Path, cancelled: Event, what: str, *, holder: str | None = None) -> Self:
        """The lock, however long others hold it; the log says who. Raises RetryLater once ``cancelled`` is set.

        ``what`` names what the lock protects, such as ``the video 0wR5jVB-WPk``.
        """
        begun = time.monotonic()
        news = begun + _FIRST_NEWS
        while (lock := cls.attempt(path, holder=holder)) is None:
            if cancelled.wait(_POLL_SECONDS):
                who = holder_of(path) or "another task"
                raise RetryLater(f"The step was told to stop while {who} worked on {what}: run it again.")
            if time.monotonic() >= news:
                who, waited = holder_of(path) or "another task", time.monotonic() - begun
                log.info(f"Waiting for {what} since {waited:.0f} s: {who} works on it (lock {path}).")
                news += _NEWS
        return lock

    @classmethod
    def _locked(cls, path: Path, holder: str | None, how: int, *, is_folder: bool = False) -> Self | None:
        while True:
            lock = cls(path, _open_folder(path) if is_folder else _open(path), is_folder=is_folder)
            try:
                if not lock._flock(how):
                    lock.release()
                    return None
                if lock._is_current():
                    lock._say(holder)
                    return lock
            except BaseException:
                lock.release()
                raise
            lock.release()  # the file was removed or replaced between our opening and our lock

    def _flock(self, how: int) -> bool:
        """Whether we hold it now."""
        try:
            fcntl.flock(self._descriptor, how)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            if error.errno == errno.EBADF:  # NFS locks only files that are open for writing
                raise _refused(self.path, os.strerror(errno.EACCES)) from error
            if error.errno in _NO_LOCKS:
                raise MachineError(
                    f"The file system of {self.path} has no file locks ({error.strerror}): mount it with locks (NFS: version 4, or "
                    "version 3 with lockd and without 'nolock'; Lustre: with 'flock'), or use a folder on another disk."
                ) from error
            error.filename = str(self.path)  # flock knows no names
            raise
        return True

    def _is_current(self) -> bool:
        """Whether our file is still the one at the path."""
        ours = os.fstat(self._descriptor)
        try:
            there = os.stat(self.path, follow_symlinks=self._is_folder)
        except FileNotFoundError:
            return False
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def _say(self, holder: str | None) -> None:
        text = f"process {os.getpid()} on {os.uname().nodename}" if holder is None else holder
        if not text:
            return
        line = text.encode()[: _HOLDER_BYTES - 1] + b"\n"
        try:
            os.pwrite(self._descriptor, line, 0)  # before it is cut, so that it is never empty
            os.ftruncate(self._descriptor, len(line))
        except OSError:  # a full disk, or a file of another user: the lock is held all the same
            pass

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back; a second call does nothing. ``remove``: the file goes too, while we still hold it."""
        if self._descriptor < 0:
            return
        try:
            if remove and self._is_current():
                self.path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def holder_of(path: Path) -> str:
    """What the lock file says of its holder; empty when it says nothing, or what does not print. It may be of the holder before."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        said = os.read(descriptor, _HOLDER_BYTES).partition(b"\n")[0].decode("utf-8", "replace").strip()
        return said if said.isprintable() else ""
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """An open lock file, made where there is none."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with disk_errors(path):
        try:
            try:
                descriptor = os.open(path, flags, _MODE)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(path, flags, _MODE)
            except PermissionError:  # a file of another user: local file systems lock what may only be read
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise UserError(f"The lock file {path} is a link: delete it, then run this again.") from error
            if error.errno in (errno.EISDIR, errno.ENXIO):
                raise _odd(path) from error
            if isinstance(error, NotADirectoryError | FileExistsError):
                raise UserError(
                    f"The lock file {path} cannot be made, because a file is in the place of one of its folders: "
                    "move that away, then run this again."
                ) from error
            if error.errno in (errno.EACCES, errno.EPERM):
                raise _refused(path, error.strerror) from error
            raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _odd(path)
    return descriptor


def _open_folder(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(f"The folder {path} cannot be opened ({error.strerror}).") from error


def _odd(path: Path) -> UserError:
    return UserError(f"The lock file {path} is not a file: move it away, then run this again.")


def _refused(path: Path, why: str | None) -> UserError:
    return UserError(
        f"The lock file {path} cannot be opened ({why}): let this user write to it and to {path.parent}, then run this again."
    )
