"""The step ``collect``: files are found, fetched, verified by decoding, and put into the layout as they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acquire.made_archives import needs_libarchive, tar
from clipquarry.acquire.archives.extract import extract
from clipquarry.acquire.archives.reader import Reading
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.files import TEMPORARY_PREFIX, sha256_of
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.settings import DataRoot
from clipquarry.steps import collect, whole_file
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import StepResult, run_step
from dying import dies_at


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("films")
    return {
        suffix: make_video(folder / f"film.{suffix}", 2, 8, (64, 48), label=suffix, b_frames=0).read_bytes()
        for suffix in ("avi", "mp4", "mkv")
    }


class Yard:
    def __init__(self, folder: Path, films: dict[str, bytes], origin: Origin) -> None:
        self.data, self.films, self.origin, self.served = folder / "data", films, origin, folder / "served"
        self.mine = folder / "mine"
        self.mine.mkdir()
        self.rows: list[dict[str, Any]] = []
        self.out = self.data / "out/part-00000.parquet"

    def want(self, clip: str = "a.b", split: str = "train_split_1", folder: str | None = "run", **more: Any) -> None:
        row = {
            "item_id": f"{split}/{folder}/{clip}", "video_id": f"{folder}+{clip}", "clip_id": clip, "split": split,
            "label": folder, "class_dir": folder, "label_index": 0, "row": 1,
        }  # fmt: skip
        self.rows.append(row | more)

    def put(self, place: Path, suffix: str = "avi", data: bytes | None = None) -> Path:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(self.films[suffix] if data is None else data)
        return place

    def run(self, *, sources: tuple[str, ...] = ("mine", "mirror"), **more: Any) -> StepResult:
        items = self.data / "items.parquet"
        write_rows(items, schema_of(ITEM_FIELDS, "plan"), self.rows)
        known = {
            "mine": {"id": "mine", "kind": "local", "provides": "items", "content": "file", "path": str(self.mine)},
            "archive": ARCHIVE,
            "mirror": {
                "id": "mirror", "kind": "http", "provides": "items", "content": "file", "attempts": 1,
                "url": f"{self.origin.url}/{{class}}/{{clip}}.avi",
            },
        }  # fmt: skip
        params = {
            "root": "toy", "namespace": "toy", "suffixes": [".avi"], "sources": [known[name] for name in sources],
            "min_free_gb": 0, **more,
        }  # fmt: skip
        return run_step(
            make_step("collect"), items=items, params=json.dumps(params), out=self.out, data=self.data, jobs=2
        )

    def result(self) -> dict[str, dict[str, Any]]:
        return {row["item_id"]: row for row in read_rows(self.out)}

    def layout(self) -> dict[str, bytes]:
        root = self.data / "toy"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def yard(tmp_path: Path, films: dict[str, bytes]) -> Iterator[Yard]:
    (tmp_path / "served").mkdir()
    with Origin(tmp_path / "served") as origin:
        yield Yard(tmp_path, films, origin)


def test_one_file_of_three_splits_is_fetched_once_and_kept_as_it_is(yard: Yard) -> None:
    for split in ("train_split_1", "val_split_2", "train_split_3"):
        yard.want(split=split)
    yard.put(yard.served / "run/a.b.avi")
    yard.run()
    assert yard.layout() == {"videos/run/a.b.avi": yard.films["avi"]}
    rows = list(yard.result().values())
    assert {(row["status"], row["path"], row["frames"], row["source"]) for row in rows} == {
        ("done", "toy/videos/run/a.b.avi", 16, "mirror")
    }
    assert sum(attempt["bytes"] for row in rows for attempt in row["attempts"]) == len(yard.films["avi"])
    assert sum(yard.origin.asked.values()) == 1
    before = (yard.data / "toy/videos/run/a.b.avi").stat()
    yard.out.unlink()
    yard.run()
    assert {row["status"] for row in yard.result().values()} == {"kept"}
    after = (yard.data / "toy/videos/run/a.b.avi").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sum(yard.origin.asked.values()) == 1


@pytest.mark.parametrize("suffix", ["avi", "AVI", "Avi", "aVi", "Mp4", "mKV"])
@pytest.mark.parametrize("where", ["layout", "folder"])
def test_a_suffix_counts_in_any_case(yard: Yard, suffix: str, where: str) -> None:
    """As for the lists, and for every step that looks for the item's file."""
    yard.want()
    body = yard.films[suffix.lower()]
    yard.put((yard.data / "toy/videos" if where == "layout" else yard.mine) / f"run/a.b.{suffix}", data=body)
    yard.run()
    (row,) = yard.result().values()
    assert (row["status"], row["source"]) == (("kept", "existing") if where == "layout" else ("done", "mine"))
    assert list(yard.layout().values()) == [body]
    yard.out.unlink()
    yard.run()
    assert {row["status"] for row in yard.result().values()} == {"kept"}


@pytest.mark.parametrize(("one", "other"), [("avi", "Avi"), ("Avi", "aVi"), ("AVI", "Mkv")])
def test_two_files_whose_suffixes_differ_in_case_are_two(yard: Yard, one: str, other: str) -> None:
    yard.want()
    for suffix in (one, other):
        yard.put(yard.data / f"toy/videos/run/a.b.{suffix}", data=yard.films[suffix.lower()])
    yard.run()
    (row,) = yard.result().values()
    assert (row["status"], row["reason"]) == ("failed", "duplicate")
    assert f"a.b.{one}" in row["evidence"] and f"a.b.{other}" in row["evidence"]


def unpack(yard: Yard, files: dict[str, bytes]) -> None:
    """As the step ``extract`` does before."""
    archive = yard.data / "toy.tar"
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(tar(files))
    data = DataRoot(yard.data)
    extract([archive], yard.data / "toy/videos", data, Reading(data.scratch))


ARCHIVE = {
    "id": "archive", "kind": "http", "provides": "items", "content": "file", "url": "http://127.0.0.1:9/toy.tar",
    "archive": {"into": "videos"},
}  # fmt: skip


@needs_libarchive
@pytest.mark.parametrize(
    ("mine", "order", "left", "aside"),
    [
        ("mkv", ("mine", "archive"), "mkv", 1),  # another file, of another suffix
        ("avi", ("mine", "archive"), "avi", 0),  # the same bytes
        ("bad", ("mine", "archive"), "avi", 0),  # no video: the archive's is there
        (None, ("mine", "archive"), "avi", 0),
        ("mkv", ("archive", "mine"), "avi", 0),  # the archive stands before the folder
    ],
)
def test_a_folder_that_stands_before_an_archive_comes_first(
    yard: Yard, mine: str | None, order: tuple[str, ...], left: str, aside: int
) -> None:
    yard.want()
    unpack(yard, {"run/a.b.avi": yard.films["avi"]})
    if mine is not None:
        suffix, data = ("avi", b"no video") if mine == "bad" else (mine, yard.films[mine])
        yard.put(yard.mine / f"run/a.b.{suffix}", data=data)
    yard.run(sources=order)
    (row,) = yard.result().values()
    taken = mine in ("mkv", "avi") and order[0] == "mine"
    assert (row["status"], row["source"]) == (("done", "mine") if taken else ("kept", "existing")), row
    assert yard.layout() == {f"videos/run/a.b.{left}": yard.films[left]}
    assert len(list((yard.data / ".clipquarry/set-aside").rglob("*.*"))) == aside
    yard.out.unlink()
    yard.run(sources=order)
    assert {row["status"] for row in yard.result().values()} == {"kept"}
    assert yard.layout() == {f"videos/run/a.b.{left}": yard.films[left]}


@needs_libarchive
def test_a_file_that_a_person_left_in_the_layout_stays_before_a_folder(yard: Yard) -> None:
    yard.want()
    unpack(yard, {"run/other.avi": yard.films["avi"]})
    yard.put(yard.data / "toy/videos/run/a.b.avi")
    yard.put(yard.mine / "run/a.b.mkv", "mkv")
    yard.run(sources=("mine", "archive"))
    (row,) = yard.result().values()
    assert (row["status"], row["source"]) == ("kept", "existing")


@needs_libarchive
@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("where", ["write_json", "set_aside", "link_or_copy", "publish"])
def test_a_kill_while_a_folders_file_takes_the_archives_place(yard: Yard, where: str, behind: bool) -> None:
    yard.want()
    unpack(yard, {"run/a.b.avi": yard.films["avi"]})
    yard.put(yard.mine / "run/a.b.mkv", "mkv")
    dies_at(whole_file, where, lambda: yard.run(sources=("mine", "archive")), behind=behind)
    yard.run(sources=("mine", "archive"))
    (row,) = yard.result().values()
    assert row["source"] == "mine"
    left = {name: data for name, data in yard.layout().items() if TEMPORARY_PREFIX not in name}  # each stage sweeps
    assert left == {"videos/run/a.b.mkv": yard.films["mkv"]}


def test_files_of_one_name_in_two_classes_are_two_files(yard: Yard) -> None:
    yard.want("1", folder="run")
    yard.want("1", folder="walk")
    yard.put(yard.mine / "run/1.avi")
    yard.put(yard.mine / "walk/1.mkv", "mkv")
    yard.run()
    assert yard.layout() == {"videos/run/1.avi": yard.films["avi"], "videos/walk/1.mkv": yard.films["mkv"]}


def test_without_classes_there_is_no_folder(yard: Yard) -> None:
    yard.want(folder=None, video_id="a.b")
    yard.put(yard.mine / "a.b.mp4", "mp4")
    yard.run()
    assert set(yard.layout()) == {"videos/a.b.mp4"}


@pytest.mark.parametrize("damage", ["cut", "empty", "page", "picture"])
def test_what_cannot_be_decoded_is_set_aside_and_the_next_source_is_asked(yard: Yard, damage: str) -> None:
    bad = {
        "cut": yard.films["avi"][:4000], "empty": b"", "page": b"<!DOCTYPE html><p>log in", "picture": b"\xff\xd8\xff\xe0JFIF",
    }[damage]  # fmt: skip
    yard.want()
    yard.put(yard.data / "toy/videos/run/a.b.avi", data=bad)
    yard.put(yard.served / "run/a.b.avi")
    yard.run()
    (row,) = yard.result().values()
    assert (row["status"], row["source"]) == ("done", "mirror")
    assert "was moved to" in row["evidence"]
    (aside,) = (yard.data / ".clipquarry/set-aside").rglob("*.avi")
    assert aside.read_bytes() == bad


def test_a_person_s_file_that_is_right_stays_the_same_file(yard: Yard) -> None:
    yard.want()
    before = yard.put(yard.data / "toy/videos/run/a.b.MP4", "mp4").stat().st_ino
    yard.run()
    (row,) = yard.result().values()
    assert (row["status"], row["source"], row["path"]) == ("kept", "existing", "toy/videos/run/a.b.MP4")
    assert (yard.data / "toy/videos/run/a.b.MP4").stat().st_ino == before
    assert not yard.origin.asked


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"clip_id": "../../up"}, "bad_id"),
        ({"clip_id": "a b"}, "bad_id"),
        ({"clip_id": None}, "bad_id"),
        ({"video_id": "x/y"}, "bad_id"),
        ({"class_dir": ".."}, "bad_label"),
        ({"class_dir": "a/b"}, "bad_label"),
        ({"split": ".clipquarry"}, "bad_label"),
    ],
)
def test_hostile_rows_are_rejected_one_by_one(yard: Yard, row: dict[str, Any], reason: str) -> None:
    yard.want(**row, item_id="hostile")
    yard.want("good")
    yard.put(yard.mine / "run/good.avi")
    yard.run()
    result = yard.result()
    assert (result["hostile"]["status"], result["hostile"]["reason"]) == ("rejected", reason)
    assert result["train_split_1/run/good"]["status"] == "done"
    assert set(yard.layout()) == {"videos/run/good.avi"}


@pytest.mark.parametrize(("where", "behind"), [("link_or_copy", False), ("publish", False), ("publish", True)])
def test_a_file_that_came_before_a_kill_is_fetched_and_told_once(yard: Yard, where: str, behind: bool) -> None:
    yard.want()
    yard.put(yard.served / "run/a.b.avi")

    def run() -> None:
        yard.run(sources=("mirror",))

    dies_at(whole_file, where, run, behind=behind)
    dies_at(collect, "media_columns", run)  # and once more, before its row is in the journal
    run()
    (row,) = yard.result().values()
    (attempt,) = row["attempts"]
    assert (attempt["source"], attempt["reason"]) == ("mirror", "ok")
    assert sum(yard.origin.asked.values()) == 1
    # What a killed writer left beside it is swept when the next run begins.
    whole = {name: data for name, data in yard.layout().items() if TEMPORARY_PREFIX not in name}
    assert whole == {"videos/run/a.b.avi": yard.films["avi"]}
    assert [path for path in (yard.data / ".clipquarry/scratch").rglob("*") if path.is_file()] == []


def test_a_file_that_nobody_has_is_missing_with_each_answer(yard: Yard) -> None:
    yard.want()
    yard.run()
    (row,) = yard.result().values()
    assert (row["status"], row["reason"]) == ("missing", "not_found")
    assert [attempt["source"] for attempt in row["attempts"]] == ["mine", "mirror"]


def test_a_file_that_had_arrived_for_one_place_is_never_taken_for_another(yard: Yard) -> None:
    """Another data set, another split with a folder of its own, and a class and a clip whose names join to the same text."""
    yard.want("c", "train", "a+b")
    yard.put(yard.served / "a+b/c.avi")
    dies_at(whole_file, "publish", lambda: yard.run(sources=("mirror",), videos="videos_{split}"))
    others = ("train", "a+b", "c", "other"), ("val", "a+b", "c", "toy"), ("train", "a", "b+c", "toy")
    for number, (split, folder, clip, root) in enumerate(others):
        yard.rows.clear()
        yard.want(clip, split, folder)
        yard.out = yard.data / f"out/part-{number}.parquet"
        yard.run(sources=("mine",), videos="videos_{split}", root=root)
        assert [row["status"] for row in yard.result().values()] == ["missing"]


def test_the_longest_names_that_items_may_have_are_collected(yard: Yard) -> None:
    clip, folder = "c" * 150, "d" * 200
    yard.want(clip, folder=folder, video_id="v")
    yard.put(yard.served / f"{folder}/{clip}.avi")
    yard.run()
    assert set(yard.layout()) == {f"videos/{folder}/{clip}.avi"}


def test_two_files_of_one_name_size_and_time_are_not_taken_for_each_other(yard: Yard) -> None:
    contents = {"run": yard.films["avi"], "sit": yard.films["mkv"]}
    size = max(map(len, contents.values()))
    for folder, data in contents.items():
        yard.want("1", folder=folder)
        path = yard.put(yard.data / f"toy/videos/{folder}/1.avi", data=data.ljust(size, b"\0"))
        os.utime(path, (1_000_000_000, 1_000_000_000))
    sums = {f"train_split_1/{one}/1": sha256_of(yard.data / f"toy/videos/{one}/1.avi") for one in contents}
    for number in range(2):
        yard.out = yard.data / f"out/part-{number}.parquet"
        yard.run()
        assert {name: row["sha256"] for name, row in yard.result().items()} == sums
