"""A labelling project: a folder that several servers may use at once.

::

    project.json               title, actions with their keys, one or two annotators, clips in order
    clips/ID/clip.json         frames, boxes, images: as the project was made, changed by ``renewal.py`` alone
    clips/ID/seats.json        who labels the clip
    clips/ID/SEAT.*            the operations of a seat (``journal.py``): ``shared``, or ``first``, ``second`` and ``agreed``

Who reads a finished project asks :meth:`Project.result` of each clip. Frames that nobody asks for any more are in no result and no
count; :meth:`Project.set_aside` has what was said of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from clipquarry.errors import UserError
from clipquarry.file_lock import FileLock
from clipquarry.files import inside, known_object, read_json, write_json
from clipquarry.labelling.adjudication import check_compared
from clipquarry.labelling.documents import (
    Material,
    Plan,
    check_material,
    checked_plan,
    clip_document,
    material_from,
    plan_document,
    plan_from,
)
from clipquarry.labelling.journal import Journal
from clipquarry.labelling.model import Clip
from clipquarry.labelling.operations import FRAME, LABELS, BadOperation, Operation, check_writes
from clipquarry.labelling.seats import AGREED, FIRST, Seat, seat_for, seat_names, seats_of
from clipquarry.labelling.state import State

MOST_KNOWN = 100
PROJECT, CLIPS, CLIP, SEATS = "project.json", "clips", "clip.json", "seats.json"


class Closed(UserError):
    """A seat on which nothing more may be done, or that is another person's."""


@dataclass(frozen=True)
class Answer:
    """What became of sent operations: name to number, name to a sentence; and what the sender has not seen.

    ``state``: instead of ``news``, where a snapshot has swallowed them.
    """

    kept: dict[str, int]
    refused: dict[str, str]
    news: list[Operation]
    seq: int
    state: State | None = None


@dataclass(frozen=True)
class Progress:
    """Of one seat of a clip: people to label (boxes), those with a label, conflicts, whether it is said to be done; labelled boxes
    by annotator; of two people's result the frames in which their works were compared.
    """

    boxes: int
    labelled: int
    conflicts: int
    doubles: int
    done: bool
    by: dict[str, int]
    compared: frozenset[str] = frozenset()


def create(folder: Path, plan: Plan, clips: Iterable[Material]) -> Project:
    """Make a project, or the same one again: clips that are there already stay, with all that was said of them.

    ``project.json`` is written last: a folder without it is no project. Raises UserError for what cannot be labelled, and for a
    clip that has changed since, because its labels would belong to other boxes.
    """
    plan = checked_plan(plan)
    names = []
    for material in clips:
        check_material(material, plan)
        place = inside(folder, CLIPS, material.clip.id, CLIP)
        told = clip_document(material)
        if not place.exists():
            write_json(place, told)
        elif material_from(read_json(place), str(place)) != material_from(told, str(place)):
            raise UserError(
                f"The clip {material.clip.id} is in {folder} with other frames or boxes: make a project of another name."
            )
        names.append(material.clip.id)
    if len(set(names)) != len(names) or not names:
        raise UserError("A labelling project has no clip, or two of one name.")
    if (folder / PROJECT).exists():
        there, _ = plan_from(read_json(folder / PROJECT), str(folder / PROJECT))
        if (there.attributes, there.annotators) != (plan.attributes, plan.annotators):
            raise UserError(f"The project in {folder} has other actions or annotators: make a project of another name.")
    write_json(folder / PROJECT, plan_document(plan, names))
    return Project(folder)


