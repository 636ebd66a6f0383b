from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from threading import Event

import pytest
from clipyard.datasets.model import Recipe
from clipyard.demo.videos import make_video, read_frame_numbers
from clipyard.media.errors import MediaError
from clipyard.media.probe import header
from clipyard.reasons import Reason
from clipyard.settings import DataRoot
from clipyard.steps.clips import Clips, Window
from clipyard.store import Facts, content_key

WINDOW = Window("-wR5jVB-WPk", 15, 19)


@pytest.fixture
def data(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path / "data")


def adopt(clips: Clips, file: Path) -> Facts:
    work = clips.data.private / "work"
    work.mkdir(parents=True, exist_ok=True)
    return clips.adopt(WINDOW, Path(shutil.copy(file, work / "in.mp4")), "test", work, Event())


def test_the_rate_is_in_the_key_only_when_there_is_one(data: DataRoot) -> None:
    recipe = {"preset": "superfast", "crf": 20, "audio": "copy"}
    known = content_key(kind="clips", version=1, video="-wR5jVB-WPk", start=15, end=19, recipe=recipe)
    keys = {fps: Clips(data, Recipe(fps=fps)).key(WINDOW) for fps in (None, 25, 30)}
    assert keys[None] == known == "6aca269e4d6ba26cd2f6b1864224beaa"
    assert len(set(keys.values())) == 3


def test_a_file_of_another_rate_is_encoded(data: DataRoot, tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 4, 25, (160, 120), tone=False)
    assert adopt(Clips(data, Recipe()), source)["made"] == "as it came"
    clips = Clips(data, Recipe(fps=30, duration_tolerance=0.75))
    facts = adopt(clips, source)
    assert (facts["made"], facts["frames"], facts["fps"], facts["duration"]) == ("encoded", 120, 30.0, 4.0)
    assert header(clips.path(WINDOW)).rate == 30
    assert read_frame_numbers(clips.path(WINDOW))[::30] == [0, 25, 50, 75]
    assert clips.get(WINDOW) == facts


@pytest.mark.parametrize(
    ("rate", "seconds", "made", "frames"),
    [(30, 4.0, "as it came", 120), (30, 3.5, "as it came", 105), (Fraction(30000, 1001), 4.0, "encoded", 120),
     (60, 4.0, "encoded", 120), (24, 3.5, "encoded", 105)],
)  # fmt: skip
def test_what_has_the_rate_is_taken_as_it_came(
    data: DataRoot, tmp_path: Path, rate: Fraction, seconds: float, made: str, frames: int
) -> None:
    source = make_video(tmp_path / "s.mp4", seconds, rate, (160, 120), tone=False)
    facts = adopt(Clips(data, Recipe(fps=30, duration_tolerance=0.75)), source)
    assert (facts["made"], facts["frames"]) == (made, frames)


def test_a_variable_rate_is_encoded(data: DataRoot, tmp_path: Path) -> None:
    times = [n / 30 + 0.011 * (n % 3) for n in range(120)]
    source = make_video(tmp_path / "s.mp4", 4, 30, (160, 120), tone=False, times=times)
    facts = adopt(Clips(data, Recipe(fps=30)), source)
    assert (facts["made"], facts["frames"], facts["duration"]) == ("encoded", 120, 4.0)


def test_the_tolerance_of_the_reference(data: DataRoot, tmp_path: Path) -> None:
    # What has fewer than (4 - 0.75) x 30 = 97.5 frames is not taken.
    source = make_video(tmp_path / "s.mp4", 10, 30, (160, 120), tone=False)
    clips = Clips(data, Recipe(fps=30, duration_tolerance=0.75))
    work = data.private / "work"
    work.mkdir(parents=True)
    for frames in (98, 97):
        video = make_video(tmp_path / "v.mp4", 6 + frames / 30, 30, (160, 120), tone=False)
        if frames == 98:
            assert clips.cut(WINDOW, video, 9.0, "test", work, Event())["frames"] == 98
            continue
        with pytest.raises(MediaError) as caught:
            clips.cut(WINDOW, video, 9.0, "test", work, Event())
        assert caught.value.reason is Reason.TOO_SHORT
    facts = clips.cut(WINDOW, source, 12.0, "test", work, Event())
    assert read_frame_numbers(clips.path(WINDOW)) == list(range(90, 210))
    assert facts["frames"] == 120
