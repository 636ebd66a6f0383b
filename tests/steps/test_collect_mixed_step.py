"""The step ``collect_mixed``: files, folders of files, and long videos that are cut into parts and perhaps deleted; killed anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clipquarry import item_folder
from clipquarry.demo.videos import make_video
from clipquarry.files import TEMPORARY_PREFIX, sha256_of
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.steps import collect_mixed
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import run_step
from dying import dies_at
from families.clips.omni_world import picture

HOLDS = {"raw": "parts", "web": "folder", "val": "file"}


class Yard:
    """A data set whose parts have two seconds."""

    def __init__(self, folder: Path) -> None:
        self.data, self.root, self.number = folder / "data", folder / "data/toy", 0
        self.rows: list[dict[str, Any]] = []

    def want(self, clip: str, split: str, class_dir: str | None) -> Path:
        """Ask for an item; its place without suffix."""
        item = "/".join(filter(None, (split, class_dir, clip)))
        row = {
            "item_id": item,
            "video_id": clip,
            "clip_id": clip,
            "split": split,
            "label": "a",
            "label_index": 0,
            "row": 1,
        }
        self.rows.append({**row, "class_dir": class_dir})
        place = self.root / item
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def long_video(self, clip: str = "abc", seconds: float = 5, **more: Any) -> Path:
        return make_video(self.want(clip, "raw", "prefa").with_name(f"{clip}.mp4"), seconds, 5, (64, 48), **more)

    def run(self, **more: Any) -> dict[str, dict[str, Any]]:
        """What one run of the step says, by item."""
        self.number += 1
        items, out = self.data / "items.parquet", self.data / f"out{self.number}/part-00000.parquet"
        write_rows(items, schema_of(ITEM_FIELDS, "plan"), self.rows)
        params = {
            "root": "toy", "namespace": "toy", "videos": "{split}", "sources": [], "min_free_gb": 0, "holds": HOLDS, "seconds": 2,
            "recipe": {"preset": "ultrafast", "crf": 18, "audio": "aac"}, **more,
        }  # fmt: skip
        run_step(make_step("collect_mixed"), items=items, params=json.dumps(params), out=out, data=self.data, jobs=1)
        return {row["item_id"]: row for row in read_rows(out)}

    def layout(self) -> dict[str, str]:
        """The files with their checksums."""
        return {str(path.relative_to(self.root)): sha256_of(path) for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


PARTS = {f"raw/prefa/abc/part_{number}.mp4" for number in range(3)}


def test_a_long_video_stays_beside_its_parts(yard: Yard) -> None:
    source = yard.long_video()
    before = sha256_of(source)
    row = yard.run()["raw/prefa/abc"]
    assert (row["status"], row["path"], row["files"], row["parts_wanted"]) == ("done", "toy/raw/prefa/abc", 3, 3)
    assert abs(row["parts_seconds"] - 5) < 0.01 and abs(row["source_seconds"] - 5) < 0.01 and row["frames"] == 25
    assert row["source_deleted"] is False and sha256_of(source) == before
    made = yard.layout()
    assert made.keys() == {*PARTS, "raw/prefa/abc.mp4"}
    times = {name: (yard.root / name).stat().st_mtime_ns for name in made}
    again = yard.run()["raw/prefa/abc"]
    assert (again["status"], again["sha256"]) == ("kept", row["sha256"]), "nothing is cut again"
    assert {name: (yard.root / name).stat().st_mtime_ns for name in yard.layout()} == times


def test_it_is_deleted_only_if_asked_and_its_parts_stay(yard: Yard) -> None:
    source = yard.long_video()
    yard.run()
    made = yard.layout()
    row = yard.run(delete_source=True)["raw/prefa/abc"]
    assert (row["status"], row["source_deleted"]) == ("kept", True) and not source.exists()
    del made["raw/prefa/abc.mp4"]
    assert yard.layout() == made
    last = yard.run(delete_source=True)["raw/prefa/abc"]
    assert (last["status"], last["source_deleted"], last["parts_wanted"]) == ("kept", False, 3)


@pytest.mark.parametrize("what", ["torn", "page", "empty"])
def test_what_cannot_be_read_is_never_deleted(yard: Yard, what: str) -> None:
    source = yard.long_video(noise=20)
    data = {"torn": source.read_bytes()[: source.stat().st_size // 2], "page": b"<html>", "empty": b""}[what]
    source.write_bytes(data)
    row = yard.run(delete_source=True)["raw/prefa/abc"]
    assert row["status"] == "missing" and row["reason"] in ("truncated", "corrupt", "not_a_video") and row["evidence"]
    assert source.read_bytes() == data and yard.layout().keys() == {"raw/prefa/abc.mp4"}


def test_a_part_that_cannot_be_cut_leaves_everything(yard: Yard) -> None:
    """Seconds without a frame in the middle: the reference writes a part that no reader opens."""
    source = yard.long_video(seconds=8, times=[*(0.2 * at for at in range(12)), *(6.2 + 0.2 * at for at in range(9))])
    row = yard.run(delete_source=True)["raw/prefa/abc"]
    assert row["status"] == "missing" and "part_2.mp4" in row["evidence"], row
    assert yard.layout().keys() == {"raw/prefa/abc.mp4"} and source.exists()


MOMENTS = [
    (collect_mixed, "cut_parts", True),
    (collect_mixed.FolderNotes, "note", False),
    (collect_mixed, "replace_folder", False),
    (collect_mixed, "replace_folder", True),
    (Path, "unlink", False),
    (collect_mixed, "sync_folder", False),
]


@pytest.mark.parametrize(
    ("owner", "name", "behind", "delete"),
    [(*moment, delete) for moment in MOMENTS for delete in (True, False) if delete or moment[0] is not Path],
)
def test_a_kill_at_any_moment_loses_nothing(yard: Yard, owner: Any, name: str, behind: bool, delete: bool) -> None:
    source = yard.long_video()
    frames = 25
    dies_at(owner, name, lambda: yard.run(delete_source=delete), behind=behind)
    there = {path.name for path in (yard.root / "raw/prefa/abc").glob("*")}
    assert source.exists() or there == {Path(part).name for part in PARTS}, (
        "a video is gone, and its parts are not there"
    )
    row = yard.run(delete_source=delete)["raw/prefa/abc"]
    assert row["status"] in ("done", "kept") and (row["files"], row["frames"]) == (3, frames)
    assert yard.layout().keys() == PARTS | (set() if delete else {"raw/prefa/abc.mp4"})
    assert not list(yard.root.rglob(f"{TEMPORARY_PREFIX}*"))


def test_parts_of_somebody_else_are_kept_if_they_are_the_videos(yard: Yard) -> None:
    source = yard.long_video()
    yard.run()
    parts = {name: (yard.root / name).read_bytes() for name in PARTS}
    for note in (yard.data / ".clipquarry/store" / item_folder.KIND).rglob("*.json"):
        note.unlink()
    assert yard.run()["raw/prefa/abc"]["status"] == "kept"
    (yard.root / "raw/prefa/abc/part_2.mp4").unlink()
    row = yard.run(delete_source=True)["raw/prefa/abc"]
    assert row["status"] == "done" and "moved to" in row["evidence"], "two of three parts are not the video"
    aside = {path.name for path in (yard.data / ".clipquarry/set-aside").rglob("*.mp4")}
    assert aside == {"part_0.mp4", "part_1.mp4"} and not source.exists()
    assert {name: (yard.root / name).read_bytes() for name in PARTS} == parts, "the same video gives the same parts"


def test_parts_whose_video_is_gone_are_checked_alone(yard: Yard) -> None:
    """As mmaction2's script leaves them."""
    source = yard.long_video()
    yard.run()
    source.unlink()
    for note in (yard.data / ".clipquarry/store" / item_folder.KIND).rglob("*.json"):
        note.unlink()
    row = yard.run()["raw/prefa/abc"]
    assert (row["status"], row["source"], row["source_seconds"]) == ("kept", "existing", None)
    part = yard.root / "raw/prefa/abc/part_1.mp4"
    part.write_bytes(part.read_bytes()[:2000])
    row = yard.run(delete_source=True)["raw/prefa/abc"]
    assert row["status"] == "missing" and "part_1.mp4" in row["evidence"]
    assert yard.layout().keys() == PARTS, "nothing of a person's is moved while there is nothing better"


