"""A project that is made again while people label: it follows what is to be labelled, and loses nothing that was said.

A clip on which nobody worked becomes what it should be. One on which somebody worked only grows: new frames come with their
boxes, and frames that nobody asks for any more are set aside in it with their labels (``Material.aside``): they are neither shown
nor counted, and are as they were should they be asked for again. Where a clip's pictures are others under the same names,
the clip with all its work goes to ``aside/CLIP-TIME``, and begins anew.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from clipquarry.errors import UserError
from clipquarry.file_lock import FileLock
from clipquarry.files import inside, known_object, read_json, write_json
from clipquarry.labelling.documents import (
    Material,
    Plan,
    Shown,
    check_material,
    checked_plan,
    clip_document,
    material_from,
    plan_document,
    plan_from,
)
from clipquarry.labelling.journal import Journal
from clipquarry.labelling.model import Attribute, Clip
from clipquarry.labelling.operations import CLIP as WHOLE
from clipquarry.labelling.operations import DONE, FRAME, Operation, Write
from clipquarry.labelling.project import CLIP, CLIPS, PROJECT, SEATS, Project
from clipquarry.labelling.seats import AGREED, seat_names, seats_of
from clipquarry.labelling.state import State

ASIDE = "aside"
WHO = "the run"
"""The author of an operation that opens a done clip again, because it has grown."""


@dataclass(frozen=True)
class Renewed:
    """The project as it is now, and a sentence for everything that no longer fits."""

    project: Project
    told: tuple[str, ...]


def renew(folder: Path, plan: Plan, clips: Iterable[Material], *, known: Container[str] = ()) -> Renewed:
    """Make a project, or make the one that is there fit. Clips that it has besides stay in it where they are ``known``; others
    keep their folder and are no longer shown.

    Raises UserError for what cannot be labelled, for actions in which former labels would mean something else, and for another number
    of annotators once anybody has a clip.
    """
    plan, materials = checked_plan(plan), list(clips)
    names = [one.clip.id for one in materials]
    if len(set(names)) != len(names) or not names:
        raise UserError("A labelling project has no clip, or two of one name.")
    for one in materials:
        check_material(one, plan)
    told: list[str] = []
    with FileLock.take(folder / "renewal.lock"):
        before: list[str] = []
        if (folder / PROJECT).exists():
            there, before = plan_from(read_json(folder / PROJECT), str(folder / PROJECT))
            _check_plan(folder, there, plan, before)
            if there.annotators != plan.annotators:
                told.append(
                    f"Each clip now asks for {plan.annotators} annotator(s), and before for {there.annotators}."
                )
        for one in materials:
            told += _renewed(folder, one)
        left = [name for name in before if name not in names]
        gone = [name for name in left if name not in known]
        if gone:
            told.append(f"{_some(gone)} of the labelling project is no longer asked for: the work stays in {folder}.")
        names += [name for name in left if name in known]
        if problem := annotators_problem(folder, plan.annotators):  # somebody came meanwhile
            raise UserError(problem)
        write_json(folder / PROJECT, plan_document(plan, names))
    return Renewed(Project(folder), tuple(told))


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"The clip {shown}" if len(names) == 1 else f"{len(names)} clips ({shown}{', …' if len(names) > 5 else ''})"


def annotators_problem(folder: Path, annotators: int) -> str:
    """Why the project in a folder cannot ask for so many annotators, in a sentence; empty where it can, or where there is no project.

    One person's work is no independent half of two people's, nor the other way round. So nothing is converted: whatever was begun
    goes on as it is, or stays in a folder that a person moved away.
    """
    if not (folder / PROJECT).exists():
        return ""
    there, _ = plan_from(read_json(folder / PROJECT), str(folder / PROJECT))
    if there.annotators == annotators:
        return ""
    clips = sorted(path for path in (folder / CLIPS).glob("*") if any(_worked(path)) or _is_held(path))
    if not clips:
        return ""
    return (
        f"The labelling project in {folder} was made with annotators={there.annotators}, and people have begun: this run has "
        f"annotators={annotators}, and would leave {len(clips)} of its clips ({clips[0].name}{', …' if len(clips) > 1 else ''}) behind. "
        f"Start it with annotators={there.annotators}, or move that folder away and begin anew."
    )


def _check_plan(folder: Path, there: Plan, plan: Plan, clips: Iterable[str]) -> None:
    """Whether what people said means the same with the new plan; anything goes while nobody has said anything."""
    if problem := annotators_problem(folder, plan.annotators):
        raise UserError(problem)
    if only_grown(there.attributes, plan.attributes):
        return
    if worked := [clip for clip in clips if any(_worked(folder / CLIPS / clip))]:
        raise UserError(
            f"{_some(worked)} of the project in {folder} is labelled with actions that were since taken out, renamed or moved: "
            "put them back at their places, and add new ones at the end of their group or as a new group at the end."
        )


def only_grown(before: Sequence[Attribute], now: Sequence[Attribute]) -> bool:
    """Whether each group has its former actions at their places. Keys may change, and one choice may become several."""
    if len(now) < len(before):
        return False
    for old, new in zip(before, now, strict=False):
        texts = [(one.id, one.text) for one in new.options[: len(old.options)]]
        if (old.id, old.name) != (new.id, new.name) or (old.several and not new.several):
            return False
        if texts != [(one.id, one.text) for one in old.options]:
            return False
    return True


def _worked(clip: Path) -> Iterator[str]:
    """The seats of a clip on which somebody did something."""
    for seat in (*seat_names(1), *seat_names(2), AGREED):
        if (clip / f"{seat}.jsonl").exists() or (clip / f"{seat}.snapshot.json").exists():
            yield seat


def _is_held(clip: Path) -> bool:
    """Whether somebody has the clip now, and so perhaps an open page with its boxes."""
    now = datetime.now(UTC)
    return any(
        not one.is_free(now) for n in (1, 2) for one in seats_of(known_object(clip / SEATS), seat_names(n)).values()
    )


def _renewed(folder: Path, new: Material) -> list[str]:
    """Let a clip on the disk fit; sentences about what does not."""
    place = inside(folder, CLIPS, new.clip.id, CLIP)
    if not place.exists():
        write_json(place, clip_document(new))
        return []
    old = material_from(read_json(place), str(place))
    if clip_document(old) == clip_document(new):
        return []
    with ExitStack() as locks:  # nothing is said meanwhile
        for seat in (*seat_names(1), *seat_names(2), AGREED):
            locks.enter_context(FileLock.take(place.parent / f"{seat}.lock"))
        worked = list(_worked(place.parent))
        why = _other_pictures(old, new)
        if not worked and not _is_held(place.parent):
            write_json(place, clip_document(new if why else _with_former(old, new)))
            return []
        if why:
            return [_set_aside(folder, place.parent, new, why)]
    done = tuple(seat for seat in worked if _state(place.parent, seat, old.clip).done)
    grown = _grown(old, new, done)
    told = []
    if new_frames := len(grown.clip.frames) - len(old.clip.frames):
        told.append(f"The clip {new.clip.id} has {new_frames} frames more than when it was labelled: label these too.")
    if back := [one for one in old.aside if one not in grown.aside]:
        told.append(f"{_frames(back, new.clip)} asked for again, with what was said there before.")
    # Whoever was done without a frame has not said that the clip is done with it.
    again = [seat for seat in done if new_frames or any(seat not in old.aside[one] for one in back)]
    _open_again(place.parent, old.clip, again)
    if clip_document(grown) != clip_document(old):
        write_json(place, clip_document(grown))
    if out := list(grown.aside):
        boxes = max((_labelled(_state(place.parent, seat, grown.clip), out) for seat in worked), default=0)
        told.append(
            f"{_frames(out, new.clip)} no longer asked for, from {out[0]} on: what was said there (boxes with labels: {boxes}) is set "
            "aside in the labelling project, and nothing comes of it."
        )
    return told


def _frames(names: Sequence[str], clip: Clip) -> str:
    return f"1 frame of the clip {clip.id} is" if len(names) == 1 else f"{len(names)} frames of the clip {clip.id} are"


def _state(folder: Path, seat: str, clip: Clip) -> State:
    with Journal(folder, seat, clip).opened() as opened:
        return opened.state


def _labelled(state: State, frames: Collection[str]) -> int:
    """Boxes with a label on some frames."""
    return sum(state.value(one, FRAME) in frames and bool(state.labels(one)) for one in state.alive())


def other_film(old: Shown, new: Shown) -> str:
    """What tells that a clip shows something else than before; empty where it is the same, or nobody knows."""
    from clipquarry import fingerprint  # numpy is not for a plugin's start

    if old.source and new.source and old.source != new.source:
        return f"shows {new.source}, and was labelled as {old.source}"
    if old.sha256 in (new.sha256, "") or not new.sha256 or fingerprint.same(old.fingerprint, new.fingerprint):
        return ""
    return "shows another film than the one that was labelled under this name"


def _other_pictures(old: Material, new: Material) -> str:
    """What tells that a clip's frames are others under the same names; empty where they are the same."""
    if why := other_film(old.shown, new.shown):
        return why
    sizes = {one.name: (one.width, one.height) for one in old.clip.frames}
    for one in new.clip.frames:
        if sizes.get(one.name, (one.width, one.height)) != (one.width, one.height):
            before = "x".join(map(str, sizes[one.name]))
            return f"has frames of {one.width}x{one.height} pixels, and was labelled with {before}"
    return ""


