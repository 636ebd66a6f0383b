"""What a data set's YAML must hold beyond its shape, so that no run and no DAG finds out: folders, templates, addresses.

Each problem names its key, so that the loader can say the line.
"""

from __future__ import annotations

import importlib.util
import re
import string
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from clipquarry.datasets.model import DatasetSpec, Source
from clipquarry.settings import PRIVATE

Where = tuple[str | int, ...]

ITEM_HOLES = ("id", "clip", "class", "label", "split", "start", "end")
"""Of the address of an item; :mod:`clipquarry.acquire.template` fills them."""
_ANNOTATION_HOLES = ("split", "version")
_NUMBER_FORM = re.compile(r"(0[1-9]?d|d)?\Z")
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_MADE = ("videos", "resized", "excerpts", "rawframes")
"""Folders that steps fill: two in one would overwrite each other."""
_UNREAD = ("aliases", "checks", "compat", "stages")
_UNREAD_OF_SOURCES = ("missing", "fallback", "file_id", "ids", "parts", "size", "format", "keep_archives")
_PRESETS = frozenset({"@once", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"})
_CRON_FIELD = re.compile(r"[0-9A-Za-z*/,#?-]+", re.ASCII)


class Problem(NamedTuple):
    """What is wrong, and at which key."""

    where: Where
    text: str


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Everything that is wrong, in the order of the file's keys as far as there is one."""
    numbers = () if spec.is_runnable else tuple(hole for split in spec.splits for hole in split.each)
    for key, folder in spec.layout.items():
        yield from _path(("layout", key), folder, ("part", *numbers), spec)
    for key, name in spec.lists.items():
        yield from _path(("lists", key), name, ("part", "name", *numbers), spec)
    yield from _splits(spec)
    for index, source in enumerate(spec.sources):
        for where, text in _source(source, spec):
            yield Problem(("sources", index, *where), text)
    yield from _schedule(spec)
    yield from _web(("access", "page"), spec.access.page)
    checkpoint = spec.detection.checkpoint
    if checkpoint and "://" in checkpoint:
        yield from _web(("detection", "checkpoint"), checkpoint)
    yield from _images(spec)
    if spec.is_runnable:
        yield from _needed(spec)


def _needed(spec: DatasetSpec) -> Iterator[Problem]:
    """Folders that steps would fill twice, lists of nothing, and what the runs would not read; what they need is in ``needs.py``."""
    taken: dict[str, str] = {}
    for key in _MADE:
        if (folder := spec.layout.get(key)) is not None and (other := taken.setdefault(folder, key)) != key:
            yield Problem(
                ("layout", key), f"it is the same folder as '{other}': each would overwrite the other's files"
            )
    for key in spec.lists:
        if key not in ("videos", "rawframes"):
            yield Problem(("lists", key), "there are lists of videos and of rawframes")
        elif key not in spec.layout:
            yield Problem(("lists", key), f"the layout has no folder '{key}' that it could list")
    for key in _UNREAD:
        if getattr(spec, key):
            yield Problem((key,), f"nothing reads it in a data set of {spec.annotation_format}: take it out")
    if spec.labels.groups:
        yield Problem(("labels", "groups"), f"nothing reads it in a data set of {spec.annotation_format}: take it out")
    for index, source in enumerate(spec.sources):
        for key in _UNREAD_OF_SOURCES:
            if getattr(source, key):
                text = f"nothing reads it in a data set of {spec.annotation_format}: take it out"
                yield Problem(("sources", index, key), text)


def _holes(text: str) -> list[tuple[str, str, str]]:
    """Name, form and conversion of each hole; raises ValueError when the braces do not match."""
    return [
        (name, form or "", conversion or "")
        for _, name, form, conversion in string.Formatter().parse(text)
        if name is not None
    ]


def _template(where: Where, text: str, known: Collection[str]) -> Iterator[Problem]:
    try:
        holes = _holes(_VARIABLE.sub("x", text))
    except ValueError as error:
        yield Problem(where, f"{text!r} is not well formed: {error}")
        return
    for name, form, conversion in holes:
        if name not in known or conversion or not _NUMBER_FORM.match(form) or (form and name not in ("start", "end")):
            allowed = ", ".join(f"{{{one}}}" for one in known) or "none"
            yield Problem(where, f"{text!r} holds {{{name}{':' if form else ''}{form}}}; known here: {allowed}")


def _path(where: Where, text: str, known: Collection[str], spec: DatasetSpec) -> Iterator[Problem]:
    """A template of a path below the data set's folder, tried with each split."""
    wrong = list(_template(where, text, known))
    yield from wrong
    if wrong:
        return
    for part in spec.parts or ("train",):
        filled = text.format(**{**dict.fromkeys(known, "1"), "part": part, "name": spec.name})
        if problem := _path_problem(filled):
            yield Problem(where, problem)
            return


def _path_problem(path: str) -> str | None:
    names = path.split("/")
    if any(name in ("", ".", "..") for name in names) or "\\" in path:
        return f"{path!r} must be a path below the data set's folder: no empty names, no '.' or '..', no backslash"
    if any(name.casefold() == PRIVATE.casefold() or name.startswith(f"{PRIVATE}-tmp-") for name in names):
        return f"{path!r} lies in a folder that is Clipquarry's own ({PRIVATE}): choose another name"
    if not path.isprintable() or any(len(name.encode()) > 200 for name in names):
        return f"{path[:60]!r} cannot be a path: names have at most 200 bytes and no control characters"
    return None


def _splits(spec: DatasetSpec) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, split in enumerate(spec.splits):
        if spec.is_runnable and split.each:
            yield Problem(("splits", index, "each"), f"{spec.annotation_format} has no numbered splits")
        for part, path in split.parts.items():
            where: Where = ("splits", index, "parts", part)
            if spec.is_runnable and ("{" in path or "}" in path):
                yield Problem(where, f"{path!r}: the file of a split is named as it is, without placeholders")
            elif problem := _path_problem(path):
                yield Problem(where, problem)
            if spec.is_runnable and part in seen:
                yield Problem(where, f"the split '{part}' is given twice")
            seen.add(part)


def _source(source: Source, spec: DatasetSpec) -> Iterator[tuple[Where, str]]:
    items = source.provides == "items"
    asked = spec.is_runnable and source.provides in ("items", "annotations")
    holes: Collection[str] = ITEM_HOLES if items else _ANNOTATION_HOLES
    addresses: list[tuple[Where, str]] = [(("url",), source.url)] if source.url else []
    addresses += [(("urls", index), url) for index, url in enumerate(source.urls)]
    for where, url in addresses:
        if asked:
            yield from _template(where, url, holes)
        yield from _address(where, url)
        if asked and items and source.kind == "http" and not {n for n, _, _ in _safe_holes(url)} & {"id", "clip"}:
            yield where, f"{url!r} has neither {{id}} nor {{clip}}: every item would be the same file"
        if asked and source.kind == "youtube" and "id" not in {name for name, _, _ in _safe_holes(url)}:
            yield where, f"{url!r} has no {{id}}"
    for split, place in source.parts_list.items():
        if asked and split not in spec.parts:
            yield ("parts_list", split), f"the data set has no split '{split}'"
        if "://" in place:
            yield from _address(("parts_list", split), place)
    for split in source.split_names:
        if asked and split not in spec.parts:
            yield ("split_names", split), f"the data set has no split '{split}'"
    if source.path is not None:
        if asked:
            yield from _template(("path",), source.path, holes)
        if "://" in source.path or not source.path.isprintable():
            yield ("path",), f"{source.path[:80]!r} is no path of this machine"
    if source.into is not None and asked:
        wrong = list(_template(("into",), source.into, _ANNOTATION_HOLES))
        yield from wrong
        if not wrong and (problem := _path_problem(source.into.format(split="train", version="1"))):
            yield ("into",), problem
    if source.archive is not None and (problem := _path_problem(source.archive.into)):
        yield ("archive", "into"), problem
    sums: Mapping[str, str] = source.sha256 if isinstance(source.sha256, dict) else {"": source.sha256 or ""}
    for name, text in sums.items():
        if text and not re.fullmatch(r"[0-9a-fA-F]{64}", text):
            yield ("sha256", name) if name else ("sha256",), f"{text[:70]!r} is no sha256: it has 64 hexadecimal digits"


def _safe_holes(text: str) -> list[tuple[str, str, str]]:
    try:
        return _holes(_VARIABLE.sub("x", text))
    except ValueError:
        return []


def _address(where: Where, url: str) -> Iterator[tuple[Where, str]]:
    """An address of the web; what begins with a variable is only known in a run."""
    if url.startswith("${"):
        return
    plain = re.sub(r"\{[^{}]*\}", "x", _VARIABLE.sub("x", url))
    try:
        parts = urlsplit(plain)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not plain.isprintable() or " " in plain:
        yield where, f"{url[:100]!r} is no address of the web: it begins with http:// or https:// and names a host"


def _web(where: Where, url: str | None) -> Iterator[Problem]:
    if url:
        for _, text in _address((), url):
            yield Problem(where, text)


def _schedule(spec: DatasetSpec) -> Iterator[Problem]:
    text = spec.refresh.schedule
    if text is None or text in _PRESETS:
        return
    fields = text.split()
    good = len(fields) == 5 and all(map(_CRON_FIELD.fullmatch, fields))
    if good and importlib.util.find_spec("croniter"):  # comes with Airflow; steps do without
        from croniter import croniter  # type: ignore[import-untyped]

        good = croniter.is_valid(text)
    if not good:
        presets = ", ".join(sorted(_PRESETS))
        yield Problem(("refresh", "schedule"), f"{text[:60]!r} is neither a cron expression nor one of {presets}")


def _images(spec: DatasetSpec) -> Iterator[Problem]:
    pattern = spec.item.rgb_pattern
    try:
        names = [pattern.format(number) for number in (1, 2, 123456)]
    except (ValueError, LookupError, AttributeError):
        names = [""]
    if len(set(names)) < 3 or any("/" in name or _path_problem(name) for name in names):
        yield Problem(
            ("item", "rgb_pattern"), f"{pattern!r} must name each image by its number, such as img_{{:05d}}.jpg"
        )