def test_a_video_that_was_replaced_is_cut_again(yard: Yard) -> None:
    yard.long_video()
    yard.run()
    make_video(yard.root / "raw/prefa/abc.mp4", 7, 5, (64, 48))
    row = yard.run()["raw/prefa/abc"]
    assert (row["status"], row["files"]) == ("done", 4)


def test_two_videos_of_one_item_are_an_error(yard: Yard) -> None:
    source = yard.long_video()
    source.with_suffix(".mkv").write_bytes(source.read_bytes())
    row = yard.run(delete_source=True)["raw/prefa/abc"]
    assert (row["status"], row["reason"]) == ("failed", "duplicate") and source.exists()


def test_a_folder_of_files_names_those_that_cannot_be_used(yard: Yard, tmp_path: Path) -> None:
    folder = yard.want("abseil", "web", "000")
    folder.mkdir()
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        (folder / name).write_bytes(picture(tmp_path, name))
    make_video(folder / "4.mp4", 1, 5, (64, 48))
    (folder / "2.jpg").write_bytes(b"<html>not found</html>")
    (folder / "notes.txt").write_text("x")
    before = yard.layout()
    row = yard.run()["web/000/abseil"]
    assert (row["status"], row["files"], row["unusable"], row["width"], row["height"]) == ("kept", 3, 2, 64, 48)
    assert "2 of its files cannot be used, such as 2.jpg (not_a_video)" in row["evidence"]
    assert set(item_folder.unusable_names(collect_mixed_data(yard), folder)) == {"2.jpg", "notes.txt"}
    assert yard.layout() == before, "nothing is moved or deleted"
    for path in folder.iterdir():
        path.write_bytes(b"")
    row = yard.run()["web/000/abseil"]
    assert row["status"] == "missing" and "none of its 5 files can be used" in row["evidence"]


