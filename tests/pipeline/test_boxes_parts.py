"""The parts of AVA's and AVA-Kinetics' runs by themselves: windows, proposals, merge, links."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from clipquarry.annotations.action_list import write_action_list
from clipquarry.annotations.proposals import read_proposals, write_proposals
from clipquarry.errors import UserError
from clipquarry.families.boxes.merge import (
    TRAIN_CSV,
    TRAIN_PROPOSALS,
    check_ava,
    checked_ava,
    link_frames,
    merge,
)
from clipquarry.families.boxes.proposals import as_table, from_detections
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.families.boxes.tables import SplitFiles, write_tables
from clipquarry.families.boxes.windows import flat_rows, listed_clips, window_rows
from clipquarry.files import sweep_unfinished
from clipquarry.ids import ClipName
from clipquarry.microseconds import of, seconds
from clipquarry.settings import DataRoot
from dying import dies_anywhere, took

BOX = "0.100,0.200,0.300,0.400"
A, B = "AAAAAAAAAAA", "-B_B_B_B_B_"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The tables of a raw csv: a key frame at 17.07, one at 33, one that no clip holds, and an empty one."""
    csv = tmp_path / "raw.csv"
    csv.write_text(
        f"{A},17.070000,{BOX},12\n{A},90.000000,{BOX},12\n{B},33.000000,{BOX},1\n{B},36.000000\n{A},x,{BOX},1\n"
    )
    actions = tmp_path / "actions.pbtxt"
    write_action_list({1: "bend", 12: "stand"}, actions)
    for split in ("train", "val"):
        write_tables(tmp_path / "run", {split: SplitFiles(csv)}, "ava_kinetics", actions, None)
    return tmp_path / "run"


CLIPS = [(ClipName(A, 12, 22), "it's"), (ClipName(A, 80, 90), "it's"), (ClipName(B, 30, 40), "(b)")]


def test_windows_of_train_are_those_of_boxes_and_what_no_clip_holds_is_named(run: Path) -> None:
    found = {row["item_id"]: row for row in window_rows(run, "train", CLIPS)}
    assert set(found) == {f"train/{A}_000015_000019", f"train/{B}_000031_000035", f"train/#key-{A}-0090"}
    window = found[f"train/{B}_000031_000035"]
    assert (window["label"], window["class_dir"], window["start"], window["end"]) == ("(b)", None, of(31), of(35))
    lost = found[f"train/#key-{A}-0090"]
    assert (lost["status"], lost["reason"]) == ("rejected", "bad_time")
    assert "second 90" in lost["evidence"]


def test_windows_of_val_hold_key_frames_without_boxes_too(run: Path) -> None:
    assert f"val/{B}_000031_000038" in {row["item_id"] for row in window_rows(run, "val", CLIPS)}


def test_flat_clips_need_no_kinetics(run: Path) -> None:
    rows = {row["clip_id"]: (seconds(row["start"]), seconds(row["end"])) for row in flat_rows(run, "train")}
    assert rows == {f"{A}_000017": (14, 20), f"{A}_000090": (87, 93), f"{B}_000033": (30, 36)}


def test_a_list_file_names_the_clips(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"it's_(a)/{A}_000012_000022.mp4 3\n")
    assert list(listed_clips(path)) == [(ClipName(A, 12, 22), "it's_(a)")]
    path.write_text("it/readme.mp4 3\n")
    with pytest.raises(UserError, match=r"line 1: 'readme\.mp4' is no clip"):
        list(listed_clips(path))
    with pytest.raises(UserError, match="is not there"):
        list(listed_clips(tmp_path / "none.txt"))


def test_proposals_of_detections_score_more_than_the_threshold() -> None:
    found = pa.table({
        "item_id": [f"train/{A},0017", f"train/{A},0018", f"train/{A},0019"],
        "boxes": [[[0.1, 0.1, 0.2, 0.2, 0.71], [0.1, 0.1, 0.3, 0.3, 0.7]], [[0.1, 0.1, 0.2, 0.2, 0.7]], None],
    })  # fmt: skip
    made = from_detections(found, 0.7)
    assert list(made) == [f"{A},0017"]
    np.testing.assert_array_equal(made[f"{A},0017"], [[0.1, 0.1, 0.2, 0.2, 0.71]])


