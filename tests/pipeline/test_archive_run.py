"""From archives of clips to a release, through the command line: the list and the archives as people make them."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from clipquarry.cli import main
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.files import read_json
from clipquarry.ids import clip_id
from clipquarry.manifest import read_rows

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
BIKE, ZUMBA, YOGA, LOST = "-bike_00001", "zumba_00002", "yoga__00003", "lost__00004"

SPEC = """
schema: dataset-spec/v1
name: kinetics_boxed
title: Clips in archives
family: clips
task: action-recognition
root: kinetics_boxed
access: {kind: open}
options: {reader: kinetics_csv}
layout: {annotations: annotations, videos: "videos_{split}", resized: "videos_{split}_256p", rawframes: "rawframes_{split}"}
item: {level: 2, ext: [mp4]}
labels: {source: annotation, count: 2, order: codepoint}
splits: {train: annotations/kinetics_train.csv, val: annotations/kinetics_val.csv}
sources:
  - {id: csv, kind: http, provides: annotations, url: "${BOXED_URL}/{split}.csv", into: "annotations/kinetics_{split}.csv"}
  - id: shard
    kind: http
    provides: items
    content: clip
    attempts: 1
    timeout_s: 5
    volume_lists: {train: "${BOXED_URL}/train_path.txt", val: "${BOXED_FOLDER}/val_path.txt"}
    archive: {into: videos}
lists: {videos: "boxed_{split}_list_videos.txt"}
expected: {rows: {train: {count: 2}, val: {count: 2}}}
missing: {warn: 0.05, error: 0.9}
recipe: {preset: ultrafast, max_seconds: 3}
"""


def save(path: Path, members: dict[str, bytes], mode: str) -> None:
    """A tar with members of these names. AppleDouble files of a Mac come before what they describe."""
    with tarfile.open(path, mode) as tar:
        for name, body in members.items():
            folder, _, base = name.rpartition("/")
            for one, content in ((f"{folder}/._{base}", b"\x00\x05\x16\x07" + b"\x00" * 60), (name, body)):
                info = tarfile.TarInfo(one)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


class Boxed:
    """A data root, the archives of a data set, and the command line."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        self.folder, self.data, self._origin = folder, folder / "data", origin

    def __call__(self, *arguments: str, code: int = 0) -> Result:
        unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CLIPQUARRY_")}
        env = {
            **unset, "BOXED_URL": self._origin.url, "BOXED_FOLDER": str(self.folder / "my lists"), "NO_PROXY": "127.0.0.1",
            "CLIPQUARRY_DATA": str(self.data), "CLIPQUARRY_DATASETS": str(self.folder / "specs"),
        }  # fmt: skip
        done = CliRunner().invoke(main, list(arguments), env=env)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        assert done.exit_code == code, done.output
        return done


@pytest.fixture(scope="module")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boxed]:
    folder = tmp_path_factory.mktemp("boxed")
    served, lists = folder / "served", folder / "my lists"
    for path in (served, lists, folder / "specs"):
        path.mkdir()
    (folder / "specs/kinetics_boxed.yaml").write_text(SPEC)
    film = {name: make_video(folder / f"{name}.mp4", 2, 10, label=name).read_bytes() for name in (BIKE, ZUMBA, YOGA)}
    (served / "train.csv").write_text(f"{HEADER}riding a bike,{BIKE},0,2,train,0\nzumba,{ZUMBA},1,3,train,0\n")
    (served / "val.csv").write_text(f"{HEADER}zumba,{YOGA},2,4,val,0\nzumba,{LOST},0,2,val,0\n")
    bike, zumba, yoga = clip_id(BIKE, 0, 2), clip_id(ZUMBA, 1, 3), clip_id(YOGA, 2, 4)
    # Not compressed, whatever it is called; a blank in its name and in its folders'.
    save(served / "part 0.tar.gz", {f"train/riding a bike/{bike}.mp4": film[BIKE]}, "w")
    save(served / "part_1.tar.gz", {f"train/zumba/{zumba}.MP4": film[ZUMBA], "train/read me.txt": b"x"}, "w:gz")
    save(lists / "part 0.tar.gz", {f"./{yoga}.Mp4": film[YOGA]}, "w:gz")
    with Origin(served) as origin:
        urls = f"\r\n  {origin.url}/part 0.tar.gz \r\n{origin.url}/part_1.tar.gz\t\r\n\r\n"
        (served / "train_path.txt").write_bytes(b"\xef\xbb\xbf" + urls.encode())
        (lists / "val_path.txt").write_bytes(b"part 0.tar.gz\r\n")
        yield Boxed(folder, origin)


def test_archives_become_a_release(boxed: Boxed) -> None:
    last = boxed("run", "kinetics_boxed", "--run", "one", "--jobs", "2").stdout.splitlines()[-1]
    assert last.startswith("kinetics_boxed: 3 of 4 clips are there")
    root = boxed.data / "kinetics_boxed"
    clips = sorted(str(path.relative_to(root)) for path in root.glob("videos_*/*/*"))
    assert clips == [
        f"videos_train/riding_a_bike/{clip_id(BIKE, 0, 2)}.mp4",
        f"videos_train/zumba/{clip_id(ZUMBA, 1, 3)}.mp4",
        f"videos_val/zumba/{clip_id(YOGA, 2, 4)}.mp4",
    ]
    run = boxed.data / ".clipquarry/runs/kinetics_boxed/one"
    gate = read_json(run / "gates/clips.json")
    assert gate["verdict"] != "block", gate
    parts = [row for path in sorted((run / "unpack").glob("part-*.parquet")) for row in read_rows(path)]
    assert [(row["status"], row["found"]) for row in parts] == [("done", 1)] * 3
    release = boxed.data / ".clipquarry/releases/kinetics_boxed/one"
    names = {path.name for path in release.iterdir()}
    assert {"kinetics_boxed.lock", "boxed_train_list_videos.txt", "boxed_val_list_videos.txt"} <= names
    assert len((release / "boxed_train_list_videos.txt").read_text().splitlines()) == 2
    assert (release / "missing_videos.csv").read_text().count(clip_id(LOST, 0, 2)) >= 1
    for published in release.iterdir():
        assert published.stat().st_nlink == 1, "an edit of what is published changes nothing else"
    told = (run / "missing_videos.csv").read_text()
    with open(release / "missing_videos.csv", "a") as handle:
        handle.write("edited in place\n")
    assert (run / "missing_videos.csv").read_text() == told


def test_a_second_run_keeps_what_is_there(boxed: Boxed) -> None:
    boxed("run", "kinetics_boxed", "--run", "two", "--jobs", "1")
    rows = read_rows(boxed.data / ".clipquarry/runs/kinetics_boxed/two/results.parquet")
    assert sorted((row["status"], row["source"] or "") for row in rows) == [
        ("kept", "shard"), ("kept", "shard"), ("kept", "shard"), ("missing", ""),
    ]  # fmt: skip
