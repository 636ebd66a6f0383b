"""The ways in which the items of a data set come, read off its sources: what can expire, and what a person must do.

====================  ===================================================================
way                   source of items
====================  ===================================================================
``crawl``             ``kind: youtube``
``mirror``            ``kind: http``, one address an item
``archive``           ``kind: http`` with ``archive`` or ``volume_lists``
``by hand``           ``kind: local`` or ``manual``
``derived``           ``kind: dataset``: the items of another data set
====================  ===================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from clipquarry.datasets.model import Archive, DatasetSpec, Source

Way = Literal["crawl", "mirror", "archive", "by hand", "derived"]

EXPIRING: frozenset[Way] = frozenset({"crawl", "mirror"})
"""Ways whose items may be gone today and back tomorrow; an archive or another data set is there, or is not."""
ASKED = ("registration", "request-form", "mixed", "closed")
"""Kinds of access for which somebody must be asked first."""


def way_of(source: Source) -> Way:
    """The way of one source's items."""
    if source.kind == "youtube":
        return "crawl"
    if source.kind == "dataset":
        return "derived"
    if source.kind == "http":
        return "archive" if source.archive or source.volume_lists else "mirror"
    return "by hand"


def _is_offer(source: Source) -> bool:
    """Whether a source is off until somebody sets the environment variable in its address (a folder or mirror of
    one's own), or has only what runs left.
    """
    return source.is_below_data or any(
        "${" in address for address in (*source.all_urls, *source.volume_lists.values(), source.path or "")
    )


def usual_sources(spec: DatasetSpec) -> list[Source]:
    """The item sources of a run without any setting. If each needs one: all but folders; else all."""
    for left_out in (_is_offer, lambda source: source.kind == "local"):
        if found := [source for source in spec.item_sources if not left_out(source)]:
            return found
    return spec.item_sources


def unverified_sources(spec: DatasetSpec) -> list[Source]:
    """The sources whose server need not prove who it is."""
    return [source for source in spec.sources if not source.verify_certificate]


def ways_of(spec: DatasetSpec) -> list[Way]:
    """The ways of a data set's usual sources, each once, in the order of the sources."""
    return list(dict.fromkeys(way_of(source) for source in usual_sources(spec)))


def parts_of(spec: DatasetSpec) -> list[str]:
    """The data sets that a data set is made of: those of ``made_of``, else, where all items come from others, those that its
    sources name.
    """
    named = [asset.partition("/")[0] for asset in spec.made_of]
    if not named and ways_of(spec) == ["derived"]:
        named = [source.dataset for source in spec.sources if source.kind == "dataset" and source.dataset]
    return list(dict.fromkeys(named))


def may_lack(spec: DatasetSpec) -> set[str]:
    """Those of :func:`parts_of` without which the data set can be made: sources of items that also come from elsewhere."""
    if ways_of(spec) == ["derived"]:
        return set()
    return {source.dataset for source in spec.item_sources if source.kind == "dataset" and source.dataset}


def can_expire(spec: DatasetSpec) -> bool:
    """Whether missing items may be available later, so that a refresh makes sense."""
    return not EXPIRING.isdisjoint(ways_of(spec))


def passwords_of(spec: DatasetSpec) -> list[str]:
    """The variables with the passwords that the archives of the usual sources need."""
    named = [source.archive.password_env for source in usual_sources(spec) if source.archive]
    return list(dict.fromkeys(name for name in named if name))


def by_hand(spec: DatasetSpec) -> list[Source]:
    """The sources of files that a person places where the others fail."""
    return [source for source in spec.sources if source.kind == "manual"]


def by_itself(spec: DatasetSpec) -> list[Literal["annotations", "items"]]:
    """What a run gets from the usual sources without any person: no folder of theirs, and no password."""
    annotations = any(source.kind == "http" for source in spec.annotation_sources)
    free = [
        source
        for source in usual_sources(spec)
        if way_of(source) != "by hand" and not (source.archive and source.archive.password_env)
    ]
    found: dict[Literal["annotations", "items"], bool] = {"annotations": annotations, "items": bool(free)}
    return [what for what, comes in found.items() if comes]


def about_files(spec: DatasetSpec, archive: Archive | None = None) -> str:
    """Where the files that a person places come from: the page, the licence, and the size, as far as the YAML says it."""
    said = []
    if spec.access.page:
        said.append(f"Their page is {spec.access.page}.")
    if spec.access.licence:
        said.append(f"Licence: {spec.access.licence}.")
    sizes = archive.volume_bytes if archive else None
    if isinstance(sizes, dict):
        said.append(f"Sizes: {', '.join(f'{name} {_gb(size)}' for name, size in sizes.items())}.")
    elif archive and archive.volumes:
        each = f" of {_gb(sizes)}, the last one smaller" if sizes else ""
        said.append(f"There are {archive.volumes} parts{each}.")
    if not sizes and (
        unpacked := next((spec.disk[kind] for kind in ("videos", "rawframes") if kind in spec.disk), None)
    ):
        said.append(f"Unpacked they take about {_gb(unpacked.gb * 1e9)}.")
    return " ".join(said)


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"


def asks_of_a_person(spec: DatasetSpec) -> Iterator[str]:
    """What a person must do before the first run, one sentence each; nothing if a run needs nobody."""
    page = f" at {spec.access.page}" if spec.access.page else ""
    if spec.access.kind in ASKED:
        yield f"Ask for the data set{page}: access is of the kind '{spec.access.kind}'."
    if names := passwords_of(spec):
        yield f"Put the password of the archives into the workers' environment, as {' and '.join(names)}."
    given = spec.annotation_sources
    alone = [] if any(source.kind in ("http", "dataset") for source in given) else [one for one in given if one.howto]
    if ways_of(spec) == ["by hand"]:
        alone = [*usual_sources(spec), *alone]
    if places := list(dict.fromkeys(source.howto or f"{source.path}" for source in alone)):
        yield f"Place the files by hand: {'; '.join(places)}."
