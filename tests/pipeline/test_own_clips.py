"""A lab's own clips, under names that look like nobody's: found where they lie, cut, listed, and kept."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.files import read_json
from clipquarry.manifest import read_rows

SPEC = """
schema: dataset-spec/v1
name: my_actions
title: My actions
family: clips
task: action-recognition
root: my_actions
access: {{kind: closed}}
options: {{reader: kinetics_csv}}
layout: {{annotations: annotations, videos: "videos_{{split}}"}}
item: {{level: 2, ext: [mp4]}}
labels: {{source: annotation, count: 2}}
splits: {{train: annotations/train.csv}}
sources: [{{id: disk, kind: local, provides: items, content: video, path: "{folder}/{{id}}.mp4"}}]
lists: {{videos: "my_actions_{{split}}_list_videos.txt"}}
missing: {{warn: 0.9, error: 1.0}}
rejected: {{error: 0.9}}
"""
IDS = ("1", "take-2.final", "#437(best)&;!_ok_000001", "v_Übung_g01_c01", "[ab]*?")


def test_a_folder_of_ones_own_clips(tmp_path: Path) -> None:
    data, specs, clips = tmp_path / "data", tmp_path / "specs", tmp_path / "clips"
    for folder in (specs, clips, data / "my_actions/annotations"):
        folder.mkdir(parents=True)
    (specs / "my_actions.yaml").write_text(SPEC.format(folder=clips))
    for number, name in enumerate(IDS):
        make_video(clips / f"{name}.mp4", 4 + number, 10, (64, 48), label=name, tone=False)
    rows = [f"{'wave' if number % 2 else 'nod'},{name},1,3,train" for number, name in enumerate(IDS)]
    bad = [
        "nod,../up,0,2,train",
        "nod,.hidden,0,2,train",
        "nod,,0,2,train",
        "nod,take 2,0,2,train",
        f"nod,{'x' * 200},0,2,train",
    ]
    csv = data / "my_actions/annotations/train.csv"
    csv.write_text("\n".join(["label,youtube_id,time_start,time_end,split", *rows, *bad]) + "\n")

    def run(name: str) -> list[dict[str, object]]:
        environment = {"CLIPQUARRY_DATA": str(data), "CLIPQUARRY_DATASETS": str(specs)}
        done = CliRunner().invoke(
            main, ["run", "my_actions", "--run", name, "--annotation-counts", "warn"], env=environment
        )
        assert done.exit_code == 0, done.output
        return list(read_rows(data / f".clipquarry/runs/my_actions/{name}/results.parquet"))

    found = {str(row["video_id"]): row for row in run("one")}
    assert {name: row["status"] for name, row in found.items()} == dict.fromkeys(IDS, "done")
    for name in IDS:
        assert read_frame_numbers(data / str(found[name]["path"])) == list(range(10, 30)), name
    rejected = [
        row for row in read_rows(data / ".clipquarry/runs/my_actions/one/catalog.parquet") if row["video_id"] is None
    ]
    assert [row["reason"] for row in rejected] == ["bad_id"] * 5
    listed = (data / "my_actions/my_actions_train_list_videos.txt").read_text().splitlines()
    assert sorted(listed) == sorted(
        f"{folder}/{name}_000001_000003.mp4 {label}"
        for number, name in enumerate(IDS)
        for folder, label in [("wave", 1) if number % 2 else ("nod", 0)]
    )
    assert {row["status"] for row in run("two")} == {"kept"}
    gate = read_json(data / ".clipquarry/runs/my_actions/two/gates/annotations.json")
    assert [check["id"] for check in gate["checks"] if not check["success"]] == ["annotations.rejected"]
