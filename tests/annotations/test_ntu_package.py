"""A folder of skeleton files and its package: equal to the reference's algorithm, and a row for every entry."""

from __future__ import annotations

import os
import pickle
from collections import Counter
from pathlib import Path

import pytest
from annotations.ntu_files import TRAIN_60, TRAIN_120, plain_package, skeleton_text, still_text
from clipquarry.annotations.name_lists import known_names
from clipquarry.annotations.ntu_names import TASKS, SampleName, name_problem, parse_name, splits_of
from clipquarry.annotations.ntu_package import PackageRow, package_name, write_package
from clipquarry.errors import UserError
from clipquarry.reasons import Reason, Status

SIXTY = [
    f"S{setup:03d}C{camera:03d}P{subject:03d}R00{repetition}A{action:03d}"
    for setup, camera, subject, repetition, action in (
        (1, 1, 1, 1, 1), (1, 2, 1, 2, 60), (2, 3, 3, 1, 50), (17, 1, 40, 2, 13), (5, 2, 38, 1, 7), (5, 3, 8, 1, 7), (9, 1, 6, 1, 2),
    )
]  # fmt: skip
MORE = ["S018C001P041R001A061", "S032C003P106R002A120", "S031C002P103R001A106", "S020C002P045R002A100"]


def folder_of(root: Path, names: list[str]) -> Path:
    root.mkdir()
    for number, name in enumerate(names):
        (root / f"{name}.skeleton").write_bytes(skeleton_text([1, 2, number % 5, 1], number))
    return root


def written(folder: Path, task: str, **options: object) -> tuple[dict, list[PackageRow], Counter[Status]]:
    rows: list[PackageRow] = []
    target = folder.parent / package_name(TASKS[task])
    ended = write_package(folder, target, TASKS[task], rows.append, **options)  # type: ignore[arg-type]
    return pickle.loads(target.read_bytes()), rows, ended


def assert_same(found: dict, wanted: dict) -> None:
    assert found["split"] == wanted["split"]
    assert len(found["annotations"]) == len(wanted["annotations"])
    for one, other in zip(found["annotations"], wanted["annotations"], strict=True):
        assert list(one) == ["frame_dir", "label", "keypoint", "total_frames"]
        assert one["keypoint"].dtype == other["keypoint"].dtype
        assert one["keypoint"].tobytes() == other["keypoint"].tobytes()
        assert all(one[key] == other[key] for key in ("frame_dir", "label", "total_frames"))
        assert one["keypoint"].shape == other["keypoint"].shape


@pytest.mark.parametrize(("task", "names"), [("ntu60", SIXTY), ("ntu120", SIXTY + MORE)])
def test_a_package_is_the_references(task: str, names: list[str], tmp_path: Path) -> None:
    missing = known_names(f"{task}_missing")[0]
    folder = folder_of(tmp_path / "files", [*names, missing])
    found, rows, ended = written(folder, task)
    assert_same(found, plain_package(folder, task, {missing}))
    assert ended == {Status.DONE: len(names), Status.REJECTED: 1}
    assert [row.name for row in rows] == sorted([*names, missing])
    assert [(row.reason, row.sentence) for row in rows if row.name == missing] == [
        (Reason.LEFT_OUT, f"it is one of the samples of {TASKS[task].title} with missing or incomplete skeletons")
    ]


def test_a_list_of_the_users_replaces_the_known_one(tmp_path: Path) -> None:
    missing = known_names("ntu60_missing")[0]
    folder = folder_of(tmp_path / "files", [*SIXTY, missing])
    found, rows, _ = written(folder, "ntu60", ignored=[SIXTY[0]])
    assert_same(found, plain_package(folder, "ntu60", {SIXTY[0]}))
    assert next(row for row in rows if row.name == SIXTY[0]).sentence == "it is one of the list of ignored samples"


def test_samples_of_the_larger_release_are_left_out_of_the_smaller(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "files", SIXTY + MORE)
    found, rows, _ = written(folder, "ntu60")
    assert [one["frame_dir"] for one in found["annotations"]] == sorted(SIXTY)
    left = {row.name: row for row in rows if row.status is Status.REJECTED}
    assert sorted(left) == sorted(MORE)
    assert {row.reason for row in left.values()} == {Reason.LEFT_OUT}
    assert left[MORE[0]].sentence == "the sample belongs to NTU RGB+D 120, not to NTU RGB+D"


def test_samples_without_people_stay_and_are_reported(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "files", SIXTY)
    (folder / f"{SIXTY[0]}.skeleton").write_bytes(still_text([0, 0, 0], 0))
    (folder / f"{SIXTY[1]}.skeleton").write_bytes(skeleton_text([5, 1]))
    found, rows, _ = written(folder, "ntu60")
    assert_same(found, plain_package(folder, "ntu60", set()))
    rows_by = {row.name: row for row in rows}
    assert rows_by[SIXTY[0]][1:] == (
        Status.DONE, Reason.OK, "nobody is in it: some readers fail at a sample without persons", 0, 3, 0, 0,
    )  # fmt: skip
    assert rows_by[SIXTY[1]].sentence == "a frame has 5 bodies, of which the first 4 count"
    assert rows_by[SIXTY[2]].sentence == ""
    assert rows_by[SIXTY[2]][4:] == (49, 4, 2, 2)


