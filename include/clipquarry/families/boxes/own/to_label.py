"""What of a run is to be labelled: its crops with their key frames, and the actions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clipquarry.annotations.own_ava.actions import Attributes, read_attributes
from clipquarry.annotations.own_ava.crop_labels import MIDDLE, VIA
from clipquarry.annotations.own_ava.key_frames import frame_name, frame_of
from clipquarry.annotations.own_ava.via_project import Size
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.label_exchange.via_files import finish_name
from clipquarry.manifest import read_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.settings import DataRoot

ACTIONS = ("actions.yaml", "action_list.pbtxt")
"""Names of the list of actions in the data set's folder, the first one that is there counts."""


class ToLabel(NamedTuple):
    """A crop with its key frames to label: ``seconds`` from 0, ``frames`` their names, all of one ``size``."""

    crop: str
    split: str
    seconds: tuple[int, ...]
    frames: tuple[str, ...]
    size: Size
    folder: Path

    @property
    def proposal(self) -> Path:
        return self.folder / f"{self.crop}_proposal.json"

    @property
    def finish(self) -> Path:
        """What a person leaves."""
        return self.folder / finish_name(self.crop)


def labelled_as_via(spec: DatasetSpec, data: DataRoot, crop: str) -> Path:
    """The project of VIA that a run writes of a crop's labels, wherever they were given; a person's own file lies elsewhere."""
    return data.dataset(spec.root, "annotations", VIA, finish_name(crop))


def actions_of(ctx: RunContext) -> Attributes:
    """The run's actions, in groups. Raises UserError where there is no list."""
    if chosen := ctx.chosen(CropsParams).actions:
        return read_attributes(Path(chosen))
    root = ctx.data.dataset(ctx.spec.root)
    for name in ACTIONS:
        if (root / name).is_file():
            return read_attributes(root / name)
    raise UserError(f"No list of actions is in {root}: write {' or '.join(ACTIONS)}, or name one with 'actions'.")


def crops_to_label(ctx: RunContext) -> Iterator[ToLabel]:
    """The crops of the run with key frames to label, in the list's order."""
    chosen = ctx.chosen(CropsParams)
    sizes = _sizes(ctx)
    seconds: dict[tuple[str, str, str], list[int]] = {}
    for key in read_rows(OwnFiles(ctx.folder).key_frames):
        if key["labelled"]:
            seconds.setdefault((key["item_id"], key["clip_id"], key["split"]), []).append(key["second"])
    for (item, crop, split), found in seconds.items():
        frames = tuple(frame_name(crop, frame_of(second, chosen.fps)) for second in found)
        folder = ctx.data.dataset(ctx.spec.root, MIDDLE, crop)
        yield ToLabel(crop, split, tuple(found), frames, sizes[item], folder)


def _sizes(ctx: RunContext) -> dict[str, Size]:
    """Size of the frames by item, as the step noted it."""
    found = {}
    for path in ctx.place.manifests("frames"):
        for row in read_rows(path):
            if row["path"]:
                found[row["item_id"]] = Size(row["width"], row["height"])
    return found
