from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

import av
import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.media.display import remarks
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import header, probe
from clipquarry.media.tools import ffmpeg
from clipquarry.microseconds import of
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot
from clipquarry.steps.clips import Clips, Window
from clipquarry.store import Facts, content_key

WINDOW = Window("-wR5jVB-WPk", of(15), of(19))


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


@pytest.mark.parametrize("name", ["a.avi", "a.h264"])
def test_a_file_without_times_keeps_all_its_frames(data: DataRoot, tmp_path: Path, name: str) -> None:
    film = make_video(tmp_path / "s.mp4", 4, 30, (160, 120), tone=False, gop=1, b_frames=0)
    argv = [str(ffmpeg().path), "-v", "error", "-i", str(film), "-c:v", "libx264", "-bf", "2", str(tmp_path / name)]
    subprocess.run(argv, check=True)
    clips = Clips(data, Recipe())
    facts = adopt(clips, tmp_path / name)
    assert (facts["made"], facts["frames"], facts["duration"]) == ("encoded", 120, pytest.approx(4.0))
    assert read_frame_numbers(clips.path(WINDOW)) == list(range(120))


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


def remuxed(source: Path, out: Path, change: Callable[[Any], object]) -> Path:
    """A copy whose video stream is changed before it is written."""
    with av.open(str(source)) as container, av.open(str(out), "w") as made:
        stream = made.add_stream_from_template(container.streams.video[0])
        change(stream)
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    return out


def ffmpeg_copy(source: Path, out: Path, *options: str) -> Path:
    subprocess.run([str(ffmpeg().path), "-v", "error", "-y", "-i", str(source), *options, str(out)], check=True)
    return out


FLIP = [-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30]


@pytest.fixture(scope="module")
def odd_clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Ready clips of 4 s that readers of arrays see otherwise than players do."""
    folder = tmp_path_factory.mktemp("odd")
    plain = make_video(folder / "plain.mp4", 4, 30, (160, 96), b_frames=0)
    second = make_video(folder / "second.mp4", 4, 30, (64, 48), tone=False)
    picture = ffmpeg_copy(second, folder / "cover.jpg", "-frames:v", "1")
    return {
        "rotated by 90 degrees": remuxed(plain, folder / "90.mp4", lambda stream: stream.set_display_rotation(90)),
        "rotated by 180 degrees": remuxed(plain, folder / "180.mp4", lambda stream: stream.set_display_rotation(180)),
        "mirrored": remuxed(plain, folder / "flip.mp4", lambda stream: stream.set_display_matrix(FLIP)),
        "pixels of 4:3": ffmpeg_copy(
            plain, folder / "sar.mp4", "-c", "copy", "-bsf:v", "h264_metadata=sample_aspect_ratio=4/3", "-aspect", "20/9"
        ),
        "2 video streams": ffmpeg_copy(
            plain, folder / "two.mp4", "-i", str(second), "-map", "0", "-map", "1:v", "-c", "copy"
        ),
        "a cover image": ffmpeg_copy(
            plain, folder / "covered.mp4", "-i", str(picture), "-map", "0", "-map", "1", "-c", "copy",
            "-disposition:v:1", "attached_pic",
        ),
    }  # fmt: skip


SHOWN = {"rotated by 90 degrees": (96, 160), "pixels of 4:3": (212, 96)}


@pytest.mark.parametrize("kind", ["rotated by 90 degrees", "rotated by 180 degrees", "mirrored", "pixels of 4:3",
                                  "2 video streams", "a cover image"])  # fmt: skip
def test_a_clip_that_readers_see_otherwise_is_made_plain(
    data: DataRoot, tmp_path: Path, odd_clips: dict[str, Path], kind: str
) -> None:
    assert remarks(odd_clips[kind]) == [kind]
    facts = adopt(Clips(data, Recipe()), odd_clips[kind])
    clip = Clips(data, Recipe()).path(WINDOW)
    assert facts["made"] == "encoded"
    assert remarks(clip) == []
    with av.open(str(clip)) as container:
        array = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert (facts["width"], facts["height"]) == (array.shape[1], array.shape[0]) == SHOWN.get(kind, (160, 96))
    assert facts["frames"] == 120
    with pytest.raises(MediaError, match=f"readers would not see what players show: {kind}") as caught:
        adopt(Clips(data, Recipe(odd_picture="reject")), odd_clips[kind])
    assert caught.value.reason is Reason.CORRUPT


def test_a_clip_with_frames_that_its_edit_list_hides_is_encoded(data: DataRoot, tmp_path: Path) -> None:
    source = make_video(tmp_path / "five.mp4", 5, 30, (160, 96), gop=150, b_frames=0)
    hiding = tmp_path / "hiding.mp4"
    command = [str(ffmpeg().path), "-v", "error", "-ss", "1", "-i", str(source), "-c", "copy", str(hiding)]
    subprocess.run(command, check=True)
    assert remarks(hiding) == ["30 frames that an edit list hides"]
    facts = adopt(Clips(data, Recipe()), hiding)
    assert (facts["made"], facts["frames"]) == ("encoded", 120)
    assert read_frame_numbers(Clips(data, Recipe()).path(WINDOW)) == list(range(30, 150))


def test_mirrored_pixels_are_turned_back(data: DataRoot, odd_clips: dict[str, Path]) -> None:
    def first(path: Path) -> Any:
        with av.open(str(path)) as container:
            return next(container.decode(video=0)).to_ndarray(format="gray").astype(int)

    adopt(Clips(data, Recipe(crf=1)), odd_clips["mirrored"])
    made, stored = first(Clips(data, Recipe(crf=1)).path(WINDOW)), first(odd_clips["mirrored"])
    assert abs(made - stored[:, ::-1]).mean() < 3 < abs(made - stored).mean()


def test_an_older_version_s_sideways_clip_is_made_again(data: DataRoot, odd_clips: dict[str, Path]) -> None:
    clips = Clips(data, Recipe())
    facts = probe(odd_clips["rotated by 90 degrees"])
    entry = Path(shutil.copy(odd_clips["rotated by 90 degrees"], data.root.parent / "in.mp4"))
    told = {**facts.columns(), "source": "test", "made": "as it came", "codec": "h264"}
    clips.store.put("clips", WINDOW.name, clips.key(WINDOW), entry, told)
    assert clips.get(WINDOW) is None
    assert adopt(clips, odd_clips["rotated by 90 degrees"]) == clips.get(WINDOW)


def test_a_ready_clip_whose_last_picture_lasts_on_is_cut_at_the_window(data: DataRoot, tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 8, size=(160, 120), times=[0, 1.5, 3.0], b_frames=0)
    longer = ffmpeg_copy(source, tmp_path / "long.mp4", "-c", "copy", "-bsf:v", "setts=duration=180000")
    assert probe(longer).duration > 4.5
    clips = Clips(data, Recipe())
    facts = adopt(clips, longer)
    assert (facts["made"], facts["frames"], facts["duration"]) == ("encoded", 3, pytest.approx(4, abs=0.001))
    assert clips.get(WINDOW) == facts, "and it is kept in the next run"
