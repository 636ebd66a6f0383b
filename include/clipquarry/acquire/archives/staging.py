"""The folder in which an extraction prepares its files, beside their places on the same file system."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Self

from clipquarry.errors import MachineError, UserError
from clipquarry.files import disk_errors, owned_beside, sweep_unfinished

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Staging:
    """A folder of this process below ``into``; removed at the end. A context manager.

    Raises UserError where a file lies in the folder's place, MachineError where it cannot be written to.
    """

    def __init__(self, into: Path) -> None:
        self._into = into
        self._folder: list[str] | None = None
        self._descriptor = -1
        """Of ``_folder``: a file's path is then its name, and the kernel does not walk the whole path for each of many files."""

    def __enter__(self) -> Self:
        try:
            with disk_errors(self._into):
                self._into.mkdir(parents=True, exist_ok=True)
                sweep_unfinished(self._into, depth=0)
                self.path = owned_beside(self._into / "archive")
                self.path.mkdir()
        except (FileExistsError, NotADirectoryError) as error:
            raise UserError(f"{error.filename} is not a folder: move it away, then run this again.") from error
        except PermissionError as error:
            raise MachineError(
                f"{self._into} cannot be written to ({error.strerror}): let this user write to it."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        shutil.rmtree(self.path, ignore_errors=True)

    def create(self, parts: list[str]) -> int:
        """Descriptor of a new file, in new folders. Raises FileExistsError, NotADirectoryError, IsADirectoryError."""
        *folder, name = parts
        if folder != self._folder:
            self._leave()
            path = self.path.joinpath(*folder)
            path.mkdir(parents=True, exist_ok=True)
            self._descriptor, self._folder = os.open(path, _FOLDER), folder
        return os.open(name, _NEW, 0o666, dir_fd=self._descriptor)

    def _leave(self) -> None:
        if self._folder is not None:
            self._folder = None
            os.close(self._descriptor)
