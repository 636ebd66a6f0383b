from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from threading import Event

import av
import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import MachineError, RetryLater, UserError
from clipquarry.media.constant_rate import coverage
from clipquarry.media.errors import MediaError
from clipquarry.media.excerpt import ExcerptFacts, Section, make_excerpt
from clipquarry.media.frame_folder import count_frames
from clipquarry.media.probe import frame_size, header
from clipquarry.reasons import Reason
from media_sources import FILM, NTSC, SIZE, AtRate, convert

SECTION = Section(start=3, seconds=6, fps=30, quality=1)


def excerpt(
    source: Path, folder: Path, section: Section = SECTION, *, suffix: str = ".mp4", video: bool = True, images: bool = True,
    recipe: Recipe | None = None,
) -> ExcerptFacts:  # fmt: skip
    return make_excerpt(
        source, video=folder / f"v{suffix}" if video else None, frames=folder / "f" if images else None, section=section,
        recipe=recipe or Recipe(),
    )  # fmt: skip


def numbers(folder: Path) -> list[int]:
    return [read_frame_numbers(path)[0] for path in sorted(folder.iterdir())]


def nearest(rate: Fraction, start: int, count: int) -> list[set[int]]:
    """The source's frames that are nearest to each slot: two where a slot lies in the middle between them."""
    found = []
    for slot in range(count):
        time = start + Fraction(slot, 30)
        distances = {frame: abs(frame / rate - time) for frame in (int(time * rate), int(time * rate) + 1)}
        found.append({frame for frame, distance in distances.items() if distance == min(distances.values())})
    return found


@pytest.mark.parametrize("rate", [FILM, 25, NTSC, 30, 50, 60])
def test_both_outputs_show_the_nearest_frame_at_every_rate(tmp_path: Path, at_rate: AtRate, rate: Fraction) -> None:
    facts = excerpt(at_rate(rate), tmp_path)
    shown = numbers(tmp_path / "f")
    assert shown == read_frame_numbers(tmp_path / "v.mp4")
    allowed = nearest(Fraction(rate), 3, 180)
    assert len(shown) == 180
    assert all(number in allowed[slot] for slot, number in enumerate(shown) if slot)
    assert abs(shown[0] / rate - 3) < 1 / rate, "no frame before the window is decoded, so the first one may be later"
    assert facts.video is not None
    assert (facts.video.frames, facts.video.duration, facts.video.fps) == (180, 6.0, 30.0)
    assert header(tmp_path / "v.mp4").rate == 30
    assert facts.evidence == ""
    pictures = {path.stat().st_ino for path in (tmp_path / "f").iterdir()}
    assert len(pictures) == len(set(shown)), "a frame is encoded once, whatever number of slots it fills"


