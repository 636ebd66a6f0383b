"""Lists from the catalog and the disk, and the table of what is missing."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clipquarry.annotations.file_list import ListEntry
from clipquarry.annotations.kinetics_catalog import build_catalog
from clipquarry.annotations.label_table import FIELDS, KIND, Label, LabelWriter
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ManifestError, UserError
from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.manifest import CATALOG_FIELDS, RESULT_FIELDS, read_rows, schema_of, write_rows
from clipquarry.release.folders import count_frames
from clipquarry.release.lists import ListOptions, ListSummary, build_lists
from clipquarry.settings import DataRoot

HEADER = "label,youtube_id,time_start,time_end,split"
SHARED = Path(__file__).parents[2].parent / "shared"
ORACLE = SHARED / "oracles" / "kinetics_filelist"
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


def frames(root: Path, clip: str, rgb: int, flow_x: int = 0, flow_y: int = 0) -> None:
    (root / clip).mkdir(parents=True)
    for prefix, count in (("img", rgb), ("flow_x", flow_x), ("flow_y", flow_y)):
        touch(root, *(f"{clip}/{prefix}_{number:05d}.jpg" for number in range(1, count + 1)))


def test_raw_frames_are_counted_and_bad_folders_reported(tmp_path: Path, root: Path, build: Build) -> None:
    frames(root, "rawframes_train/zumba/aaaaaaaaaaa_000000_000010", 5, 4, 4)
    frames(root, "rawframes_train/zumba/ccccccccccc_000002_000012", 0, 4, 4)
    frames(root, "rawframes_train/air_drumming/-bbbbbbbbb__000001_000011", 5, 4, 3)
    frames(root, "rawframes_train/air_drumming/ddddddddddd_000003_000013", 2)
    touch(root, "rawframes_train/massaging_person's_head/aaaaaaaaaaa_000000_000010")
    train = next(one for one in build(options=ListOptions(min_frames=3)) if one.format == "rawframes")
    assert (root / "kinetics400_train_list_rawframes.txt").read_text() == "zumba/aaaaaaaaaaa_000000_000010 5 2\n"
    assert (train.rows, train.lines, train.missing) == (6, 1, 5)
    rows = read_rows(tmp_path / "out" / "missing_rawframes.parquet")
    assert [(row["reason"], row["evidence"]) for row in rows][:5] == [
        ("corrupt", "4 frames of flow x, 3 of flow y"),
        ("no_frames", "the folder has no img_* frames"),
        ("not_asked", "it was not among the items of this run"),
        ("too_short", "2 frames, fewer than 3"),
        ("bad_id", "the id is not 11 characters of A-Z, a-z, 0-9, '-' and '_': zumba,../x,0,10,train"),
    ]
    assert not (root / "kinetics400_val_list_rawframes.txt").exists()


def test_audio_features_are_listed_with_the_frames_of_their_video(tmp_path: Path, root: Path, build: Build) -> None:
    folder = "audio_features_train"
    touch(root, f"{folder}/zumba/aaaaaaaaaaa_000000_000010.npy", f"{folder}/zumba/ccccccccccc_000002_000012.npy")
    touch(root, f"{folder}/air_drumming/-bbbbbbbbb__000001_000011.wav")
    recorded = tmp_path / "recorded.parquet"
    base = dict.fromkeys([field.name for field in CATALOG_FIELDS]) | {"status": "done", "reason": "ok", "evidence": ""}
    frames = pa.field("frames", pa.int32())
    rows = [
        {**base, "item_id": f"train/{name}", "split": "train", "frames": count, "key": "k"}
        for name, count in (
            ("zumba/aaaaaaaaaaa_000000_000010", 250), ("zumba/ccccccccccc_000002_000012", None),
            ("air_drumming/-bbbbbbbbb__000001_000011", 99),
        )
    ]  # fmt: skip
    write_rows(recorded, schema_of((*RESULT_FIELDS, frames), "recorded"), rows)
    train = next(one for one in build(recorded=recorded) if one.format == "audio_features")
    assert train.path == root / "kinetics400_train_list_audio_features.txt"
    assert train.path.read_text() == "zumba/aaaaaaaaaaa_000000_000010.npy 250 2\n"
    assert train.rows == train.lines + train.missing == 6
    missing = {
        row["item_id"]: row["evidence"] for row in read_rows(tmp_path / "out" / "missing_audio_features.parquet")
    }
    assert missing["train/zumba/ccccccccccc_000002_000012"] == "the number of the video's frames was not recorded"
    assert missing["train/air_drumming/-bbbbbbbbb__000001_000011"] == "the clip is there, but no features of its sound"
    assert missing["train/air_drumming/ddddddddddd_000003_000013"] == "it was not among the items of this run"
    assert not (root / "kinetics400_val_list_audio_features.txt").exists()


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


def frame_folder(root: Path, name: str, frames: int, flow_x: int, flow_y: int) -> None:
    touch(root, *(f"rawframes_train/{name}/img_{n:05d}.jpg" for n in range(1, frames + 1)))
    for direction, count in (("x", flow_x), ("y", flow_y)):
        touch(root, *(f"rawframes_train/{name}/flow_{direction}_{n:05d}.jpg" for n in range(1, count + 1)))


AIR, MASSAGE, ZUMBA = (
    "air_drumming/-bbbbbbbbb__000001_000011", "massaging_person's_head/aaaaaaaaaaa_000000_000010",
    "zumba/aaaaaaaaaaa_000000_000010",
)  # fmt: skip


def test_flow_has_a_list_of_its_own_count_beside_that_of_the_frames(tmp_path: Path, root: Path, build: Build) -> None:
    frame_folder(root, ZUMBA, 4, 3, 3)
    frame_folder(root, AIR, 5, 0, 0)
    frame_folder(root, MASSAGE, 1, 0, 0)
    summaries = {(one.split, one.format): one for one in build()}
    text = (root / "kinetics400_train_list_rawframes.txt").read_text()
    assert text == f"{ZUMBA} 4 2\n{AIR} 5 0\n{MASSAGE} 1 1\n"
    assert (root / "kinetics400_train_list_rawframes_flow.txt").read_text() == f"{ZUMBA} 3 2\n"
    told = summaries["train", "rawframes_flow"]
    assert (told.rows, told.lines, told.missing, told.rejected) == (6, 1, 5, 1)
    assert told.reasons == {"no_frames": 1, "too_short": 1, "not_asked": 2, "bad_id": 1}
    missing = list(read_rows(tmp_path / "out" / "missing_rawframes_flow.parquet"))
    assert {row["evidence"] for row in missing} >= {
        "the folder has no optical flow", "one frame, which has no optical flow",
    }  # fmt: skip
    assert (tmp_path / "out" / "missing_rawframes_flow.csv").read_text().count("\n") == 6


def test_without_flow_there_is_no_list_of_it(tmp_path: Path, root: Path, build: Build) -> None:
    frame_folder(root, ZUMBA, 4, 0, 0)
    assert {one.format for one in build()} == {"videos", "rawframes"}
    assert not list(root.glob("*flow*")) and not list((tmp_path / "out").glob("*flow*"))


def test_a_list_of_flow_that_is_gone_is_written_anew(root: Path, build: Build) -> None:
    frame_folder(root, ZUMBA, 4, 3, 3)
    build()
    for path in (root / "rawframes_train" / ZUMBA).glob("flow_*"):
        path.unlink()
    build()
    assert (root / "kinetics400_train_list_rawframes_flow.txt").read_text() == ""


def test_a_shuffled_list_of_flow_has_the_order_of_the_frames(root: Path, build: Build) -> None:
    for name in (ZUMBA, AIR, MASSAGE):
        frame_folder(root, name, 4, 3, 3)
    for json_ in (False, True):
        build(options=ListOptions(shuffle_seed=3, json=json_))
        suffix = "json" if json_ else "txt"
        texts = [
            (root / f"kinetics400_train_list_{form}.{suffix}").read_text() for form in ("rawframes", "rawframes_flow")
        ]
        assert texts[0] != texts[1]
        assert texts[0].replace(" 4 ", " 3 ").replace('": 4', '": 3') == texts[1]


def test_a_flat_data_set_counts_flow_as_flow(tmp_path: Path, root: Path, spec: DatasetSpec, build: Build) -> None:
    item = spec.item.model_copy(update={"rgb_pattern": "{:06d}.jpg", "rgb_prefix": ""})
    frame_folder(root, ZUMBA, 0, 3, 3)
    touch(root, *(f"rawframes_train/{ZUMBA}/{n:06d}.jpg" for n in range(1, 5)))
    build(spec=spec.model_copy(update={"item": item}))
    assert (root / "kinetics400_train_list_rawframes.txt").read_text() == f"{ZUMBA} 4 2\n"


@pytest.mark.parametrize(
    ("prefix", "counts"),
    [
        ("img_", (2, 1, 3)),
        ("", (5, 1, 3)),  # all that is no flow
        ("f", (1, 1, 3)),
        ("flow_", (0, 1, 3)),
        ("flow_x_0", (0, 1, 3)),
        ("flow_z", (0, 1, 3)),
    ],
)
def test_frames_are_counted_by_prefix_and_flow_never_counts_as_frames(
    tmp_path: Path, spec: DatasetSpec, prefix: str, counts: tuple[int, int, int]
) -> None:
    names = (
        "img_00001.jpg",
        "img_00002.jpg",
        "first.txt",
        ".img_",
        "ximg_",
        "flow_x_1",
        "flow_y_",
        "flow_y_2",
        "flow_y_3",
    )
    touch(tmp_path, *(f"clip/{name}" for name in names))
    item = spec.item.model_copy(update={"rgb_prefix": prefix})
    assert count_frames(tmp_path / "clip", item) == counts
    (tmp_path / "empty").mkdir()
    assert count_frames(tmp_path / "empty", item) == (0, 0, 0)


@pytest.mark.parametrize("suffix", ["txt", "json"])
def test_a_list_that_fails_leaves_the_older_lists_of_frames_and_flow(
    root: Path, build: Build, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    for name in (ZUMBA, AIR):
        frame_folder(root, name, 4, 3, 3)
    options = ListOptions(json=suffix == "json")
    build(options=options)
    names = [f"kinetics400_train_list_{form}.{suffix}" for form in ("rawframes", "rawframes_flow")]
    before = [(root / name).read_bytes() for name in names]
    frame_folder(root, MASSAGE, 4, 3, 3)
    line = ListEntry.line if suffix == "txt" else ListEntry.as_json

    def fails(entry: ListEntry) -> Any:
        if entry.path == MASSAGE and entry.frames == 4:  # the list of flow has the line already
            raise OSError("no more")
        return line(entry)

    monkeypatch.setattr(ListEntry, line.__name__, fails)
    with pytest.raises(OSError, match="no more"):
        build(options=options)
    assert [(root / name).read_bytes() for name in names] == before
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []
