"""A run that extracts the sound of clips and computes its features, through the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from clipquarry.cli import main
from clipquarry.demo.videos import make_video
from clipquarry.files import read_json
from clipquarry.manifest import read_rows
from test_own_clips import SPEC

FOLDERS = 'layout: {{annotations: annotations, videos: "videos_{{split}}"'
LISTS = 'lists: {{videos: "my_actions_{{split}}_list_videos.txt"'
SOUND = {
    FOLDERS: f'{FOLDERS}, audio: "audios_{{{{split}}}}", audio_features: "audio_features_{{{{split}}}}"',
    LISTS: f'{LISTS}, audio_features: "my_actions_{{{{split}}}}_list_audio_features.txt"',
}


def spec() -> str:
    """The other test's data set, with folders for sound."""
    text = SPEC
    for old, new in SOUND.items():
        assert text.count(old) == 1, f"the other test's YAML has no longer one {old!r}"
        text = text.replace(old, new)
    return text


class Lab:
    """Three clips of one's own, the second one without sound."""

    def __init__(self, folder: Path, text: str) -> None:
        self.data, self.specs, clips = folder / "data", folder / "specs", folder / "clips"
        for path in (self.specs, clips, self.data / "my_actions/annotations"):
            path.mkdir(parents=True)
        (self.specs / "my_actions.yaml").write_text(text.format(folder=clips))
        for name in ("one", "mute", "two"):
            make_video(clips / f"{name}.mp4", 4, 10, (64, 48), label=name, tone=name != "mute")
        rows = ["wave,one,1,3,train", "nod,mute,1,3,train", "nod,two,0,3,train"]
        csv = self.data / "my_actions/annotations/train.csv"
        csv.write_text("\n".join(["label,youtube_id,time_start,time_end,split", *rows]) + "\n")

    def run(self, name: str, *arguments: str) -> Result:
        environment = {"CLIPQUARRY_DATA": str(self.data), "CLIPQUARRY_DATASETS": str(self.specs)}
        settings = [word for argument in arguments for word in ("--set", argument)]
        common = ["run", "my_actions", "--run", name, "--annotation-counts", "warn", "--jobs", "1"]
        return CliRunner().invoke(main, [*common, *settings], env=environment)

    def shards(self, name: str, step: str) -> dict[str, dict[str, object]]:
        folder = self.data / ".clipquarry/runs/my_actions" / name / step
        return {str(row["video_id"]): row for path in sorted(folder.glob("*.parquet")) for row in read_rows(path)}

    def gate(self, name: str) -> dict[str, dict[str, object]]:
        found = read_json(self.data / ".clipquarry/runs/my_actions" / name / "gates/frames.json")
        return {check["id"]: check for check in found["checks"]}


def test_a_run_with_sound(tmp_path: Path) -> None:
    lab = Lab(tmp_path, spec())
    done = lab.run("one", "audio=true", "audio_features=true")
    assert done.exit_code == 0, done.output
    root = lab.data / "my_actions"
    assert sorted(path.relative_to(root).as_posix() for path in root.glob("audio*/*/*")) == [
        "audio_features_train/nod/two_000000_000003.npy", "audio_features_train/wave/one_000001_000003.npy",
        "audios_train/nod/two_000000_000003.wav", "audios_train/wave/one_000001_000003.wav",
    ]  # fmt: skip
    assert {name: row["reason"] for name, row in lab.shards("one", "audio").items()} == {
        "one": "ok", "two": "ok", "mute": "no_audio",
    }  # fmt: skip
    lines = (root / "my_actions_train_list_audio_features.txt").read_text().splitlines()
    assert lines == ["wave/one_000001_000003.npy 20 1", "nod/two_000000_000003.npy 30 0"]
    assert np.load(root / "audio_features_train/nod/two_000000_000003.npy").shape[1] == 80
    run = lab.data / ".clipquarry/runs/my_actions/one"
    (lost,) = read_rows(run / "missing_audio_features.parquet")
    assert (lost["clip_id"], lost["reason"]) == ("mute_000001_000003", "no_audio")
    checks = lab.gate("one")
    sound = {name: check for name, check in checks.items() if name.startswith("audio")}
    assert len(sound) == 13
    assert {name for name, check in sound.items() if not check["success"]} == {"audio.has_sound"}
    assert (sound["audio.has_sound"]["severity"], sound["audio.has_sound"]["unexpected"]) == ("info", 1)
    lists = read_json(run / "gates/lists.json")
    assert all(check["success"] for check in lists["checks"])
    assert any(check["scope"] == "train audio_features" for check in lists["checks"])

    again = lab.run("two", "audio=true", "audio_features=true")
    assert again.exit_code == 0, again.output
    assert {row["status"] for step in ("audio", "audio_features") for row in lab.shards("two", step).values()} == {
        "kept", "missing",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "setting", "said"),
    [
        (spec(), "audio_features=true", "set audio=true with audio_features=true"),
        (SPEC, "audio=true", "audio=true needs a folder 'audio' in the layout of my_actions's YAML, which names none."),
        (f"{spec()}recipe: {{{{audio: none}}}}\n", "audio=true", "cut without sound (recipe.audio is none)"),
    ],
    ids=["features without sound", "no folder", "no sound"],
)
def test_what_a_run_cannot_do_is_one_sentence(tmp_path: Path, text: str, setting: str, said: str) -> None:
    done = Lab(tmp_path, text).run("one", setting)
    assert done.exit_code != 0
    assert said in done.output
    assert "Traceback" not in done.output
