"""libarchive, read only: headers and data of one archive of a named format, from a Python stream.

Only libarchive's reading functions are called; it never writes to the disk. Formats and filters are switched on one by
one, by the content that :mod:`clipquarry.acquire.archives.content` saw, so that none of its other readers ever runs. The
library is loaded when the first archive is opened.
"""

from __future__ import annotations

import codecs
import ctypes
import locale
import logging
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, Protocol, Self

from pydantic import SecretStr

from clipquarry.errors import MachineError

BLOCK = 1 << 18
_LC_CTYPE_MASK = 1
_FATAL = -30


class Readable(Protocol):
    """What libarchive reads from; seekable for zip and 7z."""

    def readinto(self, buffer: Any, /) -> int | None: ...
    def seekable(self) -> bool: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class Damaged(Exception):
    """Bytes that libarchive cannot read, in its own words. ``is_short``: the file ends too early."""

    def __init__(self, text: str, *, is_short: bool = False) -> None:
        super().__init__(text)
        self.is_short = is_short


class Kind(Enum):
    """What a member is."""

    FILE = "file"
    FOLDER = "folder"
    HARD_LINK = "hard link"
    SYMLINK = "symbolic link"
    REFERENCE = "reference to another member"
    """Of rar 5; libarchive gives it no data."""
    OTHER = "device, pipe or socket"


class Header(NamedTuple):
    """What an archive says of one member. All of it is untrusted."""

    name: str
    """With surrogates where its bytes are not UTF-8; empty where it has none. Names that the format declares as UTF-8 or UTF-16 (pax,
    zip, 7z, rar) come in the normal form C, because libarchive converts them.
    """
    kind: Kind
    size: int | None
    link: str = ""


@cache
def library() -> Any:
    """``libarchive.ffi``. Raises MachineError with the package to install."""
    try:
        import libarchive.ffi as ffi
    except ModuleNotFoundError as error:
        raise MachineError("Archives cannot be read without the Python package libarchive-c: install it.") from error
    except (ImportError, OSError, AttributeError, TypeError) as error:
        raise MachineError(
            "Archives cannot be read, because this machine has no libarchive: install its package (Debian and Ubuntu: apt-get install "
            "libarchive13; Fedora: dnf install libarchive), then run this again."
        ) from error
    # Its warnings hold names out of archives; what they mean for us is in the return codes.
    logging.getLogger("libarchive").setLevel(logging.CRITICAL)
    return ffi


def version() -> str:
    """libarchive's version, such as 3.6.2. Raises MachineError as :func:`library` does."""
    number = int(library().version_number())
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


@cache
def _quick(name: str, *arguments: Any) -> Any:
    """A function of libarchive that is called for each member. libarchive-c's own look at each answer in Python once more."""
    function = library().libarchive[name]
    function.argtypes, function.restype = [ctypes.c_void_p, *arguments], ctypes.c_int
    return function


@cache
def _utf8_locale() -> tuple[Any, int] | None:
    """``uselocale`` and a UTF-8 locale for it; None where the process has one already.

    libarchive converts names through the locale of its thread: in the locale C, names of zip, 7z and rar would be lost.
    """
    try:
        if codecs.lookup(locale.nl_langinfo(locale.CODESET)).name == "utf-8":
            return None
        libc = ctypes.CDLL(None)
        make, use = libc.newlocale, libc.uselocale
    except (AttributeError, LookupError, OSError):
        return None
    make.argtypes, make.restype = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p], ctypes.c_void_p
    use.argtypes, use.restype = [ctypes.c_void_p], ctypes.c_void_p
    for name in (b"C.UTF-8", b"en_US.UTF-8"):
        if made := make(_LC_CTYPE_MASK, name, None):
            return use, int(made)
    return None


@contextmanager
def _names_are_utf8() -> Iterator[None]:
    if (found := _utf8_locale()) is None:
        yield
        return
    use, utf8 = found
    before = use(utf8)
    try:
        yield
    finally:
        use(before)


_KINDS = {stat.S_IFREG: Kind.FILE, 0: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.SYMLINK}


