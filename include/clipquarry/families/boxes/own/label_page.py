"""The labelling project of a data set: every crop with its key frames, proposed people and actions, on the page.

A data set has one project, ``labels``, and no run has one of its own: so what a person said outlives every run, and a retry,
another run and a refresh go on with it. :mod:`clipquarry.labelling.renewal` says what happens where crops have changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from clipquarry.annotations.own_ava.actions import Attributes
from clipquarry.annotations.own_ava.key_frames import frame_name, frame_of
from clipquarry.annotations.own_ava.via_project import Project as ViaProject
from clipquarry.annotations.own_ava.via_reading import read_project
from clipquarry.errors import UserError
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.proposal_ids import ids_of_proposals
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.own.to_label import ToLabel
from clipquarry.families.boxes.own.tracks import seen_at, tracked_crops
from clipquarry.files import read_json, sha256_of
from clipquarry.label_exchange.via import clip_of, groups_of
from clipquarry.labelling.documents import Material, Plan, Shown, material_from
from clipquarry.labelling.project import CLIP, CLIPS, Project
from clipquarry.labelling.project import PROJECT as PROJECT_FILE
from clipquarry.labelling.renewal import annotators_problem, other_film, renew
from clipquarry.manifest import read_rows, read_table
from clipquarry.microseconds import SECOND
from clipquarry.pipeline.context import RunContext
from clipquarry.store import Store, content_key

PROJECT = "labels"
_FINISHED = "finished"
"""What of the store tells which film a finished project that was moved aside is of."""
STRIP = 30
"""Images of the film around a key frame, about; of faster frames some are left out."""
_WORK = (
    "Say what each person does, in each second. Draw whoever has no box, and delete boxes of nobody. Say of each clip that it is "
    "done (F): "
)
_GUIDES = {
    1: f"{_WORK}the run goes on when all are.",
    2: f"{_WORK}two people label each clip on their own. When both are done, compare what they said and settle the differences; the run "
    "goes on when all clips are settled.",
}
"""By the number of annotators."""


def page_of(dataset: str) -> str:
    """The address of the page, below Airflow's own."""
    return f"/clipquarry-labelling/p/{dataset}/{PROJECT}/"


def project_folder(ctx: RunContext) -> Path:
    return ctx.data.labelling(ctx.spec.name, PROJECT)


def known_project(ctx: RunContext) -> Project | None:
    """The labelling project; None where no run has made one yet."""
    folder = project_folder(ctx)
    return Project(folder) if (folder / PROJECT_FILE).is_file() else None


def check_annotators(ctx: RunContext) -> None:
    """Raise UserError where the labelling project was begun with another number of annotators: early, and not after hours."""
    chosen = ctx.chosen(CropsParams)
    if chosen.labels and (problem := annotators_problem(project_folder(ctx), chosen.annotators)):
        raise UserError(problem)


def renew_page(ctx: RunContext, crops: Sequence[tuple[ToLabel, ViaProject]], attributes: Attributes) -> tuple[str, ...]:
    """Make the labelling project of crops with their proposals, or let the one that is there fit. Sentences about what does not."""
    shown = _shown(ctx)
    told = [sentence for one, _ in crops if (sentence := _move_finished(ctx, one, shown[one.crop]))]
    annotators = ctx.chosen(CropsParams).annotators
    plan = Plan(f"{ctx.spec.title}: labels", groups_of(attributes), annotators, _GUIDES[annotators])
    everything = set(read_table(ctx.catalog, ["clip_id"])["clip_id"].to_pylist())
    return (*told, *renew(project_folder(ctx), plan, list(_materials(ctx, crops, shown)), known=everything).told)


def _move_finished(ctx: RunContext, one: ToLabel, now: Shown) -> str:
    """Move a finished project aside whose crop shows something else under the same name (``now``): its labels are those of other pictures.
    Returns a sentence where there was one.
    """
    place = project_folder(ctx) / CLIPS / one.crop / CLIP
    if not one.finish.is_file() or not place.is_file():
        return ""
    known = material_from(read_json(place), str(place))
    if not (why := other_film(known.shown, now)):
        return ""
    store, key = Store(ctx.data.store), content_key(kind=_FINISHED, version=1, sha256=sha256_of(one.finish))
    if (of := store.noted(_FINISHED, one.crop, key)) and not other_film(Shown.of(of), now):
        return ""  # of this very film, which is back, and a person put it back
    named = _frames_in(one.finish)
    if named <= set(one.frames) and named - {frame.name for frame in known.clip.frames}:
        return ""  # of these very frames, and not of those before: a person put it back
    store.note(_FINISHED, one.crop, key, known.shown._asdict())
    aside = one.finish.with_name(f"{one.finish.stem}.{datetime.now(UTC):%Y%m%dT%H%M%S}.json")
    one.finish.rename(aside)
    return f"The crop {one.crop} {why}: {one.finish.name} was moved to {aside.name}."


def _frames_in(finish: Path) -> set[str]:
    """Names of the frames of a finished project; none of a damaged one."""
    try:
        return {file.name for file in read_project(finish).project.files.values()}
    except UserError:
        return set()


def _materials(
    ctx: RunContext, crops: Sequence[tuple[ToLabel, ViaProject]], shown: Mapping[str, Shown]
) -> Iterator[Material]:
    fps, root = ctx.chosen(CropsParams).fps, ctx.spec.root
    last = {row["clip_id"]: row["rawframes"] for row in read_rows(OwnFiles(ctx.folder).frames)}
    tracked = tracked_crops(ctx)
    for one, project in crops:
        seconds = dict(zip(one.frames, one.seconds, strict=True))
        ids = ids_of_proposals(one.crop, seconds, one.size, project, seen_at(ctx, {one.crop: one.seconds}, tracked))
        strips = {
            name: tuple(
                f"{root}/{ctx.spec.layout['frames']}/{one.crop}/{frame_name(one.crop, number)}"
                for number in film(frame_of(second, fps), fps, last[one.crop])
            )
            for name, second in seconds.items()
        }
        images = one.folder.relative_to(ctx.data.root).as_posix()
        yield Material(clip_of(one.crop, seconds, one.size, project, ids), images, strips, shown[one.crop])


def _shown(ctx: RunContext) -> Mapping[str, Shown]:
    """What each crop shows: another excerpt may later have its name, because crops are numbered, and its raw video may be replaced."""
    fps = ctx.chosen(CropsParams).fps
    cut = {
        row["clip_id"]: (row["sha256"] or "", row["fingerprint"] or "")
        for path in ctx.place.manifests("fetch")
        for row in read_rows(path, ("clip_id", "sha256", "fingerprint"))
    }
    table = read_table(ctx.catalog, ["clip_id", "video_id", "start"])
    return {
        row["clip_id"]: Shown(
            f"{row['video_id']} from {row['start'] / SECOND:g} s at {fps} frames a second",
            *cut.get(row["clip_id"], ("", "")),
        )
        for row in table.to_pylist()
        if row["start"] is not None
    }


def film(key: int, fps: int, last: int) -> list[int]:
    """Numbers of the frames (from 1) of the second around a key frame, as far as there are any."""
    step = max(1, -(-fps // STRIP))
    begin = key - fps // 2 // step * step
    return [number for number in range(begin, key + fps // 2 + 1, step) if 1 <= number <= last]
