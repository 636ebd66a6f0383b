"""A small data set on disk, and its lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clipquarry.annotations.kinetics_catalog import build_catalog
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.release.lists import ListSummary, build_lists
from clipquarry.settings import DataRoot

HEADER = "label,youtube_id,time_start,time_end,split"
Build = Callable[..., list[ListSummary]]


@pytest.fixture
def spec() -> DatasetSpec:
    return find_spec("kinetics400")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small data set on disk; six train rows, three of which have a file."""
    root = tmp_path / "kinetics400"
    (root / "annotations").mkdir(parents=True)
    texts = {
        "train": f"{HEADER}\nzumba,aaaaaaaaaaa,0,10,train\nair drumming,-bbbbbbbbb_,1,11,train\n"
        "zumba,ccccccccccc,2,12,train\nmassaging person's head,aaaaaaaaaaa,0,10,train\n"
        "air drumming,ddddddddddd,3,13,train\nzumba,../x,0,10,train\n",
        "val": f"{HEADER}\nzumba,eeeeeeeeeee,0,10,val\n",
        "test": "youtube_id,time_start,time_end,split\nfffffffffff,17,27,test\n",
    }
    for split, text in texts.items():
        (root / "annotations" / f"kinetics_{split}.csv").write_text(text)
    touch(
        root,
        "videos_train/zumba/aaaaaaaaaaa_000000_000010.mp4",
        "videos_train/air_drumming/-bbbbbbbbb__000001_000011.mkv",
        "videos_train/massaging_person's_head/aaaaaaaaaaa_000000_000010.webm",
        f"videos_train/zumba/{TEMPORARY_PREFIX}ccccccccccc_000002_000012.mp4",
        "videos_train/zumba/ccccccccccc_000002_000012.mp4 (1)",
        "videos_train/zumba/zzzzzzzzzzz_000000_000010.mp4",
        "videos_train/readme.txt",
        "videos_test/test/fffffffffff_000017_000027.mp4",
    )
    (root / "videos_train/air_drumming/ddddddddddd_000003_000013.mp4").mkdir()
    return root


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.fixture
def build(tmp_path: Path, root: Path, spec: DatasetSpec) -> Build:
    def run(**options: Any) -> list[ListSummary]:
        csvs = {split: root / path for split, path in spec.splits.items()}
        build_catalog(csvs, tmp_path / "catalog.parquet")
        one = options.pop("spec", spec)
        return build_lists(one, DataRoot(tmp_path), tmp_path / "catalog.parquet", tmp_path / "out", **options)

    return run


def frames(root: Path, clip: str, rgb: int, flow_x: int = 0, flow_y: int = 0) -> None:
    (root / clip).mkdir(parents=True)
    for prefix, count in (("img", rgb), ("flow_x", flow_x), ("flow_y", flow_y)):
        touch(root, *(f"{clip}/{prefix}_{number:05d}.jpg" for number in range(1, count + 1)))
