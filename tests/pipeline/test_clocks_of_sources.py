"""A source that was not asked cannot answer: what one place lacks says nothing about another."""

from __future__ import annotations

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

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
CLIPS = ("0wR5jVB-WPk_000000_000002", "ZVDR2od1gn8_000001_000003")

SPEC = """
schema: dataset-spec/v1
name: {name}
title: Toy
family: clips
task: action-recognition
root: {name}
access: {{kind: open}}
options: {{reader: kinetics_csv}}
layout: {{annotations: annotations, videos: "videos_{{split}}", resized: "videos_{{split}}_256p_dense_cache", rawframes: "rawframes_{{split}}"}}
item: {{level: 2, ext: [mp4], ids: youtube}}
labels: {{source: annotation, count: 2, order: codepoint}}
splits: {{val: annotations/kinetics_val.csv}}
sources:
  - {{id: csv, kind: http, provides: annotations, url: "${{TOY_URL}}/val.csv", into: "annotations/kinetics_val.csv"}}
  - {{id: local, kind: local, provides: items, content: clip, path: "${{TOY_LOCAL}}"}}
  - {{id: mirror, kind: http, provides: items, content: clip, url: "${{TOY_MIRROR}}/{{clip}}.mp4", attempts: 1, timeout_s: 5}}
  - {{id: parts, kind: http, provides: items, content: clip, attempts: 1, volume_lists: {{val: "${{TOY_URL}}/parts.txt"}}, archive: {{into: videos}}}}
  - {{id: films, kind: http, provides: items, content: video, url: "${{TOY_URL}}/films/{{id}}.mp4", attempts: 1, timeout_s: 5}}
lists: {{videos: "toy_{{split}}_list_videos.txt", rawframes: "toy_{{split}}_list_rawframes.txt"}}
expected: {{rows: {{val: {{count: 2}}}}}}
missing: {{warn: 0.9, error: 1}}
recipe: {{preset: ultrafast, max_seconds: 2}}
"""


