"""Lists of data sets of whole files, byte for byte those that the reference's tool made of the same folders."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clipquarry.annotations.catalog import write_catalog
from clipquarry.annotations.diving_json import read_items
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.labels import LabelIndex
from clipquarry.annotations.moments import read_categories
from clipquarry.annotations.moments import read_items as read_moments
from clipquarry.annotations.twentybn import read_label_lines, read_rows
from clipquarry.annotations.ucf_lists import read_class_index, read_split_list
from clipquarry.datasets.load import find_spec
from clipquarry.release.lists import ListOptions, ListSummary, build_lists
from clipquarry.settings import DataRoot

ORACLES = Path(__file__).parents[3].parent / "shared" / "oracles"
Read = Callable[[Path, LabelIndex], Iterator[Item | RejectedRow]]

pytestmark = pytest.mark.shared


def built(name: str, tmp_path: Path, labels: LabelIndex, read: Read, options: ListOptions) -> list[ListSummary]:
    shutil.copytree(ORACLES / f"build_file_list_{name}/inputs/data/{name}", tmp_path / name)
    spec, catalog = find_spec(name), tmp_path / "catalog.parquet"
    files = {split: tmp_path / name / path for split, path in spec.splits.items()}
    write_catalog(files, catalog, lambda split, path: read(path, labels), labels)
    return build_lists(spec, DataRoot(tmp_path), catalog, tmp_path / "missing", options=options)


def equal(expected: Path, root: Path) -> int:
    wanted = sorted(expected.iterdir())
    for path in wanted:
        assert (root / path.name).read_bytes() == path.read_bytes(), path.name
    return len(wanted)


@pytest.mark.parametrize("seed", [None, 0])
def test_ucf101(tmp_path: Path, seed: int | None) -> None:
    source = ORACLES / "build_file_list_ucf101"
    labels = read_class_index(source / "inputs/data/ucf101/annotations/classInd.txt")
    summaries = built("ucf101", tmp_path, labels, read_split_list, ListOptions(shuffle_seed=seed))
    cases = ("videos", "rawframes") if seed is None else ("videos_seed0",)
    assert sum(equal(source / "expected" / case / "data/ucf101", tmp_path / "ucf101") for case in cases) == 6 * len(
        cases
    )
    (lost,) = (one for one in summaries if one.format == "videos" and one.missing)
    assert (lost.split, lost.missing) == ("val_split_3", 1), "what the reference drops without a word is counted"


def test_diving48(tmp_path: Path) -> None:
    source = ORACLES / "build_file_list_diving48"
    labels = LabelIndex(tuple(f"class_{number}" for number in range(48)))
    built("diving48", tmp_path, labels, read_items, ListOptions())
    for format_ in ("videos", "rawframes"):
        for part in ("train", "val"):
            assert equal(source / f"expected/{format_}_{part}/data/diving48", tmp_path / "diving48") == 1


def test_moments_in_time(tmp_path: Path) -> None:
    source = ORACLES / "build_file_list_mit"
    labels = read_categories(source / "inputs/data/mit/annotations/moments_categories.txt")
    built("mit", tmp_path, labels, read_moments, ListOptions())
    for format_ in ("videos", "rawframes"):
        for part in ("train", "val"):
            assert equal(source / f"expected/{format_}_{part}/data/mit", tmp_path / "mit") == 1


@pytest.mark.parametrize("name", ["jester", "sthv1"])
@pytest.mark.parametrize("seed", [None, 0])
def test_lists_of_frame_folders(tmp_path: Path, name: str, seed: int | None) -> None:
    source = ORACLES / f"build_file_list_{name}"
    (classes,) = (source / f"inputs/data/{name}/annotations").glob("*-labels.csv")

    def read(path: Path, labels: LabelIndex) -> Iterator[Item | RejectedRow]:
        return read_rows(path, labels, labelled=not path.stem.endswith("-test"))

    built(name, tmp_path, read_label_lines(classes), read, ListOptions(shuffle_seed=seed))
    ending = "" if seed is None else "_seed0"
    for format_ in ("videos", "rawframes"):
        for part in ("train", "val"):
            if (expected := source / f"expected/{format_}_{part}{ending}/data/{name}").is_dir():
                assert equal(expected, tmp_path / name) == 1
