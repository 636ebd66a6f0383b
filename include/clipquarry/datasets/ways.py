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

from clipquarry.datasets.model import DatasetSpec, Source

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
    """Whether a source is off until somebody sets the environment variable in its address: a folder or mirror of
    one's own.
    """
    return any("${" in address for address in (*source.all_urls, *source.volume_lists.values(), source.path or ""))


def usual_sources(spec: DatasetSpec) -> list[Source]:
    """The item sources of a run without any setting. If each needs one: all but folders; else all."""
    for left_out in (_is_offer, lambda source: source.kind == "local"):
        if found := [source for source in spec.item_sources if not left_out(source)]:
            return found
    return spec.item_sources


def ways_of(spec: DatasetSpec) -> list[Way]:
    """The ways of a data set's usual sources, each once, in the order of the sources."""
    return list(dict.fromkeys(way_of(source) for source in usual_sources(spec)))


def can_expire(spec: DatasetSpec) -> bool:
    """Whether missing items may be available later, so that a refresh makes sense."""
    return not EXPIRING.isdisjoint(ways_of(spec))


def asks_of_a_person(spec: DatasetSpec) -> Iterator[str]:
    """What a person must do before the first run, one sentence each; nothing if a run needs nobody."""
    page = f" at {spec.access.page}" if spec.access.page else ""
    if spec.access.kind in ASKED:
        yield f"Ask for the data set{page}: access is of the kind '{spec.access.kind}'."
    if ways_of(spec) == ["by hand"]:
        places = [source.howto or f"{source.path}" for source in usual_sources(spec)]
        yield f"Place the files by hand: {'; '.join(places)}."
