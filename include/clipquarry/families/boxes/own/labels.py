"""What people labelled, on the page or with VIA 3: waited for, checked, and read as rows of actions.

A finished project of VIA that lies beside a crop's frames counts before the page: only a person puts it there, and it is whole,
while a clip on the page may be begun and left. Whoever wants the page instead moves the file away. Where two people label each crop
(``annotators=2``) a file is refused: nobody knows whether two people made it, and how far they agreed.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Mapping
from typing import Any

from clipquarry.annotations.own_ava.actions import Attributes, action_names
from clipquarry.annotations.own_ava.crop_labels import MIDDLE
from clipquarry.annotations.own_ava.label_rows import LabelRow
from clipquarry.annotations.own_ava.person_ids import NOBODY
from clipquarry.annotations.own_ava.placed import write_table
from clipquarry.annotations.own_ava.refused import Refused
from clipquarry.annotations.own_ava.via_project import project_text
from clipquarry.annotations.own_ava.via_reading import read_project
from clipquarry.errors import UserError
from clipquarry.families.boxes.own.counts import LABELLED, WAITING, WRONG, CropLabels, crop_labels, write_counts
from clipquarry.families.boxes.own.final import write_final
from clipquarry.families.boxes.own.label_page import known_project, page_of
from clipquarry.families.boxes.own.labelled import Labelled
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.own.to_label import ToLabel, actions_of, crops_to_label, labelled_as_via
from clipquarry.families.boxes.own.two_people import counted, left_to_do, state_of, write_agreement
from clipquarry.files import writing
from clipquarry.label_exchange.via import groups_of, via_of
from clipquarry.label_exchange.via_files import finished_problems
from clipquarry.labelling.project import CLIPS, Project
from clipquarry.labelling.renewal import only_grown
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import needs_made, needs_plan
from clipquarry.waiting import look, still_written, wait_for

log = logging.getLogger(__name__)

TASK = "labels"
COLUMNS = ("name", "second", "x1", "y1", "x2", "y2", "action", "split")
SET_ASIDE = ("name", "frame", "x", "y", "width", "height", "action")
"""Boxes in pixels of the frame."""
_SHOWN = 3


def read_labels(ctx: RunContext) -> dict[str, Any]:
    """Wait until every crop is labelled, and write the rows of all. Raises UserError with what is missing where nobody waits any
    longer, and leaves the table of everything that is wrong.
    """
    needs_plan(ctx)
    chosen = ctx.chosen(CropsParams)
    if not chosen.labels:
        raise NothingToDo("Nobody asked for labels.")
    needs_made(OwnFiles(ctx.folder).key_frames, "key_frames")
    attributes = actions_of(ctx)
    crops = list(crops_to_label(ctx))
    folders = [one.folder for one in crops]
    page = known_project(ctx)
    of_two = page if page and chosen.annotators == page.plan.annotators == 2 else None
    journals = [page.folder / CLIPS / one.crop for one in crops] if page else []
    seen = look([*folders, *journals])
    growing = set(still_written(folders)) if chosen.label_days else set()
    done: dict[str, Labelled] = {}
    damaged: list[Refused] = []
    waiting: list[Refused] = []
    told = []
    for one in crops:
        found = read_crop(one, attributes, growing, page, chosen.annotators)
        if isinstance(found, Labelled):
            done[one.crop] = found
        told.append(crop_labels(one, found, state_of(of_two, one), growing=one.finish.name in growing))
        if not isinstance(found, Labelled):
            (damaged if told[-1].state == WRONG else waiting).extend(found)
    place = OwnFiles(ctx.folder)
    refused = [*damaged, *waiting]
    write_table(place.label_problems, ("where", "why"), refused)
    rows = [
        (row, person, one.split)
        for one in crops
        if one.crop in done
        for row, person in done[one.crop].rows(one, chosen.fps)
    ]
    write_counts(place, ctx.splits, attributes, ((row, split) for row, _, split in rows), told)
    _write_set_aside(place, page)
    write_agreement(place, of_two, crops, attributes)
    if refused:
        states = [one.state for one in told]
        sentence = (
            _sentence_of_two(ctx, told, refused)
            if chosen.annotators == 2
            else _sentence(ctx, len(crops), (states.count(WRONG), damaged), (states.count(WAITING), waiting))
        )
        wait_for(
            ctx.place.waiting(TASK),
            sentence,
            folders,
            chosen.label_days,
            seen=seen,
            quietly=journals,
            page=page_of(ctx.spec.name),
        )
        raise UserError(f"{sentence} All that is missing is in {place.label_problems}.")
    return _publish(ctx, rows, done, attributes)


def _publish(
    ctx: RunContext, rows: list[tuple[LabelRow, int, str]], done: Mapping[str, Labelled], attributes: Attributes
) -> dict[str, Any]:
    """Write what was labelled in all forms. ``rows``: with the person's number on the page, or -1, and the split."""
    place = OwnFiles(ctx.folder)
    of_split = {split: [row for row, _, other in rows if other == split] for split in ctx.splits}
    people_of = {split: [person for _, person, other in rows if other == split] for split in ctx.splits}
    ids = write_final(ctx, of_split, people_of, attributes)
    _write_projects(ctx, done)
    write_table(place.labels, COLUMNS, ([*row.fields(), split] for row, _, split in rows))
    empty = sum(one.without for one in done.values())
    log.info(f"{len(rows)} rows of {len(done)} crops, {len(action_names(attributes))} actions; {empty} boxes have none")
    log.info(", ".join(f"{count} people whose id is {source}" for source, count in ids.items()) or "no person")
    return {"rows": len(rows), "crops": len(done), "boxes_without_action": empty, "ids": ids}


