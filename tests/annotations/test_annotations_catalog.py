"""Label index and catalog."""

from __future__ import annotations

import csv
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from clipquarry.annotations.kinetics_catalog import build_catalog
from clipquarry.annotations.labels import LabelIndex, index_labels, read_label_map, write_label_map
from clipquarry.errors import UserError
from clipquarry.manifest import count_rows, kind_of, read_rows
from clipquarry.microseconds import of

HEADER = "label,youtube_id,time_start,time_end,split"
SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.fixture
def csvs(tmp_path: Path) -> dict[str, Path]:
    texts = {
        "train": f"{HEADER}\nzumba,aaaaaaaaaaa,0,10,train\nair drumming,bbbbbbbbbbb,1.0,11.0,train\n"
        "Zorbing,ccccccccccc,1,11,train\nzumba,../../../../x,0,10,train\n",
        "val": f"{HEADER}\nzumba,ddddddddddd,37,47,val\nnew class,eeeeeeeeeee,0,10,val\n",
        "test": "youtube_id,time_start,time_end,split\n-ffffffffff,17,27,test\n",
    }
    paths = {split: tmp_path / f"kinetics_{split}.csv" for split in texts}
    for split, text in texts.items():
        paths[split].write_text(text)
    return paths


def test_the_catalog_has_one_row_per_csv_row(tmp_path: Path, csvs: dict[str, Path]) -> None:
    out = tmp_path / "catalog.parquet"
    summary = build_catalog(csvs, out, expected_labels=3)
    rows = list(read_rows(out))
    assert kind_of(out) == "catalog"
    assert [row["item_id"] for row in rows] == [
        "train/zumba/aaaaaaaaaaa_000000_000010",
        "train/air_drumming/bbbbbbbbbbb_000001_000011",
        "train/Zorbing/ccccccccccc_000001_000011",
        "train/#row-5",
        "val/zumba/ddddddddddd_000037_000047",
        "val/#row-3",
        "test/test/-ffffffffff_000017_000027",
    ]
    # code-point order: capitals first
    assert summary.label_names == ("Zorbing", "air_drumming", "zumba")
    assert [row["label_index"] for row in rows] == [2, 1, 0, None, 2, None, -1]
    assert rows[1] == {
        "item_id": "train/air_drumming/bbbbbbbbbbb_000001_000011", "video_id": "bbbbbbbbbbb",
        "clip_id": "bbbbbbbbbbb_000001_000011", "split": "train", "label": "air drumming", "class_dir": "air_drumming",
        "label_index": 1, "start": of(1), "end": of(11), "row": 3, "start_text": "1.0", "end_text": "11.0", "parent": None, "status": "done", "reason": "ok", "evidence": "",
    }  # fmt: skip
    assert (rows[3]["status"], rows[3]["reason"]) == ("rejected", "bad_id")
    assert "../../../../x" in rows[3]["evidence"]
    assert rows[5]["reason"] == "unknown_label"
    assert "new class" in rows[5]["evidence"]
    assert (rows[6]["label"], rows[6]["class_dir"]) == (None, "test")


def test_the_summary_adds_up(tmp_path: Path, csvs: dict[str, Path]) -> None:
    out = tmp_path / "catalog.parquet"
    summary = build_catalog(csvs, out, expected_labels=3)
    train = summary.splits["train"]
    assert (train.rows, train.good, train.rejected, train.labels) == (4, 3, {"bad_id": 1}, 3)
    assert train.sha256 == sha256(csvs["train"].read_bytes()).hexdigest()
    assert summary.splits["val"].rejected == {"unknown_label": 1}
    assert summary.rows == count_rows(out) == 7
    assert summary.as_json()["labels"] == 3
    assert len(summary.labels) == 3


def test_an_explicit_map_wins(tmp_path: Path, csvs: dict[str, Path]) -> None:
    label_map = tmp_path / "map.txt"
    label_map.write_bytes(b"\xef\xbb\xbfzumba\r\nair drumming\r\nZorbing\r\nnew_class\r\n")
    summary = build_catalog(csvs, tmp_path / "c.parquet", label_map=label_map, expected_labels=4)
    assert summary.label_names == ("zumba", "air_drumming", "Zorbing", "new_class")
    assert [row["label_index"] for row in read_rows(tmp_path / "c.parquet")] == [0, 1, 2, None, 0, 3, -1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("a\n\nb\n", "line 2: the label is empty"),
        ("a b\na_b\n", "line 2: the class of line 1 is given again"),
        ("a\n../b\n", "line 2: the label holds a slash"),
    ],
)
def test_a_wrong_map_is_one_sentence_with_the_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "map.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_label_map(path)


def test_a_map_of_another_data_set_is_refused(tmp_path: Path, csvs: dict[str, Path]) -> None:
    path = tmp_path / "map.txt"
    path.write_text("zumba\n")
    with pytest.raises(UserError, match="has 1 classes, the data set has 3"):
        index_labels(csvs, label_map=path, expected=3)