class Project:
    """An existing project. Threads may share one: what is asked often stays in memory, and is read again when its file changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / PROJECT).is_file():
            raise UserError(f"There is no labelling project in {folder}.")
        self._guard = Lock()
        self._clips: dict[str, Material] = {}
        self._journals: dict[tuple[str, str], Journal] = {}
        self._progress: dict[tuple[str, str], tuple[tuple[int, ...], Progress]] = {}

    @cached_property
    def _plan(self) -> tuple[Plan, list[str]]:
        return plan_from(read_json(self.folder / PROJECT), str(self.folder / PROJECT))

    @property
    def plan(self) -> Plan:
        return self._plan[0]

    @property
    def clips(self) -> list[str]:
        return self._plan[1]

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.clips)

    def material(self, clip: str) -> Material:
        """Raises UserError for a clip that the project has not."""
        with self._guard:
            found = self._clips.pop(clip, None)
            if found is None:
                if clip not in self._names:
                    raise UserError(f"There is no clip {clip[:80]!r} in this project.")
                path = inside(self.folder, CLIPS, clip, CLIP)
                found = material_from(read_json(path), str(path))
            self._clips[clip] = found
            _forget(self._clips)
        return found

    def journal(self, clip: str, seat: str) -> Journal:
        if seat not in (*seat_names(self.plan.annotators), *([AGREED] if self.plan.annotators == 2 else [])):
            raise UserError(f"A clip of this project has no seat {seat[:20]!r}.")
        material = self.material(clip)
        with self._guard:
            found = self._journals.pop((clip, seat), None) or Journal(self.folder / CLIPS / clip, seat, material.clip)
            self._journals[(clip, seat)] = found
            _forget(self._journals)
        return found

    # Seats

    @contextmanager
    def _seats(self, clip: str) -> Iterator[dict[str, Seat]]:
        """The seats of a clip; changes are written at the end of the block."""
        self.material(clip)
        path = self.folder / CLIPS / clip / SEATS
        with FileLock.take(path.with_suffix(".lock")):
            before = self.seats(clip)
            seats = dict(before)
            yield seats
            if seats != before:
                write_json(path, {name: one.plain() for name, one in seats.items()})

    def seats(self, clip: str) -> dict[str, Seat]:
        """Who labels a clip."""
        told = known_object(self.folder / CLIPS / clip / SEATS)
        return seats_of(told, seat_names(self.plan.annotators))

    def take(self, annotator: str, clip: str | None = None, now: datetime | None = None) -> tuple[str, str] | None:
        """Take a clip, or the next that is not done and nobody else has: clip and seat. None: there is none.

        Raises Closed where both seats of the clip are others'.
        """
        now = now or datetime.now(UTC)
        if clip is not None:
            with self._seats(clip) as seats:
                found = seat_for(seats, annotator, now, also_shared=True)
                if found is None or self._is_in_other(clip, found.name, annotator):
                    raise Closed(f"Two other people label the clip {clip}: take another one.")
                if found.is_free(now) or found.holder == annotator:
                    seats[found.name] = found.taken(annotator, now)
                return clip, found.name
        for own in (True, False):  # a clip that was begun comes first
            for name in self.clips:
                found = seat_for(self.seats(name), annotator, now)
                if found is None or (found.holder == annotator) != own or self.progress(name, found.name).done:
                    continue
                if self._is_in_other(name, found.name, annotator):
                    continue
                with self._seats(name) as seats:
                    again = seat_for(seats, annotator, now)
                    if again is None:
                        continue
                    seats[again.name] = again.taken(annotator, now)
                    return name, again.name
        return None

    def give(self, clip: str, seat: str, annotator: str) -> None:
        """Give a seat to a person, or with an empty name to nobody. Work on it stays."""
        with self._seats(clip) as seats:
            if seat not in seats:
                raise UserError(f"The clip {clip} has no seat {seat[:20]!r}.")
            others = any(one.holder == annotator for name, one in seats.items() if name != seat)
            if annotator and (others or self._is_in_other(clip, seat, annotator)):
                raise UserError(
                    f"{annotator} has the other seat of the clip {clip}, or had it: two people must be two."
                )
            seats[seat] = Seat(seat, annotator, None, bool(annotator), False)

    def _is_in_other(self, clip: str, seat: str, annotator: str) -> bool:
        """Whether labels in the other seat are this person's, who had it before it was given away."""
        return any(annotator in self.progress(clip, name).by for name in self.seats(clip) if name != seat)

    def release(self, clip: str, annotator: str) -> None:
        """Give a clip back. A seat with work on it, and of two annotators, stays its holder's."""
        with self._seats(clip) as seats:
            for name, seat in seats.items():
                if seat.holder == annotator and not (seat.worked and self.plan.annotators == 2):
                    seats[name] = Seat(name)

    def _hold(self, clip: str, seat: str, annotator: str, *, worked: bool, now: datetime) -> None:
        """Lengthen a lease, or raise Closed; who works on a shared clip that nobody has takes it."""
        if seat == AGREED:
            return
        known = self.seats(clip)[seat]
        alone = self.plan.annotators == 2
        if alone and known.holder != annotator:
            raise Closed(
                f"This seat of the clip {clip} is {known.holder or 'nobody'}'s: open the clip again to take a seat."
            )
        due = known.until is None or (known.until - now).total_seconds() < 480  # not a write for every key
        if (known.holder == annotator and (due or worked > known.worked)) or (not known.holder and not alone):
            with self._seats(clip) as seats:
                if seats[seat].holder in ("", annotator):
                    taken = seats[seat].taken(annotator, now)
                    seats[seat] = replace(taken, worked=taken.worked or worked)

    # Work

    def submit(
        self, clip: str, seat: str, annotator: str, operations: list[Operation], seen: int, now: datetime | None = None
    ) -> Answer:
        """Keep operations, each once; what does not fit is refused with a sentence, alone. Raises Closed.

        ``seen``: the number of the last operation that the window has.
        """
        now = now or datetime.now(UTC)
        self.check_seat(clip, seat)
        journal, material = self.journal(clip, seat), self.material(clip)
        if operations and seat != AGREED and self.is_compared(clip):
            raise Closed(
                f"The work of both people on the clip {clip} was compared: change what came out of it instead."
            )
        self._hold(clip, seat, annotator, worked=bool(operations), now=now)
        frames = {one.name: one for one in material.clip.frames}
        kept: dict[str, int] = {}
        refused: dict[str, str] = {}
        with journal.opened() as opened:
            state = opened.state
            compared = state.compared if seat == AGREED else self._compared(clip)
            frame_of = {
                name: registers[FRAME][0].value for name, registers in state.regions.items() if FRAME in registers
            }
            new: dict[str, Operation] = {}
            for one in operations:
                if (seq := opened.seq_of(one.op)) is not None:
                    kept[one.op] = seq
                    continue
                try:
                    if one.base > state.seq:
                        raise BadOperation("It has seen what this project never had: open the page anew.")
                    check_writes(one, frames, self.plan.attributes, frame_of)
                    if self.plan.annotators == 2:
                        check_compared(one, frame_of, compared, agreed=seat == AGREED)
                except BadOperation as error:
                    refused[one.op] = str(error)
                    continue
                new.setdefault(one.op, one)
                frame_of |= {write.region: write.value for write in one.writes if write.field == FRAME}
            kept |= {one.op: one.seq for one in opened.append(new.values(), annotator, now)}
            news = opened.since(min(seen, state.seq))
            answer = Answer(kept, refused, news or [], state.seq, None if news is not None else _copy(state))
            opened.compact()
        return answer

    def open(self, clip: str, seat: str) -> State:
        """The state of a seat now; a copy."""
        with self.journal(clip, seat).opened() as opened:
            return _copy(opened.state)

    def progress(self, clip: str, seat: str) -> Progress:
        """Read again only when the journal has changed."""
        journal = self.journal(clip, seat)
        stamp = journal.stamp()
        known = self._progress.get((clip, seat))
        if known is None or known[0] != stamp:
            material = self.material(clip)
            state = self.open(clip, seat) if journal.exists() else State.of(material.clip)
            known = self._progress[(clip, seat)] = (stamp, _progress(state.without(material.aside)))
        return known[1]

    # Two people's work

    def _compared(self, clip: str) -> frozenset[str]:
        if self.plan.annotators == 1 or not self.journal(clip, AGREED).exists():
            return frozenset()
        return self.progress(clip, AGREED).compared

    def is_compared(self, clip: str) -> bool:
        """Whether both people's works are one in all frames of a clip; one that has grown since has frames that wait for both."""
        compared = self._compared(clip)
        return bool(compared) and all(frame.name in compared for frame in self.material(clip).asked().frames)

    def check_seat(self, clip: str, seat: str) -> None:
        """Raise UserError for a seat that the clip has not, and Closed for what came out of two people's work before anything did."""
        self.journal(clip, seat)
        if seat == AGREED and not self._compared(clip):
            raise Closed(f"The work of both people on the clip {clip} is not compared yet.")

    def work(self, clip: str, seat: str) -> Clip:
        """A clip as a seat has it now, with the frames that are asked for."""
        material = self.material(clip)
        return material.asked(self.open(clip, seat).clip(material.clip))

    # What comes out

    def result_seat(self, clip: str) -> str:
        """The seat whose state is a clip's result: of two people's work what was agreed, once it is begun."""
        if self.plan.annotators == 1:
            return seat_names(1)[0]
        return AGREED if self.journal(clip, AGREED).exists() else FIRST

    def result(self, clip: str) -> tuple[Clip, Progress]:
        """A clip with all labels as they are shown, and how far it is. Whoever publishes it looks at ``done`` and ``conflicts``."""
        seat = self.result_seat(clip)
        return self.work(clip, seat), self.progress(clip, seat)

    def set_aside(self, clip: str) -> Clip:
        """The frames that nobody asks for any more, with the boxes that somebody labelled there."""
        material = self.material(clip)
        if not material.aside:
            return replace(material.clip, frames=(), regions=())
        found = material.set_aside(self.open(clip, self.result_seat(clip)).clip(material.clip))
        return replace(found, regions=tuple(one for one in found.regions if one.labels))

    def is_done(self, clip: str) -> bool:
        """Whether a clip's result is final: said to be done, without conflicts, and of two people's work agreed upon."""
        seat = self.result_seat(clip)
        found = self.progress(clip, seat)
        return (
            found.done and not found.conflicts and not found.doubles
            and (self.plan.annotators == 1 or self.is_compared(clip))
        )  # fmt: skip


def _forget(known: dict[Any, Any]) -> None:
    """Of thousands of clips only those that were used last stay in memory."""
    while len(known) > MOST_KNOWN:
        del known[next(iter(known))]


def _copy(state: State) -> State:
    regions = {name: {field: list(values) for field, values in one.items()} for name, one in state.regions.items()}
    return State(regions, state.seq)


def _progress(state: State) -> Progress:
    alive = list(state.alive())
    by: Counter[str] = Counter()
    labelled = 0
    for region in alive:
        if state.labels(region):
            labelled += 1
            fields: Any = (
                values
                for field, values in state.regions[region].items()
                if field.startswith(LABELS) and values[0].value
            )
            by[max((values[0] for values in fields), key=lambda one: one.seq).by] += 1
    return Progress(
        len(alive), labelled, len(state.conflicts()), len(state.doubles()), state.done, dict(by), state.compared
    )