def read_crop(
    one: ToLabel, attributes: Attributes, growing: set[str], page: Project | None, annotators: int = 1
) -> Labelled | list[Refused]:
    """The labels of a crop, or why there are none."""
    name = one.finish.name
    if annotators == 2:
        if one.finish.is_file():
            why = "It is no two people's work, and annotators=2 takes what two label on the page: move it away."
            return [Refused(name, why)]
        return _on_page(one, attributes, page, 2)
    if name in growing:
        return [Refused(name, "Somebody still writes it.")]
    if not one.finish.is_file():
        return _on_page(one, attributes, page, 1)
    on_page = page if page and one.crop in page.clips else None
    aside = on_page.material(one.crop).aside if on_page else ()
    try:
        found = read_project(one.finish, frames=one.frames, sizes=dict.fromkeys(one.frames, one.size), aside=aside)
    except UserError as error:
        return [Refused(name, str(error))]
    if problems := finished_problems(found, attributes):
        return [problem._replace(where=problem.where or name) for problem in problems]
    if found.aside:
        log.warning(
            f"{found.aside} boxes of {name} lie on frames that are no longer asked for: they stay in it, and nothing comes of them."
        )
    if on_page and on_page.result(one.crop)[1].labelled:
        log.warning(
            f"The crop {one.crop} is labelled on the page too, and {name} counts: move the file away, and the page counts."
        )
    return Labelled(found.project, {})


