"""Diving48, from its archive, and from the parts of another place, to mmaction2's lists."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from acquire.made_archives import needs_libarchive, tar
from clipquarry.demo.origin import Origin
from families.clips.file_world import World, film, serve, small

pytestmark = [needs_libarchive, pytest.mark.timeout(300)]

CLIPS = {"_8Vy3dlHg2w_00000": 1, "_8Vy3dlHg2w_00001": 0, "2x00lRzlTVQ_00000": 1}
VOCABULARY = [["Back", "15som", "05Twis", "FREE"], ["Back", "15som", "15Twis", "FREE"]]
LISTS = {
    "diving48_train_list_videos.txt": "_8Vy3dlHg2w_00000.mp4 1\n_8Vy3dlHg2w_00001.mp4 0\n",
    "diving48_val_list_videos.txt": "2x00lRzlTVQ_00000.mp4 1\n",
}


def annotations() -> dict[str, bytes]:
    entries = [{"vid_name": name, "label": label, "start_frame": 0, "end_frame": 7} for name, label in CLIPS.items()]
    return {
        "Diving48_V2_train.json": json.dumps(entries[:2]).encode(),
        "Diving48_V2_test.json": json.dumps(entries[2:]).encode(),
        "Diving48_vocab.json": json.dumps(VOCABULARY).encode(),
    }


def test_the_archive_becomes_a_release(tmp_path: Path) -> None:
    videos = {f"rgb/{clip}.mp4": film(tmp_path, clip, ".mp4") for clip in CLIPS}
    served = serve(tmp_path / "served", {**annotations(), "Diving48_rgb.tar.gz": gzip.compress(tar(videos))})
    with Origin(served) as origin:
        world = World(tmp_path, "small_diving48", origin)
        world.spec(small("diving48"))
        told = world.run("one", "--set", "frames=true").stdout.splitlines()[-1]
        assert told.startswith("small_diving48: 3 of 3 clips are there"), told
        assert world.files() == {f"videos/{clip}.mp4" for clip in CLIPS}
        for name, text in LISTS.items():
            assert (world.root / f"small_{name}").read_text() == text
        assert (world.root / "small_diving48_val_list_rawframes.txt").read_text() == "2x00lRzlTVQ_00000 8 1\n"


def test_parts_that_a_person_placed_are_joined_and_the_tar_in_them_is_unpacked(tmp_path: Path) -> None:
    inner = tar({f"any/where/{clip}.mp4": film(tmp_path, clip, ".mp4") for clip in CLIPS})
    whole = gzip.compress(tar({"raw/diving48.tar": inner}))
    with Origin(serve(tmp_path / "served", annotations())) as origin:
        world = World(tmp_path, "small_diving48", origin)
        world.spec(small("diving48"))
        world.root.mkdir(parents=True)
        third = len(whole) // 3
        for number, part in enumerate((whole[:third], whole[third : 2 * third], whole[2 * third :])):
            (world.root / f"diving48.tar.gz.{number:02d}").write_bytes(part)
        told = world.run("one").stdout.splitlines()[-1]
        assert told.startswith("small_diving48: 3 of 3 clips are there"), told
        for name, text in LISTS.items():
            assert (world.root / f"small_{name}").read_text() == text


def test_a_video_with_two_labels_is_one_item_because_it_is_one_file(tmp_path: Path) -> None:
    files = annotations()
    name = "_8Vy3dlHg2w_00000"
    train = [*json.loads(files["Diving48_V2_train.json"]), {"vid_name": name, "label": 0}]
    files["Diving48_V2_train.json"] = json.dumps(train).encode()
    videos = {f"rgb/{clip}.mp4": film(tmp_path, clip, ".mp4") for clip in CLIPS}
    with Origin(serve(tmp_path / "served", {**files, "Diving48_rgb.tar.gz": gzip.compress(tar(videos))})) as origin:
        world = World(tmp_path, "small_diving48", origin)
        world.spec(small("diving48", ("missing: {warn", "rejected: {error: 1}\nmissing: {warn")))
        told = world.run("one").stdout.splitlines()[-1]
        assert told.startswith("small_diving48: 3 of 3 clips are there"), told
        (rejected,) = [row for row in world.rows("catalog") if row["status"] == "rejected"]
        assert (rejected["reason"], rejected["row"]) == ("duplicate", 3)
        assert (world.root / "small_diving48_train_list_videos.txt").read_text().count(name) == 1
