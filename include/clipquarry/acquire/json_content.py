"""Check whether a file is JSON that can hold annotations (RFC 8259, in UTF-8), in bounded memory.

The standard library decodes a value that fits into the buffer. The members of a longer value are checked one by one.
So a file of hundreds of megabytes takes a few megabytes of memory, and no JSON library besides Python's own.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TextIO

PIECE = 1 << 20
"""Characters that are read at a time, and the length of the longest value that is decoded as a whole."""
LONGEST_TEXT = 1 << 24
"""Limit of one string, in characters."""
_ESCAPE = 12
"""Characters of the longest escape, a pair of surrogates."""
_DIGITS = 30
_DEEPEST = 50
"""Limit of nested levels whose containers are each longer than :data:`PIECE`."""
_BLANKS = " \t\r\n"
_ERROR_BYTES = 1 << 16
_ERROR_KEYS = 12
_TELLING = frozenset({"error", "errors", "errorcode", "errormessage", "message", "msg", "detail", "fault", "exception"})
"""An error body of a server has at least one of these keys; case, ``-`` and ``_`` do not matter."""
_BESIDE = _TELLING | frozenset({"status", "data", "details", "meta", "request", "links", "trace"})
"""Keys that may hold objects and arrays in an error body. Under other keys they count as annotations."""


class _NoJson(Exception):
    """A file is not JSON. The message says why, as a sentence that begins with 'it'."""


def json_problem(file: Path) -> str | None:
    """Why a file cannot be an annotation file in JSON, or None. It must hold an object or an array that is not empty.

    Besides invalid JSON it refuses: web pages, error bodies of servers, NaN and infinite numbers, numbers of more than 30
    digits before or without a decimal point, duplicate keys of an object, and lone surrogates. Raises OSError where the
    file cannot be read.
    """
    with open(file, "rb") as raw:
        head = raw.read(_ERROR_BYTES + 1)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip(_BLANKS.encode())[:60]
    shown = repr(start.decode("utf-8", "replace"))
    if not start:
        return "it is empty"
    if start[:1] == b"<":
        return f"it is a web page or XML, not JSON: it begins with {shown}"
    if b"\0" in head:
        return "it holds NUL bytes, as UTF-16 and damaged files do: JSON is UTF-8"
    if start[:1] not in (b"{", b"["):
        return f"it is neither an object nor an array of JSON: it begins with {shown}"
    try:
        with open(file, encoding="utf-8-sig", newline="") as text:
            is_empty = _Walk(text).whole()
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 ({error.reason}), as JSON must be"
    except RecursionError:
        return "it is nested too deeply to be read"
    except _NoJson as error:
        return str(error)
    if is_empty:
        return f"it holds nothing: {shown}"
    if len(head) <= _ERROR_BYTES and _is_error_body(json.loads(head)):
        return f"it is a server's error message, not annotations: it begins with {shown}"
    return None


def _is_error_body(value: Any) -> bool:
    """Whether a value is a server's error: ``{"error": …}``, ``{"message": "Not Found", "status": "404"}``, or a list of such.

    It has few keys, and no data beside the message.
    """
    if isinstance(value, list):
        return len(value) <= _ERROR_KEYS and all(map(_is_error_body, value))
    if not isinstance(value, dict) or len(value) > _ERROR_KEYS:
        return False
    plain = {key.lower().replace("_", "").replace("-", ""): held for key, held in value.items()}
    told = [held for key, held in plain.items() if key in _TELLING]
    data = [key for key, held in plain.items() if key not in _BESIDE and held and isinstance(held, dict | list)]
    said = any(
        isinstance(held, str | dict | list) or held is True for held in told
    )  # not a number: a map of class names to indices holds those
    return said and not data


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _NoJson(f"an object has the key {twice[:60]!r} twice")
    return found


def _constant(text: str) -> Any:
    raise _NoJson(f"it holds {text}, which is no number of JSON")


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise _NoJson(f"it holds a number of {len(text):,} digits, which begins with {text[:20]}")
    return int(text)


def _real(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise _NoJson(f"it holds the number {text[:40]}, which is too large")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_constant=_constant, parse_int=_whole, parse_float=_real, strict=True
)


class _Walk:
    """Checks the one value of a text. Raises :class:`_NoJson`, UnicodeDecodeError, RecursionError."""

    def __init__(self, text: TextIO) -> None:
        self._read = text.read
        self._text, self._at, self._ended = "", 0, False
        self._dropped = 0
        """Characters before those in the buffer."""

    def whole(self) -> bool:
        """Check the whole text; returns whether the value is an empty object or array."""
        is_empty = self._value(0)
        if self._next():
            raise self._wrong("something follows after the end of the JSON value", self._at)
        return is_empty

    def _wrong(self, what: str, at: int) -> _NoJson:
        return _NoJson(f"{what} (character {self._dropped + at + 1:,})")

    def _more(self) -> bool:
        """Read on, and drop the checked characters; False at the end."""
        piece = self._read(PIECE)
        self._ended = not piece
        self._dropped += self._at
        self._text, self._at = self._text[self._at :] + piece, 0
        return not self._ended

    def _next(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            while self._at < len(self._text):
                if (char := self._text[self._at]) not in _BLANKS:
                    return char
                self._at += 1
            if self._ended or not self._more():
                return ""

    def _value(self, depth: int) -> bool:
        """Check one value and move past it; returns whether it is an empty container."""
        first = self._next()
        try:
            value = self._decoded()
            return isinstance(value, dict | list) and not value
        except json.JSONDecodeError as error:
            if self._ended or first not in ("{", "["):
                raise self._explained(error) from error
        if depth >= _DEEPEST:
            raise _NoJson("it is nested too deeply to be read")
        return self._members(depth, first)

    def _decoded(self) -> Any:
        """One value, decoded from the buffer. The buffer is filled up first where it ends within the value."""
        while True:
            begin = self._at
            try:
                value, end = _DECODER.raw_decode(self._text, begin)
            except json.JSONDecodeError as error:
                ahead = len(self._text) - begin
                # A string that began here, or an escape in it, continues beyond the buffer.
                cut = error.msg.startswith("Unterminated string") or error.pos > len(self._text) - _ESCAPE
                unended = cut and self._text[begin : begin + 1] == '"' and ahead < LONGEST_TEXT
                if self._ended or (ahead >= PIECE and not unended):
                    raise
                self._more()
                continue
            if (
                end > len(self._text) - 3 and not self._ended
            ):  # a number may continue beyond the buffer: 1, then .5 or e-7
                self._more()
                continue
            if "\\ud" in self._text[begin:end].lower():
                self._refuse_surrogates(value)
            self._at = end
            return value

    def _refuse_surrogates(self, value: Any) -> None:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise _NoJson(f"it holds half a character ({error.object[error.start]!r}: a lone surrogate)") from error

    def _members(self, depth: int, opened: str) -> bool:
        """Check a container member by member and move past it; returns whether it is empty."""
        closing = "}" if opened == "{" else "]"
        seen: set[int] = set()
        self._at += 1
        if self._next() == closing:
            self._at += 1
            return True
        while True:
            if opened == "{":
                self._key(seen)
            self._value(depth + 1)
            found = self._next()
            if found not in (",", closing):
                raise self._explained(json.JSONDecodeError(f"Expecting ',' or '{closing}'", self._text, self._at))
            self._at += 1
            if found == closing:
                return False

    def _key(self, seen: set[int]) -> None:
        if self._next() != '"':
            raise self._explained(json.JSONDecodeError("Expecting a key in double quotes", self._text, self._at))
        try:
            key = self._decoded()
        except json.JSONDecodeError as error:
            raise self._explained(error) from error
        if (
            hash(key) in seen
        ):  # 64 bits, salted per process: among a million keys a collision by chance is practically impossible
            raise _NoJson(f"an object has the key {key[:60]!r} twice")
        seen.add(hash(key))
        if self._next() != ":":
            raise self._explained(json.JSONDecodeError("Expecting ':'", self._text, self._at))
        self._at += 1

    def _explained(self, error: json.JSONDecodeError) -> _NoJson:
        cut = self._ended and (error.pos >= len(self._text.rstrip()) or error.msg.startswith("Unterminated string"))
        if cut:
            return _NoJson(f"it breaks off after {self._dropped + len(self._text):,} characters")
        return self._wrong(f"it is no valid JSON: {error.msg}", error.pos)