def test_both_programs_make_the_same_choice(tmp_path: Path, any_ffmpeg: str) -> None:
    source = make_video(tmp_path / "s.mp4", 10, 25, SIZE, gop=250)
    facts = excerpt(source, tmp_path)
    seconds = [number // 25 for number in numbers(tmp_path / "f")]
    assert {second: seconds.index(second) + 1 for second in range(3, 9)} == {t: 30 * (t - 3) + 1 for t in range(3, 9)}
    assert read_frame_numbers(tmp_path / "v.mp4") == numbers(tmp_path / "f")
    assert facts.frames is not None
    assert (facts.frames.frames, facts.frames.width, facts.frames.height) == (180, *SIZE)
    assert facts.evidence == "", "ffmpeg had something to say"


def test_seconds_are_images_in_every_container(plain: Path, tmp_path: Path, sources: dict[str, Path]) -> None:
    for number, name in enumerate(("matroska", "vp8 webm", "starts at 7.3 s", "transport stream", "mpeg4 avi")):
        source, folder = sources[name], tmp_path / str(number)
        folder.mkdir()
        excerpt(source, folder, suffix=".mkv")
        shown = numbers(folder / "f")
        assert shown == read_frame_numbers(folder / "v.mkv")
        assert len(shown) == 180, name
        # Time counts from the container's start, which may be that of the sound, up to two frames before the picture.
        assert all(-2 <= number - (90 + slot) <= 0 for slot, number in enumerate(shown)), name
        assert set(range(90, 268)) <= set(shown), name


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_every_container_holds_all_frames(tmp_path: Path, suffix: str, any_ffmpeg: str) -> None:
    source = make_video(tmp_path / "s.mkv", 10, 25, SIZE)
    facts = excerpt(source, tmp_path, suffix=suffix)
    assert facts.video is not None
    assert facts.video.video_codec == ("vp9" if suffix == ".webm" else "h264")
    assert facts.video.has_audio
    assert len(read_frame_numbers(tmp_path / f"v{suffix}")) == 180, "as OpenCV counts: the reference has 150 in mkv"
    with av.open(str(tmp_path / f"v{suffix}")) as container:
        assert suffix[1:] in container.format.name or suffix == ".mkv"
        sound = container.streams.audio[0]
        last = max(packet.pts * packet.time_base for packet in container.demux(sound) if packet.pts is not None)
    assert 5.8 < last < 6.1


def test_a_variable_rate_becomes_constant(sources: dict[str, Path], tmp_path: Path) -> None:
    excerpt(sources["variable rate"], tmp_path)
    with av.open(str(tmp_path / "v.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([n / 30 for n in range(180)])
    for slot, number in enumerate(numbers(tmp_path / "f")):
        assert abs(number / 20 + 0.011 * (number % 3) - (3 + slot / 30)) <= 0.062  # the longest gap between two frames
    assert numbers(tmp_path / "f") == read_frame_numbers(tmp_path / "v.mp4")


@pytest.mark.parametrize(("seconds", "expected"), [(8.0, 150), (8.48, 164), (8.96, 179), (9.0, 180)])
def test_a_source_that_ends_early_gives_what_there_is(tmp_path: Path, seconds: float, expected: int) -> None:
    source = make_video(tmp_path / "s.mp4", seconds, 25, SIZE, tone=False)
    facts = excerpt(source, tmp_path)
    assert count_frames(tmp_path / "f")[0] == len(read_frame_numbers(tmp_path / "v.mp4")) == expected
    assert numbers(tmp_path / "f")[-1] == round(seconds * 25) - 1, "its last frame is shown"
    assert facts.source_duration == pytest.approx(round(seconds * 25) / 25)
    assert facts.evidence == (
        "" if expected == 180 else f"the source ends at {facts.source_duration:.1f} s: {expected} of 180 frames"
    )


def test_sound_that_goes_on_does_not_lengthen_the_part(tmp_path: Path) -> None:
    film = make_video(tmp_path / "film.mp4", 6, 30, SIZE, tone=False)
    music = make_video(tmp_path / "music.mp4", 12, 30, (32, 24))
    both = convert(film, tmp_path / "s.mkv", "-i", str(music), "-map", "0:v", "-map", "1:a", "-c", "copy")
    facts = excerpt(both, tmp_path)
    assert count_frames(tmp_path / "f")[0] in (90, 91), "Matroska begins with the sound, 23 ms before the picture"
    assert "ends at 6.0 s" in facts.evidence
    with pytest.raises(MediaError, match=r"nothing from 6 s on: the source's video ends at 6\.\d\d s") as caught:
        excerpt(both, tmp_path / "g", Section(6, 3, 30, 1))
    assert caught.value.reason is Reason.TOO_SHORT


@pytest.mark.parametrize("start", [12, 100])
def test_nothing_in_the_part_is_too_short(plain: Path, tmp_path: Path, start: int) -> None:
    with pytest.raises(MediaError, match=r"ends at 12\.00 s") as caught:
        excerpt(plain, tmp_path, Section(start, 5, 30, 1))
    assert caught.value.reason is Reason.TOO_SHORT
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_broke_off_is_not_a_short_film(plain: Path, tmp_path: Path) -> None:
    data = plain.read_bytes()
    (tmp_path / "s.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match="header says 12") as caught:
        excerpt(tmp_path / "s.mp4", tmp_path)
    assert caught.value.reason is Reason.TRUNCATED
    assert [path.name for path in tmp_path.iterdir()] == ["s.mp4"]


def test_a_film_that_decodes_no_more_leaves_nothing(plain: Path, tmp_path: Path) -> None:
    data = bytearray(plain.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 8] = bytes(len(data) // 8)
    (tmp_path / "s.mp4").write_bytes(data)
    with pytest.raises(MediaError) as caught:
        excerpt(tmp_path / "s.mp4", tmp_path)
    assert caught.value.reason is Reason.CORRUPT
    assert [path.name for path in tmp_path.iterdir()] == ["s.mp4"]


def test_a_hole_is_filled_and_told(tmp_path: Path) -> None:
    times = [n / 30 for n in range(150)] + [7 + n / 30 for n in range(150)]
    source = make_video(tmp_path / "s.mp4", 12, size=SIZE, times=times, tone=False)
    facts = excerpt(source, tmp_path)
    assert count_frames(tmp_path / "f")[0] == 180
    assert numbers(tmp_path / "f") == read_frame_numbers(tmp_path / "v.mp4")
    assert facts.evidence == "the source has no new frame for 2.0 s from 5.0 s on"


def test_sound_in_every_form_and_none(plain: Path, tmp_path: Path) -> None:
    ac3 = convert(plain, tmp_path / "ac3.mkv", "-c:v", "copy", "-c:a", "ac3", "-ac", "6")
    found = {}
    for source in (ac3, plain):
        for suffix in (".mp4", ".mkv", ".webm"):
            excerpt(source, tmp_path, Section(3, 1, 30, 1), suffix=suffix, images=False)
            with av.open(str(tmp_path / f"v{suffix}")) as container:
                found[source.stem, suffix] = container.streams.audio[0].codec_context.codec.canonical_name
    assert found == {
        ("ac3", ".mp4"): "aac", ("ac3", ".mkv"): "ac3", ("ac3", ".webm"): "opus",
        ("plain", ".mp4"): "aac", ("plain", ".mkv"): "aac", ("plain", ".webm"): "opus",
    }  # fmt: skip
    facts = excerpt(plain, tmp_path, Section(3, 1, 30, 1), images=False, recipe=Recipe(audio="none"))
    assert facts.video is not None
    assert not facts.video.has_audio


def test_one_output_alone(plain: Path, tmp_path: Path) -> None:
    facts = excerpt(plain, tmp_path, video=False)
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert facts.video is None
    facts = excerpt(plain, tmp_path / "f", images=False)
    assert facts.frames is None
    assert len(read_frame_numbers(tmp_path / "f" / "v.mp4")) == 180


def test_the_same_input_gives_the_same_files(plain: Path, tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv", ".webm"):
        made = []
        for folder in (tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"):
            folder.mkdir()
            excerpt(plain, folder, Section(3, 2, 30, 1), suffix=suffix)
            made.append([path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()])
        assert made[0] == made[1]
        assert len(made[0]) == 61


def test_odd_sizes_and_rotation(plain: Path, tmp_path: Path) -> None:
    odd = convert(
        plain, tmp_path / "odd.mkv", "-an", "-t", "3", "-vf", "scale=161:121", "-pix_fmt", "yuv444p", "-c:v", "ffv1"
    )
    facts = excerpt(odd, tmp_path, Section(1, 1, 30, 1))
    assert facts.video is not None
    assert (facts.video.width, facts.video.height) == (160, 120)
    assert frame_size(tmp_path / "f" / "img_00001.jpg") == (161, 121)


def test_names_are_never_read_as_something_else(plain: Path, tmp_path: Path) -> None:
    place = tmp_path / "100%d (x)'s: $(touch y)"
    place.mkdir()
    source = convert(plain, place / "-a.mp4", "-c", "copy")
    make_excerpt(source, video=place / "-b:c.mp4", frames=place / "%d-f", section=Section(3, 1, 30, 1), recipe=Recipe())
    assert numbers(place / "%d-f") == list(range(90, 120)) == read_frame_numbers(place / "-b:c.mp4")


def test_what_cannot_be_written_is_a_sentence(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"v\.avi is neither \.mp4 nor \.mkv nor \.webm"):
        excerpt(plain, tmp_path, suffix=".avi")
    (tmp_path / "ffmpeg").write_text(
        "#!/bin/sh\ncase $* in *-version*) echo ffmpeg version 5.1;; *) echo ' V..... libx264 x';; esac\n"
    )
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("CLIPQUARRY_FFMPEG", str(tmp_path / "ffmpeg"))
    with pytest.raises(MachineError, match=r"without libvpx-vp9, which v\.webm needs"):
        excerpt(plain, tmp_path, suffix=".webm")


def test_a_cancelled_excerpt_leaves_nothing(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 20, size=(640, 360), tone=False)
    cancelled = Event()
    cancelled.set()
    with pytest.raises(RetryLater, match="told to stop"):
        make_excerpt(
            source, video=tmp_path / "v.mp4", frames=tmp_path / "f", section=Section(0, 20, 30, 1),
            recipe=Recipe(preset="slow"), cancelled=cancelled,
        )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["s.mp4"]


def test_coverage_of_a_window(plain: Path, tmp_path: Path) -> None:
    there = coverage(plain, 3, 6)
    assert (there.frames, there.rate, there.end, there.slots(30, 6)) == (180, 30.0, 6.0, 180)
    there = coverage(plain, 10, 6)
    assert (there.frames, there.end, there.slots(30, 6)) == (60, pytest.approx(2), 60)
    assert coverage(plain, 50, 6).slots(30, 6) == 0


def test_a_clip_cut_between_two_frames_is_a_full_one(tmp_path: Path) -> None:
    # 299 frames of 29.97 a second are 9.977 s: three of ten such clips, cut at whole seconds, are one frame short.
    source = make_video(tmp_path / "s.mp4", 9.977, Fraction(30000, 1001), SIZE, tone=False)
    assert len(read_frame_numbers(source)) == 299
    excerpt(source, tmp_path, Section(6, 4, 30, 1))
    shown = numbers(tmp_path / "f")
    assert (len(shown), shown[-2:]) == (120, [298, 298])


WHOLE_FILMS = {
    "AAAAAAAAAAA.mp4": (FILM, 1850, 27_030, ""),
    "BBBBBBBBBBB.mkv": (Fraction(25), 1790, 26_700, "the source ends at 1790.0 s: 26,700 of 27,030 frames"),
}
"""Rate and seconds of a film; the images that the reference makes of it, and what we say of them."""


@pytest.mark.parametrize("name", WHOLE_FILMS)
def test_a_whole_film_as_in_ava(tmp_path: Path, name: str) -> None:
    """901 s from second 900 on, of a tiny film: 24 or 25 frames over and over, since only their times count."""
    rate, seconds, images, evidence = WHOLE_FILMS[name]
    frames = round(rate)
    once = make_video(tmp_path / "once.mp4", float(frames / rate), rate, (32, 24), tone=False, gop=frames)
    times = str(math.ceil(seconds * rate / frames) - 1)
    film = convert(once, tmp_path / name, "-c", "copy", "-t", str(seconds), before=("-stream_loop", times))
    facts = excerpt(film, tmp_path, Section(900, 901, 30, 1), suffix=film.suffix)
    assert facts.evidence == evidence
    assert count_frames(tmp_path / "f")[0] == images
    assert facts.video is not None
    assert facts.video.frames == images


@pytest.mark.shared
def test_counts_are_those_of_the_reference(shared: Path) -> None:
    case = shared / "oracles" / "ava_cut_and_extract"
    counts = json.loads((case / "expected" / "counts.json").read_text())
    told = json.loads((case / "inputs" / "videos.json").read_text())
    assert {
        name: (Fraction(film["fps"]), film["seconds"], counts[f"rawframes/{Path(name).stem}"])
        for name, film in told.items()
    } == {name: film[:3] for name, film in WHOLE_FILMS.items()}


SPLICE = [n / 25 for n in range(100)] + [100 / 25 - 0.025 + n / 25 for n in range(150)]
PHONE = [n / 30 + (0, 0.012, -0.011, 0.004, -0.009)[n % 5] for n in range(300)]
PAIRS = [n // 2 / 15 + n % 2 * 0.01 for n in range(300)]


@pytest.mark.parametrize("times", [SPLICE, PHONE, PAIRS], ids=["splice", "jitter of a phone", "pairs"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_two_frames_in_one_thirtieth_of_a_second(
    tmp_path: Path, times: list[float], suffix: str, any_ffmpeg: str
) -> None:
    source = make_video(tmp_path / f"s{suffix}", 10, size=SIZE, times=times, tone=False)
    facts = excerpt(source, tmp_path, suffix=suffix)
    shown = numbers(tmp_path / "f")
    assert facts.frames is not None
    assert facts.frames.frames == len(shown) == 180
    inside = [n for n, time in enumerate(times) if 3 - 1e-6 <= time < 9]
    for slot, number in enumerate(shown):
        distances = [abs(times[n] - 3 - slot / 30) for n in inside]
        assert abs(times[number] - 3 - slot / 30) <= min(distances) + 0.0015, f"slot {slot} shows {number}"
    assert shown == read_frame_numbers(tmp_path / f"v{suffix}")


def test_a_picture_that_stands_still_fills_its_images(tmp_path: Path, any_ffmpeg: str) -> None:
    source = make_video(tmp_path / "s.mp4", 12, size=SIZE, times=[n * 2.2 for n in range(6)], b_frames=0)
    facts = excerpt(source, tmp_path, Section(0, 6, 30, 1))
    shown = numbers(tmp_path / "f")
    assert [shown.index(n) for n in (0, 1, 2)] == [0, 33, 99], "each from the middle before it"
    assert len(shown) == 180
    assert facts.evidence.startswith("the source has no new frame for 2.2 s from ")
