"""The estimate of a plan in a few sentences: for the log of the task, the terminal and the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clipquarry.report.text import number, plural, size, span

FOR_OTHERS = "for_others"
"""Kind of the clips that are cut for other data sets."""
_FILES = {
    FOR_OTHERS: "clips for other data sets",
    "sources": "source videos",
    "archives": "archives", "resized": "resized copies", "excerpts": "excerpts", "rawframes": "frames",
    "flow": "optical flow", "rawframes_flow": "frames and optical flow", "audio": "sound", "audio_features": "features of sound",
}  # fmt: skip
_SOURCES = {"archive": "archives", "youtube": "YouTube", "http": "files"}


def sentences(told: Mapping[str, Any]) -> list[str]:
    """Where the items are, what is fetched, how long YouTube takes, how much disk it needs; the last one where that does
    not fit.
    """
    crawl = [*_hours(told["youtube"]), *_days(told["youtube"]), *_shared(told)]
    return [*_where(told), *_fetched(told), *crawl, *_disk(told), *will_not_fit(told)]


def will_not_fit(told: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each disk that is too small."""
    for disk in told["disks"]:
        if disk["need"] > disk["free"]:
            least = "" if told["complete"] else "at least "
            largest = max(told["disk"], key=lambda one: one["bytes"] or 0)
            yield (
                f"That will not fit: {disk['path']} lacks {least}{size(disk['need'] - disk['free'])}. Choose fewer splits or "
                f"classes, make less (the largest part is {_files(largest, told['noun'])}), or take a larger disk."
            )


def _where(told: Mapping[str, Any]) -> Iterator[str]:
    noun = told["noun"]
    by_place: dict[str, list[Mapping[str, Any]]] = {}
    for one in told["items"]:
        by_place.setdefault(one["place"], []).append(one)

    def counted(place: str) -> int:
        return sum(one["items"] for one in by_place.get(place, []))

    kinds = {one["source"]: _SOURCES.get(one["kind"], one["kind"]) for one in told["fetch"]}
    said = [f"{number(counted('here'))} here"]
    if counted("folders"):
        of = [f"{number(one['items'])} of {one['name']}" for one in by_place["folders"] if one["name"]]
        said.append(f"{number(counted('folders'))} in local folders" + (f" ({', '.join(of)})" if of else ""))
    said += [
        f"{number(one['items'])} to come from {one['name']} ({kinds.get(one['name'], 'source')}) first"
        for one in by_place.get("source", [])
    ]
    if counted("held"):
        held = sorted(by_place["held"], key=lambda one: -one["items"])
        why = _listed(f"{number(one['items'])} {one['name'] or 'unknown'}" for one in held)
        said.append(f"{number(counted('held'))} not due ({why})")
    if counted("nowhere"):
        said.append(f"{number(counted('nowhere'))} nowhere")
    if counted("later"):
        said.append(f"{number(counted('later'))} that only a full run asks for")
    yield f"Of {plural(told['selected'], noun)}: {', '.join(said)}."


def _listed(parts: Iterable[str], most: int = 5) -> str:
    found = list(parts)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more reasons" if len(found) > most else "")


def _fetched(told: Mapping[str, Any]) -> Iterator[str]:
    if said := [f"{one['source']} {_bytes(one)}" for one in told["fetch"]]:
        yield f"To download: {', '.join(said)}."


def _hours(youtube: Mapping[str, Any] | None) -> Iterator[str]:
    if youtube is None:
        return
    yield (
        f"YouTube: {plural(youtube['requests'], 'request')} at {number(youtube['per_hour'])} an hour, {span(youtube['hours'] * 3600)}; "
        + (
            f"the downloads themselves {span(youtube['download_hours'] * 3600)}, one after the other at the speed of earlier ones."
            if youtube["download_hours"] is not None
            else "how long the downloads themselves take is unknown."
        )
    )


def _days(youtube: Mapping[str, Any] | None) -> Iterator[str]:
    """The forecast of the crawl, and its basis."""
    if youtube is None or not youtube["requests"]:
        return
    one = youtube["forecast"]
    days, fewer = (span(one[name] * 86_400) for name in ("days", "days_with_all"))
    pace = one["pace"]
    basis = f"from {number(pace['questions'])} on {plural(pace['days'], 'busy day')}" if pace else "the budget, all day"
    clips = "how many clips come is unknown before the first questions"
    if one["clips"] is not None:
        share = one["brought_before"] / one["asked_before"]
        clips = (
            f"about {number(one['clips'])} clips ({share:.0%} of {number(one['asked_before'])} questions brought bytes)"
        )
    yield (
        f"The crawl: {days} with one egress, {fewer} with {number(one['egresses'])}, at {number(one['per_day'])} questions a day "
        f"for each ({basis}); {clips}."
    )


def _shared(told: Mapping[str, Any], most: int = 5) -> Iterator[str]:
    if found := told["shared"]:
        said = [
            f"{one['dataset']} {plural(one['videos'], 'video')}"
            + (f" (and {plural(one['there'], told['noun'])} that this one lacks)" if one["there"] else "")
            for one in found[:most]
        ]
        more = f" and {len(found) - most} more data sets" if len(found) > most else ""
        yield f"Shared with other data sets here: {', '.join(said)}{more}."
    if cut := told.get(FOR_OTHERS):  # a plan of an earlier version has none
        said = [f"{number(count)} of {name}" for name, count in list(cut.items())[:most]]
        more = f" and {len(cut) - most} more data sets" if len(cut) > most else ""
        yield f"Windows that are cut for other data sets from the same videos, at most: {', '.join(said)}{more}."


def _disk(told: Mapping[str, Any]) -> Iterator[str]:
    free = " and ".join(f"{size(one['free'])} are free in {one['path']}" for one in told["disks"])
    if not told["disk"]:
        yield f"Disk: nothing is added; {free}."
        return
    known = [f"{_files(one, told['noun'])} {_bytes(one)}" for one in told["disk"] if one["bytes"] is not None]
    unknown = ", ".join(_files(one, told["noun"]) for one in told["disk"] if one["bytes"] is None)
    if not known:
        yield f"Disk: unknown for {unknown}; {free}."
        return
    least = "at least " if unknown else ""
    more = f"; unknown for {unknown}" if unknown else ""
    yield f"Disk: {least}{size(told['need'])}: {', '.join(known)}{more}; {free}."


def _files(one: Mapping[str, Any], noun: str) -> str:
    return _FILES.get(one["kind"], f"{noun}s")


def _bytes(one: Mapping[str, Any]) -> str:
    if one["bytes"] is None:
        return "unknown"
    return f"{size(one['bytes'])} ({one['basis']})" if one["bytes"] else f"nothing ({one['basis']})"
