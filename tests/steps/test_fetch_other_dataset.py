"""The step ``fetch`` with the clips of another data set as its source: windows are cut from them, and they stay as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

from clipquarry.demo.videos import read_frame_numbers
from clipquarry.errors import Exit
from clipquarry.files import sha256_of
from clipquarry.ids import clip_id
from fetch_world import VIDEO, Yard
from fetch_world import films as films
from fetch_world import yard as yard


def clips_of_another(yard: Yard, folder: str, name: str, film: str = "whole") -> Path:
    path = yard.data / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(yard.films[film], path)
    return path


OTHER = {
    "id": "kinetics700", "kind": "dataset", "provides": "items", "dataset": "kinetics700",
    "path": "kinetics.700/videos_{split}",
}  # fmt: skip


def test_windows_are_cut_from_the_clips_of_another_data_set_which_stay_as_they_are(yard: Yard) -> None:
    folder = "kinetics.700/videos_val/passing_American_football_(not_in_game)"
    other = clips_of_another(yard, folder, f"{VIDEO}_000100_000120.mp4")
    (yard.data / folder / f"{VIDEO}_000100_000112.mp4").write_bytes(b"shorter, and never looked at")
    before = (other.stat().st_mtime_ns, sha256_of(other))
    label = 'passing "American" football (not in game)'
    for start, end in ((103, 107), (110, 113)):
        yard.want(start=start, end=end, label=label)
    for row in yard.rows:
        row |= {"class_dir": None, "item_id": f"val/{row['clip_id']}"}
    yard.want(start=119, end=122, label=label)
    yard.run(sources=[OTHER])
    first, second, third = yard.result().values()
    assert [row["status"] for row in (first, second, third)] == ["done", "done", "missing"]
    assert third["reason"] == "not_found"
    assert (first["source"], first["path"]) == ("kinetics700", f"k/videos_val/{clip_id(VIDEO, 103, 107)}.mp4")
    assert read_frame_numbers(yard.data / first["path"]) == list(range(30, 70)), "absolute seconds in the name"
    assert read_frame_numbers(yard.data / second["path"]) == list(range(100, 130))
    assert (other.stat().st_mtime_ns, sha256_of(other), other.stat().st_nlink) == (*before, 1)
    left = [path for path in (yard.data / ".clipquarry/scratch").rglob("*") if path.is_file()]
    assert left == []


def test_a_clip_that_is_shorter_than_its_name_says_makes_the_next_source_be_asked(yard: Yard) -> None:
    clips_of_another(yard, "kinetics.700/videos_val/juggling_balls", f"{VIDEO}_000004_000014.mp4", "short")
    yard.want(start=5, end=8)
    yard.run(sources=[OTHER])
    assert yard.only()["reason"] == "too_short"
    yard.serve(f"videos/{VIDEO}.mp4", "whole")
    yard.run(sources=[OTHER, yard.whole()])
    row = yard.only()
    assert (row["status"], row["source"]) == ("done", "videos")
    assert [(a["source"], a["reason"]) for a in row["attempts"]] == [("kinetics700", "too_short"), ("videos", "ok")]


def test_another_data_set_that_is_not_there_or_not_known_is_no_error(yard: Yard) -> None:
    yard.want()
    assert yard.run(sources=[OTHER]).exit is Exit.OK
    assert yard.only()["reason"] == "not_found"
    assert "kinetics.700/videos_val/juggling_balls" in yard.only()["evidence"]
    unknown = {name: value for name, value in OTHER.items() if name != "path"}
    assert yard.run(sources=[unknown]).exit is Exit.OK
    assert "no path is set for the clips of 'kinetics700'" in yard.only()["evidence"]
