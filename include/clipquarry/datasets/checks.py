"""Checks of a data set's YAML beyond its shape, so that no run and no DAG finds the error first: folders, templates,
addresses.

Each problem names its key, so that the loader can give the line.
"""

from __future__ import annotations

import importlib.util
import re
import string
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from clipquarry.datasets.group_checks import group_problems, list_files
from clipquarry.datasets.item_checks import item_problems
from clipquarry.datasets.model import HERE, DatasetSpec, Source
from clipquarry.datasets.problem import Problem, Where, path_problem
from clipquarry.datasets.splits import file_name, part_of

ITEM_HOLES = ("id", "clip", "class", "label", "split", "start", "end")
"""Placeholders in the address of an item; :mod:`clipquarry.acquire.template` fills them."""
_ANNOTATION_HOLES = ("split", "version")
_LIST_HOLES = ("split", "subset", "name")
_NUMBER_FORM = re.compile(r"(0[1-9]?d|d)?\Z")
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_MADE = ("videos", "resized", "excerpts", "rawframes", "audio", "audio_features", "features", "sources")
"""Folders that steps fill: two in one would overwrite each other."""
_PRESETS = frozenset({"@once", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"})
_CRON_FIELD = re.compile(r"[0-9A-Za-z*/,#?-]+", re.ASCII)


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """All errors, in the order of the file's keys if there is one."""
    for key, folder in spec.layout.items():
        if folder != HERE or spec.item.medium != "package":
            yield from _path(("layout", key), folder, ("split",), spec)
    for place, more, name in list_files(spec):
        yield from _path(place, name, (*_LIST_HOLES, *more), spec)
    yield from (Problem(*problem) for problem in group_problems(spec))
    for key, name in spec.aliases.items():
        if key not in spec.lists:
            yield Problem(("aliases", key), f"there is no list '{key[:40]}' that could have a second name")
        elif name == spec.lists[key]:
            yield Problem(("aliases", key), "it is the list's first name")
    yield from _parents(spec)
    yield from _splits(spec)
    for index, source in enumerate(spec.sources):
        for where, text in _source(source, spec):
            yield Problem(("sources", index, *where), text)
    yield from _archives(spec)
    yield from _schedule(spec)
    for index, asset in enumerate(spec.made_of):
        if asset.partition("/")[0] == spec.name:
            yield Problem(
                ("made_of", index), "it is of the data set itself, whose release would start the next run: leave it out"
            )
    yield from _web(("access", "page"), spec.access.page)
    yield from item_problems(spec)
    yield from _needed(spec)
    yield from _one_list_each(spec)


def _needed(spec: DatasetSpec) -> Iterator[Problem]:
    """Folders that steps would fill twice, and lists of absent folders; ``needs.py`` has the needs of runs."""
    taken: dict[str, str] = {}
    for key in _MADE:
        if (folder := spec.layout.get(key)) is not None and (other := taken.setdefault(folder, key)) != key:
            yield Problem(
                ("layout", key), f"it is the same folder as '{other}': each would overwrite the other's files"
            )
    for key in spec.lists:
        if key not in ("videos", "rawframes", "audio_features"):
            yield Problem(("lists", key), "there are lists of videos, of rawframes and of audio_features")
        elif key not in spec.layout:
            yield Problem(("lists", key), f"the layout has no folder '{key}' that it could list")


def _parents(spec: DatasetSpec) -> Iterator[Problem]:
    """Errors in the splits without samples and in their folders."""
    for split, folder in spec.parents.items():
        where: Where = ("parents", split)
        yield from _path(where, folder, (), spec)
        if split not in spec.splits:
            yield Problem(where, f"the data set has no split '{split[:60]}'")
        elif spec.has_files:
            yield Problem(where, "items are whole files, which lie in no other item: leave it out")
        if other := next((key for key, path in spec.layout.items() if path == folder), None):
            yield Problem(where, f"it is the same folder as '{other}' of the layout")
    if spec.parents and not spec.samples_of(spec.splits):
        yield Problem(("parents",), "no split is left that holds samples")


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
        filled = text.format(
            **{**dict.fromkeys(known, "1"), "split": split, "subset": part_of(split), "name": spec.name}
        )
        if problem := path_problem(filled):
            yield Problem(where, problem)
            return


def _one_list_each(spec: DatasetSpec) -> Iterator[Problem]:
    """Lists, and their second names, that several splits with samples would share."""
    for what, templates in (("lists", spec.lists), ("aliases", spec.aliases)):
        for key, text in templates.items():
            if any(_template((), text, _LIST_HOLES)):
                continue  # it is told already
            names = [file_name(text, split, spec.name) for split in spec.samples_of(spec.splits)]
            if twice := next((name for name in names if names.count(name) > 1), None):
                told = f"{twice!r} would be the list of several splits: write {{split}} in its name"
                yield Problem((what, key), told)


def _splits(spec: DatasetSpec) -> Iterator[Problem]:
    for split, path in spec.splits.items():
        if "{" in path or "}" in path:
            yield Problem(("splits", split), f"{path!r}: the file of a split is named as it is, without placeholders")
        elif problem := path_problem(path):
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
        if (
            items
            and source.kind == "http"
            and not source.archive
            and not {n for n, _, _ in _safe_holes(url)} & {"id", "clip"}
        ):
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
        wrong = list(_template(("path",), source.path, holes))
        yield from wrong
        if "://" in source.path or not source.path.isprintable():
            yield ("path",), f"{source.path[:80]!r} is no path of this machine"
        elif (
            source.is_below_data
            and not wrong
            and (problem := path_problem(source.path.format(**dict.fromkeys(holes, 1))))
        ):
            yield ("path",), problem.replace("the data set's folder", "the data root")
    if source.into is not None:
        wrong = list(_template(("into",), source.into, _ANNOTATION_HOLES))
        yield from wrong
        if not wrong and (problem := path_problem(source.into.format(split="train", version="1"))):
            yield ("into",), problem
    yield from _files(source, spec)
    if source.archive is not None and source.archive.into != "." and (problem := path_problem(source.archive.into)):
        yield ("archive", "into"), problem
    sums: Mapping[str, str] = source.sha256 if isinstance(source.sha256, dict) else {"": source.sha256 or ""}
    for name, text in sums.items():
        if text and not re.fullmatch(r"[0-9a-fA-F]{64}", text):
            yield ("sha256", name) if name else ("sha256",), f"{text[:70]!r} is no sha256: it has 64 hexadecimal digits"


def _files(source: Source, spec: DatasetSpec) -> Iterator[tuple[Where, str]]:
    """Errors in a source of whole files, and in keys that only archives of them have."""
    archive = source.archive
    if source.provides != "items" or source.content != "file":
        # Annotation files are found by their names alone: folders in their archives never count.
        free = {"into", "rename"} | ({"flatten"} if source.provides == "annotations" else set())
        given = set() if archive is None else archive.model_fields_set - free
        for key in sorted(given):
            yield ("archive", key), "only an archive of whole items (content: file) has it"
        if spec.has_files and source.provides == "items" and source.kind != "manual":
            yield ("content",), "the items of another source are whole files: all sources give files, or none does"
        return
    if source.kind not in ("http", "local", "youtube") and not (source.kind == "manual" and source.archive):
        told = f"whole files come from sources of kind http, youtube or local, or manual archives, not '{source.kind}'"
        yield ("kind",), told
    if source.kind == "manual" and not source.files:
        yield ("files",), "name the volumes that a person places, such as data.tar.gz.*"
    if source.volume_lists:
        yield ("volume_lists",), "an archive of whole files is named by url or urls"
    if "archive_min_share" in source.model_fields_set:
        yield ("archive_min_share",), "an archive of whole files is read whenever one of them is wanted: leave it out"
    if wrong := next((pattern for pattern in source.files if _is_far(pattern)), None):
        told = "a volume lies in the data set's folder, or in a folder there whose name is written out"
        yield ("files",), f"{wrong[:80]!r}: {told}"
    if source.kind == "http" and source.files:
        yield ("files",), "volumes with addresses are named by these: leave it out"
    if archive is None and source.sha256:
        yield ("sha256",), "only an archive has one here: nothing compares it with each item's file"
    if archive is not None:
        yield from _volumes(source)
        if source.kind == "local":
            yield ("archive",), "give its address as url; whoever has the archive puts it into the data set's folder"
        if archive.rename:
            yield ("archive", "rename"), "files of items keep their names"
        if not any(spec.unpacks(source, split) for split in spec.splits or ("train",)):
            items = spec.layout.get(spec.items_in, "")
            yield ("archive", "into"), f"items are looked for in '{items}': unpack into that folder"


def _is_far(pattern: str) -> bool:
    """Whether a pattern of volumes names more than a file of the data set's folder, or of a folder there."""
    folder, slash, name = pattern.rpartition("/")
    if not slash:
        return False
    return not name or "/" in folder or any(sign in folder for sign in "*?[") or path_problem(folder) is not None


def _volumes(source: Source) -> Iterator[tuple[Where, str]]:
    """Errors in the names of the volumes of an archive of whole files."""
    if source.archive and source.archive.each and isinstance(source.sha256, str):
        yield ("sha256",), "each volume is an archive of its own: write the sum of each by its name"
    names = [_file_name(url) for url in source.all_urls]
    for url in source.all_urls:
        if hole := next((name for name, *_ in _safe_holes(url)), None):
            yield ("url" if url == source.url else "urls",), f"{url!r} holds {{{hole}}}: an archive has one address"
    if twice := next((name for name in names if names.count(name) > 1), None):
        yield ("urls",), f"two volumes are called {twice!r}, and each lies under its name in the data set's folder"
    for name in source.sha256 if isinstance(source.sha256, dict) else ():
        if name not in names and not any(fnmatchcase(name, pattern) for pattern in source.files):
            known = ", ".join((*names, *source.files))
            yield (
                ("sha256", name),
                f"no volume of it is called so, so that nothing would be compared: known are {known}",
            )


def _archives(spec: DatasetSpec) -> Iterator[Problem]:
    """Archives of whole files that would lie in one place: the second would be taken for the first."""
    taken: dict[str, Source] = {}
    for index, source in enumerate(spec.sources):
        if source.archive is None or source.provides != "items" or not source.has_files:
            continue
        for name in map(_file_name, source.all_urls):
            other = taken.setdefault(name, source)
            if other.archive is not None and other.archive.into != source.archive.into:  # else it is a mirror
                where = ("sources", index, "url" if source.url else "urls")
                yield Problem(where, f"the archive of source '{other.id}' is called {name!r} too, and goes elsewhere")


def _file_name(url: str) -> str:
    """As :func:`clipquarry.acquire.archives.obtain.name_of`, whose address may hold variables here."""
    parts = urlsplit(_VARIABLE.sub("x", url))
    return PurePosixPath(unquote(parts.fragment or parts.path)).name


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
