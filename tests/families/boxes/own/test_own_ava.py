"""A person's own AVA: which frames are key frames, which videos are val, and links that leave a person's files alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from box_world import BoxWorld
from clipquarry.annotations.own_ava.crop_labels import MIDDLE
from clipquarry.annotations.own_ava.final_files import copy_split, write_split
from clipquarry.annotations.own_ava.label_rows import LabelRow
from clipquarry.annotations.own_ava.person_ids import PersonRow
from clipquarry.datasets.load import find_spec
from clipquarry.errors import GateBlocked, UserError
from clipquarry.families.boxes.checks import CHECKS
from clipquarry.families.boxes.own.crops import divide, raw_videos, read_annotations, wanted_crops
from clipquarry.families.boxes.own.jobs import plan
from clipquarry.families.boxes.own.key_frames import _link, choose
from clipquarry.families.boxes.own.margins import check_margins, without_labels
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.stages import run_gate
from clipquarry.families.boxes.own.tracks import _read
from clipquarry.families.boxes.params import VideosParams
from clipquarry.files import read_json, sha256_of
from clipquarry.microseconds import SECOND
from clipquarry.pipeline.params import RunParams
from clipquarry.settings import DataRoot


def labelled(seconds: int, frames: int, **more: int) -> list[int]:
    return [key.second for key in choose(seconds, frames, 30, **more) if key.labelled]


def test_the_reference_s_key_frames() -> None:
    """Eleven seconds at 30 a second: frames 1, 31 ... 301, of which the seconds 2 to 8 are labelled."""
    keys = choose(10, 330, 30)
    assert [key.frame for key in keys] == list(range(1, 302, 30))
    assert [key.frame for key in keys if key.labelled] == [61, 91, 121, 151, 181, 211, 241]


def test_a_crop_of_exactly_ten_seconds() -> None:
    """As the reference: frame 301 is not there, and the seconds 2 to 7 are left."""
    assert labelled(10, 300) == [2, 3, 4, 5, 6, 7]


def test_other_margins_starts_and_short_crops() -> None:
    assert labelled(10, 330, margin=0) == list(range(11))
    assert labelled(10, 330, first=3, margin=1) == list(range(4, 10))
    assert labelled(3, 120, margin=2) == []
    assert choose(3, 0, 30) == []


def test_a_video_is_in_one_split_and_the_order_does_not_matter() -> None:
    videos = {f"v{number}" for number in range(20)}
    one, two = divide(videos, CropsParams()), divide({*videos}, CropsParams())
    assert one == two and sum(split == "val" for split in one.values()) == 5
    assert divide(videos, CropsParams(seed=1)) != one
    assert set(divide({"a"}, CropsParams()).values()) == {"train"}, "val is no copy of train"
    assert sorted(divide({"a", "b"}, CropsParams()).values()) == ["train", "val"]
    assert set(divide(videos, CropsParams(val_share=0)).values()) == {"train"}


def test_named_videos_of_val() -> None:
    assert divide({"a", "b", "c"}, CropsParams(val_videos=["b"])) == {"a": "train", "b": "val", "c": "train"}
    with pytest.raises(UserError, match="'x'"):
        divide({"a"}, CropsParams(val_videos=["x"]))


def test_parameters_that_would_do_nothing_are_refused() -> None:
    assert list(CropsParams(crops="x.csv", start=3).conflicts({"crops", "start"}))
    assert list(CropsParams(val_videos=["a"], seed=3).conflicts({"val_videos", "seed"}))
    assert list(CropsParams(frames=False, fps=25).conflicts({"frames", "fps"}))
    assert list(CropsParams(tracker="none", track_every=2).conflicts({"tracker", "track_every"}))
    assert list(CropsParams(proposals="none", tracker="clip").conflicts({"proposals", "tracker"}))
    assert list(CropsParams(track_join="exact").conflicts({"track_join"})), "nothing is labelled"
    assert CropsParams().looking == ("detect", "track") and CropsParams(tracker="none").looking == ("detect",)
    assert list(CropsParams(videos=["a/b"]).problems(find_spec("custom_ava")))
    assert not list(CropsParams(videos=["lecture 4".replace(" ", "_")]).problems(find_spec("custom_ava")))


def test_val_is_a_copy_of_train_only_if_asked_for(tmp_path: Path) -> None:
    chosen = CropsParams(val_is_train=True, labels=True)
    assert set(divide({"a", "b", "c"}, chosen).values()) == {"train"} and not list(chosen.conflicts({"val_is_train"}))
    for name, value in {"val_share": 0.5, "val_videos": ["a"], "seed": 3}.items():
        (told,) = CropsParams.model_validate({"val_is_train": True, "labels": True, name: value}).conflicts({name})
        assert f"'{name}' does nothing" in told
    assert list(CropsParams(val_is_train=True, labels=True, splits=["val"]).conflicts(set()))
    assert list(CropsParams(val_is_train=True).conflicts({"val_is_train"})) and list(
        CropsParams(form="reference").conflicts({"form"})
    )
    row = PersonRow(LabelRow("1", 2, (0.125, 0, 1, 0.5), 3), 0)
    write_split(tmp_path, "train", [row], {"1,0002": np.array([[0, 0, 1, 1, 0.5]])}, crlf=True)
    copy_split(tmp_path, "train", "val")
    assert (tmp_path / "val.csv").read_bytes() == b"1,2,0.125,0,1,0.5,3,0\r\n", "the reference's form"
    assert (tmp_path / "val_excluded_timestamps.csv").read_bytes() == b""
    assert (tmp_path / "dense_proposals_val.pkl").read_bytes() == (tmp_path / "dense_proposals_train.pkl").read_bytes()


def test_no_raw_video_that_can_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "custom_ava/videos").mkdir(parents=True)
    (tmp_path / "custom_ava/videos/my clip.mp4").touch()
    with pytest.raises(
        UserError, match=r"\(1\) can be used: the first is 'my clip\.mp4', .* white space.*: rename its file\."
    ):
        wanted_crops(BoxWorld(tmp_path).context("custom_ava", "one"))


def test_a_line_that_is_no_crop_is_told_as_one_of_one_s_own_list(tmp_path: Path) -> None:
    root = tmp_path / "custom_ava"
    root.mkdir()
    (root / "crops.csv").write_text("a.mp4,0,10\nmy clip.mp4,0,10\n")
    ctx = BoxWorld(tmp_path).context("custom_ava", "one", detector="hog", val_share=0.0)
    read_annotations(ctx)
    with pytest.raises(GateBlocked):
        run_gate(ctx, "annotations")
    checks = {one["id"]: one for one in read_json(ctx.place.gate("annotations"))["checks"]}
    assert not checks["own.crops"]["success"] and "annotations.rejected" not in checks
    (check,) = (one for one in CHECKS if one.id == "own.crops")
    assert "Rename" in check.advice and "published" not in check.advice


def test_a_margin_that_leaves_nothing_to_label_stops_the_run_before_anything_is_cut(tmp_path: Path) -> None:
    root = tmp_path / "custom_ava"
    root.mkdir()
    (root / "crops.csv").write_text("a.mp4,0,4,whole\na.mp4,9,3,short\na.mp4,20,3.5,\n")
    ctx = BoxWorld(tmp_path).context("custom_ava", "one", detector="hog", val_share=0.0)
    read_annotations(ctx)
    with pytest.raises(UserError, match=r"2 of 3 crops \(short, 3\) have no .*margin=2.* at least 4 s long"):
        check_margins(ctx)
    check_margins(BoxWorld(tmp_path).context("custom_ava", "one", detector="hog", val_share=0.0, margin=1))
    check_margins(BoxWorld(tmp_path).context("custom_ava", "one", proposals="none", val_share=0.0, frames=False))
    later = BoxWorld(tmp_path).context("custom_ava", "one", detector="hog", val_share=0.0, margin=1, first_key=2)
    with pytest.raises(UserError, match=r"margin=1 and first_key=2 leaves none"):
        check_margins(later)
    assert [*without_labels([("x", 5 * SECOND)], CropsParams())] == []
    with pytest.raises(UserError, match="no key frame to label"):
        plan(ctx)


def test_the_lock_names_every_parameter_that_changes_what_is_released() -> None:
    """Each one is in it, or in what the lock has a checksum of, or says only when, how fast or whom to ask."""
    whole = CropsParams(
        labels=True, flow=True, detector="mmdet", detector_config="/a/b/c.py", detector_checkpoint="/a/w.pth"
    )
    told = whole.in_lock()
    assert told["detector_config"] == "c.py" and told["detector_checkpoint"] == "w.pth", "no path of one machine"
    in_list = {"crops", "start", "seconds", "val_share", "val_videos", "seed", "videos"}
    in_release = {"labels", "actions", "proposals", "frames", "flow"}
    only_how = {"imbalance", "label_days", "detector_sha256", "detector_batch", "device"}
    own = {*CropsParams.model_fields} - {*RunParams.model_fields}
    assert own == {*told} | in_list | in_release | only_how
    assert CropsParams(labels=True, val_is_train=True).in_lock() != CropsParams(labels=True).in_lock()
    assert CropsParams(detector="hog").in_lock()["detector"] == "hog"
    assert {*CropsParams(proposals="none").in_lock()} == {"fps", "first_key", "margin"}
    assert VideosParams().in_lock() == {} and VideosParams(proposals="detect").in_lock()["score"] == 0.7


def test_raw_videos_of_folders(tmp_path: Path) -> None:
    for name in ("one/b.mp4", "one/.c.mp4", "one/notes.txt", "two/b.mkv", "two/a.webm"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert raw_videos([tmp_path / "none", tmp_path / "one", tmp_path / "two"]) == ["a.webm", "b.mp4"]


def test_links_follow_the_frames_and_a_person_s_files_stay(tmp_path: Path) -> None:
    data, spec = DataRoot(tmp_path), find_spec("custom_ava")
    raw = data.dataset(spec.root, "rawframes", "x")
    raw.mkdir(parents=True)
    for number in range(1, 41):
        (raw / f"img_{number:05d}.jpg").write_bytes(b"%d" % number)
    keys = choose(3, 40, 10, margin=1)
    assert _link(data, spec, "x", raw, 40, keys) == {"frames": 40, "keys": 4, "middle": 2}
    middle, frames = data.dataset(spec.root, MIDDLE, "x"), data.dataset(spec.root, "frames", "x")
    (middle / "x_finish.json").write_text("{}")
    assert (middle / "x_000011.jpg").samefile(raw / "img_00011.jpg")
    before = frames.stat().st_mtime_ns
    assert _link(data, spec, "x", raw, 40, keys)["frames"] == 40
    assert frames.stat().st_mtime_ns == before, "what is right is left as it is"
    for number in range(21, 41):
        (raw / f"img_{number:05d}.jpg").unlink()
    assert _link(data, spec, "x", raw, 20, choose(1, 20, 10, margin=0)) == {"frames": 20, "keys": 2, "middle": 2}
    assert sorted(path.name for path in middle.iterdir()) == ["x_000001.jpg", "x_000011.jpg", "x_finish.json"]


def test_frames_of_somebody_else_are_set_aside(tmp_path: Path) -> None:
    data, spec = DataRoot(tmp_path), find_spec("custom_ava")
    raw, frames = data.dataset(spec.root, "rawframes", "x"), data.dataset(spec.root, "frames", "x")
    for folder in (raw, frames):
        folder.mkdir(parents=True)
    (raw / "img_00001.jpg").write_bytes(b"1")
    (frames / "notes.txt").write_text("mine")
    _link(data, spec, "x", raw, 1, [])
    assert [path.name for path in frames.iterdir()] == ["x_000001.jpg"]
    assert [path.read_text() for path in data.set_aside.rglob("notes.txt")] == ["mine"]


def test_tracks_that_another_run_wrote_meanwhile_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("frame,x1,y1,x2,y2,score,person,detected\n1,0.1,0.1,0.3,0.9,0.9,1,1\n")
    assert [one.person for one in _read(path, sha256_of(path), {1})] == [1]
    with pytest.raises(UserError, match="changed since this run made them"):
        list(_read(path, "0" * 64, {1}))
    path.unlink()
    with pytest.raises(UserError, match="deleted or changed"):
        list(_read(path, "0" * 64, {1}))
