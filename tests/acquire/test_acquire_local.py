"""Folders that people have: found in any usual layout, only read."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.local import LocalSource
from clipquarry.errors import UserError
from clipquarry.reasons import Reason

WANT = ClipRequest("-aBcDeFgH_1", 7, 17, "-aBcDeFgH_1_000007_000017", "val", "juggling_balls", "juggling balls")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("-aBcDeFgH_1_000007_000017.mp4", "clip"),
        ("juggling_balls/-aBcDeFgH_1_000007_000017.mkv", "clip"),
        ("juggling balls/-aBcDeFgH_1_000007_000017.webm", "clip"),
        ("val/-aBcDeFgH_1_000007_000017.avi", "clip"),
        ("val/juggling_balls/-aBcDeFgH_1_000007_000017.mp4", "clip"),
        ("val/juggling balls/-aBcDeFgH_1_000007_000017.mp4", "clip"),
        ("videos_val/juggling_balls/-aBcDeFgH_1_000007_000017.mp4", "clip"),
        ("-aBcDeFgH_1.webm", "video"),
        ("val/-aBcDeFgH_1.mp4", "video"),
        ("-aBcDeFgH_1_000007_000017.MP4", "clip"),
        ("val/juggling balls/-aBcDeFgH_1_000007_000017.MOV", "clip"),
        ("videos_val/juggling_balls/-aBcDeFgH_1_000007_000017.m4v", "clip"),
        ("juggling_balls/-aBcDeFgH_1_000007_000017.Ts", "clip"),
        ("val/-aBcDeFgH_1.MTS", "video"),
    ],
)
def test_every_usual_layout_is_found_and_left_as_it_is(tmp_path: Path, name: str, content: str) -> None:
    folder, scratch = tmp_path / "mine", tmp_path / "scratch"
    scratch.mkdir()
    file = folder / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"bytes of a person")
    fetched = LocalSource("local", str(folder), "clip").fetch(WANT, scratch, Event())
    assert (fetched.content, fetched.offset) == (content, 7.0 if content == "clip" else 0.0)
    assert fetched.path.parent == scratch
    assert fetched.path.suffix == file.suffix.lower()
    fetched.path.unlink()
    assert file.read_bytes() == b"bytes of a person"
    assert name in fetched.evidence


@pytest.mark.parametrize("name", ["v_ApplyEyeMakeup_g01_c01", "1", "1.5", "a.b.c", "#437 (best)_[ok]", "a.mp4"])
@pytest.mark.parametrize("folder", ["", "val/", "juggling balls/"])
def test_clips_have_names_of_their_own(tmp_path: Path, name: str, folder: str) -> None:
    """Neither a dot nor ``_`` in a clip's name means anything, and no file of a longer or shorter name is taken for it."""
    want = ClipRequest(name, 0, 4, name, "val", "juggling_balls", "juggling balls")
    place = tmp_path / "mine" / folder
    place.mkdir(parents=True)
    (tmp_path / "scratch").mkdir()
    for other in (f"{name}.5.avi", f"{name}1.avi", f"{name[:-1]}.avi", f"{name}.txt", f"{name}.mp4.part"):
        (place / other).write_bytes(b"of another clip")
    (place / name).mkdir()
    source = LocalSource("local", str(tmp_path / "mine"), "clip")
    with pytest.raises(FetchFailed):
        source.fetch(want, tmp_path / "scratch", Event())
    (place / f"{name}.AVI").write_bytes(b"the clip")
    fetched = source.fetch(want, tmp_path / "scratch", Event())
    assert (fetched.content, fetched.path.read_bytes()) == ("clip", b"the clip")


def test_a_clip_comes_before_a_whole_video(tmp_path: Path) -> None:
    (tmp_path / f"{WANT.clip_id}.mp4").write_bytes(b"clip")
    (tmp_path / f"{WANT.video_id}.mp4").write_bytes(b"video")
    assert LocalSource("local", str(tmp_path), "clip").fetch(WANT, tmp_path, Event()).content == "clip"


