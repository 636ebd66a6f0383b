"""Numbers of what people labelled, for whoever asks before training: labels of each action, and what came of each crop.

They are written whenever projects were read, also while some crops are not labelled yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clipquarry.annotations.own_ava.actions import Attributes, in_order, offsets
from clipquarry.annotations.own_ava.label_rows import LabelRow
from clipquarry.annotations.own_ava.placed import write_table
from clipquarry.families.boxes.own.labelled import Labelled
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.own.to_label import ToLabel

LABELLED, WAITING, WRONG = "labelled", "waiting", "to correct"
"""What came of a crop: all of it was read, there is no finished project yet, or something in it is wrong."""
BY_ONE, TO_SETTLE = "labelled by one", "to settle"
"""Of two annotators' crops besides: it waits for the second, or for somebody who settles how the two differ."""
CROP_COLUMNS = ("name", "split", "state", "key_frames", "with_labels", "boxes", "without_action")
ACTION_COLUMNS = ("action", "group", "name")
"""Before a column a split, with the number of its labels."""


class CropLabels(NamedTuple):
    """What came of one crop: its key frames to label, those of them with labels, its boxes, and those of them without an action.
    The last three are 0 unless it is labelled.
    """

    name: str
    split: str
    state: str
    key_frames: int
    with_labels: int = 0
    boxes: int = 0
    without_action: int = 0


def crop_labels(
    one: ToLabel, found: Labelled | object, otherwise: str = WAITING, *, growing: bool = False
) -> CropLabels:
    """``found``: what was said of it, or anything else where that is refused or not there: its state is then ``otherwise``, or
    :data:`WRONG` where there is a finished project. ``growing``: somebody still writes its file.
    """
    frames = len(one.frames)
    if isinstance(found, Labelled):
        regions = found.project.regions.values()
        views = {region.view for region in regions if any(region.choices.values())}
        return CropLabels(one.crop, one.split, LABELLED, frames, len(views), len(regions), found.without)
    return CropLabels(one.crop, one.split, WRONG if one.finish.is_file() and not growing else otherwise, frames)


def write_counts(
    place: OwnFiles,
    splits: Sequence[str],
    attributes: Attributes,
    rows: Iterable[tuple[LabelRow, str]],
    crops: Iterable[CropLabels],
) -> None:
    """Write ``own/labels_per_action.csv`` (every action of the list, also those without a label) and ``own/label_crops.csv``."""
    counts = Counter((split, row.action) for row, split in rows)
    before = offsets(attributes)
    actions = [
        (before[key] + place, attributes[key].name, name)
        for key in in_order(attributes)
        for place, name in enumerate(attributes[key].options, 1)
    ]
    write_table(
        place.labels_per_action,
        (*ACTION_COLUMNS, *splits),
        ([*action, *(counts[split, action[0]] for split in splits)] for action in actions),
    )
    write_table(place.label_crops, CROP_COLUMNS, crops)
