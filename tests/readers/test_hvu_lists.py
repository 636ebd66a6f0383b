"""HVU's lists: mmaction2 1.2.0 has neither the class that reads them nor one for JSON, as docs/hvu.md says; and what 0.x makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from clipquarry.annotations.file_list import ListEntry, write_list
from clipquarry.annotations.label_groups import LabelGroups
from clipquarry.datasets.load import find_spec
from real_readers import prove, skip_without_readers

SIZES = find_spec("hvu").labels.groups
LABELS = [0, 738, 739 + 116, 3141, 739 + 117 + 291 + 69 + 508]


def listed(path: Path) -> Path:
    entry = ListEntry("zzzzzzzzzzz_000011_000031.mp4", groups=LabelGroups(SIZES).divided(LABELS))
    write_list(path, [entry])
    return path


def test_1_2_0_has_no_class_for_these_lists(tmp_path: Path) -> None:
    skip_without_readers()
    (tmp_path / "hvu/videos_train").mkdir(parents=True)
    listed(tmp_path / "hvu/hvu_train_video.json")
    one = {"ann_file": "data/hvu/hvu_train_video.json", "data_prefix": {"video": "data/hvu/videos_train"}}
    # The modality chooses the pipeline, which is not reached.
    sets = {"class": {**one, "type": "HVUDataset", "modality": "Flow"}, "text": {**one, "type": "VideoDataset"}}
    told = prove(tmp_path, tmp_path / "work", unreadable=sets)["unreadable"]
    assert "HVUDataset is not in the" in told["class"]
    assert told["text"], "its VideoDataset reads lines of text"


def test_0_x_makes_a_vector_and_a_mask_of_an_entry(tmp_path: Path) -> None:
    """Its rule: the categories one after the other; a category without a tag of the clip is masked out."""
    (entry,) = json.loads(listed(tmp_path / "hvu_train_video.json").read_text())
    assert entry == {
        "filename": "zzzzzzzzzzz_000011_000031.mp4",
        "label": {"action": [0, 738], "attribute": [116], "scene": [247], "object": [508]},
    }
    starts = dict(zip(SIZES, np.cumsum([0, *SIZES.values()]).tolist(), strict=False))
    vector, mask = np.zeros(3142), np.zeros(3142)
    for category, tags in entry["label"].items():
        mask[starts[category] : starts[category] + SIZES[category]] = 1
        vector[[starts[category] + tag for tag in tags]] = 1
    assert np.flatnonzero(vector).tolist() == sorted(LABELS)
    assert int(mask.sum()) == 739 + 117 + 1678 + 248
