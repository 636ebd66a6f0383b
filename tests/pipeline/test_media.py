"""Clips of any suffix, from a folder or an archive: the run ends as one over mp4 files does."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.files import read_json
from clipquarry.manifest import read_rows
from clipquarry.media.probe import probe
from clipquarry.media.tools import ffmpeg

CODECS = {".avi": "mpeg4", ".WEBM": "libvpx", ".mkv": "libx264", ".mov": "libx264", ".mp4": "libx264"}
SPEC = """
schema: dataset-spec/v1
name: lab
title: Lab
family: clips
task: action-recognition
root: lab
access: {{kind: open}}
options: {{reader: kinetics_csv}}
layout: {{annotations: annotations, videos: "videos_{{split}}", resized: "videos_{{split}}_256p", rawframes: "rawframes_{{split}}"}}
item: {{level: 2, ext: [avi, webm, mp4]}}
labels: {{source: annotation, count: 1}}
splits: {{train: annotations/train.csv}}
sources: [{source}]
lists: {{videos: "lab_{{split}}_list_videos.txt", rawframes: "lab_{{split}}_list_rawframes.txt"}}
missing: {{warn: 0, error: 0}}
"""


def clips(folder: Path) -> list[Path]:
    """One clip of each suffix, each as such files usually are."""
    folder.mkdir(parents=True)
    made = []
    for number, (suffix, codec) in enumerate(CODECS.items()):
        path = folder / f"video00000{number}_000000_000002{suffix}"
        source = f"testsrc=size=64x48:rate=10:duration=2,hue=h={number * 60}"
        command = [
            ffmpeg().path,
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            source,
            "-c:v",
            codec,
            "-pix_fmt",
            "yuv420p",
            path,
        ]
        subprocess.run(command, check=True)
        made.append(path)
    return made


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_local_data_set_of_other_suffixes(tmp_path: Path, form: str) -> None:
    files = clips(tmp_path / "mine" / "wave")
    source = f'{{id: disk, kind: local, provides: items, content: clip, path: "{tmp_path / "mine"}"}}'
    if form == "archive":
        with tarfile.open(tmp_path / "part.tar.gz", "w:gz") as tar:
            for file in files:
                tar.add(file, f"videos/{file.name}")
        (tmp_path / "parts.txt").write_text("part.tar.gz\n")
        source = (
            "{id: disk, kind: http, provides: items, content: clip, archive: {into: videos}, "
            f'volume_lists: {{train: "{tmp_path / "parts.txt"}"}}}}'
        )
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/lab.yaml").write_text(SPEC.format(source=source))
    csv = tmp_path / "data/lab/annotations/train.csv"
    csv.parent.mkdir(parents=True)
    rows = "".join(f"wave,video00000{number},0,2,train\n" for number in range(len(CODECS)))
    csv.write_text(f"label,youtube_id,time_start,time_end,split\n{rows}")
    environment = {"CLIPQUARRY_DATA": str(tmp_path / "data"), "CLIPQUARRY_DATASETS": str(tmp_path / "specs")}
    done = CliRunner().invoke(main, ["run", "lab", "--run", "one"], env=environment)
    assert done.exit_code == 0, done.output
    text = (tmp_path / "data/lab/lab_train_list_videos.txt").read_text()
    assert text == "".join(f"wave/video00000{number}_000000_000002.mp4 0\n" for number in range(len(CODECS)))
    run = tmp_path / "data/.clipquarry/runs/lab/one"
    assert {row["status"] for row in read_rows(run / "recorded.parquet")} <= {"done", "kept"}
    for gate in ("clips", "lists"):
        checks = read_json(run / "gates" / f"{gate}.json")["checks"]
        assert [check["id"] for check in checks if not check["success"] and check["severity"] == "error"] == []
    for line in text.splitlines():
        assert probe(tmp_path / "data/lab/videos_train" / line.split()[0]).frames == 20
    assert (run / "report/index.html").is_file()
    assert [path.name for path in files if not path.is_file()] == [], "the folder is only read"