class Archive:
    """An open archive: :meth:`headers` and, for the current member, :meth:`blocks`. A context manager.

    Raises :class:`Damaged`, and whatever the stream raised.
    """

    def __init__(
        self, stream: Readable, formats: Sequence[str], filters: Sequence[str] = (), password: SecretStr | None = None
    ) -> None:
        self._ffi = library()
        self._stream, self._formats, self._filters, self._password = stream, tuple(formats), filters, password
        self._buffer = ctypes.create_string_buffer(BLOCK)
        self._address = ctypes.addressof(self._buffer)
        self._failure: BaseException | None = None
        self._pointer: int | None = None
        self._entry: int | None = None
        self._next_header = _quick("archive_read_next_header2", ctypes.c_void_p)
        self._read_block = _quick("archive_read_data_block", *[ctypes.c_void_p] * 3)
        self._block, self._size, self._offset = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_longlong()
        self._places = [ctypes.addressof(one) for one in (self._block, self._size, self._offset)]
        self._position, self._waits, self._is_end = 0, False, False
        self.on_hole: Callable[[int], None] | None = None
        """Told of the zeros that stand for a hole: they come out of no byte of the archive."""
        # Kept as attributes: libarchive holds their addresses only.
        self._on_read = self._ffi.READ_CALLBACK(self._read)
        self._on_seek = self._ffi.SEEK_CALLBACK(self._seek)

    def __enter__(self) -> Self:
        ffi = self._ffi
        self._pointer, self._entry = ffi.read_new(), ffi.entry_new()
        try:
            if self._password is not None:
                ffi.read_add_passphrase(self._pointer, self._password.get_secret_value().encode())
            for name in self._filters:
                self._switch_on(ffi.get_read_filter_function, name)
            for name in self._formats:
                self._switch_on(ffi.get_read_format_function, name)
            if self._stream.seekable():
                ffi.read_set_seek_callback(self._pointer, self._on_seek)
            with _names_are_utf8():
                self._call(ffi.read_open, None, ffi.NO_OPEN_CB, self._on_read, ffi.NO_CLOSE_CB)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _switch_on(self, function_of: Any, name: str) -> None:
        try:
            code = function_of(name)(self._pointer)
        except (ValueError, self._ffi.ArchiveError):
            code = _FATAL
        if code != self._ffi.ARCHIVE_OK:  # a warning: it would start another program
            raise MachineError(
                f"This machine's libarchive ({version()}) cannot read {name}: install version 3.4 or newer of it."
            )

    def __exit__(self, *_: object) -> None:
        pointer, entry, self._pointer, self._entry = self._pointer, self._entry, None, None
        if entry is not None:
            self._ffi.entry_free(entry)
        if pointer is not None:
            self._ffi.read_free(pointer)

    def _read(self, _archive: Any, _context: Any, place: Any) -> int:
        try:
            place[0] = self._address
            return self._stream.readinto(self._buffer) or 0
        except BaseException as error:  # noqa: BLE001 — it goes on in _errors, on the other side of libarchive
            self._failure = error
            return -1

    def _seek(self, _archive: Any, _context: Any, offset: int, whence: int) -> int:
        try:
            return self._stream.seek(offset, whence)
        except (OSError, ValueError):  # before the beginning: a wrong offset in the archive
            return _FATAL
        except BaseException as error:  # noqa: BLE001
            self._failure = error
            return _FATAL

    def _call(self, function: Any, *arguments: Any) -> int:
        """Call a function of libarchive on this archive; what the stream raised meanwhile goes first."""
        try:
            code = function(self._pointer, *arguments)
        except self._ffi.ArchiveError as error:
            self._raise_failure()
            raise Damaged(error.msg or "libarchive cannot read it") from None
        if self._failure is not None:
            self._raise_failure()
        return int(code)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _checked(self, code: int) -> int:
        """What a quick function answered. Raises what the stream raised meanwhile, else Damaged."""
        if self._failure is not None:
            self._raise_failure()
        if code < 0 and code != self._ffi.ARCHIVE_WARN:
            raise Damaged(self._said("libarchive cannot read it"))
        return code

    def _said(self, other: str) -> str:
        return (self._ffi.error_string(self._pointer) or other.encode()).decode("utf-8", "replace")

    def headers(self) -> Iterator[Header]:
        """The members in the archive's order; the data of those that are not read is skipped."""
        has_utf8 = _utf8_locale() is None
        while True:
            if has_utf8:
                header = self._header()
            else:
                with _names_are_utf8():
                    header = self._header()
            if header is None:
                return
            yield header

    def _header(self) -> Header | None:
        ffi, entry = self._ffi, self._entry
        code = self._next_header(self._pointer, entry)
        if (code or self._failure is not None) and self._checked(code) == ffi.ARCHIVE_EOF:
            return None
        self._position, self._waits = 0, False
        size = ffi.entry_size(entry) or (0 if ffi.entry_size_is_set(entry) else None)
        name = _text(ffi.entry_pathname(entry), ffi.entry_pathname_w, entry)
        target = ffi.entry_hardlink(entry)
        if target is not None:
            return Header(name, Kind.HARD_LINK, size, _text(target, ffi.entry_hardlink_w, entry))
        kind = _KINDS.get(ffi.entry_filetype(entry), Kind.OTHER)
        if kind is Kind.FILE and size is None and self._formats == ("rar5",):
            kind = Kind.REFERENCE
        link = _text(ffi.entry_symlink(entry), ffi.entry_symlink_w, entry) if kind is Kind.SYMLINK else ""
        return Header(name, kind, size, link)

    def block(self) -> bytes | None:
        """The next piece of the current member's data, perhaps an empty one; None at its end. Holes of sparse members are zeros."""
        if not self._waits:
            code = self._read_block(self._pointer, *self._places)
            if code or self._failure is not None:
                self._checked(code)
                if code != self._ffi.ARCHIVE_EOF:  # 7z and zip only warn of a wrong checksum
                    raise Damaged(self._said("a checksum is wrong"))
            self._is_end = bool(code)
        hole = self._offset.value - self._position
        self._waits = hole > 0
        if hole > 0:
            zeros = bytes(min(BLOCK, hole))
            self._position += len(zeros)
            if self.on_hole is not None:
                self.on_hole(len(zeros))
            return zeros
        if self._is_end:
            return None
        self._position += self._size.value
        return ctypes.string_at(self._block, self._size.value)

    def blocks(self) -> Iterator[bytes]:
        """All pieces of the current member's data."""
        return iter(self.block, None)


def _text(raw: bytes | None, wide: Any, entry: int | None) -> str:
    if raw is not None:
        return raw.decode("utf-8", "surrogateescape")
    return str(wide(entry) or "")
