"""The demo's own AVA on videos of the user: real ones, where the project's machines have them, and those that cannot be used."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from box_world import BoxWorld
from clipquarry.demo.videos import make_video
from clipquarry.errors import UserError
from clipquarry.families.boxes.own.demo import MOST_FILMS, SAMPLE
from clipquarry.pipeline.run import run_all
from clipquarry.pipeline.stages import run_stage
from clipquarry.settings import DataRoot

PARAMS = {name: value for name, value in SAMPLE.params.items() if name != "label_days"}


def run(root: Path, film: Path) -> DataRoot:
    """A run up to the labels, the annotator, and what is left of the run."""
    assert SAMPLE.with_video is not None and SAMPLE.person is not None
    data = DataRoot(root / "data")
    SAMPLE.with_video(film).make(root / "made").place(data.dataset(SAMPLE.dataset))
    with pytest.raises(UserError, match="crops are not labelled"):
        run_all(context := BoxWorld(data.root).context(SAMPLE.dataset, "one", **PARAMS))
    assert len([*SAMPLE.person(data)]) > 1
    for stage in ("labels", "gate_labels", "release"):
        run_stage(stage, context)
    return data


def test_real_videos_become_a_release(shared: Path, tmp_path: Path) -> None:
    data = run(tmp_path, shared / "real/videos")
    with (data.release(SAMPLE.dataset) / "one/labels.csv").open() as handle:
        rows = [*csv.DictReader(handle)]
    assert {row["name"] for row in rows} == {"film_1", "film_2", "film_3"}, "each crop has its video's name"
    assert {row["split"] for row in rows} == {"train", "val"}


def test_one_short_video_without_people_becomes_a_release(tmp_path: Path) -> None:
    data = run(tmp_path, make_video(tmp_path / "a film.mp4", 2, size=(160, 120)))
    told = [*SAMPLE.results(data, "one")]
    assert told[0] == "posture stand: 1 in train, 0 in val" and told[-1].endswith("labelling/custom_ava/labels")


def test_a_folder_of_videos(tmp_path: Path) -> None:
    assert SAMPLE.with_video is not None
    (folder := tmp_path / "films").mkdir()
    with pytest.raises(UserError, match=f"FILM: {folder} holds no video"):
        SAMPLE.with_video(folder)
    (folder / "notes.txt").write_text("none")
    for number in range(MOST_FILMS + 1):
        make_video(folder / f"{number}.mp4", 1, size=(64, 64))
    SAMPLE.make(tmp_path / "made")
    made = SAMPLE.with_video(folder).make(tmp_path / "made")
    assert made.by_hand is not None
    names = sorted(path.name for path in (made.by_hand / "videos").iterdir())
    assert names == [f"film_{number}.mp4" for number in range(1, MOST_FILMS + 1)], "nothing of another demo"
    assert f"the first {MOST_FILMS} of {MOST_FILMS + 1}" in made.about[0]
    (folder / "0.mp4").write_bytes(b"none")
    with pytest.raises(UserError, match="not a video that can be decoded"):
        SAMPLE.with_video(folder)


def test_a_wrong_film_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    argv = [sys.executable, "-m", "clipquarry.demo", "--set", "custom", "--home", str(home), "--film", "none"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "clipquarry: FILM: none does not exist or is not a file.\n")
    assert not home.exists(), "nothing was begun"
