"""Checks of a data set's YAML beyond its shape, so that no run and no DAG finds the error first: folders, templates,
addresses.

Each problem names its key, so that the loader can give the line.
"""

from __future__ import annotations

import importlib.util
import re
import string
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from clipquarry.datasets.model import DatasetSpec, Source
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.settings import PRIVATE

Where = tuple[str | int, ...]

ITEM_HOLES = ("id", "clip", "class", "label", "split", "start", "end")
"""Placeholders in the address of an item; :mod:`clipquarry.acquire.template` fills them."""
_ANNOTATION_HOLES = ("split", "version")
_NUMBER_FORM = re.compile(r"(0[1-9]?d|d)?\Z")
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_MADE = ("videos", "resized", "excerpts", "rawframes")
"""Folders that steps fill: two in one would overwrite each other."""
_PRESETS = frozenset({"@once", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"})
_CRON_FIELD = re.compile(r"[0-9A-Za-z*/,#?-]+", re.ASCII)


class Problem(NamedTuple):
    """An error, and its key."""

    where: Where
    text: str


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """All errors, in the order of the file's keys if there is one."""
    for key, folder in spec.layout.items():
        yield from _path(("layout", key), folder, ("split",), spec)
    for key, name in spec.lists.items():
        yield from _path(("lists", key), name, ("split", "name"), spec)
    yield from _splits(spec)
    for index, source in enumerate(spec.sources):
        for where, text in _source(source, spec):
            yield Problem(("sources", index, *where), text)
    yield from _schedule(spec)
    yield from _web(("access", "page"), spec.access.page)
    yield from _frame_names(spec)
    yield from _item(spec)
    yield from _needed(spec)


def _needed(spec: DatasetSpec) -> Iterator[Problem]:
    """Folders that steps would fill twice, and lists of absent folders; ``needs.py`` has the needs of runs."""
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


def _holes(text: str) -> list[tuple[str, str, str]]:
    """Name, form and conversion of each placeholder; raises ValueError if the braces do not match."""
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
    for split in spec.splits or ("train",):
        filled = text.format(**{**dict.fromkeys(known, "1"), "split": split, "name": spec.name})
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
    for split, path in spec.splits.items():
        if "{" in path or "}" in path:
            yield Problem(("splits", split), f"{path!r}: the file of a split is named as it is, without placeholders")
        elif problem := _path_problem(path):
            yield Problem(("splits", split), problem)
    for split in spec.default_splits:
        if split not in spec.splits:
            yield Problem(("default_splits",), f"it names '{split[:60]}', which is no split of the data set")


def _source(source: Source, spec: DatasetSpec) -> Iterator[tuple[Where, str]]:
    items = source.provides == "items"
    holes: Collection[str] = ITEM_HOLES if items else _ANNOTATION_HOLES
    addresses: list[tuple[Where, str]] = [(("url",), source.url)] if source.url else []
    addresses += [(("urls", index), url) for index, url in enumerate(source.urls)]
    for where, url in addresses:
        yield from _template(where, url, holes)
        yield from web_problem(where, url)
        if items and source.kind == "http" and not {n for n, _, _ in _safe_holes(url)} & {"id", "clip"}:
            yield where, f"{url!r} has neither {{id}} nor {{clip}}: every item would be the same file"
        if source.kind == "youtube" and "id" not in {name for name, _, _ in _safe_holes(url)}:
            yield where, f"{url!r} has no {{id}}"
    for split, place in source.volume_lists.items():
        if split not in spec.splits:
            yield ("volume_lists", split), f"the data set has no split '{split}'"
        if "://" in place:
            yield from web_problem(("volume_lists", split), place)
    for split in source.split_names:
        if split not in spec.splits:
            yield ("split_names", split), f"the data set has no split '{split}'"
    if source.path is not None:
        yield from _template(("path",), source.path, holes)
        if "://" in source.path or not source.path.isprintable():
            yield ("path",), f"{source.path[:80]!r} is no path of this machine"
    if source.into is not None:
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


def web_problem(where: Where, url: str) -> Iterator[tuple[Where, str]]:
    """Errors in a web address; one that begins with a variable is only known in a run."""
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
        for _, text in web_problem((), url):
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


def _item(spec: DatasetSpec) -> Iterator[Problem]:
    """Errors in the medium and the suffixes of samples."""
    medium, suffixes = spec.item.medium, spec.item.ext
    if medium != "video":
        yield Problem(
            ("item", "medium"), f"samples of medium '{medium}' cannot be prepared yet: this version runs videos"
        )
        return
    if not suffixes:
        yield Problem(("item", "ext"), "name at least one suffix of the videos, such as mp4")
    for index, suffix in enumerate(suffixes):
        where: Where = ("item", "ext", index)
        if f".{suffix.lower()}" not in VIDEO_SUFFIXES:
            known = ", ".join(one.removeprefix(".") for one in VIDEO_SUFFIXES)
            yield Problem(where, f"{suffix[:60]!r} is no suffix of a video (without its dot): known are {known}")
        elif suffix.lower() in (one.lower() for one in suffixes[:index]):
            yield Problem(where, f"the suffix '{suffix}' is given twice")


def _frame_names(spec: DatasetSpec) -> Iterator[Problem]:
    pattern = spec.item.rgb_pattern
    try:
        names = [pattern.format(number) for number in (1, 2, 123456)]
    except (ValueError, LookupError, AttributeError):
        names = [""]
    if len(set(names)) < 3 or any("/" in name or _path_problem(name) for name in names):
        yield Problem(
            ("item", "rgb_pattern"), f"{pattern!r} must name each frame by its number, such as img_{{:05d}}.jpg"
        )
