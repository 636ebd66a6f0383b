"""Two data sets whose clips have the same ids share neither clips nor answers, unless the ids are YouTube's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import pytest
from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.datasets.load import load_all, load_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.namespace import namespace_of
from clipquarry.families.clips.stages import _same_ids
from clipquarry.files import read_json, write_json
from clipquarry.manifest import read_rows
from clipquarry.media.tools import ffmpeg
from clipquarry.microseconds import of
from clipquarry.pipeline.make_context import make_context
from clipquarry.settings import DataRoot, Settings
from clipquarry.steps.clips import Clips, Window

CLIP = "video000001_000000_000003"
SPEC = """
schema: dataset-spec/v1
name: {name}
title: Lab
family: clips
task: action-recognition
root: {name}
access: {{kind: open}}
options: {{reader: kinetics_csv}}
layout: {{annotations: annotations, videos: "videos_{{split}}", resized: "videos_{{split}}_256p", rawframes: "rawframes_{{split}}"}}
item: {{level: 2, ext: [mp4]{ids}}}
labels: {{source: annotation, count: 1}}
splits: {{train: annotations/train.csv}}
sources: [{{id: disk, kind: local, provides: items, content: clip, path: "{folder}"}}]
lists: {{videos: "{name}_{{split}}_list_videos.txt"}}
missing: {{warn: 1.0, error: 1.0}}
"""


def film(path: Path, colour: str) -> None:
    path.parent.mkdir(parents=True)
    source = f"color=c={colour}:size=64x48:rate=10:duration=3"
    subprocess.run([ffmpeg().path, "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", path], check=True)


def colour(path: Path) -> str:
    with av.open(path) as container:
        red, _, blue = next(container.decode(video=0)).to_ndarray(format="rgb24").mean(axis=(0, 1))
    return "red" if red > blue else "blue"


class Labs:
    """Two data sets of one clip each, and the command line over their data root."""

    def __init__(self, folder: Path, ids: str = "", suffix: str = ".mp4") -> None:
        self.data, specs = folder / "data", folder / "specs"
        specs.mkdir()
        for name, shade in (("lab_a", "red"), ("lab_b", "blue")):
            film(folder / name / f"{CLIP}{suffix}", shade)
            (specs / f"{name}.yaml").write_text(SPEC.format(name=name, ids=ids, folder=folder / name))
            csv = self.data / name / "annotations/train.csv"
            csv.parent.mkdir(parents=True)
            csv.write_text("label,youtube_id,time_start,time_end,split\nwave,video000001,0,3,train\n")
        self.environment = {"CLIPQUARRY_DATA": str(self.data), "CLIPQUARRY_DATASETS": str(specs)}

    def __call__(self, *arguments: str) -> str:
        done = CliRunner().invoke(main, list(arguments), env=self.environment)
        assert done.exit_code == 0, done.output
        return done.output

    def clip(self, name: str) -> Path:
        return self.data / name / "videos_train/wave" / f"{CLIP}.mp4"


@pytest.fixture
def labs(tmp_path: Path) -> Labs:
    return Labs(tmp_path)


def test_each_has_its_own_clip(labs: Labs) -> None:
    for name in ("lab_a", "lab_b"):
        labs("run", name, "--run", "one")
    assert [colour(labs.clip(name)) for name in ("lab_a", "lab_b")] == ["red", "blue"]
    kept = [labs.clip(name).stat().st_ino for name in ("lab_a", "lab_b")]
    for name in ("lab_a", "lab_b"):
        labs("run", name, "--run", "two")
    assert [labs.clip(name).stat().st_ino for name in ("lab_a", "lab_b")] == kept
    told = labs("history", "video000001")
    assert told.count(f"lab_a:{CLIP}") == told.count(f"lab_b:{CLIP}") == 1
    assert "'video000001' is an id of 2: lab_a:video000001, lab_b:video000001." in told
    told = labs("history", "lab_b:video000001")
    assert f"lab_b:{CLIP}" in told and "lab_a" not in told and "is an id of" not in told


def test_a_folders_hole_is_not_anothers(labs: Labs) -> None:
    labs("run", "lab_a", "--run", "one")
    for path in (labs.data.parent / "lab_b").iterdir():
        path.unlink()
    labs("run", "lab_b", "--run", "one")
    assert labs.clip("lab_a").exists() and not labs.clip("lab_b").exists()


def _before(labs: Labs) -> None:
    """Turn the store back to what it was when ids did not say whose they are: one entry for both."""
    store = DataRoot(labs.data).store
    key = Clips(DataRoot(labs.data), load_spec(labs.data.parent / "specs/lab_a.yaml").recipe).key(
        Window("video000001", 0, of(3))
    )
    for facts in sorted((store / "clips").rglob("*.json")):
        told = read_json(facts)
        if told.get("namespace") != "lab_a":
            continue
        del told["namespace"]
        old = facts.with_name(f"{CLIP}.{key}.mp4")
        facts.with_suffix(".mp4").rename(old)
        facts.unlink()
        write_json(old.with_suffix(".json"), {**told, "key": key})


def test_what_was_stored_before_is_taken_over(tmp_path: Path) -> None:
    labs = Labs(tmp_path, suffix=".mkv")  # encoded: a ready file stays the same file as the person's
    labs("run", "lab_a", "--run", "one")
    node = labs.clip("lab_a").stat().st_ino
    _before(labs)
    labs("run", "lab_a", "--run", "two")
    assert labs.clip("lab_a").stat().st_ino == node
    (row,) = read_rows(DataRoot(labs.data).run("lab_a", "two") / "results.parquet", ["status", "attempts"])
    assert row["status"] == "kept" and not row["attempts"]
    (facts,) = (DataRoot(labs.data).store / "clips").rglob("*.json")
    assert read_json(facts)["namespace"] == "lab_a" and facts.with_suffix(".mp4").samefile(labs.clip("lab_a"))


def test_what_two_shared_wrongly_is_made_again_for_both(labs: Labs) -> None:
    labs("run", "lab_a", "--run", "one")
    _before(labs)
    labs.clip("lab_b").parent.mkdir(parents=True)
    labs.clip("lab_b").hardlink_to(labs.clip("lab_a"))
    for name in ("lab_b", "lab_a"):
        labs("run", name, "--run", "two")
    assert [colour(labs.clip(name)) for name in ("lab_a", "lab_b")] == ["red", "blue"]


def test_ids_that_are_youtubes_are_shared(tmp_path: Path) -> None:
    labs = Labs(tmp_path, ids=", ids: youtube")
    for name in ("lab_a", "lab_b"):
        labs("run", name, "--run", "one")
    assert labs.clip("lab_a").samefile(labs.clip("lab_b"))


def asks_youtube(spec: DatasetSpec) -> bool:
    return any(one.kind == "youtube" for one in spec.item_sources)


def test_whose_the_ids_of_packaged_data_sets_are(tmp_path: Path) -> None:
    specs, _ = load_all()
    # Files as their authors publish them have names of their own, unless YouTube is asked for them.
    whose = {name: namespace_of(spec) for name, spec in specs.items()}
    assert whose == {
        name: name if spec.item.ids == "own" or (spec.has_files and not asks_youtube(spec)) else "youtube"
        for name, spec in specs.items()
    }
    own = tmp_path / "mine.yaml"
    own.write_text(SPEC.format(name="mine", ids="", folder=tmp_path))
    assert namespace_of(load_spec(own)) == "mine"
    asks = own.read_text().replace(
        "sources: [", "sources: [{id: youtube, kind: youtube, provides: items, content: video}, "
    )
    own.write_text(asks)
    assert namespace_of(load_spec(own)) == "youtube"
    own.write_text(asks.replace("ext: [mp4]", "ext: [mp4], ids: own"))
    assert namespace_of(load_spec(own)) == "mine"


def _takes(labs: Labs, ids: str = "") -> Path:
    """Turn ``lab_b`` into a data set that takes what ``lab_a`` has; returns its YAML."""
    path = labs.data.parent / "specs/lab_b.yaml"
    text = SPEC.format(name="lab_b", ids=ids, folder=labs.data.parent / "lab_b")
    taken = "sources: [{id: others, kind: dataset, provides: items, content: video, dataset: lab_a}]"
    path.write_text("\n".join(taken if line.startswith("sources:") else line for line in text.splitlines()))
    return path


def test_clips_of_other_ids_are_not_taken(labs: Labs) -> None:
    labs("run", "lab_a", "--run", "one")
    path = _takes(labs)
    done = CliRunner().invoke(main, ["run", "lab_b", "--run", "one"], env=labs.environment)
    assert done.exit_code == 2 and not labs.clip("lab_b").exists()
    told = done.output
    assert f"{path}, line 14: key 'sources.0.dataset': 'lab_b' has its own ids and 'lab_a' has its own ids" in told
    _takes(labs, ", ids: youtube")
    done = CliRunner().invoke(main, ["run", "lab_b", "--run", "one"], env=labs.environment)
    assert done.exit_code == 2 and "'lab_b' has YouTube ids and 'lab_a' has its own ids" in done.output
    specs, errors = load_all([path.parent])
    assert "lab_a" in specs and "lab_b" not in specs and len(errors) == 1


def test_clips_of_the_same_ids_are_taken(tmp_path: Path) -> None:
    labs = Labs(tmp_path, ids=", ids: youtube")
    labs("run", "lab_a", "--run", "one")
    _takes(labs, ", ids: youtube")
    labs("run", "lab_b", "--run", "one")
    assert colour(labs.clip("lab_b")) == "red"


def test_what_means_the_same_video_follows_the_yaml(labs: Labs) -> None:
    context = make_context("lab_a", "r", {}, settings=Settings.from_env(labs.environment))
    assert _same_ids(context, ["lab_a", "lab_b", "kinetics400", "gone"]) == ("lab_a",)
    demo = make_context("kinetics_demo", "r", {}, settings=Settings.from_env(labs.environment))
    assert _same_ids(demo, ["lab_a", "kinetics400", "ava", "gone"]) == ("kinetics400", "ava")