def _set_aside(folder: Path, clip: Path, new: Material, why: str) -> str:
    aside = folder / ASIDE / f"{new.clip.id}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    while aside.exists():
        aside = aside.with_name(f"{aside.name}+")
    aside.parent.mkdir(parents=True, exist_ok=True)
    clip.rename(aside)
    write_json(clip / CLIP, clip_document(new))
    return f"The clip {new.clip.id} {why}: it begins anew, and what was said is in {aside}."


def _grown(old: Material, new: Material, done: tuple[str, ...]) -> Material:
    """The old clip with the frames that it lacks, and their boxes; frames that the new one lacks are set aside. ``done``: seats."""
    wanted = {one.name for one in new.clip.frames}
    aside = {one.name: old.aside.get(one.name, done) for one in old.clip.frames if one.name not in wanted}
    known = {one.name for one in old.clip.frames}
    frames = [*old.clip.frames, *(one for one in new.clip.frames if one.name not in known)]
    regions = (*old.clip.regions, *(one for one in new.clip.regions if one.frame not in known))
    strips: Mapping[str, tuple[str, ...]] = {**old.strips, **new.strips}
    clip = Clip(new.clip.id, tuple(sorted(frames, key=lambda one: one.second)), regions)
    return replace(
        new,
        clip=clip,
        strips=strips,
        shown=Shown(*(now or before for now, before in zip(new.shown, old.shown, strict=True))),
        aside=aside,
    )


def _with_former(old: Material, new: Material) -> Material:
    """The new clip, which also knows the frames that it once had: somebody may have labelled them in another program."""
    wanted = {one.name for one in new.clip.frames}
    former = [one for one in old.clip.frames if one.name not in wanted]
    frames = sorted((*new.clip.frames, *former), key=lambda one: one.second)
    return replace(new, clip=replace(new.clip, frames=tuple(frames)), aside={one.name: () for one in former})


def _open_again(folder: Path, clip: Clip, seats: Iterable[str]) -> None:
    """Say of work that is done that it is not. A kill after this only asks once more."""
    for seat in seats:
        with Journal(folder, seat, clip).opened() as opened:
            if opened.state.done:
                name, base = uuid4().hex, opened.state.seq
                opened.append([Operation(name, f"run-{name}", base, "reopen", (Write(WHOLE, DONE, False),))], WHO)