def collect_mixed_data(yard: Yard) -> Any:
    from clipquarry.settings import DataRoot

    return DataRoot(yard.data)


def test_files_and_absent_items(yard: Yard) -> None:
    make_video(yard.want("01fAWEHzudA", "val", None).with_suffix(".mp4"), 1, 5, (64, 48))
    for clip, split, folder in (("x", "raw", "prefx"), ("y", "web", "000"), ("z", "val", None)):
        yard.want(clip, split, folder)
    found = yard.run()
    assert (found["val/01fAWEHzudA"]["status"], found["val/01fAWEHzudA"]["path"]) == ("kept", "toy/val/01fAWEHzudA.mp4")
    absent = {name: (row["status"], row["reason"]) for name, row in found.items() if name != "val/01fAWEHzudA"}
    assert absent == dict.fromkeys(("raw/prefx/x", "web/000/y", "val/z"), ("missing", "no_source"))
    assert list((yard.root / "web/000").iterdir()) == []


def test_a_folder_that_a_person_puts_there_meanwhile_is_kept(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.long_video()
    cut, folder = collect_mixed.cut_parts, yard.root / "raw/prefa/abc"

    def person_comes_meanwhile(*args: Any) -> Any:
        folder.mkdir()
        (folder / "note.txt").write_text("mine")
        return cut(*args)

    monkeypatch.setattr(collect_mixed, "cut_parts", person_comes_meanwhile)
    row = yard.run()["raw/prefa/abc"]
    assert row["status"] == "done" and "moved to" in row["evidence"]
    assert (yard.data / ".clipquarry/set-aside/toy/raw/prefa/abc/note.txt").read_text() == "mine"
    assert yard.layout().keys() == {*PARTS, "raw/prefa/abc.mp4"}