def _on_page(one: ToLabel, attributes: Attributes, page: Project | None, annotators: int) -> Labelled | list[Refused]:
    """What was labelled on the page, or how far it is."""
    name, where = one.crop, f"crop {one.crop}"
    by_file = f", or save {one.proposal.name}, labelled, beside it as {one.finish.name}" if annotators == 1 else ""
    if page is None or name not in page.clips:
        return [Refused(where, f"It is not on the labelling page: let the task 'projects' run again{by_file}.")]
    if page.plan.annotators != annotators:
        why = f"The page was made anew with annotators={page.plan.annotators}, and this run has {annotators}"
        return [Refused(where, f"{why}: let the task 'projects' run again{by_file}.")]
    if not only_grown(page.plan.attributes, groups_of(attributes)):
        return [
            Refused(
                where,
                f"The actions have changed since the page was made: let the task 'projects' run again{by_file}.",
            )
        ]
    clip, progress = page.result(name)
    if lacking := set(one.frames) - {frame.name for frame in clip.frames}:
        return [
            Refused(where, f"The page lacks {len(lacking)} of its frames: let the task 'projects' run again{by_file}.")
        ]
    if annotators == 2 and not page.is_done(name):
        return [Refused(where, left_to_do(page, name))]
    if open_ends := progress.conflicts + progress.doubles:
        return [Refused(where, f"On the page {open_ends} conflicts are left (X): choose what holds{by_file}.")]
    if not page.is_done(name):
        far = f"{progress.labelled} of {progress.boxes} boxes have an action on the page"
        return [Refused(where, f"{far}, and nobody says that it is done (F): go on there{by_file}.")]
    told = via_of(clip, one.frames, attributes)
    found = Labelled(told.project, {key: person for key, person in told.people.items() if person != NOBODY})
    if told.project.regions and found.without == len(told.project.regions):
        return [Refused(where, f"It is done on the page, and no box in it has an action: label it{by_file}.")]
    return found


def _write_set_aside(place: OwnFiles, page: Project | None) -> None:
    """What was said on the page of frames that are no longer asked for; no file where there is none."""
    place.set_aside.unlink(missing_ok=True)
    if page is None:
        return
    rows = [
        (clip, one.frame, *one.box, option.text)
        for clip in page.clips
        for one in page.set_aside(clip).regions
        for group in page.plan.attributes
        for option in group.options
        if option.id in one.labels.get(group.id, ())
    ]
    if rows:
        write_table(place.set_aside, SET_ASIDE, rows)
        log.warning(f"{len(rows)} labels of frames that are no longer asked for are set aside: {place.set_aside}")


def _write_projects(ctx: RunContext, done: Mapping[str, Labelled]) -> None:
    """What was labelled as projects of VIA, in a folder of their own: a person's files are never written."""
    with writing(OwnFiles(ctx.folder).via_projects, "wb") as handle, zipfile.ZipFile(handle, "w") as archive:
        for crop, one in done.items():
            text = project_text(one.project)
            with writing(labelled_as_via(ctx.spec, ctx.data, crop)) as file:
                file.write(text)
            archive.writestr(
                zipfile.ZipInfo(f"{crop}_finish.json"), text, zipfile.ZIP_DEFLATED
            )  # the same bytes always


def _sentence(
    ctx: RunContext, crops: int, damaged: tuple[int, list[Refused]], waiting: tuple[int, list[Refused]]
) -> str:
    """What is missing: of crops whose finished file is not right, and of others; each with its number of crops."""
    told = []
    if damaged[0]:
        told.append(
            f"{damaged[0]} of {crops} crops have a finished file that is damaged or not whole: correct it, or move it away and label "
            f"the crop on the page. {_first(damaged[1])}"
        )
    if waiting[0]:
        where = ctx.data.dataset(ctx.spec.root, MIDDLE)
        told.append(
            f"{waiting[0]} of {crops} crops are not labelled: label them on the page {page_of(ctx.spec.name)} of Airflow, or with "
            f"VIA 3 in their folders in {where}. {_first(waiting[1])}"
        )
    return " ".join(told)


def _sentence_of_two(ctx: RunContext, told: list[CropLabels], refused: list[Refused]) -> str:
    missing = sum(one.state != LABELLED for one in told)
    return (
        f"{missing} of {len(told)} crops are not labelled by two people ({counted(told)}): label them on the page "
        f"{page_of(ctx.spec.name)} of Airflow. {_first(refused)}"
    )


def _first(refused: list[Refused]) -> str:
    more = f" And {len(refused) - _SHOWN} more." if len(refused) > _SHOWN else ""
    return " ".join(f"{one.where}: {one.why}" for one in refused[:_SHOWN]) + more
