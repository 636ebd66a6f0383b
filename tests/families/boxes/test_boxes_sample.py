"""What ``make demo-ava`` makes: videos whose images are the right ones, csvs with a hostile row, and a video of the user's."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from clipquarry.annotations.action_list import read_action_list
from clipquarry.annotations.box_csv import read_boxes
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import _draw_number, make_video, read_frame_numbers
from clipquarry.errors import UserError
from clipquarry.families.boxes.sample import data_set
from clipquarry.families.boxes.sample.data_set import (
    ENDS_EARLY,
    GONE,
    TOO_SHORT,
    TWO,
    WALKS,
    YOURS,
    annotation_files,
    make_ava,
)
from clipquarry.families.boxes.sample.videos import LONG_EDGE, RATE, SECONDS, START, _small, own_video, write_video
from clipquarry.media.excerpt import Section, make_excerpt
from clipquarry.media.probe import probe
from clipquarry.media.tools import ffmpeg
from clipquarry.people.hog import HogDetector
from clipquarry.pipeline.sample import Served
from imageio_ffmpeg import get_ffmpeg_exe

FILMS = (WALKS, ENDS_EARLY, TOO_SHORT, GONE, TWO)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return make_ava(tmp_path_factory.mktemp("origin"))


def _numbered(count: int) -> list[tuple[float, av.VideoFrame]]:
    pictures = []
    for number in range(count):
        luma = np.full((120, 160), 128, np.uint8)
        _draw_number(luma, number)
        pictures.append((number / RATE, av.VideoFrame.from_ndarray(np.stack([luma] * 3, axis=2), format="rgb24")))
    return pictures


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_images_of_such_a_film_are_those_of_their_seconds(tmp_path: Path, suffix: str) -> None:
    video = tmp_path / f"video.{suffix}"
    write_video(video, _numbered(4 * RATE))
    facts = probe(video)
    assert (facts.frames, round(facts.duration, 2)) == (1 + 4 * RATE, START + 4)
    section = Section(START, 901, 30, 1)
    made = make_excerpt(
        video, video=tmp_path / f"part.{suffix}", frames=tmp_path / "img", section=section, recipe=Recipe(crf=10)
    )
    assert made.frames is not None and made.frames.frames == 4 * 30
    assert "the source ends at 904.0 s" in made.evidence
    shown = [read_frame_numbers(image)[0] for image in sorted((tmp_path / "img").iterdir())]
    assert shown[::30] == [0, RATE, 2 * RATE, 3 * RATE]
    assert max(abs(number - slot * RATE / 30) for slot, number in enumerate(shown)) <= 0.5
    assert read_frame_numbers(tmp_path / f"part.{suffix}") == shown


def test_the_films_are_there_but_for_the_dead_one(made: Served) -> None:
    ends = {path.name: round(probe(path, decode=False).duration) for path in (made.folder / "ava/trainval").iterdir()}
    assert ends == {WALKS.name: 930, ENDS_EARLY.name: 915, TOO_SHORT.name: 60, TWO.name: 930}
    assert made.plan == {f"ava/trainval/{GONE.name}": "404"}
    listed = (made.folder / "ava/annotations/ava_file_names_trainval_v2.1.txt").read_text().splitlines()
    assert listed == [video.name for video in FILMS]


def test_the_csvs_are_as_many_as_the_yaml_says(made: Served, tmp_path: Path) -> None:
    with zipfile.ZipFile(made.folder / "ava/ava_v2.2.zip") as archive:
        archive.extractall(tmp_path)
    folder, expected = tmp_path / "ava_v2.2", find_spec("ava_demo").expected
    for split in ("train", "val"):
        table = read_boxes(folder / f"ava_{split}_v2.2.csv", "ava")
        keys = set(zip(table.boxes["video_id"].to_pylist(), table.boxes["second"].to_pylist(), strict=True))
        assert len(table.boxes) + len(table.rejected) == expected.rows[split].counts[0]
        assert len(keys) == expected.key_frames[split].counts[0]
        assert set(table.boxes["video_id"].to_pylist()) == {video.video_id for video in FILMS if video.split == split}
        assert len(table.rejected) == (split == "train")
        excluded = {
            (video, int(second))
            for video, second in (
                line.split(",")
                for line in (folder / f"ava_{split}_excluded_timestamps_v2.2.csv").read_text().splitlines()
            )
        }
        assert len(excluded) == 1 and not excluded & keys
        if split == "train":
            assert table.rejected["reason"].to_pylist() == ["bad_id"]
            assert data_set.HOSTILE in table.rejected["text"].to_pylist()[0]
    names = read_action_list(folder / "ava_action_list_v2.2.pbtxt")
    assert names == read_action_list(folder / "ava_action_list_v2.2_for_activitynet_2019.pbtxt") == data_set.ACTIONS


def test_key_seconds_have_the_images_that_readers_take() -> None:
    assert (WALKS.key_seconds[0], WALKS.key_seconds[-1], len(WALKS.key_seconds)) == (902, 928, 26)
    for video in (WALKS, ENDS_EARLY, TWO):
        assert 30 * (video.key_seconds[-1] - START) + 1 + 32 <= 30 * video.seconds


def test_the_detector_finds_the_drawn_people() -> None:
    detector, found = HogDetector(), Counter()
    for second in TWO.key_seconds[::5]:
        picture = next(frame for time, frame in data_set._drawn(TWO) if time == second - START).to_ndarray(
            format="rgb24"
        )
        boxes = detector.detect([picture])[0][:, :4]
        for (left, top, right, bottom), actions in data_set._persons(TWO, second):
            width = np.minimum(boxes[:, 2], right) - np.maximum(boxes[:, 0], left)
            height = np.minimum(boxes[:, 3], bottom) - np.maximum(boxes[:, 1], top)
            both = width.clip(min=0) * height.clip(min=0)
            sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) + (right - left) * (bottom - top)
            found[actions] += bool((both / (sizes - both) >= 0.5).any())
    assert sum(found.values()) >= 8, found  # of 12; it misses some


def test_a_film_of_the_user_takes_the_place_of_val(tmp_path: Path) -> None:
    own = make_video(tmp_path / "own.mp4", 2, fps=50, size=(1280, 720), tone=False)
    looked = own_video(own)
    assert (len(looked.shown), round(looked.seconds, 1)) == (2 * RATE, 2.0)
    made = make_ava(tmp_path / "origin", looked)
    facts = probe(tmp_path / "origin/ava/trainval" / YOURS.name)
    assert (facts.width, facts.height, round(facts.duration, 2)) == (LONG_EDGE, 360, START + SECONDS)
    assert made.folder == tmp_path / "origin" and not (tmp_path / "origin/ava/trainval" / TWO.name).exists()
    texts, expected = annotation_files(data_set.videos_with(looked)), find_spec("ava_demo").expected
    rows = texts["ava_val_v2.2.csv"].splitlines()
    assert [row.split(",")[6] for row in rows] == [str(data_set.UNLABELLED)] * 27
    assert texts["ava_val_excluded_timestamps_v2.2.csv"].splitlines() == [",".join(row.split(",")[:2]) for row in rows]
    assert len(rows) in expected.rows["val"].counts and len(rows) in expected.key_frames["val"].counts
    assert "not labelled" in texts["ava_action_list_v2.2.pbtxt"]
    assert "not labelled" not in texts["ava_action_list_v2.2_for_activitynet_2019.pbtxt"]


@pytest.mark.parametrize("turn", [90, 180, -90])
def test_a_film_is_shown_as_it_was_held(tmp_path: Path, turn: int) -> None:
    """White on the left as it is stored; its header says how to turn it. ffmpeg's own way is the measure."""
    plain, turned, png = tmp_path / "plain.mp4", tmp_path / "turned.mp4", tmp_path / "shown.png"
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[:, :60] = 255
    write_video(plain, ((n / RATE, av.VideoFrame.from_ndarray(picture, format="rgb24")) for n in range(2)))
    tool = [get_ffmpeg_exe(), "-v", "error"]  # older ones have no such option
    subprocess.run([*tool, "-display_rotation", str(turn), "-i", str(plain), "-c", "copy", str(turned)], check=True)
    subprocess.run([*tool, "-i", str(turned), "-frames:v", "1", str(png)], check=True)
    shown = []
    for path in (turned, png):
        with av.open(str(path)) as container:
            shown.append(_small(next(container.decode(video=0))).to_ndarray(format="gray"))
    assert shown[0].shape == shown[1].shape == ((120, 160) if turn == 180 else (160, 120))
    assert np.abs(shown[0].astype(int) - shown[1]).mean() < 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist or is not a file"),
        (b"hello", "is not a video that can be decoded"),
        (b"", "is not a video that"),
    ],
)
def test_what_is_no_film_is_one_sentence(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "own video.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        own_video(path)
    assert str(path) in str(caught.value)


def test_a_picture_sound_and_a_playlist_are_no_films(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4", 1, size=(160, 120))
    tool = [str(ffmpeg().path), "-v", "error", "-i", str(video)]
    subprocess.run([*tool, "-frames:v", "1", str(tmp_path / "picture.png")], check=True)
    subprocess.run([*tool, "-vn", str(tmp_path / "sound.wav")], check=True)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/video.ts\n#EXT-X-ENDLIST\n")
    for name, said in (("picture.png", "for 0.0 s"), ("sound.wav", "no video"), ("list.m3u8", "is not a video")):
        with pytest.raises(UserError, match=said):
            own_video(tmp_path / name)


def test_a_wrong_film_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "clipquarry.demo",
        "--set",
        "ava",
        "--home",
        str(tmp_path / "home"),
        "--film",
        "none.mp4",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "clipquarry: FILM: none.mp4 does not exist or is not a file.\n")
    assert not (tmp_path / "home").exists(), "nothing was begun"