def test_a_video_that_has_a_clip_s_name_is_no_clip_where_names_tell_no_window(tmp_path: Path) -> None:
    want = ClipRequest("1", 3, 5, "2", "val")
    for video in ("1", "2"):
        (tmp_path / f"{video}.mp4").write_bytes(f"video {video}".encode())
    (tmp_path / "scratch").mkdir()
    source = LocalSource("raw", str(tmp_path), "video", only_videos=True)
    fetched = source.fetch(want, tmp_path / "scratch", Event())
    assert (fetched.content, fetched.path.read_bytes()) == ("video", b"video 1")


def test_a_template_names_exactly_one_file(tmp_path: Path) -> None:
    (tmp_path / "v-aBcDeFgH_1.dat").write_bytes(b"x")
    source = LocalSource("local", f"{tmp_path}/v{{id}}.dat", "video")
    assert source.fetch(WANT, tmp_path, Event()).content == "video"
    with pytest.raises(FetchFailed) as caught:
        source.fetch(ClipRequest("other", 0, 1, "c"), tmp_path, Event())
    assert caught.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("template", "name", "found"),
    [
        ("{clip}.mp4", "-aBcDeFgH_1_000007_000017.MP4", True),
        ("{class}/{clip}.mp4", "juggling_balls/-aBcDeFgH_1_000007_000017.mov", True),
        ("{split}/{id}_{start:06d}", "val/-aBcDeFgH_1_000007.ts", True),
        ("{id}/{label}/{start}.avi", "-aBcDeFgH_1/juggling balls/7.AVI", True),
        ("v{id}.dat", "v-aBcDeFgH_1.mp4", False),
        ("{clip}.mp4", "-aBcDeFgH_1_000007_000017.mp4.part", False),
        ("{clip}.mp4", "._-aBcDeFgH_1_000007_000017.mp4", False),
        ("{id}.mp4", "-aBcDeFgH_1_000007_000017.mp4", False),
    ],
)
def test_a_template_stands_for_any_suffix_of_a_video(tmp_path: Path, template: str, name: str, found: bool) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    source = LocalSource("local", f"{tmp_path}/{template}", "clip")
    assert source.may_have(WANT) is found
    if found:
        assert name in source.fetch(WANT, tmp_path, Event()).evidence


def test_the_name_that_was_given_comes_first_and_an_empty_file_last(tmp_path: Path) -> None:
    for suffix in (".mov", ".mp4", ".MP4"):
        (tmp_path / f"{WANT.clip_id}{suffix}").write_bytes(suffix.encode())
    ask = LocalSource("local", f"{tmp_path}/{{clip}}.MP4", "clip").fetch
    assert ask(WANT, tmp_path, Event()).path.read_bytes() == b".MP4"
    (tmp_path / f"{WANT.clip_id}.MP4").write_bytes(b"")
    (tmp_path / f"{WANT.clip_id}.mp4").write_bytes(b"")
    assert ask(WANT, tmp_path, Event()).path.read_bytes() == b".mov"


def test_what_comes_later_is_found_too(tmp_path: Path) -> None:
    source = LocalSource("local", str(tmp_path), "clip")
    assert not source.may_have(WANT)
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / f"{WANT.clip_id}.mkv").write_bytes(b"x")
    assert source.may_have(WANT)


