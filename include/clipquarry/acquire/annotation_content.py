"""Check whether a file can be the annotation file of its name, by its suffix and its first bytes. Readers check the rows."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath

from clipquarry.acquire.download import page_like
from clipquarry.acquire.json_content import json_problem
from clipquarry.errors import unread

_HEAD = 1 << 16
_BOM = b"\xef\xbb\xbf"
_LINES = (".jsonl", ".ndjson")
_WHAT = {
    **dict.fromkeys(_LINES, "lines of JSON"), ".csv": "an annotation csv", ".json": "annotations in JSON", ".pkl": "a pickle", ".pbtxt": "a list of actions",
}  # fmt: skip


def file_problem(file: Path, name: str, *, separator: str = ",", may_be_empty: bool = False) -> str | None:
    """Why a file cannot be the annotation file ``name``, such as ``not an annotation csv: it is empty``; None when it can.

    JSON is read to its end, of lines of JSON the first. Of other formats the first bytes are read, and of a pickle also the last byte. ``separator``: what
    the first line of a csv must hold; empty for a csv of one column. ``may_be_empty``: a file without rows is right.
    """
    suffix = PurePosixPath(name).suffix.lower()
    problem = _problem(file, suffix, separator, may_be_empty=may_be_empty)
    return problem and f"not {_WHAT.get(suffix, 'a text file')}: {problem}"


def _problem(file: Path, suffix: str, separator: str, *, may_be_empty: bool) -> str | None:
    with open(file, "rb") as handle:
        head = handle.read(_HEAD)
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - 1))
        last = handle.read(1)
    text = head.removeprefix(_BOM)
    if not text.strip():
        return None if may_be_empty and size <= _HEAD else "it is empty"
    if suffix == ".json":
        return json_problem(file)
    if suffix in _LINES and text.lstrip()[:1] != b"<":
        return _line_problem(text) if b"\n" in text.strip() else json_problem(file)
    if page := page_like(head):
        return f"it is a web page or JSON ({page})"
    if suffix == ".pkl":
        return None if last == b"." else "it does not end as a pickle does"
    if b"\x00" in head:
        return f"it begins with {head[:16]!r}"
    first = text.splitlines()[0]
    if suffix == ".csv" and separator.encode() not in first:
        return f"its first line is not that of a csv: {first[:60].decode('utf-8', 'replace')!r}"
    if suffix == ".pbtxt" and not (b"{" in head and b"name" in head):
        return f"it begins with {head[:40]!r}"
    return None


def _line_problem(text: bytes) -> str | None:
    """Why text of several lines cannot be JSON in each of them, by the first."""
    first = text.strip().splitlines()[0]
    try:
        json.loads(first)
    except (ValueError, RecursionError) as error:
        return f"its first line is no JSON ({unread(error)}): {first[:60].decode('utf-8', 'replace')!r}"
    return None
