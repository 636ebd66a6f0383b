"""Lists from the catalog and the disk, and the table of what is missing."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest
from clipquarry.annotations.kinetics_catalog import build_catalog
from clipquarry.annotations.label_table import FIELDS, KIND, Label, LabelWriter
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ManifestError, UserError
from clipquarry.manifest import CATALOG_FIELDS, RESULT_FIELDS, read_rows, schema_of, write_rows
from clipquarry.release.lists import ListOptions, build_lists
from clipquarry.settings import DataRoot
from lists_fixture import HEADER, Build, frames, touch
from lists_fixture import build as build
from lists_fixture import root as root
from lists_fixture import spec as spec

SHARED = Path(__file__).parents[2].parent / "shared"
ORACLE = SHARED / "oracles" / "kinetics_filelist"


def test_lists_hold_what_is_on_disk_in_csv_order(root: Path, build: Build) -> None:
    train, val, test = build()
    assert (root / "kinetics400_train_list_videos.txt").read_bytes() == (
        b"zumba/aaaaaaaaaaa_000000_000010.mp4 2\n"
        b"air_drumming/-bbbbbbbbb__000001_000011.mkv 0\n"
        b"massaging_person's_head/aaaaaaaaaaa_000000_000010.webm 1\n"
    )
    assert (root / "kinetics400_val_list_videos.txt").read_bytes() == b""
    assert (root / "kinetics400_test_list_videos.txt").read_bytes() == b"test/fffffffffff_000017_000027.mp4\n"
    assert not (root / "kinetics400_train_list_rawframes.txt").exists()
    assert (train.rows, train.lines, train.missing, train.rejected) == (6, 3, 3, 1)
    assert train.reasons == {"not_asked": 2, "bad_id": 1}
    assert train.not_in_csv == 1
    assert (val.lines, val.missing, test.lines, test.missing) == (0, 1, 1, 0)
    assert train.as_json()["missing"] == 3


def test_every_missing_clip_has_its_reason(tmp_path: Path, build: Build) -> None:
    recorded = tmp_path / "recorded.parquet"
    base = {"split": "train", "key": ""}
    write_rows(
        recorded,
        schema_of(RESULT_FIELDS, "recorded"),
        [
            {**base, "item_id": "val/zumba/eeeeeeeeeee_000000_000010", "status": "missing", "reason": "private",
             "evidence": "Private video"},
            {**base, "item_id": "train/zumba/ccccccccccc_000002_000012", "status": "done", "reason": "ok",
             "evidence": ""},
        ],
    )  # fmt: skip
    build(recorded=recorded)
    rows = {row["item_id"]: row for row in read_rows(tmp_path / "out" / "missing_videos.parquet")}
    assert {item: (row["reason"], row["evidence"]) for item, row in rows.items() if "#row" not in item} == {
        "train/zumba/ccccccccccc_000002_000012": ("task_failed", "recorded as present, but it is not on disk"),
        "train/air_drumming/ddddddddddd_000003_000013": ("not_asked", "it was not among the items of this run"),
        "val/zumba/eeeeeeeeeee_000000_000010": ("private", "Private video"),
    }
    assert rows["train/#row-7"]["reason"] == "bad_id"
    assert "../x" in rows["train/#row-7"]["evidence"]
    with open(tmp_path / "out" / "missing_videos.csv", newline="") as handle:
        assert {row["item_id"]: row["reason"] for row in csv.DictReader(handle)} == {
            item: row["reason"] for item, row in rows.items()
        }


def test_one_level_keeps_both_lines_of_a_clip_with_two_labels(root: Path, build: Build, spec: DatasetSpec) -> None:
    touch(root, "videos_train/aaaaaaaaaaa_000000_000010.mp4", "videos_train/ccccccccccc_000002_000012.mp4")
    build(spec=spec.model_copy(update={"item": spec.item.model_copy(update={"level": 1})}))
    assert (root / "kinetics400_train_list_videos.txt").read_text() == (
        "aaaaaaaaaaa_000000_000010.mp4 2\nccccccccccc_000002_000012.mp4 2\naaaaaaaaaaa_000000_000010.mp4 1\n"
    )


def test_of_two_extensions_the_data_sets_own_is_listed(root: Path, build: Build) -> None:
    touch(root, "videos_train/zumba/aaaaaaaaaaa_000000_000010.avi", "videos_train/zumba/ccccccccccc_000002_000012.webm")
    touch(root, "videos_train/zumba/ccccccccccc_000002_000012.mkv")
    build()
    lines = (root / "kinetics400_train_list_videos.txt").read_text().splitlines()
    assert lines[0] == "zumba/aaaaaaaaaaa_000000_000010.mp4 2"
    assert lines[2] == "zumba/ccccccccccc_000002_000012.mkv 2"


OWN = ("v_ApplyEyeMakeup_g01_c01", "1", "1.5", "a.b.c", "a.b", "#437_(best)_[ok]", "gone", "spaced out")


def own(tmp_path: Path, names: tuple[str, ...] = OWN) -> Path:
    """A catalog of clips with names of their own, with several labels, one or none."""
    catalog = tmp_path / "catalog.parquet"
    rows = [
        {"item_id": f"train/zumba/{name}", "split": "train", "label": "zumba", "class_dir": "zumba", "clip_id": name,
         "video_id": name, "status": "done", "reason": "ok", "evidence": ""}
        for name in names
    ]  # fmt: skip
    write_rows(catalog, schema_of(CATALOG_FIELDS, "catalog"), rows)
    with LabelWriter(tmp_path / "labels.parquet") as labels:
        for number, row in enumerate(rows):
            labels.add(row["item_id"], [Label(index, f"class {index}") for index in (9, 2, 30)[: number % 4]])
    return catalog


def test_clips_with_names_of_their_own_and_several_labels(tmp_path: Path, spec: DatasetSpec) -> None:
    root = tmp_path / "kinetics400"
    files = [
        "v_ApplyEyeMakeup_g01_c01.avi", "1.webm", "1.5.AVI", "a.b.c.mp4", "#437_(best)_[ok].avi", "a.avi", "b.c.mp4",
        "gone.mp4.newer", "gone.part", "gone.5.mp4", "spaced out.mp4",
    ]  # fmt: skip
    touch(root, *(f"videos_train/zumba/{name}" for name in files))
    for name in ("1", "a.b", "a.b.c"):
        frames(root, f"rawframes_train/zumba/{name}", 3)
    spec = spec.model_copy(update={"item": spec.item.model_copy(update={"ext": ["avi", "webm"]})})
    lists = build_lists(spec, DataRoot(tmp_path), own(tmp_path), tmp_path / "out", splits=["train"])
    assert (root / "kinetics400_train_list_videos.txt").read_text() == (
        "zumba/v_ApplyEyeMakeup_g01_c01.avi\nzumba/1.webm 9\nzumba/1.5.AVI 9 2\nzumba/a.b.c.mp4 9 2 30\n"
        "zumba/#437_(best)_[ok].avi 9\n"
    )
    assert (
        root / "kinetics400_train_list_rawframes.txt"
    ).read_text() == "zumba/1 3 9\nzumba/a.b.c 3 9 2 30\nzumba/a.b 3\n"
    assert [(one.rows, one.lines) for one in lists] == [(8, 5), (8, 3)]
    told = {row["clip_id"]: row for row in read_rows(tmp_path / "out" / "missing_videos.parquet")}
    assert {name: row["reason"] for name, row in told.items()} == {
        "a.b": "not_asked", "gone": "not_asked", "spaced out": "bad_id"
    }  # fmt: skip
    assert "its name holds white space" in told["spaced out"]["evidence"]


def test_of_a_file_with_two_suffixes_the_clip_is_found(tmp_path: Path, spec: DatasetSpec) -> None:
    """Crawlers leave ``.mp4.webm``; a clip may be called ``walk.mpg``."""
    root = tmp_path / "kinetics400"
    touch(root, "videos_train/zumba/a.mp4.webm", "videos_train/zumba/walk.mpg.avi", "videos_train/zumba/both.mp4.webm")
    touch(root, "videos_train/zumba/both.mkv")
    catalog = own(tmp_path, ("a", "walk.mpg", "both"))
    build_lists(spec, DataRoot(tmp_path), catalog, tmp_path / "out", splits=["train"])
    assert (root / "kinetics400_train_list_videos.txt").read_text() == (
        "zumba/a.mp4.webm\nzumba/walk.mpg.avi 9\nzumba/both.mkv 9 2\n"
    )


def test_labels_of_another_catalog_are_refused(tmp_path: Path, spec: DatasetSpec) -> None:
    catalog = own(tmp_path)
    with LabelWriter(tmp_path / "labels.parquet") as labels:
        labels.add("train/zumba/of another", [Label(1, "zumba")])
    with pytest.raises(ManifestError, match="which is not where the catalog has it"):
        build_lists(spec, DataRoot(tmp_path), catalog, tmp_path / "out")
    (tmp_path / "labels.parquet").unlink()
    with pytest.raises(ManifestError, match=r"no manifest .*labels\.parquet: run the step that writes it first"):
        build_lists(spec, DataRoot(tmp_path), catalog, tmp_path / "out")
    assert not list((tmp_path / "kinetics400").glob("*.txt"))


def test_json_and_chosen_splits(root: Path, build: Build) -> None:
    summaries = build(options=ListOptions(json=True), splits=["test"])
    assert [one.split for one in summaries] == ["test"]
    expected = [{"filename": "test/fffffffffff_000017_000027.mp4", "label": []}]
    assert json.loads((root / "kinetics400_test_list_videos.json").read_text()) == expected
    assert not list(root.glob("*_train_list_*"))


def test_a_chosen_split_without_rows_gets_an_empty_list(root: Path, build: Build) -> None:
    (root / "annotations" / "kinetics_val.csv").write_text(f"{HEADER}\n")
    touch(root, "kinetics400_val_list_videos.txt")
    (root / "kinetics400_val_list_videos.txt").write_text("of an older run 1\n")
    build(splits=["train", "val"])
    assert (root / "kinetics400_val_list_videos.txt").read_text() == ""


def test_a_seed_gives_the_order_of_the_reference(root: Path, build: Build) -> None:
    rows = [f"{letter * 11}" for letter in "ghijklmn"]
    (root / "annotations" / "kinetics_val.csv").write_text(
        "\n".join([HEADER, *(f"zumba,{video_id},0,10,val" for video_id in rows)]) + "\n"
    )
    names = [f"zumba/{video_id}_000000_000010.mp4" for video_id in rows]
    # Two train clips lie in the folder of val: the reference shuffles them, twice, before the val list.
    strays = ["zumba/aaaaaaaaaaa_000000_000010.mp4", "air_drumming/ddddddddddd_000003_000013.mp4"]
    touch(root, *(f"videos_val/{name}" for name in [*names, *strays]))
    build(options=ListOptions(shuffle_seed=3))
    random.seed(3)
    for values in (strays, strays, names):
        random.shuffle(values)
    assert (root / "kinetics400_val_list_videos.txt").read_text() == "".join(f"{name} 2\n" for name in names)


def test_links_that_lead_nowhere_are_missing(root: Path, build: Build) -> None:
    (root / "videos_train/zumba/ccccccccccc_000002_000012.mp4").symlink_to("/nowhere")
    assert build()[0].lines == 3


def test_a_catalog_out_of_split_order_is_refused(tmp_path: Path, spec: DatasetSpec) -> None:
    row = {"status": "rejected", "reason": "bad_id", "evidence": "x"}
    rows = [
        {**row, "item_id": f"{split}/#row-{n}", "split": split} for n, split in enumerate(("train", "val", "train"))
    ]
    write_rows(tmp_path / "c.parquet", schema_of(CATALOG_FIELDS, "catalog"), rows)
    write_rows(tmp_path / "labels.parquet", schema_of(FIELDS, KIND), [])
    with pytest.raises(ManifestError, match="train comes twice"):
        build_lists(spec, DataRoot(tmp_path), tmp_path / "c.parquet", tmp_path / "out")


def test_a_catalog_that_was_tampered_with_does_not_leave_the_root(tmp_path: Path, spec: DatasetSpec) -> None:
    row = {
        "item_id": "train/x/y",
        "split": "train",
        "class_dir": "../..",
        "clip_id": "y",
        "status": "done",
        "reason": "ok",
    }
    write_rows(tmp_path / "c.parquet", schema_of(CATALOG_FIELDS, "catalog"), [{**row, "evidence": ""}])
    write_rows(tmp_path / "labels.parquet", schema_of(FIELDS, KIND), [])
    with pytest.raises(UserError, match="cannot be used below"):
        build_lists(spec, DataRoot(tmp_path), tmp_path / "c.parquet", tmp_path / "out")
    assert not (tmp_path / "kinetics400" / "kinetics400_train_list_videos.txt").exists()


def _oracle(tmp_path: Path, spec: DatasetSpec, test_csv: Path | None, **options: Any) -> Path:
    if not ORACLE.is_dir():
        pytest.skip("the reference cases are not on this machine")
    for name in (ORACLE / "inputs" / "empty_files.txt").read_text().splitlines():
        touch(tmp_path, name)
    annotations = ORACLE / "inputs" / "data" / "kinetics400" / "annotations"
    csvs = {split: annotations / f"kinetics_{split}.csv" for split in ("train", "val")}
    if test_csv:
        csvs["test"] = test_csv
    build_catalog(csvs, tmp_path / "c.parquet")
    build_lists(
        spec, DataRoot(tmp_path / "data"), tmp_path / "c.parquet", tmp_path / "out", options=ListOptions(**options)
    )
    return tmp_path / "data" / "kinetics400"


@pytest.mark.shared
@pytest.mark.parametrize(
    "test_csv", [None, "data/kinetics400/annotations/kinetics_test.csv", "kinetics_test_4col_that_crashes.csv"]
)
@pytest.mark.parametrize("case", ["noshuffle", "json", "shuffle_seed0"])
def test_lists_of_the_reference(tmp_path: Path, spec: DatasetSpec, case: str, test_csv: str | None) -> None:
    options: dict[str, Any] = {"noshuffle": {}, "json": {"json": True}, "shuffle_seed0": {"shuffle_seed": 0}}[case]
    made = _oracle(tmp_path, spec, ORACLE / "inputs" / test_csv if test_csv else None, **options)
    names = sorted(path.name for path in (ORACLE / "expected" / case).iterdir())
    assert len(names) == 4
    for name in names:
        text, expected = (made / name).read_text(), (ORACLE / "expected" / case / name).read_text()
        if name == "kinetics400_train_list_rawframes.txt":  # K-7: the folder without RGB images is left out
            expected_lines = [line for line in expected.splitlines() if "ggggggggggg" not in line]
            ours = text.splitlines()
            assert sorted(ours) == sorted(expected_lines)
            if case == "noshuffle":
                assert ours == expected_lines
        elif name == "kinetics400_train_list_rawframes.json":
            assert json.loads(text) == json.loads(expected)[:-1]
        else:
            assert text == expected
    missing = {row["item_id"]: row["reason"] for row in read_rows(tmp_path / "out" / "missing_rawframes.parquet")}
    assert missing["train/abseiling/ggggggggggg_000007_000017"] == "no_frames"


def test_a_persons_list_is_set_aside_and_ours_is_replaced(tmp_path: Path, root: Path, build: Build) -> None:
    mine = root / "kinetics400_train_list_videos.txt"
    mine.write_text("my own list\n")
    moved = {summary.path.name: summary.moved for summary in build()}
    aside = tmp_path / ".clipquarry/set-aside/kinetics400" / mine.name
    assert aside.read_text() == "my own list\n"
    assert str(aside) in moved.pop(mine.name)
    assert set(moved.values()) == {""}
    (root / "videos_train/zumba/aaaaaaaaaaa_000000_000010.mp4").unlink()
    assert {summary.moved for summary in build()} == {""}
    assert len(list(aside.parent.iterdir())) == 1
