from __future__ import annotations

import mmap
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import read_frame_numbers
from clipquarry.errors import MachineError
from clipquarry.media.cut import cut_clip
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import MediaFacts
from clipquarry.media.tools import VARIABLE
from clipquarry.reasons import Reason
from media_sources import convert

NONE = "/no/ffmpeg"


def cut(source: Path, out: Path, recipe: Recipe, start: float = 3.1, *, in_process: bool = True) -> MediaFacts:
    return cut_clip(source, out, start=start, duration=2, recipe=recipe, tolerance=0.5, in_process=in_process)


def look(path: Path) -> tuple[list[Fraction], np.ndarray[Any, Any], list[tuple[Fraction, bytes]], list[bool]]:
    """Times of the frames, their pixels, the packets of the sound, and where the key frames are."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    with av.open(str(path)) as container:
        sound = container.streams.audio[0] if container.streams.audio else None
        packets = [] if sound is None else [
            (packet.pts * packet.time_base, bytes(packet)) for packet in container.demux(sound) if packet.size
        ]  # fmt: skip
    times = [frame.pts * frame.time_base for frame in frames]
    return times, np.stack([frame.to_ndarray() for frame in frames]), packets, [frame.key_frame for frame in frames]


@pytest.mark.parametrize(
    "kind",
    ["30 fps", "25 fps, one key frame", "29.97 fps", "23.976 fps", "matroska", "no sound", "edit list",
     "starts at 7.3 s"],
)  # fmt: skip
@pytest.mark.parametrize("fps", [30, None])
def test_the_clip_is_that_of_ffmpegs_program(
    kind: str, fps: int | None, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(fps=fps)
    theirs = cut(sources[kind], tmp_path / "theirs.mp4", recipe, in_process=False)
    monkeypatch.setenv(VARIABLE, NONE)
    assert cut(sources[kind], tmp_path / "ours.mp4", recipe) == theirs
    assert read_frame_numbers(tmp_path / "ours.mp4") == read_frame_numbers(tmp_path / "theirs.mp4")
    times, pixels, sound, keys = look(tmp_path / "theirs.mp4")
    found = look(tmp_path / "ours.mp4")
    assert (found[0], found[3]) == (times, keys)
    difference = np.mean((found[1].astype(float) - pixels) ** 2)
    assert difference < 0.1, "58 dB: the same encoder, perhaps of another year"
    assert [data for _, data in found[2]] == [data for _, data in sound]
    assert all(abs(a - b) < Fraction(1, 1000) for (a, _), (b, _) in zip(found[2], sound, strict=True))


def test_what_the_process_holds_already_does_not_count(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker of two gigabytes (its tests, its libraries) could cut nothing."""
    held = mmap.mmap(-1, 3 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        monkeypatch.setenv(VARIABLE, NONE)
        assert cut(sources["30 fps"], tmp_path / "ours.mp4", Recipe()).frames == 60
    finally:
        held.close()


def test_a_recipe_without_sound_gives_none(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, NONE)
    facts = cut(plain, tmp_path / "c.mp4", Recipe(fps=15, audio="none"))
    assert (facts.frames, facts.has_audio) == (30, False)


def test_colours_and_an_odd_size_are_kept_as_ffmpeg_keeps_them(plain: Path, tmp_path: Path) -> None:
    source = convert(
        plain, tmp_path / "s.mp4", "-t", "6", "-vf", "crop=159:119", "-pix_fmt", "yuv420p", "-color_primaries", "bt709",
        "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv", "-c:a", "copy",
    )  # fmt: skip
    told = []
    for in_process in (False, True):
        cut(source, tmp_path / "c.mp4", Recipe(fps=30), in_process=in_process)
        with av.open(str(tmp_path / "c.mp4")) as container:
            context = container.streams.video[0].codec_context
            told.append((context.width, context.height, context.color_range, context.colorspace, context.color_trc))
    assert told[0] == told[1] == (158, 118, 1, 1, 1)


def test_what_is_not_plain_is_left_to_the_program(
    plain: Path, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x264 = ("-t", "6", "-c:a", "copy", "-c:v", "libx264", "-preset", "ultrafast")
    upright = convert(plain, tmp_path / "upright.mp4", *x264)
    turned = convert(upright, tmp_path / "turned.mp4", "-c", "copy", "-metadata:s:v:0", "rotate=90")
    odd = {
        "other pixels": (convert(plain, tmp_path / "444.mp4", *x264, "-pix_fmt", "yuv444p"), Recipe(fps=30)),
        "a wide pixel": (convert(plain, tmp_path / "sar.mp4", *x264, "-vf", "setsar=4/3"), Recipe(fps=30)),
        "a turned picture": (turned, Recipe(fps=30)),
        "no index": (sources["transport stream"], Recipe(fps=30)),
        "sound to encode": (plain, Recipe(fps=30, audio="aac")),
        "a variable rate kept": (sources["variable rate"], Recipe()),
    }
    monkeypatch.setenv(VARIABLE, NONE)
    for name, (source, recipe) in odd.items():
        with pytest.raises(MachineError):
            cut(source, tmp_path / "c.mp4", recipe)
        assert not (tmp_path / "c.mp4").exists(), name


def test_a_bad_file_has_the_same_reason(plain: Path, tmp_path: Path) -> None:
    data = bytearray(plain.read_bytes())
    for at in range(len(data) // 3, 2 * len(data) // 3, 7):
        data[at] ^= 0x5A
    (tmp_path / "bad.mp4").write_bytes(data)
    told = []
    for in_process in (False, True):
        with pytest.raises(MediaError) as caught:
            cut(tmp_path / "bad.mp4", tmp_path / "c.mp4", Recipe(fps=30), 5.0, in_process=in_process)
        told.append(caught.value.reason)
    assert told == [Reason.CORRUPT] * 2
    assert not (tmp_path / "c.mp4").exists()