class Lab:
    """A data root, a server, an empty folder, and the command line over them."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        self.folder, self.data, self.origin, self.runs = folder, folder / "data", origin, 0
        self.empty = folder / "empty"
        self.empty.mkdir()
        (folder / "specs").mkdir()
        for name in ("toy", "twin"):
            (folder / f"specs/{name}.yaml").write_text(SPEC.format(name=name))

    def __call__(self, *arguments: str) -> Result:
        unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CLIPQUARRY_")}
        env = {
            **unset, "TOY_URL": self.origin.url, "CLIPQUARRY_DATA": str(self.data), "NO_PROXY": "127.0.0.1",
            "CLIPQUARRY_DATASETS": str(self.folder / "specs"),
        }  # fmt: skip
        return CliRunner().invoke(main, list(arguments), env=env)

    def run(self, *arguments: str, dataset: str = "toy", command: str = "run") -> tuple[int, int]:
        """One more run: how many items it asked for, and how many are there."""
        self.runs += 1
        done = self(command, dataset, "--run", f"r{self.runs}", "--annotation-counts", "warn", *arguments)
        folder = self.data / ".clipquarry/runs" / dataset / f"r{self.runs}"
        assert (folder / "plan.json").exists(), (done.output, done.exc_info)
        there = list((self.data / dataset).glob("videos_val/*/*.mp4"))
        return int(read_json(folder / "plan.json")["counts"]["asked"]), len(there)

    def mirror(self, place: str) -> tuple[str, ...]:
        return ("--source", "mirror", "--mirror-url", f"{self.origin.url}/{place}/{{clip}}.mp4")

    def questions(self) -> dict[str, int]:
        return {path: count for path, count in self.origin.asked.items() if path.endswith(".mp4")}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    served = tmp_path / "served"
    for folder in ("clips", "films"):
        (served / folder).mkdir(parents=True)
    for clip in CLIPS:
        make_video(served / f"clips/{clip}.mp4", 2, fps=10, label=clip)
        make_video(served / f"films/{clip[:11]}.mp4", 4, fps=10, label=clip)
    rows = [f"zumba,{c[:11]},{int(c[12:18])},{int(c[19:])},val,0\n" for c in CLIPS]
    (served / "val.csv").write_text(HEADER + "".join(rows).replace("zumba", "abseiling", 1))
    with tarfile.open(served / "part_0.tar.gz", "w:gz") as archive:
        archive.add(served / f"clips/{CLIPS[0]}.mp4", f"{CLIPS[0]}.mp4")
    with Origin(served) as origin:
        (served / "parts.txt").write_text(f"{origin.url}/part_0.tar.gz\n")
        yield Lab(tmp_path, origin)


def test_an_empty_folder_sets_no_clock(lab: Lab) -> None:
    local = ("--source", "local", "--local-folder", str(lab.empty))
    for _ in range(6):  # more often than any policy takes to believe it
        assert lab.run(*local) == (0, 0), (
            "nobody else is asked, and the folder is looked through when the run is planned"
        )
    assert lab.run(*lab.mirror("clips")) == (2, 2)


def test_an_empty_folder_says_nothing_to_other_data_sets(lab: Lab) -> None:
    lab.run("--source", "local", "--local-folder", str(lab.empty))
    assert lab.run(*lab.mirror("clips"), dataset="twin") == (2, 2)


def test_a_hole_in_a_mirror_says_nothing_about_films_or_another_mirror(lab: Lab) -> None:
    assert lab.run(*lab.mirror("nowhere")) == (2, 0)
    assert lab.run(*lab.mirror("nowhere")) == (0, 0), "the same mirror has its clock"
    assert lab.run(*lab.mirror("nowhere"), dataset="twin") == (0, 0), "also when another data set asks it"
    assert lab.run(*lab.mirror("clips")) == (2, 2), "another address is another mirror"
    assert lab.questions()[f"nowhere/{CLIPS[0]}.mp4"] == 1


def test_only_sources_whose_time_has_come_are_asked(lab: Lab) -> None:
    lab.origin.set_plan({"films/*": "404"})
    assert lab.run("--source", "films") == (2, 0)
    nowhere = f"{lab.origin.url}/nowhere/{{clip}}.mp4"
    assert lab.run("--source", "mirror", "--source", "films", "--mirror-url", nowhere) == (2, 0)
    assert set(lab.questions().values()) == {1}, "neither is asked twice"
    assert lab.run("--source", "mirror", "--source", "films", "--mirror-url", nowhere) == (0, 0)
    assert lab.run("--source", "mirror", "--source", "films", "--mirror-url", nowhere, "--retry-all") == (2, 0)
    assert set(lab.questions().values()) == {2}


def test_an_archive_was_not_asked_by_a_mirror_and_is_read_once(lab: Lab) -> None:
    assert lab.run(*lab.mirror("nowhere")) == (2, 0)
    assert lab.run("--source", "parts")[1] == 1, "one of them is in the archive"
    read = lab.origin.asked["part_0.tar.gz"]
    assert read > 0, lab("history", CLIPS[1]).output
    assert "not in the archive" in lab("history", CLIPS[1]).output
    assert lab.run("--source", "parts")[0] == 1, "what is there is looked at, what the archive lacks is not"
    assert lab.origin.asked["part_0.tar.gz"] == read
    next(lab.data.glob("toy/videos_val/*/*.mp4")).unlink()
    for clip in lab.data.glob(f".clipquarry/store/clips/*/{CLIPS[0]}.*"):
        clip.unlink()
    assert lab.run("--source", "parts")[1] == 1, "what has gone from the disk is worth reading it again"
    assert lab.run("--source", "films") == (2, 2)


def test_what_a_mirror_lacks_may_be_in_an_archive_of_the_same_run(lab: Lab) -> None:
    nowhere = ("--source", "mirror", "--mirror-url", f"{lab.origin.url}/nowhere/{{clip}}.mp4")
    assert lab.run(*nowhere) == (2, 0)
    assert lab.run(*nowhere, "--source", "parts") == (0, 1), "the mirror is left alone, the archive is read"
    assert lab.questions()[f"nowhere/{CLIPS[0]}.mp4"] == 1


def test_a_folder_that_is_filled_helps_at_once(lab: Lab) -> None:
    lab.run(*lab.mirror("nowhere"))
    (lab.empty / f"{CLIPS[0]}.mp4").write_bytes((lab.folder / f"served/clips/{CLIPS[0]}.mp4").read_bytes())
    nowhere = f"{lab.origin.url}/nowhere/{{clip}}.mp4"
    more = ("--source", "local", "--source", "mirror", "--local-folder", str(lab.empty), "--mirror-url", nowhere)
    assert lab.run(*more) == (0, 1)


def test_the_command_due_says_what_a_refresh_asks(lab: Lab) -> None:
    lab.run("--limit", "1", "--source", "local", "--local-folder", str(lab.empty))
    due = lab("due", "toy").stdout.splitlines()[1:]
    assert len(due) == 1 and CLIPS[0] in due[0], "films were never asked for it; the other was never asked for at all"
    assert lab.run(command="refresh") == (1, 1)
    assert lab("due", "toy").stdout.splitlines()[1:] == []


def test_a_ledger_that_was_deleted_is_filled_again_and_that_is_said(lab: Lab) -> None:
    nowhere = lab.mirror("nowhere")
    assert lab.run(*nowhere) == (2, 0)
    asked = lab.questions()
    for file in (lab.data / ".clipquarry").glob("ledger.sqlite*"):
        file.unlink()
    assert "knows nothing of toy" in lab("doctor").stdout
    lab.runs += 1
    said = lab("run", "toy", "--run", f"r{lab.runs}", "--annotation-counts", "warn", *nowhere).output
    assert "knew nothing of toy" in said and "filled again from the runs on disk (2 items, 2 attempts)" in said
    assert lab.questions() == asked, "what the disk knows is not asked again"
    assert "knows nothing" not in lab("doctor").stdout
    assert "knew nothing" not in lab("run", "toy", "--run", "more", "--annotation-counts", "warn", *nowhere).output
