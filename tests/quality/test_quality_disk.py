"""Gates look at the disk, not only at tables: files that were emptied, cut or replaced behind their step."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from ava_world import BoxWorld
from clipquarry.datasets.model import Item
from clipquarry.quality import disk, frame_folders
from memory import traced_peak
from quality_world import World, broken, ids, jpeg, media_row, video_bytes


def files(root: Path, count: int = 30, suffix: str = "mp4") -> pd.DataFrame:
    rows = []
    for number in range(count):
        name = f"clip{number:02d}.{suffix}"
        (root / name).write_bytes(video_bytes(name))
        rows.append({"path": name, **media_row(name)})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("piece", [7, 1 << 14])
def test_what_is_wrong_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(disk, "_PIECE", piece)
    table = files(tmp_path)
    (tmp_path / "clip01.mp4").write_bytes(b"")
    (tmp_path / "clip02.mp4").write_bytes(b"x" * 999)
    (tmp_path / "clip03.mp4").unlink()
    (tmp_path / "clip04.mp4").write_bytes(b"<html>".ljust(1000))
    (tmp_path / "clip05.mp4").write_bytes(video_bytes("other.mp4"))
    table.loc[6, "path"] = "../outside.mp4"
    table.loc[7, "bytes"], table.loc[7, "sha256"] = -1, ""  # nothing is known: only that it is a file
    table.loc[8, "path"], table.loc[9, "path"] = "", "folder.mp4"
    (tmp_path / "folder.mp4").mkdir()
    looked = disk.look(table, tmp_path, "seed", contents=100)
    wrong = {index: problem for index, problem in enumerate(looked.problems) if problem}
    assert list(wrong) == [1, 2, 3, 4, 5, 6, 8, 9]
    assert (wrong[8], wrong[9]) == ("it is not there", "it is no file")
    for index, part in enumerate(("empty", "999 bytes, recorded were 1,000", "not there", "does not begin", "other contents",
                                  "leaves"), 1):  # fmt: skip
        assert part in wrong[index]
    assert looked.said == "Looked at on disk: sizes of all 30, beginnings of 24, contents of 22."


@pytest.mark.parametrize(
    ("suffix", "begin"),
    [
        ("avi", b"RIFF\x10\0\0\0AVI "),
        ("webm", b"\x1a\x45\xdf\xa3"),
        ("MOV", b"\0\0\0\x08wide"),
        ("m4v", b"\0\0\0\x18ftypM4V "),
    ],
)
def test_a_page_under_the_name_of_any_video_is_seen(tmp_path: Path, suffix: str, begin: bytes) -> None:
    for name, content in (("page", b"<!DOCTYPE html>"), ("video", begin)):
        (tmp_path / f"{name}.{suffix}").write_bytes(content.ljust(1000))
    table = pd.DataFrame({"path": [f"page.{suffix}", f"video.{suffix}"], "bytes": [1000, 1000], "sha256": ["", ""]})
    page, video = disk.look(table, tmp_path, "seed").problems
    assert "does not begin as such a file does" in page
    assert video == ""


def test_no_text_of_every_row_is_kept(tmp_path: Path) -> None:
    rows = 40_000
    texts = pd.Series([f"kinetics700/videos_train/a class/{n:044d}.mp4" for n in range(rows)], dtype="str")
    table = pd.DataFrame({"path": texts, "bytes": 1000, "sha256": texts})
    assert set(disk.look(table, tmp_path, "seed").problems) == {"it is not there"}
    assert traced_peak(lambda: disk.look(table, tmp_path, "seed")) < 125 * rows


def test_a_sample_is_the_same_for_one_run_and_another_for_the_next(tmp_path: Path) -> None:
    one, two = (disk.sample(1000, 20, seed) for seed in ("ds/run1", "ds/run2"))
    assert one == disk.sample(1000, 20, "ds/run1") and one != two and len(set(one)) == 20
    assert disk.sample(3, 20, "x") == [0, 1, 2] and disk.sample(0, 20, "x") == []
    table = files(tmp_path, suffix="webm")
    for path in tmp_path.iterdir():
        path.write_bytes(video_bytes("other.webm"))  # of the same size: only the contents tell
    assert sum(problem != "" for problem in disk.look(table, tmp_path, "seed", contents=7).problems) == 7


def folder(root: Path, name: str, count: int = 6) -> Path:
    path = root / name
    path.mkdir()
    for number in range(1, count + 1):
        (path / f"img_{number:05d}.jpg").write_bytes(jpeg(64, 32))
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "img_00003.jpg is empty"),
        (jpeg(32, 64), "img_00003.jpg is 32x64, recorded is 64x32"),
        (jpeg(64, 32)[:-2], "img_00003.jpg has no end"),
        (b"<html>", "img_00003.jpg is no JPEG"),
    ],
)
def test_what_is_wrong_with_an_image(tmp_path: Path, content: bytes, said: str) -> None:
    (folder(tmp_path, "a") / "img_00003.jpg").write_bytes(content)
    folder(tmp_path, "b")
    table = pd.DataFrame({"path": ["a", "b"], "frames": 6, "width": 64, "height": 32})
    looked = frame_folders.look(Item(), table, tmp_path, 200, "seed")
    assert looked.gaps == ["", ""] and looked.odd[1] == "" and looked.odd[0].startswith(said)


@pytest.mark.parametrize("number", [1, 6])
def test_ends_of_folders_outside_the_sample_are_no_empty_files(tmp_path: Path, number: int) -> None:
    (folder(tmp_path, "a") / f"img_{number:05d}.jpg").write_bytes(b"")
    table = pd.DataFrame({"path": ["a"], "frames": [6]})
    looked = frame_folders.look(Item(), table, tmp_path, 0, "seed")
    assert (looked.gaps, looked.odd) == ([""], [f"img_{number:05d}.jpg is empty"])


def test_clips_copies_and_images_that_changed_behind_their_step(world: World) -> None:
    assert world.resized is not None and world.frames is not None
    clip, copy, images = (world.root / rows[3]["path"] for rows in (world.recorded, world.resized, world.frames))
    clip.write_bytes(b"")
    copy.write_bytes(video_bytes("another copy") + b"longer")
    for image in images.iterdir():
        image.write_bytes(b"")
    name = world.recorded[3]["item_id"]
    clips, frames, lists = (world.gate(gate) for gate in ("clips", "frames", "lists"))
    assert {key: ids(check) for key, check in broken(clips).items()} == {"clips.on_disk": [name]}
    assert {key: ids(check) for key, check in broken(frames).items()} == {
        "resize.on_disk": [name], "frames.on_disk": [name]
    }  # fmt: skip
    assert {key: check.worst[0].get("file") for key, check in broken(lists).items()} == {
        "lists.files [train videos]": "it is empty", "lists.total_frames [train rawframes]": None
    }  # fmt: skip
    assert clips.blocked and frames.blocked and lists.blocked
    on_disk = next(check for check in clips.checks if check.id == "clips.on_disk")
    assert on_disk.sentence.endswith("Looked at on disk: sizes of all 20, beginnings of 19, contents of 19.")


def test_films_excerpts_and_merged_files_that_changed(ava: BoxWorld, tmp_path: Path) -> None:
    (ava.root / ava.recorded[0]["path"]).write_bytes(b"")
    assert set(broken(ava.gate("clips"))) == {"clips.on_disk"}
    (ava.root / ava.made[1]["path"]).write_bytes(b"half")
    (ava.root / ava.made[2]["image_path"] / "img_00077.jpg").write_bytes(b"")
    assert {name: ids(check) for name, check in broken(ava.gate("frames")).items()} == {
        "excerpt.on_disk": [ava.made[1]["item_id"]], "excerpt.size": [ava.made[2]["item_id"]]
    }  # fmt: skip


def test_a_merged_pickle_that_was_replaced(ava_kinetics: BoxWorld) -> None:
    name = "ava_kinetics/annotations/ava_dense_proposals_train.FAIR.recall_93.9.pkl"
    (ava_kinetics.root / name).write_bytes(b"pickle of somebody else")
    found = broken(ava_kinetics.gate("merged"))
    assert {key: ids(check) for key, check in found.items()} == {"merged.files": [name]}
