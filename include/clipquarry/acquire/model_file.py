"""Download of a network's weights: once per address and sha256, and checked at each use."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path, PurePosixPath
from threading import Event
from urllib.parse import unquote, urlsplit

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.errors import RetryLater, UserError
from clipquarry.files import disk_errors, publish, sha256_of, temporary_beside
from clipquarry.reasons import Trait

MAX_BYTES = 16 << 30

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,180}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OPENMMLAB = re.compile(r"-([0-9a-f]{8})\.pth")
"""OpenMMLab's file names end in the first 8 digits of their sha256."""


def download_model(
    url: str,
    sha256: str | None,
    folder: Path,
    *,
    downloader: Downloader | None = None,
    cancelled: Event | None = None,
) -> Path:
    """The file at ``url``, as ``{folder}/{first 16 digits of its sha256}-{file name}``.

    Without a ``sha256``, the sum must begin with the 8 digits at the end of an OpenMMLab file name; any other name needs a
    ``sha256``. A file that is there with the right sum is kept; a damaged one is downloaded again. The file appears whole
    or not at all; concurrent callers wait. Raises UserError (wrong sum, or no such file, with the path at which a person
    may place it) and RetryLater for a temporary failure of the server.
    """
    name = unquote(PurePosixPath(urlsplit(url).path).name)
    if urlsplit(url).scheme not in ("http", "https") or not _NAME.fullmatch(name):
        raise UserError(f"{url!r} is no address of a model file: write https://host/folder/file.pth.")
    begin = _wanted(name, sha256)
    cancelled = cancelled or Event()
    with SourceCache(folder, 0).video(hashlib.sha256(url.encode()).hexdigest()[:16], cancelled) as work:
        for kept in sorted(folder.glob(f"{begin[:16]}*-{name}")):
            if sha256_of(kept).startswith(begin):
                return kept
        return _fetched(
            url, name, begin, folder, work, downloader or Downloader(Limits(max_bytes=MAX_BYTES)), cancelled
        )


def _wanted(name: str, sha256: str | None) -> str:
    """The first digits of the required sum: all of them, or OpenMMLab's 8."""
    if sha256:
        if not _SHA256.fullmatch(sha256.lower()):
            raise UserError(f"The sha256 of {name} is '{sha256}'; it must be 64 hexadecimal digits.")
        return sha256.lower()
    found = _OPENMMLAB.search(name)
    if found is None or found.end() != len(name):
        raise UserError(f"The model file {name} needs a sha256: without it the download cannot be checked.")
    return found[1]


def _fetched(
    url: str, name: str, begin: str, folder: Path, work: Path, downloader: Downloader, cancelled: Event
) -> Path:
    try:
        file = downloader.download(url, work, ".model", cancelled).path
    except FetchFailed as error:
        by_hand = folder / f"{begin[:16]}-{name}"
        raise (RetryLater if Trait.SOON in error.reason.traits else UserError)(
            f"The model {url} could not be fetched ({error.reason}: {error}). Place it by hand as {by_hand}, then run this again."
        ) from None
    found = sha256_of(file)
    if not found.startswith(begin):
        file.unlink()
        wanted = begin if len(begin) == 64 else f"one that begins with {begin}"
        raise UserError(f"{url} is not the expected model: its sha256 is {found}, expected is {wanted}.")
    target = folder / f"{found[:16]}-{name}"
    beside = temporary_beside(target)
    try:
        with disk_errors(target):
            shutil.move(file, beside)
            publish(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target