def test_every_bad_entry_has_a_row(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "files", SIXTY[:1])
    bad = {
        "S001C001P001R001A003.skeleton": (b"", Status.FAILED, Reason.CORRUPT),
        "S001C001P001R001A004.skeleton": (skeleton_text([1, 1])[:5000], Status.FAILED, Reason.TRUNCATED),
        "S001C001P001R001A000.skeleton": (skeleton_text([1]), Status.REJECTED, Reason.BAD_ID),
        "S001C001P001R001A121.skeleton": (skeleton_text([1]), Status.REJECTED, Reason.BAD_ID),
        "S001C004P001R001A001.skeleton": (skeleton_text([1]), Status.REJECTED, Reason.BAD_ID),
        "S001C001P001R001A1.skeleton": (skeleton_text([1]), Status.REJECTED, Reason.BAD_ID),
        "S001C001P001R001A001\n.skeleton": (skeleton_text([1]), Status.REJECTED, Reason.BAD_ID),
        "readme.txt": (b"", Status.REJECTED, Reason.BAD_ID),
        "S001C001P001R001A001.SKELETON": (b"", Status.REJECTED, Reason.BAD_ID),
    }
    for name, (content, _, _) in bad.items():
        (folder / name).write_bytes(content)
    (folder / os.fsdecode(b"\xff.skeleton")).write_bytes(b"")
    (folder / "S001C001P001R001A005.skeleton").mkdir()
    os.mkfifo(folder / "S001C001P001R001A006.skeleton")
    found, rows, ended = written(folder, "ntu60")
    assert [one["frame_dir"] for one in found["annotations"]] == [SIXTY[0]]
    assert ended == {Status.DONE: 1, Status.FAILED: 4, Status.REJECTED: 8}
    assert len(rows) == 13
    by_name = {row.name: row for row in rows}
    for name, (_, status, reason) in bad.items():
        row = by_name[name.replace("\n", "\\n").removesuffix(".skeleton")]
        assert (row.status, row.reason) == (status, reason), name
    assert by_name["\\xff"].reason is Reason.BAD_ID
    assert by_name["S001C001P001R001A121"].sentence == "the name says action 121, where 1 to 120 are known"
    assert by_name["S001C001P001R001A003"].label == 2
    assert all(row.sentence.isprintable() and row.name.isprintable() for row in rows)


def test_a_folder_without_samples_is_one_sentence_and_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "ntu60_3d.pkl"
    target.write_bytes(b"before")
    (tmp_path / "files").mkdir()
    for folder in ("files", "absent"):
        with pytest.raises(UserError, match=r"skeleton.* (put the unpacked files there|cannot be read)"):
            write_package(tmp_path / folder, target, TASKS["ntu60"], lambda row: None)
    assert target.read_bytes() == b"before"


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "files", SIXTY)
    written(folder, "ntu60")
    first = (tmp_path / "ntu60_3d.pkl").read_bytes()
    written(folder, "ntu60")
    assert (tmp_path / "ntu60_3d.pkl").read_bytes() == first


def test_every_sample_has_one_split_of_each_benchmark() -> None:
    counted: Counter[str] = Counter()
    for setup in range(1, 33):
        for camera in (1, 2, 3):
            for subject in range(1, 107):
                name = SampleName(setup, camera, subject, 1, 1)
                small, large = splits_of(name, TASKS["ntu60"]), splits_of(name, TASKS["ntu120"])
                assert small == (
                    f"xsub_{'train' if subject in TRAIN_60 else 'val'}",
                    f"xview_{'val' if camera == 1 else 'train'}",
                )
                assert large == (
                    f"xsub_{'train' if subject in TRAIN_120 else 'val'}",
                    f"xset_{'val' if setup % 2 else 'train'}",
                )
                counted.update(large)
    assert counted["xset_train"] == counted["xset_val"]


@pytest.mark.parametrize(("task", "missing"), [("ntu60", 302), ("ntu120", 535)])
def test_all_known_missing_samples_are_of_the_release(task: str, missing: int) -> None:
    names = [parse_name(name) for name in known_names(f"{task}_missing")]
    assert len(set(names)) == missing
    assert not [name for name in names if name_problem(name, TASKS[task])]


def test_the_published_sizes_follow_from_the_missing_samples() -> None:
    small = Counter(
        split for name in known_names("ntu60_missing") for split in splits_of(parse_name(name), TASKS["ntu60"])
    )
    assert (40_320 - small["xsub_train"], 16_560 - small["xsub_val"]) == (40_091, 16_487)
    assert (37_920 - small["xview_train"], 18_960 - small["xview_val"]) == (37_646, 18_932)


def test_two_people_for_the_mutual_actions() -> None:
    two = [action for action in range(1, 121) if SampleName(1, 1, 1, 1, action).persons == 2]
    assert two == [*range(50, 61), *range(106, 121)]
    assert parse_name("S001C002P003R002A013") == (1, 2, 3, 2, 13)
    assert parse_name("S001C002P003R002A013").label == 12
    for name in ("", "S1C2P3R2A13", "S001C002P003R002A0130", "S٠٠١C002P003R002A013"):
        with pytest.raises(ValueError, match="three digits"):
            parse_name(name)