@pytest.mark.parametrize("folder", ["", "val", "trainval", "videos", "videos_val", "videos_trainval"])
def test_a_whole_file_is_looked_for_by_its_own_name(tmp_path: Path, folder: str) -> None:
    film = ClipRequest("-aBcDeFgH_1", 0, 0, "-aBcDeFgH_1.mkv", "val")
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / ("-aBcDeFgH_1.MKV" if folder == "val" else "-aBcDeFgH_1.mkv")).write_bytes(b"x")
    names = {"val": "trainval"}
    fetched = LocalSource("local", str(tmp_path), "video", whole_files=True, split_names=names).fetch(
        film, tmp_path, Event()
    )
    assert (fetched.content, fetched.path.suffix, fetched.path.read_bytes()) == ("video", ".mkv", b"x")
    with pytest.raises(FetchFailed):
        LocalSource("local", str(tmp_path), "video", whole_files=True).fetch(
            ClipRequest("-aBcDeFgH_1", 0, 0, "-aBcDeFgH_1.mp4", "val"), tmp_path, Event()
        )


def test_symbolic_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file.mp4").write_bytes(b"x" * 10)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / f"{WANT.clip_id}.mp4").symlink_to(tmp_path / "elsewhere/file.mp4")
    fetched = LocalSource("local", str(tmp_path / "mine"), "clip").fetch(WANT, tmp_path, Event())
    assert fetched.path.read_bytes() == b"x" * 10
    assert not fetched.path.is_symlink()


def test_what_is_not_there_or_empty_or_hostile_is_said(tmp_path: Path) -> None:
    source = LocalSource("local", str(tmp_path), "clip")
    with pytest.raises(FetchFailed) as caught:
        source.fetch(WANT, tmp_path, Event())
    assert caught.value.reason is Reason.NOT_FOUND
    (tmp_path.parent / "secret.mp4").write_bytes(b"x")
    for hostile in ("../secret", "..", "a\x00b", "/etc/passwd"):
        with pytest.raises(FetchFailed):
            source.fetch(ClipRequest(hostile, 0, 1, hostile, hostile, hostile, hostile), tmp_path, Event())
    (tmp_path / f"{WANT.clip_id}.mp4").touch()
    with pytest.raises(FetchFailed) as caught:
        source.fetch(WANT, tmp_path, Event())
    assert caught.value.reason is Reason.NOT_A_VIDEO
    with pytest.raises(UserError, match="not there"):
        LocalSource("local", str(tmp_path / "unmounted"), "clip")


def test_a_folder_below_the_data_root_may_be_absent_and_appear_later(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    source = LocalSource("kept", "gym/videos/{id}.mp4", "video", root=tmp_path / "data{x}")
    with pytest.raises(FetchFailed) as none:
        source.fetch(WANT, scratch, Event())
    assert none.value.reason is Reason.NOT_FOUND
    file = tmp_path / "data{x}/gym/videos/-aBcDeFgH_1.webm"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"video")
    found = source.fetch(WANT, scratch, Event())
    assert (found.content, found.offset, found.path.read_bytes()) == ("video", 0.0, b"video")
    assert file.exists()


def test_longer_clips_that_hold_the_wanted_one_where_the_folder_holds_more(tmp_path: Path) -> None:
    """A person's folder of another data set's clips, in class folders that nobody named."""
    file = tmp_path / "mine/whatever/juggling/-aBcDeFgH_1_000005_000015.webm"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"ten seconds")
    (tmp_path / "mine/-aBcDeFgH_1_000006_000016.mp4").write_bytes(b"")
    want = ClipRequest("-aBcDeFgH_1", 7.25, 9.75, "-aBcDeFgH_1_05_08_0125", "val")
    source = LocalSource("local", str(tmp_path / "mine"), "video")
    fetched = source.fetch(want, tmp_path, Event())
    assert source.may_have(want)
    assert (fetched.content, fetched.offset, fetched.until) == ("video", 5.0, 15.0)
    assert fetched.path.read_bytes() == b"ten seconds" and "whatever/juggling" in fetched.evidence
    clips_only = LocalSource("local", str(tmp_path / "mine"), "clip")
    assert not clips_only.may_have(want)
    with pytest.raises(FetchFailed) as caught:
        source.fetch(ClipRequest("-aBcDeFgH_1", 3, 9, "x_000006", "val"), tmp_path, Event())
    assert caught.value.reason is Reason.NOT_FOUND