def test_the_table_of_proposals_has_a_row_for_each_box() -> None:
    table = as_table(
        {f"{A},0017": np.array([[0.1, 0.2, 0.3, 0.4, 0.9], [0, 0, 1, 1, 0.8]]), f"{B},1017": np.array([[0, 0, 1, 1.0]])}
    )
    assert table["key"].to_pylist() == [f"{A},0017"] * 2 + [f"{B},1017"]
    assert table["second"].to_pylist() == [17, 17, 1017]
    assert table["video_id"].to_pylist() == [A, A, B]
    assert table["score"].to_pylist() == [0.9, 0.8, -1.0]
    assert as_table({}).num_rows == 0


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    kinetics, ava = tmp_path / "ava_kinetics", tmp_path / "ava"
    for folder in (kinetics, ava / "annotations", ava / f"rawframes/{B}"):
        folder.mkdir(parents=True)
    (kinetics / "kinetics_train.csv").write_text(f"{A}_000015_000019,17,{BOX},12,-1\n")
    (ava / "annotations" / TRAIN_CSV).write_text(f"{B},0902,{BOX},12,0")
    write_action_list({12: "stand"}, ava / "annotations/actions.pbtxt")
    (ava / "annotations/ava_val_v2.2.csv").write_text(f"{B},0903,{BOX},12,0\n")
    (ava / f"rawframes/{B}/img_00001.jpg").write_bytes(b"x")
    write_proposals(
        {f"{A},0017": np.array([[0, 0, 1, 1, 0.8]]), f"{B},0902": np.array([[0, 0, 1, 1, 0.1]])},
        kinetics / "kinetics_proposal.pkl",
    )
    write_proposals({f"{B},0902": np.array([[0, 0, 1, 1, 0.9]])}, ava / "annotations" / TRAIN_PROPOSALS)
    return kinetics, ava


def merged(both: tuple[Path, Path], run: Path, proposals: bool = True) -> dict[str, Any]:
    kinetics, ava = both
    check_ava(ava, ava / "annotations/actions.pbtxt", run)
    made = kinetics / "kinetics_proposal.pkl" if proposals else None
    return merge(DataRoot(kinetics.parent), kinetics, ava, BoxFiles(run).checked(TRAIN_CSV), kinetics_proposals=made)


def test_merging_twice_is_merging_once(both: tuple[Path, Path], tmp_path: Path) -> None:
    kinetics, ava = both
    told = merged(both, tmp_path / "run")
    first = {path: path.read_bytes() for path in (kinetics / "annotations").iterdir()}
    assert merged(both, tmp_path / "run") == told
    assert {path: path.read_bytes() for path in (kinetics / "annotations").iterdir()} == first
    assert (
        first[kinetics / "annotations" / TRAIN_CSV].decode()
        == f"{A}_000015_000019,17,{BOX},12,-1\n{B},0902,{BOX},12,0\n"
    )
    assert first[kinetics / "annotations/ava_val_v2.2.csv"].decode() == f"{B},0903,{BOX},12,0\n"
    proposals, _ = read_proposals(kinetics / "annotations" / TRAIN_PROPOSALS)
    assert proposals[f"{B},0902"][0, 4] == 0.9, "AVA's own win"
    assert (told["kinetics_rows"], told["ava_rows"], told["keys"], told["links"]) == (1, 1, 2, 1)
    # The reference's second run puts a link to itself into AVA's folder.
    assert [path.name for path in (ava / "rawframes" / B).iterdir()] == ["img_00001.jpg"]
    assert not (ava / "annotations" / TRAIN_CSV).read_text().endswith("\n"), "AVA's files are never changed"


def test_only_checked_rows_of_ava_are_merged(both: tuple[Path, Path], tmp_path: Path) -> None:
    kinetics, ava = both
    with open(ava / "annotations" / TRAIN_CSV, "a") as handle:
        handle.write(f"\n{B},0903\n\n{B},0904,{BOX},12.0,0\n{B},905,{BOX},12,3,extra\n")
    told = merged(both, tmp_path / "run", proposals=False)
    assert told["ava_rows"] == 2
    text = (kinetics / "annotations" / TRAIN_CSV).read_text()
    assert text == f"{A}_000015_000019,17,{BOX},12,-1\n{B},0902,{BOX},12,0\n{B},0905,{BOX},12,3\n"
    assert checked_ava(tmp_path / "run").rejected["line"].to_pylist() == [2, 4]


def test_a_merged_file_of_ava_is_refused(both: tuple[Path, Path], tmp_path: Path) -> None:
    kinetics, ava = both
    merged(both, tmp_path / "run", proposals=False)
    (ava / "annotations" / TRAIN_CSV).write_bytes((kinetics / "annotations" / TRAIN_CSV).read_bytes())
    with pytest.raises(UserError, match=f"already holds '{A}_000015_000019'"):
        merged(both, tmp_path / "run", proposals=False)


def test_links_are_mended_and_folders_left_alone(both: tuple[Path, Path]) -> None:
    kinetics, ava = both
    target = kinetics / "rawframes"
    target.mkdir()
    (target / B).symlink_to("/nowhere")
    assert link_frames(DataRoot(kinetics.parent), ava / "rawframes", target) == 1
    assert (target / B).readlink() == ava / "rawframes" / B
    (target / B).unlink()
    (target / B).symlink_to(kinetics)
    assert link_frames(DataRoot(kinetics.parent), ava / "rawframes", target) == 1
    assert (target / B).readlink() == ava / "rawframes" / B
    aside = kinetics.parent / ".clipquarry/set-aside/ava_kinetics/rawframes"
    assert (aside / B).readlink() == kinetics, "a person's link is kept"
    (target / B).unlink()
    (target / B).mkdir()
    with pytest.raises(UserError, match="move it away"):
        link_frames(DataRoot(kinetics.parent), ava / "rawframes", target)
    assert link_frames(DataRoot(kinetics.parent), ava / "no such folder", target) == 0