def test_without_train_the_classes_count_only_when_complete(csvs: dict[str, Path]) -> None:
    del csvs["train"]
    assert index_labels(csvs, label_map=None, expected=2).names == ("new_class", "zumba")
    for expected in (3, None):
        with pytest.raises(UserError, match="provide the train csv or a label map"):
            index_labels(csvs, label_map=None, expected=expected)


def test_test_rows_without_labels_need_no_index(tmp_path: Path, csvs: dict[str, Path]) -> None:
    summary = build_catalog({"test": csvs["test"]}, tmp_path / "c.parquet", expected_labels=400)
    assert (summary.splits["test"].good, summary.label_names) == (1, ())


def test_a_train_csv_without_a_usable_row_numbers_nothing(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    for rows, why in (
        ("zumba,x,0,10,train\n", "no row can be used, most of them because the id is not 11 characters"),
        ("abcdefghijk,zumba,0,10,train\n", "columns are swapped"),
        ("train,abcdefghijk,0,10,zumba\n", "the column 'label' holds the names of splits"),
        ("", "it has no rows"),
    ):
        path.write_text(f"{HEADER}\n{rows}")
        with pytest.raises(UserError, match=why):
            index_labels({"train": path}, label_map=None, expected=1)


def test_a_misspelt_label_of_another_split_says_what_was_meant(tmp_path: Path, csvs: dict[str, Path]) -> None:
    csvs["val"].write_text(
        f"{HEADER}\nzumbaa,abcdefghijk,0,10,val\nzumba,abcdefghijl,0,10,val\nskiing,abcdefghijm,0,10,val\n"
    )
    build_catalog(csvs, tmp_path / "c.parquet")
    told = [
        row["evidence"]
        for row in read_rows(tmp_path / "c.parquet")
        if row["split"] == "val" and row["status"] == "rejected"
    ]
    assert "(is 'zumba' meant?): zumbaa" in told[0]
    assert "meant" not in told[1]


def test_a_split_without_a_good_row_says_what_is_wrong(tmp_path: Path, csvs: dict[str, Path]) -> None:
    for rows, why in (
        (",abcdefghijk,0,10,test\n,abcdefghijl,0,10,test\n", "the column 'label' is empty"),
        ("zumba,abcdefghijk,10,0,test\n", "the two columns are swapped"),
        ("no such class,abcdefghijk,0,10,test\n", "none of its labels is among the train csv's"),
    ):
        csvs["test"].write_text(f"{HEADER}\n{rows}")
        with pytest.raises(UserError, match=why):
            build_catalog(csvs, tmp_path / "c.parquet")


def test_a_written_map_reads_back(tmp_path: Path) -> None:
    index = LabelIndex.from_labels(["zumba", "massaging person's head", "passing American football (in game)"])
    write_label_map(index, tmp_path / "map.txt")
    assert (tmp_path / "map.txt").read_text() == "massaging person's head\npassing American football (in game)\nzumba\n"
    assert read_label_map(tmp_path / "map.txt").names == index.names
    assert [index.get(name) for name in ("zumba", "massaging_person's_head", "none")] == [2, 0, None]


def test_classes_that_would_share_a_folder_are_an_error() -> None:
    with pytest.raises(UserError, match="The classes 'a b' and 'a_b' would share the folder a_b"):
        LabelIndex.from_labels(["a b", "c", "a_b", "a b"])
    assert LabelIndex.from_labels(["a b", "a b", "a-b"]).names == ("a-b", "a_b")


def test_a_damaged_csv_leaves_no_catalog(tmp_path: Path, csvs: dict[str, Path]) -> None:
    csvs["test"].write_text("<html>")
    with pytest.raises(UserError, match="HTML"):
        build_catalog(csvs, tmp_path / "c.parquet", expected_labels=3)
    assert list(tmp_path.glob("*.parquet")) == []
    assert list(tmp_path.glob(".clipquarry-tmp-*")) == []


@pytest.mark.shared
@pytest.mark.parametrize("name", ["k400", "k600", "k700", "k700_2020"])
def test_label_indices_of_the_reference(name: str) -> None:
    case = SHARED / "oracles" / "kinetics_label_index"
    if not case.is_dir():
        pytest.skip("the reference cases are not on this machine")
    labels = (case / "inputs" / f"labels_in_val_csv_{name}.txt").read_text().splitlines()
    with open(case / "expected" / f"label_index_{name}.csv", newline="") as handle:
        expected = {row["name"]: int(row["index"]) for row in csv.DictReader(handle)}
    index = LabelIndex.from_labels(labels)
    assert {label: index.get(label) for label in index.names} == expected


@pytest.mark.shared
def test_the_real_val_csv(tmp_path: Path) -> None:
    real = SHARED / "real" / "annotations" / "kinetics400_val.csv"
    if not real.is_file():
        pytest.skip("the real annotation files are not on this machine")
    summary = build_catalog({"val": real}, tmp_path / "c.parquet", expected_labels=400)
    assert summary.splits["val"].good == 19_906
    assert summary.splits["val"].sha256.startswith("358eaf47e7f80ebf")
    per_class = Counter(row["class_dir"] for row in read_rows(tmp_path / "c.parquet", ["class_dir"]))
    assert (len(per_class), min(per_class.values()), max(per_class.values())) == (400, 46, 50)
