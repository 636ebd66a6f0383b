"""The exact window of any source: the frames, the sound and the bytes of a clip, and sources that are damaged or odd."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event

import av
import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import RetryLater
from clipquarry.files import sha256_of
from clipquarry.media.cut import cut_clip
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import probe
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason
from cutting import KINDS, cut
from media_sources import SIZE, convert

Cutter = Callable[[Path, Path, float, float], Path]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_frame_and_the_length_are_those_of_the_reference(
    sources: dict[str, Path], kind: str, tmp_path: Path, recipe: Recipe, reference_cut: Cutter
) -> None:
    source = sources[kind]
    fps = probe(source, decode=False).fps
    for start, duration in ((7, 3), (0, 1)):
        facts = cut(source, tmp_path / "ours.mp4", recipe, start, duration)
        numbers = read_frame_numbers(tmp_path / "ours.mp4")
        # Where nothing but the rate is special, it is arithmetic; else the reference's command is asked. Of an AVI with
        # B-frames that takes a guess which is a frame late.
        if kind.endswith((" fps", " avi")):
            first = math.ceil(start * fps)
            expected = [first, first + round(duration * fps) - 1]
        else:
            expected = read_frame_numbers(reference_cut(source, tmp_path / "theirs.mp4", start, duration))
        assert numbers[0] == expected[0]
        assert abs(numbers[-1] - expected[-1]) <= 1
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), "a frame is missing or doubled"
        assert abs(facts.duration - duration) <= 1.5 / fps
        assert facts.frames == len(numbers)
        assert facts.start_time <= 1 / fps
        assert (facts.video_codec, facts.pix_fmt, facts.errors) == ("h264", "yuv420p", 0)
        assert facts.has_audio == (kind != "no sound")


def test_a_window_between_two_frames_begins_with_the_next_one(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    cut(plain, tmp_path / "a.mp4", recipe, 3.01, 2)
    assert read_frame_numbers(tmp_path / "a.mp4")[0] == 91


def test_both_programs_give_the_exact_window(plain: Path, tmp_path: Path, recipe: Recipe, any_ffmpeg: str) -> None:
    facts = cut(plain, tmp_path / "a.mp4", recipe, 5, 4)
    assert read_frame_numbers(tmp_path / "a.mp4") == list(range(150, 270))
    assert (facts.duration, facts.frames, facts.fps) == (4.0, 120, 30.0)


def test_variable_times_are_kept(sources: dict[str, Path], tmp_path: Path, recipe: Recipe, any_ffmpeg: str) -> None:
    cut(sources["variable rate"], tmp_path / "a.mp4", recipe, 5, 3)
    with av.open(str(tmp_path / "a.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([i / 20 + 0.011 * (i % 3) - 5 for i in range(100, 160)], abs=0.002)


def test_the_sound_begins_and_ends_with_the_picture(plain: Path, tmp_path: Path, any_ffmpeg: str) -> None:
    for audio in ("copy", "aac"):
        cut(plain, tmp_path / "a.mp4", Recipe(audio=audio), 6, 4)  # the key frame is at 3.33 s
        with av.open(str(tmp_path / "a.mp4")) as container:
            stream = container.streams.audio[0]
            packets = [packet for packet in container.demux(stream) if packet.size]
        assert len(packets) * 1024 / stream.rate == pytest.approx(4, abs=0.1)


def test_the_same_input_gives_the_same_bytes(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    copy = shutil.copy(plain, tmp_path / "-another name.mp4")
    first, second = tmp_path / "a.mp4", tmp_path / "b.mp4"
    for audio in ("copy", "aac"):
        cut(plain, first, recipe.model_copy(update={"audio": audio}), 4, 3)
        cut(copy, second, recipe.model_copy(update={"audio": audio}), 4, 3)
        assert sha256_of(first) == sha256_of(second)


def test_the_bytes_do_not_depend_on_the_processor(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    # The same call with x264's vector code restricted, as on an older machine.
    from clipquarry.media.encoding import x264_options

    made = []
    for asm in ("", ":asm=MMX2,SSE2"):
        options = x264_options(recipe)
        options["x264-params"] += asm
        flags = [text for key, value in options.items() for text in (f"-{key}", str(value))]
        out = convert(plain, tmp_path / f"{len(made)}.mp4", "-t", "3", "-an", *flags)
        made.append(subprocess.run(
            [str(ffmpeg().path), "-v", "error", "-i", str(out), "-f", "md5", "-"], capture_output=True, check=True
        ).stdout)  # fmt: skip
    assert made[0] == made[1]


def test_nothing_of_the_source_is_left_in_the_clip(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    tagged = convert(
        plain, tmp_path / "t.mp4", "-c", "copy", "-metadata", "title=secret", "-metadata", "creation_time=2020-01-01"
    )
    cut(tagged, tmp_path / "a.mp4", recipe, 1, 2)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert not {"title", "encoder", "creation_time"} & container.metadata.keys()
    head = (tmp_path / "a.mp4").read_bytes()
    assert head.index(b"moov") < head.index(b"mdat"), "not faststart"


@pytest.mark.parametrize(
    "folder", ["massaging_person's_head", "passing_American_football_(in_game)", "100%d $(touch x) `x`", "-y", "a:b"]
)
def test_names_are_never_read_as_something_else(plain: Path, tmp_path: Path, recipe: Recipe, folder: str) -> None:
    place = tmp_path / folder
    place.mkdir()
    source = Path(shutil.copy(plain, place / "-i0wR5jVB-WP.mp4"))
    cut(source, place / "-0wR5jVB-WP_000001_000002.mp4", recipe, 1, 1)
    assert read_frame_numbers(place / "-0wR5jVB-WP_000001_000002.mp4") == list(range(30, 60))


def test_a_source_that_ends_early(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    out = tmp_path / "a.mp4"
    for start, seconds in ((9, "3.00"), (12, "0.00"), (400, "0.00")):
        with pytest.raises(MediaError) as caught:
            cut(plain, out, recipe, start, 10)
        assert caught.value.reason is Reason.TOO_SHORT
        assert seconds in caught.value.evidence
        assert not out.exists()
    facts = cut(plain, out, recipe, 8.4, 4, tolerance=0.5)
    assert facts.duration == pytest.approx(3.6, abs=0.04)


def test_a_file_cut_off_on_its_way_is_truncated_not_short(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    data = plain.read_bytes()
    source = tmp_path / "part.mp4"
    source.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError) as caught:
        cut(source, tmp_path / "a.mp4", recipe, 9, 3)
    assert caught.value.reason is Reason.TRUNCATED
    assert "header says 12" in caught.value.evidence
    cut(source, tmp_path / "a.mp4", recipe, 1, 4)  # what did arrive is good
    assert read_frame_numbers(tmp_path / "a.mp4") == list(range(30, 150))


def test_a_source_with_a_hole_in_the_window_is_corrupt(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    data = bytearray(plain.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 8] = bytes(len(data) // 8)
    (tmp_path / "hole.mp4").write_bytes(data)
    with pytest.raises(MediaError) as caught:
        cut(tmp_path / "hole.mp4", tmp_path / "a.mp4", recipe, 4, 6)
    assert caught.value.reason is Reason.CORRUPT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hole.mp4"]


@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html><html><body>Sign in", b"\x00" * 5000, b"#EXTM3U\nfile:///etc/hosts\n"]
)
def test_what_is_no_video_is_called_so(tmp_path: Path, recipe: Recipe, content: bytes) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(MediaError) as caught:
        cut(tmp_path / "x.mp4", tmp_path / "a.mp4", recipe, 0, 1)
    assert caught.value.reason is Reason.NOT_A_VIDEO


def test_sound_that_mp4_cannot_hold_is_encoded(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    source = convert(plain, tmp_path / "pcm.mkv", "-c:v", "copy", "-c:a", "pcm_s16le", "-t", "6")
    assert cut(source, tmp_path / "a.mp4", recipe, 1, 2).has_audio
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"


@pytest.mark.parametrize("audio", ["copy", "aac"])
def test_broken_sound_does_not_cost_the_clip(plain: Path, tmp_path: Path, audio: str) -> None:
    source = tmp_path / "broken.mkv"
    with av.open(str(plain)) as container, av.open(str(source), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in container.streams}
        for packet in container.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                noise = av.Packet(bytes((7 * n + packet.pts) % 251 for n in range(packet.size)))
                noise.pts, noise.dts, noise.time_base = packet.pts, packet.dts, packet.time_base
                noise.stream = streams[packet.stream.index]
                out.mux(noise)
            else:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    cut(source, tmp_path / "a.mp4", Recipe(audio=audio), 4, 3)
    assert read_frame_numbers(tmp_path / "a.mp4") == list(range(120, 210))


def test_odd_sizes_lose_a_line_and_nothing_moves(tmp_path: Path, recipe: Recipe, plain: Path) -> None:
    odd = convert(
        plain, tmp_path / "odd.mkv", "-an", "-t", "3", "-vf", "scale=161:121", "-pix_fmt", "yuv444p", "-c:v", "ffv1"
    )
    facts = cut(odd, tmp_path / "a.mp4", recipe, 1, 1)
    assert (facts.width, facts.height, facts.pix_fmt) == (160, 120, "yuv420p")
    assert read_frame_numbers(tmp_path / "a.mp4") == list(range(30, 60))


def test_rotation_is_applied(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    turned = tmp_path / "turned.mp4"
    with av.open(str(plain)) as container, av.open(str(turned), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        stream.set_display_rotation(90)
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    assert (probe(turned).width, probe(turned).height) == (SIZE[1], SIZE[0])
    facts = cut(turned, tmp_path / "a.mp4", recipe, 1, 1)
    assert (facts.width, facts.height) == (SIZE[1], SIZE[0])


def test_a_cover_picture_is_not_the_video(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    picture = convert(plain, tmp_path / "cover.jpg", "-frames:v", "1", "-vf", "scale=64:64")
    source = convert(
        picture, tmp_path / "covered.mp4", "-i", str(plain), "-map", "0:v", "-map", "1:v", "-map", "1:a", "-c", "copy",
        "-disposition:v:0", "attached_pic",
    )  # fmt: skip
    facts = cut(source, tmp_path / "a.mp4", recipe, 2, 1)
    assert (facts.width, facts.height) == SIZE
    assert read_frame_numbers(tmp_path / "a.mp4") == list(range(60, 90))


def test_a_cancelled_cut_stops_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    source = make_video(tmp_path / "long.mp4", 20, size=(640, 360), tone=False)
    cancelled = Event()
    cancelled.set()
    with pytest.raises(RetryLater, match="told to stop"):
        cut_clip(
            source,
            tmp_path / "a.mp4",
            start=0,
            duration=20,
            recipe=Recipe(preset="slow"),
            tolerance=0.5,
            cancelled=cancelled,
        )
    assert not (tmp_path / "a.mp4").exists()


def test_a_window_must_make_sense(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    for start, duration in ((-1, 2), (0, 0), (float("nan"), 1), (0, float("inf"))):
        with pytest.raises(ValueError, match="a window needs"):
            cut(plain, tmp_path / "a.mp4", recipe, start, duration)
