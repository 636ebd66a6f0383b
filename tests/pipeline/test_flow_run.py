"""A run that makes frames and optical flow: folders, lists of both counts, gates, release; and its parameters."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from clipquarry.cli import main
from clipquarry.files import read_json
from clipquarry.manifest import read_rows
from clipquarry.media.tools import ffmpeg

SPEC = """
schema: dataset-spec/v1
name: lab
title: Lab
family: clips
task: action-recognition
root: lab
access: {{kind: open}}
options: {{reader: kinetics_csv}}
layout: {{annotations: annotations, videos: "videos_{{split}}", rawframes: "rawframes_{{split}}"}}
item: {{level: 2, ext: [mp4], start_index: {start}}}
labels: {{source: annotation, count: 1}}
splits: {{train: annotations/train.csv}}
sources: [{{id: disk, kind: local, provides: items, content: clip, path: "{mine}"}}]
lists: {{videos: "lab_{{split}}_list_videos.txt", rawframes: "lab_{{split}}_list_rawframes.txt"}}
missing: {{warn: 0, error: 0}}
"""
NAMES = [f"video00000{number}_000000_000002" for number in range(2)]


@pytest.fixture(params=[0, 1])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> int:
    """A data set of two clips whose frames are numbered from there."""
    number = int(request.param)
    (tmp_path / "mine/wave").mkdir(parents=True)
    for hue, name in enumerate(NAMES):
        source = f"testsrc=size=64x48:rate=10:duration=2,hue=h={hue * 60}"
        made = ["-c:v", "libx264", "-pix_fmt", "yuv420p", str(tmp_path / f"mine/wave/{name}.mp4")]
        subprocess.run([str(ffmpeg().path), "-v", "error", "-f", "lavfi", "-i", source, *made], check=True)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/lab.yaml").write_text(SPEC.format(mine=tmp_path / "mine", start=number))
    csv = tmp_path / "data/lab/annotations/train.csv"
    csv.parent.mkdir(parents=True)
    rows = "".join(f"wave,{name[:11]},0,2,train\n" for name in NAMES)
    csv.write_text(f"label,youtube_id,time_start,time_end,split\n{rows}")
    return number


def run(tmp_path: Path, name: str, **params: object) -> Result:
    environment = {"CLIPQUARRY_DATA": str(tmp_path / "data"), "CLIPQUARRY_DATASETS": str(tmp_path / "specs")}
    chosen = [word for key, value in params.items() for word in ("--set", f"{key}={value}")]
    return CliRunner().invoke(main, ["run", "lab", "--run", name, *chosen], env=environment)


def test_a_run_with_flow_publishes_lists_of_both_counts(tmp_path: Path, start: int) -> None:
    done = run(tmp_path, "one", frames="true", flow="true", flow_type="dis")
    assert done.exit_code == 0, done.output
    lab = tmp_path / "data/lab"
    assert (lab / "lab_train_list_rawframes.txt").read_text() == "".join(f"wave/{name} 20 0\n" for name in NAMES)
    assert (lab / "lab_train_list_rawframes_flow.txt").read_text() == "".join(f"wave/{name} 19 0\n" for name in NAMES)
    for name in NAMES:
        there = {path.name for path in (lab / "rawframes_train/wave" / name).iterdir()}
        assert there == {f"img_{n:05d}.jpg" for n in range(start, start + 20)} | {
            f"flow_{d}_{n:05d}.jpg" for n in range(start, start + 19) for d in "xy"
        }
    place = tmp_path / "data/.clipquarry/runs/lab/one"
    rows = [row for path in (place / "frames").glob("*.parquet") for row in read_rows(path)]
    assert {(row["start_index"], row["flow_x"], row["flow_y"], row["flow_type"]) for row in rows} == {
        (start, 19, 19, "dis")
    }
    for gate in ("frames", "lists"):
        checks = read_json(place / "gates" / f"{gate}.json")["checks"]
        assert [check["id"] for check in checks if not check["success"]] == []
    flow = {
        check["id"] for check in read_json(place / "gates/frames.json")["checks"] if check["id"].startswith("flow.")
    }
    assert flow == {
        "flow.made",
        "flow.pairs",
        "flow.count",
        "flow.contiguous",
        "flow.on_disk",
        "flow.still",
        "flow.one_row",
    }
    released = {path.name for path in (tmp_path / "data/.clipquarry/releases/lab/one").iterdir()}
    assert {"lab_train_list_rawframes_flow.txt", "missing_rawframes_flow.csv"} <= released
    again = run(tmp_path, "two", frames="true", flow="true", flow_type="dis")
    assert again.exit_code == 0, again.output
    place = tmp_path / "data/.clipquarry/runs/lab/two"
    rows = [row for path in (place / "frames").glob("*.parquet") for row in read_rows(path)]
    assert {row["status"] for row in rows} == {"kept"}


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"flow": "true"}, "also set frames=true"),
        ({"frames": "true", "flow_type": "dis"}, "set flow=true"),
        ({"frames": "true", "flow": "true", "flow_type": "dis", "flow_tool": "denseflow"}, "no DIS flow"),
    ],
)
def test_parameters_that_do_nothing_are_refused(tmp_path: Path, params: dict[str, str], sentence: str) -> None:
    environment = {"CLIPQUARRY_DATA": str(tmp_path / "data")}
    chosen = [word for key, value in params.items() for word in ("--set", f"{key}={value}")]
    done = CliRunner().invoke(main, ["run", "kinetics_demo", *chosen], env=environment)
    assert done.exit_code != 0
    assert sentence in done.output
