"""Clips of another data set: the right one is found, and nothing of it is changed."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from clipquarry.acquire.answer import ClipRequest, Fetched, FetchFailed
from clipquarry.acquire.other_dataset import DatasetSource
from clipquarry.errors import UserError
from clipquarry.reasons import Reason

ID = "-aBc_eFgH_1"
LABEL = "massaging person's head (with 5.1 oils)"
CLASS = "massaging_person's_head_(with_5.1_oils)"


def want(start: int, end: int, *, label: str | None = LABEL, split: str = "train", video: str = ID) -> ClipRequest:
    return ClipRequest(video, start, end, f"{video}_{start:06d}_{end:06d}", split, "", label)


def put(folder: Path, name: str, body: bytes = b"bytes of another data set") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(body)
    return folder / name


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "data.root"


@pytest.fixture
def source(data: Path) -> DatasetSource:
    return DatasetSource("kinetics700", "kinetics700/videos_{split}", data)


def fetch(source: DatasetSource, data: Path, asked: ClipRequest) -> Fetched:
    return source.fetch(asked, data.parent / "scratch", Event())


def refused(source: DatasetSource, data: Path, asked: ClipRequest) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        fetch(source, data, asked)
    return caught.value


def test_the_clip_that_holds_the_window_is_linked_with_its_own_start(source: DatasetSource, data: Path) -> None:
    file = put(data / "kinetics700/videos_train" / CLASS, f"{ID}_000010_000020.mkv")
    fetched = fetch(source, data, want(13, 17))
    assert (fetched.content, fetched.offset, fetched.bytes) == ("video", 10.0, len(b"bytes of another data set"))
    assert fetched.path.parent == data.parent / "scratch"
    assert fetched.path.suffix == ".mkv"
    assert fetched.path.samefile(file)
    assert f"videos_train/{CLASS}/{ID}_000010_000020.mkv" in fetched.evidence
    fetched.path.unlink()
    assert file.read_bytes() == b"bytes of another data set"
    assert fetched.until == 20.0


def test_a_clip_of_the_very_window_is_taken_whole_before_longer_ones(source: DatasetSource, data: Path) -> None:
    folder = data / "kinetics700/videos_train" / CLASS
    put(folder, f"{ID}_000005_000025.mp4", b"longer")
    put(folder, f"{ID}_000010_000020.mp4", b"the very one")
    fetched = fetch(source, data, want(10, 20))
    assert (fetched.content, fetched.path.read_bytes(), fetched.until) == ("clip", b"the very one", None)


def test_without_a_label_all_classes_are_searched(source: DatasetSource, data: Path) -> None:
    file = put(data / "kinetics700/videos_train" / CLASS, f"{ID}_000010_000020.mp4")
    put(data / "kinetics700/videos_val" / CLASS, f"{ID}_000010_000020.mp4")
    asked = ClipRequest(ID, 13.25, 15.75, f"{ID}_10_14_0125", "train")
    fetched = fetch(source, data, asked)
    assert fetched.path.samefile(file) and (fetched.content, fetched.offset, fetched.until) == ("video", 10.0, 20.0)
    assert source.may_have(asked)
    assert refused(source, data, ClipRequest(ID, 13.25, 20.25, f"{ID}_10_19_0125", "train")).reason is Reason.NOT_FOUND


@pytest.mark.parametrize(("start", "end"), [(9, 13), (17, 21), (30, 34), (5, 25)])
def test_a_window_that_is_not_wholly_inside_is_not_found(
    source: DatasetSource, data: Path, start: int, end: int
) -> None:
    put(data / "kinetics700/videos_train" / CLASS, f"{ID}_000010_000020.mp4")
    error = refused(source, data, want(start, end))
    assert error.reason is Reason.NOT_FOUND
    assert f"no clip of {ID} that holds {start}-{end} s" in error.evidence


def test_of_several_clips_the_longest_then_the_earliest_then_the_first_path(source: DatasetSource, data: Path) -> None:
    folder = data / "kinetics700/videos_train" / CLASS
    for name in ("000011_000021.mp4", "000009_000019.webm", "000009_000019.mp4", "000012_000016.mp4"):
        put(folder, f"{ID}_{name}", name.encode())
    assert fetch(source, data, want(13, 16)).path.read_bytes() == b"000009_000019.mp4"
    put(folder, f"{ID}_000012_000099.avi", b"longest")
    assert fetch(source, data, want(13, 16)).path.read_bytes() == b"longest", "what came meanwhile is seen"
    (folder / f"{ID}_000012_000099.avi").unlink()
    (folder / f"{ID}_000009_000019.mp4").unlink()
    assert fetch(source, data, want(13, 16)).path.read_bytes() == b"000009_000019.webm"
    assert fetch(source, data, want(13, 21)).offset == 11.0


def test_other_names_are_no_clips(source: DatasetSource, data: Path) -> None:
    folder = data / "kinetics700/videos_train" / CLASS
    for name in (
        f"{ID}_000010_000020.txt", f"{ID}_000010_000020", f"{ID}_10_20.mp4", f"x{ID}_000010_000020.mp4",
        f"{ID}_000010_000020.mp4.part", f"{ID}_x_000010_000020.mp4", f".clipquarry-tmp-{ID}_000010_000020.mp4",
    ):  # fmt: skip
        put(folder, name)
    (folder / f"{ID}_000010_000021.mp4").mkdir()
    assert refused(source, data, want(13, 17)).reason is Reason.NOT_FOUND
    put(folder, f"{ID}_000010_000022.mp4", b"")
    error = refused(source, data, want(13, 17))
    assert error.reason is Reason.NOT_A_VIDEO
    assert "is empty (0 bytes)" in error.evidence
    put(folder, f"{ID}_000010_000018.mp4", b"whole")
    assert fetch(source, data, want(13, 17)).path.read_bytes() == b"whole", "the next best one"


def test_folders_without_classes_and_clips_without_labels(source: DatasetSource, data: Path) -> None:
    put(data / "kinetics700/videos_test/test", f"{ID}_000010_000020.mp4", b"of the test split")
    assert fetch(source, data, want(13, 17, label=None, split="test")).path.read_bytes() == b"of the test split"
    put(data / "kinetics700/videos_val", f"{ID}_000010_000020.mp4", b"flat")
    for label in (None, LABEL):
        assert fetch(source, data, want(13, 17, label=label, split="val")).path.read_bytes() == b"flat"
    flat = DatasetSource("flat", str(data / "kinetics700/videos_val"))
    assert fetch(flat, data, want(13, 17, split="anything")).path.read_bytes() == b"flat"
    named = DatasetSource("named", "kinetics700/videos_{split}", data, {"train": "val"})
    assert fetch(named, data, want(13, 17, split="train")).path.read_bytes() == b"flat"


def test_what_is_not_there_is_not_found_and_hostile_names_lead_nowhere(source: DatasetSource, data: Path) -> None:
    assert "videos_train" in refused(source, data, want(13, 17)).evidence
    put(data, f"{ID}_000010_000020.mp4")
    put(data.parent / "secret", f"{ID}_000010_000020.mp4")
    for split, label in (("..", "x"), ("../..", ".."), ("train", "../../.."), ("train", ".."), ("a\x00b", "x")):
        assert refused(source, data, want(13, 17, split=split, label=label)).reason is Reason.NOT_FOUND
    put(data / "kinetics700/videos_train" / CLASS, f"{ID}_000010_000020.mp4")
    assert refused(source, data, want(13, 17, video="*")).reason is Reason.NOT_FOUND
    with pytest.raises(UserError, match=r"may hold \{split\} only"):
        DatasetSource("x", "kinetics700/{class}", data)


@pytest.mark.parametrize("name", ["v_ApplyEyeMakeup_g01_c01", "1", "1.5", "a.b.c", "#437 (best)_[ok]", f"{ID}_000902"])
def test_a_clip_with_a_name_of_its_own_is_taken_as_it_is(source: DatasetSource, data: Path, name: str) -> None:
    folder = data / "kinetics700/videos_train" / CLASS
    asked = ClipRequest(name, 0, 4, name, "train", "", LABEL)
    for other in (f"{name}.5.avi", f"{name}1.avi", f"{name}.txt", f"{name}.part", name):
        put(folder, other)
    assert refused(source, data, asked).reason is Reason.NOT_FOUND
    assert not source.may_have(asked)
    file = put(folder, f"{name}.AVI", b"the clip")
    fetched = fetch(source, data, asked)
    assert (fetched.content, fetched.path.samefile(file)) == ("clip", True)
    assert f"the clip of this name in videos_train/{CLASS}/{name}.AVI" in fetched.evidence


def test_a_name_with_times_is_told_by_its_times(source: DatasetSource, data: Path) -> None:
    put(data / "kinetics700/videos_train" / CLASS, "a.b_000010_000020.mp4")
    fetched = fetch(source, data, want(10, 20, video="a.b"))
    assert (fetched.content, fetched.offset) == ("clip", 10.0)
    assert refused(source, data, want(10, 20, video="a")).reason is Reason.NOT_FOUND


def test_some_splits_are_searched_in_all_their_classes(data: Path) -> None:
    source = DatasetSource("k", "kinetics700/videos_{split}", data, in_splits=("train", "test"))
    asked = ClipRequest(ID, 13, 17, f"{ID}_000130_000170", "val", "", None)
    assert "videos_test" in refused(source, data, asked).evidence
    around = put(data / "kinetics700/videos_train" / CLASS, f"{ID}_000010_000020.mp4", b"around")
    put(data / "kinetics700/videos_val/x", f"{ID}_000013_000017.mp4", b"of a split that is not searched")
    put(data / "kinetics700/videos_train/x", f"{ID}_000130_000170.mp4", b"other times: the names are in seconds")
    fresh = DatasetSource("k", "kinetics700/videos_{split}", data, in_splits=("train", "test"))
    fetched = fetch(fresh, data, asked)
    assert (fetched.content, fetched.offset, fetched.path.samefile(around)) == ("video", 10.0, True)
    same = put(data / "kinetics700/videos_test/y", f"{ID}_000013_000017.webm", b"the very window")
    fresh = DatasetSource("k", "kinetics700/videos_{split}", data, in_splits=("train", "test"))
    fetched = fetch(fresh, data, asked)
    assert (fetched.content, fetched.offset, fetched.path.samefile(same)) == ("clip", 13.0, True)
    assert f"13-17 s of the video in videos_test/y/{ID}_000013_000017.webm" in fetched.evidence
    half = ClipRequest(ID, 10.5, 11.1, f"{ID}_000105_000111", "val", "", None)
    assert fetch(fresh, data, half).path.samefile(around)