def test_a_link_that_another_run_makes_is_no_folder(both: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    kinetics, ava = both
    target, look = kinetics / "rawframes", Path.is_symlink

    def other_run_comes_next(path: Path) -> bool:
        found = look(path)
        if path == target / B and not found:
            path.symlink_to(ava / "rawframes" / B)
        return found

    monkeypatch.setattr(Path, "is_symlink", other_run_comes_next)
    assert link_frames(DataRoot(kinetics.parent), ava / "rawframes", target) == 1
    assert (target / B).readlink() == ava / "rawframes" / B


def test_what_is_copied_from_ava_was_checked(both: tuple[Path, Path], tmp_path: Path) -> None:
    kinetics, ava = both
    theirs, copies = ava / "annotations", kinetics / "annotations"
    write_action_list({12: "stand"}, theirs / "ava_action_list_v2.2.pbtxt")
    good = f"{B},0903,{BOX},12,0\n"
    plain = {
        "ava_val_v2.2.csv": f"\ufeff{good}\n{B},0904,{BOX},12.0,0\n{B},0905,{BOX},13,0\n{B},0906,{BOX}\n".encode(),
        "ava_val_excluded_timestamps_v2.2.csv": f"{B},0907\n\n{B},x\n{B},0908\r\n".encode(),
        "ava_train_excluded_timestamps_v2.2.csv": f"{B},0909\n".encode(),
        "ava_file_names_trainval_v2.1.txt": f"{B}.mkv\n\n".encode(),
    }
    for name, text in plain.items():
        (theirs / name).write_bytes(text)
    val = "ava_dense_proposals_val.FAIR.recall_93.9.pkl"
    boxes = np.array([[0, 0, 1, 1, 0.9]])
    (theirs / val).write_bytes(pickle.dumps({f"{B},0903": boxes, f"{B},0904": boxes * 300, "odd": boxes}))
    told = merged(both, tmp_path / "run", proposals=False)
    assert (copies / "ava_val_v2.2.csv").read_text() == good
    assert (copies / "ava_val_excluded_timestamps_v2.2.csv").read_text() == f"{B},0907\n{B},0908\n"
    for name in ("ava_train_excluded_timestamps_v2.2.csv", "ava_file_names_trainval_v2.1.txt", "actions.pbtxt"):
        assert (copies / name).read_bytes() == (theirs / name).read_bytes()
    assert list(read_proposals(copies / val)[0]) == [f"{B},0903"]
    assert not read_proposals(copies / val)[1]
    assert set(told["rewritten"]) == {"ava_val_v2.2.csv", "ava_val_excluded_timestamps_v2.2.csv", val}
    assert "ava_val_v2.2.csv is copied without 3 rows" in told["told"][2]
    for name, text in plain.items():
        assert (theirs / name).read_bytes() == text, "AVA's own files stay as they are"


def test_a_persons_files_in_the_place_of_merged_ones_are_set_aside(both: tuple[Path, Path], tmp_path: Path) -> None:
    kinetics, _ = both
    aside = kinetics.parent / ".clipquarry/set-aside/ava_kinetics/annotations"
    mine = {TRAIN_CSV: b"my rows\n", TRAIN_PROPOSALS: b"my boxes", "ava_val_v2.2.csv": b"my val\n"}
    (kinetics / "annotations").mkdir()
    for name, text in mine.items():
        (kinetics / "annotations" / name).write_bytes(text)
    told = merged(both, tmp_path / "run")
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == mine
    assert sum("was not ours and was moved to" in sentence for sentence in told["told"]) == 3
    assert not merged(both, tmp_path / "run")["told"], "ours are replaced without a word"


def test_merging_killed_anywhere_ends_like_an_undisturbed_one(both: tuple[Path, Path], tmp_path: Path) -> None:
    def left() -> dict[str, bytes | str]:
        return {
            str(path.relative_to(tmp_path)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
            for path in tmp_path.rglob("*")
            if path.is_symlink() or path.is_file()
        }

    ava = both[1]
    for number in range(40):
        (ava / f"rawframes/video_{number:05d}").mkdir()
        (ava / f"annotations/notes_{number}.txt").write_text(f"note {number}\n" * 2000)
    untouched = left()
    seconds = took(lambda: merged(both, tmp_path / "run"))
    told, calm = merged(both, tmp_path / "run"), left()
    for path in [path for path in tmp_path.rglob("*") if path.is_symlink() or path.is_file()]:
        if str(path.relative_to(tmp_path)) not in untouched:
            path.unlink()
    assert left() == untouched
    assert dies_anywhere(lambda: merged(both, tmp_path / "run"), seconds * 0.7, random.Random(11), 8) >= 3
    sweep_unfinished(tmp_path)  # as every stage of a run begins
    assert merged(both, tmp_path / "run") == told
    assert left() == calm
