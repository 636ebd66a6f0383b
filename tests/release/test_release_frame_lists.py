"""Lists of what is made of the videos: frames, optical flow, and features of the sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clipquarry.annotations.file_list import ListEntry
from clipquarry.datasets.model import DatasetSpec
from clipquarry.manifest import CATALOG_FIELDS, RESULT_FIELDS, read_rows, schema_of, write_rows
from clipquarry.release.folders import count_frames
from clipquarry.release.lists import ListOptions
from lists_fixture import Build, frames, touch
from lists_fixture import build as build
from lists_fixture import root as root
from lists_fixture import spec as spec


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


def frame_folder(root: Path, name: str, rgb: int, flow_x: int, flow_y: int) -> None:
    frames(root, f"rawframes_train/{name}", rgb, flow_x, flow_y)


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
