"""The files that readers take, made of the labels of a run: csv, timestamps and actions in AVA's form, and a config for mmaction2.

Ids of people are their numbers on the labelling page. In crops that were labelled elsewhere they are those of the tracks; who was not
tracked has one from the overlap of boxes of neighbouring key seconds, or a new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from clipquarry.annotations.own_ava.actions import Attributes, action_names
from clipquarry.annotations.own_ava.final_files import (
    ACTIONS,
    INCLUDED,
    copy_split,
    seen_fields,
    seen_name,
    split_names,
    write_common,
    write_seen,
    write_split,
)
from clipquarry.annotations.own_ava.label_rows import LabelRow
from clipquarry.annotations.own_ava.person_ids import (
    NOBODY,
    Identified,
    Person,
    PersonRow,
    Track,
    complete,
    identify,
    reference_join,
)
from clipquarry.annotations.own_ava.placed import write_table
from clipquarry.annotations.proposals import read_proposals
from clipquarry.datasets.splits import TRAIN
from clipquarry.families.boxes import stages as common
from clipquarry.families.boxes.own.crops import VAL
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.people import proposal_file
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.own.tracks import seen_at, untracked
from clipquarry.files import writing
from clipquarry.layout import placing, remove_ours
from clipquarry.manifest import read_table
from clipquarry.microseconds import SECOND
from clipquarry.pipeline.context import RunContext

PEOPLE = ("name", "second", "x1", "y1", "x2", "y2", "person", "source", "overlap", "from_second")
CONFIG = "mmaction2_config.py"
_CONFIG = """\
# {title} for mmaction2 1.x: another config of its folder detection/ may stand in place of _base_.
# Paths are below the folder where training starts; link data there to the data root, or change data_root.
_base_ = 'mmaction::detection/slowonly/slowonly_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb.py'

data_root = {root!r}
anno_root = data_root + '/annotations'
num_classes = {classes}  # the actions and 0, which mmaction2 reserves
model = dict(roi_head=dict(bbox_head=dict(num_classes=num_classes, topk={topk})))
# Seconds count from a crop's beginning. mmaction2's own default is 900, with which every sample is frame 1.
times = dict(fps={fps}, timestamp_start=0, timestamp_end={end}, num_classes=num_classes, person_det_score_thr={score})
files = dict(data_prefix=dict(img=data_root + '/rawframes'), label_file=anno_root + '/action_list.pbtxt')
train_dataloader = dict(dataset=dict(
    ann_file=anno_root + '/train.csv', exclude_file=anno_root + '/train_excluded_timestamps.csv',
    proposal_file={train}, **files, **times))
"""
_WITH_VAL = """\
val_dataloader = dict(dataset=dict(
    ann_file=anno_root + '/val.csv', exclude_file=anno_root + '/val_excluded_timestamps.csv',
    proposal_file={val}, **files, **times))
val_evaluator = dict(
    ann_file=anno_root + '/val.csv', exclude_file=anno_root + '/val_excluded_timestamps.csv',
    label_file=anno_root + '/action_list.pbtxt', num_classes=num_classes)
test_dataloader, test_evaluator = val_dataloader, val_evaluator
"""
_WITHOUT_VAL = """\
val_cfg = val_dataloader = val_evaluator = None  # no crop is of val
test_cfg = test_dataloader = test_evaluator = None
"""


def write_final(
    ctx: RunContext,
    rows: Mapping[str, Sequence[LabelRow]],
    people_of: Mapping[str, Sequence[int]],
    attributes: Attributes,
) -> dict[str, int]:
    """Write the final files of all chosen splits; numbers of people by where their id comes from. ``people_of``: of each row the
    number that a person gave on the labelling page, or -1.
    """
    folder = ctx.data.dataset(ctx.spec.root, "annotations")
    told: dict[str, int] = {}
    people: list[Person] = []
    chosen = ctx.chosen(CropsParams)
    copied = chosen.val_is_train
    for split in (one for one in ctx.splits if one == TRAIN or not copied):
        found, seen = _identified(ctx, rows.get(split, ()), people_of.get(split, ()))
        file = proposal_file(ctx, split)
        proposals = read_proposals(file)[0] if chosen.detects and file.is_file() else {}
        write_split(folder, split, found.rows, proposals, crlf=chosen.form == "reference")
        _write_seen(ctx, folder / seen_name(split), seen)
        if copied:
            _write_seen(ctx, folder / seen_name(VAL), seen)
        people += found.people
        for one in found.people:
            told[one.source] = told.get(one.source, 0) + 1
    if copied:
        # Noted as ours, so that a later run with a val of its own replaces it.
        with placing(ctx.data, proposal_file(ctx, VAL)) as new:
            new.path.write_bytes(proposal_file(ctx, TRAIN).read_bytes())
        common.log_moved(VAL, {"moved": new.told})
        copy_split(folder, TRAIN, VAL)
    labelled = dict.fromkeys(row.video for one in rows.values() for row in one)
    _write_untracked(OwnFiles(ctx.folder).untracked, list(untracked(ctx, labelled)))
    write_common(folder, attributes, (row.second for one in rows.values() for row in one))
    _write_people(OwnFiles(ctx.folder).people, people)
    _write_config(ctx, folder / CONFIG, attributes, has_val=copied or bool(rows.get(VAL)))
    return told


def final_files(ctx: RunContext) -> Iterator[Path]:
    """The files of the chosen splits, in the data set's folder."""
    folder = ctx.data.dataset(ctx.spec.root, "annotations")
    yield from (folder / name for name in (ACTIONS, INCLUDED, CONFIG))
    for split in ctx.splits:
        yield from (folder / name for name in split_names(split).values())
        if ctx.chosen(CropsParams).tracks:
            yield folder / seen_name(split)


def _identified(ctx: RunContext, rows: Sequence[LabelRow], given: Sequence[int]) -> tuple[Identified, list[Track]]:
    """The rows of a split with ids, and who was tracked at the labelled seconds. ``given``: numbers on the page, or -1."""
    wanted: dict[str, set[int]] = {}
    for row in rows:
        wanted.setdefault(row.video, set()).add(row.second)
    seen = list(seen_at(ctx, wanted))
    paged = {row.video for row, person in zip(rows, given, strict=True) if person != NOBODY}
    on_page = [place for place, row in enumerate(rows) if row.video in paged]
    elsewhere = [place for place, row in enumerate(rows) if row.video not in paged]
    of_page = complete(
        [rows[place] for place in on_page], [given[place] for place in on_page], source="page", tracks=seen
    )
    others = _joined(ctx, [rows[place] for place in elsewhere], [one for one in seen if one.video not in paged])
    found: dict[int, PersonRow] = dict(zip([*on_page, *elsewhere], [*of_page.rows, *others.rows], strict=True))
    order = {video: place for place, video in enumerate(wanted)}
    people = sorted([*of_page.people, *others.people], key=lambda one: order[one.video])
    return Identified([found[place] for place in range(len(rows))], people), seen


def _joined(ctx: RunContext, rows: Sequence[LabelRow], seen: Sequence[Track]) -> Identified:
    if ctx.chosen(CropsParams).track_join == "overlap":
        return identify(rows, seen)
    joined = reference_join([row.fields() for row in rows], [seen_fields(one) for one in seen])
    return complete(rows, [int(line[-1]) for line in joined], tracks=seen)


def _write_untracked(path: Path, left: Sequence[tuple[str, str]]) -> None:
    """The labelled crops without tracks; no file where there are none."""
    path.unlink(missing_ok=True)
    if left:
        write_table(path, ("name", "why"), left)


def _write_seen(ctx: RunContext, path: Path, seen: Sequence[Track]) -> None:
    """A file of this name that a person placed, as the reference's tool writes it, is set aside; one of a run that tracked goes with a
    run that does not.
    """
    if not ctx.chosen(CropsParams).tracks:
        remove_ours(ctx.data, path)
        return
    with placing(ctx.data, path) as new:
        write_seen(new.path, seen)
    common.log_moved(path.name, {"moved": new.told})


def _write_people(path: Path, people: Sequence[Person]) -> None:
    """One row a box of a key second: its id, and where that comes from."""
    rows = ((one.video, one.second, *one.box, one.person, one.source, one.overlap, one.from_second) for one in people)
    write_table(path, PEOPLE, rows)


def _write_config(ctx: RunContext, path: Path, attributes: Attributes, *, has_val: bool) -> None:
    chosen, actions = ctx.chosen(CropsParams), len(action_names(attributes))

    def proposals(split: str) -> str:
        return f"anno_root + '/dense_proposals_{split}.pkl'" if chosen.detects else "None"

    values = {
        "title": ctx.spec.title.replace("\n", " "), "root": f"data/{ctx.spec.root}", "classes": actions + 1,
        "topk": tuple(count for count in (3, 5) if count <= actions) or (1,), "fps": chosen.fps, "end": _longest(ctx),
        "score": chosen.score, "train": proposals("train"), "val": proposals("val"),
    }  # fmt: skip
    with writing(path) as handle:
        if chosen.val_is_train:
            handle.write("# val is a copy of train, as asked: results on it say nothing of other videos.\n")
        handle.write((_CONFIG + (_WITH_VAL if has_val else _WITHOUT_VAL)).format(**values))


def _longest(ctx: RunContext) -> int:
    """Seconds of the longest crop, with the one behind the labelled ones."""
    starts, ends = (read_table(ctx.catalog, ["start", "end"])[name].to_pylist() for name in ("start", "end"))
    return max(int(-(-(end - start) // SECOND)) for start, end in zip(starts, ends, strict=True) if end)
