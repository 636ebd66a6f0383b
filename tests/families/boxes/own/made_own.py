"""A run of a person's own AVA without a run: crops, key frames, finished projects, and what the product writes of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clipquarry.annotations.own_ava.actions import Attributes, attributes_of
from clipquarry.annotations.own_ava.crop_labels import MIDDLE
from clipquarry.annotations.own_ava.final_files import write_common, write_split
from clipquarry.annotations.own_ava.key_frames import frame_name, frame_of
from clipquarry.annotations.own_ava.label_rows import LabelRow
from clipquarry.annotations.own_ava.person_ids import NOBODY, complete
from clipquarry.annotations.own_ava.placed import write_table
from clipquarry.annotations.own_ava.refused import Refused
from clipquarry.annotations.own_ava.via_project import Size, project_of, project_text
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.own.counts import CropLabels, crop_labels, write_counts
from clipquarry.families.boxes.own.final import _write_people
from clipquarry.families.boxes.own.key_frames import KEY_FIELDS
from clipquarry.families.boxes.own.labelled import Labelled
from clipquarry.families.boxes.own.labels import COLUMNS, read_crop
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.own.to_label import ToLabel, labelled_as_via
from clipquarry.manifest import schema_of, write_rows
from clipquarry.settings import DataRoot
from families.made_run import FINE, MadeRun, item_row

SIZE = Size(64, 48)
FPS = 10
SECONDS = (1, 2)
"""To label, of crops of three seconds and one more."""
LEFT, RIGHT = (0.1, 0.1, 0.4, 0.9), (0.5, 0.1, 0.9, 0.9)
GROUPS: dict[str, list[str]] = {"posture": ["stand", "walk"], "eyes": ["watch", "sleep"]}
Chosen = Mapping[int, Sequence[tuple[tuple[float, float, float, float], Mapping[str, str]]]]
"""By second: boxes with their choices."""
RUN = "one"


@dataclass
class MadeOwn:
    """Writes into a data root. ``crops``: name to split."""

    root: Path
    crops: Mapping[str, str] = field(default_factory=lambda: {"a": "train", "b": "val"})
    groups: Mapping[str, list[str]] = field(default_factory=lambda: GROUPS)

    @property
    def spec(self) -> DatasetSpec:
        return find_spec("custom_ava")

    @property
    def data(self) -> DataRoot:
        return DataRoot(self.root)

    @property
    def folder(self) -> Path:
        return self.data.run(self.spec.name, RUN)

    @property
    def place(self) -> OwnFiles:
        return OwnFiles(self.folder)

    @property
    def attributes(self) -> Attributes:
        return attributes_of(dict(self.groups))

    def crop(self, name: str) -> ToLabel:
        names = tuple(frame_name(name, frame_of(second, FPS)) for second in SECONDS)
        folder = self.data.dataset(self.spec.root, MIDDLE, name)
        return ToLabel(name, self.crops[name], SECONDS, names, SIZE, folder)

    def key_frames(self) -> None:
        """The catalog, the crops, and their key frames."""
        made = MadeRun(self.folder)
        items = {name: item_row(split, f"v_{name}", 0, 4, clip=name) for name, split in self.crops.items()}
        made.catalog([{**row, **FINE} for row in items.values()])
        frames = {"path": "x", "frames": 40, "width": SIZE.width, "height": SIZE.height, "fps": float(FPS), "key": "k"}
        made.step("frames", [{**row, **FINE, **frames} for row in items.values()])
        keys = [
            {"item_id": f"{split}/{name}", "video_id": f"v_{name}", "clip_id": name, "split": split, "second": second,
             "frame": frame_of(second, FPS), "labelled": second in SECONDS}
            for name, split in self.crops.items() for second in range(4)
        ]  # fmt: skip
        write_rows(self.place.key_frames, schema_of(KEY_FIELDS, "key_frames"), keys)
        write_table(
            self.place.crops,
            ("video", "start", "length", "name", "split"),
            ([f"v_{name}", "0", "3", name, split] for name, split in self.crops.items()),
        )
        made.facts(dataset=self.spec.name, run=RUN, kind="full", params={"fps": FPS, "margin": 1, "labels": True})

    def label(self, name: str, chosen: Chosen) -> None:
        """A finished project, as a person leaves it."""
        one = self.crop(name)
        boxes = {
            frame: [box for box, _ in chosen.get(second, ())] for second, frame in zip(SECONDS, one.frames, strict=True)
        }
        project = project_of(one.frames, SIZE, boxes, self.attributes)
        choices = [choice for second in SECONDS for _, choice in chosen.get(second, ())]
        for (key, region), choice in zip(list(project.regions.items()), choices, strict=True):
            project.regions[key] = region._replace(choices={**region.choices, **choice})
        one.folder.mkdir(parents=True, exist_ok=True)
        one.finish.write_text(project_text(project))

    def read(self) -> None:
        """What the task ``labels`` writes, by its own functions."""
        rows: list[tuple[LabelRow, str]] = []
        told: list[CropLabels] = []
        done: dict[str, Labelled] = {}
        refused: list[Refused] = []
        for one in map(self.crop, self.crops):
            found = read_crop(one, self.attributes, set(), None)
            told.append(crop_labels(one, found))
            if isinstance(found, Labelled):
                rows += [(row, one.split) for row, _ in found.rows(one, FPS)]
                done[one.crop] = found
            else:
                refused += found
        splits = tuple(sorted(set(self.crops.values())))
        write_table(self.place.label_problems, ("where", "why"), refused)
        write_counts(self.place, splits, self.attributes, rows, told)
        if refused:
            return
        annotations = self.data.dataset(self.spec.root, "annotations")
        for crop, found in done.items():
            copy = labelled_as_via(self.spec, self.data, crop)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(project_text(found.project))
        people = []
        for split in splits:
            of_split = [row for row, other in rows if other == split]
            identified = complete(of_split, [NOBODY] * len(of_split))
            write_split(annotations, split, identified.rows, {})
            people += identified.people
        write_common(annotations, self.attributes, (row.second for row, _ in rows))
        _write_people(self.place.people, people)
        write_table(self.place.labels, COLUMNS, ([*row.fields(), split] for row, split in rows))

    def table(self, path: Path) -> list[dict[str, str]]:
        with path.open(newline="") as handle:
            return list(csv.DictReader(handle))


STANDS, WALKS, WATCHES, NOTHING = {"1": "0"}, {"1": "1"}, {"1": "0", "2": "0"}, dict[str, str]()


def labelled(root: Path) -> MadeOwn:
    """Two crops: in train 3 stand, 1 walks, 1 watches; in val 1 walks and 1 sleeps, on one key frame; nobody on the other."""
    made = MadeOwn(root)
    made.key_frames()
    made.label("a", {1: [(LEFT, WATCHES), (RIGHT, STANDS)], 2: [(LEFT, STANDS), (RIGHT, WALKS)]})
    made.label("b", {1: [(LEFT, WALKS), (RIGHT, {"2": "1"})], 2: [(LEFT, NOTHING)]})
    made.read()
    return made
