"""What a run of a person's own AVA writes into its folder, besides what all families do.

::

    own/crops.csv               the crops as they were read: video,start,length,name,split
    own/key_frames.parquet      the key frames of the crops whose frames are there
    own/label_problems.csv      what of the labels is missing or wrong: where,why
    own/label_crops.csv         what came of each crop to label: name,split,state,key_frames,with_labels,boxes,without_action
    own/labels_per_action.csv   labels of each action: action,group,name and a column a split; of the crops that are labelled so far
    own/set_aside.csv           labels on the page of frames that are no longer asked for: name,frame,x,y,width,height,action
    own/agreement.csv           how far two annotators agree on each action; only where two label each clip
    own/labels.csv              the rows of all labelled boxes: name,second,x1,y1,x2,y2,action,split
    own/via_projects.zip        what people labelled as finished projects of VIA 3, one a crop
    own/people.csv              one row a labelled box: the person's id, and where it comes from
    own/untracked.csv           the labelled crops without tracks, and why: name,why
    own/tracks/                 shards of the crops to track
    own/frames.parquet          one row a crop with frames: how many lie in each of its folders
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FOLDER = "own"
LEFT_BY_KEY_FRAMES = f"{_FOLDER}/frames.parquet"
LEFT_BY_LABELS = f"{_FOLDER}/labels.csv"
"""By which the report knows that the tasks ran."""


@dataclass(frozen=True)
class OwnFiles:
    """``root`` is the run's folder. Nothing is created here."""

    root: Path

    @property
    def crops(self) -> Path:
        return self.root / _FOLDER / "crops.csv"

    @property
    def key_frames(self) -> Path:
        """Columns of :data:`clipquarry.families.boxes.own.key_frames.KEY_FIELDS`."""
        return self.root / _FOLDER / "key_frames.parquet"

    @property
    def labels(self) -> Path:
        return self.root / LEFT_BY_LABELS

    @property
    def people(self) -> Path:
        return self.root / _FOLDER / "people.csv"

    @property
    def via_projects(self) -> Path:
        return self.root / _FOLDER / "via_projects.zip"

    @property
    def untracked(self) -> Path:
        return self.root / _FOLDER / "untracked.csv"

    @property
    def track_items(self) -> Path:
        return self.root / _FOLDER / "tracks"

    @property
    def label_problems(self) -> Path:
        return self.root / _FOLDER / "label_problems.csv"

    @property
    def set_aside(self) -> Path:
        return self.root / _FOLDER / "set_aside.csv"

    @property
    def labels_per_action(self) -> Path:
        """Columns of :data:`clipquarry.families.boxes.own.counts.ACTION_COLUMNS`, and a split each."""
        return self.root / _FOLDER / "labels_per_action.csv"

    @property
    def label_crops(self) -> Path:
        """Columns of :data:`clipquarry.families.boxes.own.counts.CROP_COLUMNS`."""
        return self.root / _FOLDER / "label_crops.csv"

    @property
    def agreement(self) -> Path:
        """Columns of :data:`clipquarry.families.boxes.own.two_people.COLUMNS`."""
        return self.root / _FOLDER / "agreement.csv"

    @property
    def frames(self) -> Path:
        """Columns of :data:`clipquarry.families.boxes.own.key_frames.FOLDER_FIELDS`."""
        return self.root / LEFT_BY_KEY_FRAMES
