"""What clips and folders show, measured on real encodes: black, flat, frozen, slide shows, silence, and re-encodes of one film."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clipquarry import fingerprint
from clipquarry.datasets.model import Recipe
from clipquarry.media.content import Content, judged, moments, unevenness
from clipquarry.media.cut import cut_clip
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_content import FrameDecoder, looked_at
from clipquarry.media.frames import FrameRecipe, extract_frames
from clipquarry.media.probe import probe
from clipquarry.media.tools import ffmpeg

MOVING = "testsrc2=s=160x120:r=15:d=4"
Film = Callable[..., Path]


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """Makes a film of ffmpeg's sources; options go before the output."""

    def make(name: str, *inputs: str, options: tuple[str, ...] = ()) -> Path:
        sources = [word for each in inputs for word in ("-f", "lavfi", "-i", each)]
        target = tmp_path / name
        command = [str(ffmpeg().path), "-y", "-v", "error", *sources, "-pix_fmt", "yuv420p", *options, str(target)]
        subprocess.run(command, check=True)
        return target

    return make


def _again(source: Path, name: str, *options: str) -> Path:
    target = source.with_name(name)
    subprocess.run([str(ffmpeg().path), "-y", "-v", "error", "-i", str(source), *options, str(target)], check=True)
    return target


def _look(path: Path) -> Content:
    return probe(path, look=True).content


def _black(seen: Content) -> bool:
    return seen.brightness is not None and seen.contrast is not None and seen.brightness < 12 and seen.contrast < 3


@pytest.mark.parametrize("name", ["black.mp4", "black.webm"])
def test_black_and_one_colour(film: Film, name: str) -> None:
    black = _look(film(name, "color=black:s=96x64:r=10:d=2"))
    assert _black(black) and black.fingerprint == "" and (black.still, black.changes) == (1.0, 0.0)
    green = _look(film(f"green_{name}", "color=green:s=96x64:r=10:d=2"))
    assert green.contrast is not None and green.contrast < 3 and not _black(green) and green.fingerprint == ""


@pytest.mark.parametrize(
    "legitimate",
    [
        f"{MOVING},eq=brightness=-0.42:contrast=0.3",  # a dark scene
        f"{MOVING},fade=t=in:d=3",
        f"{MOVING},pad=160:400:0:140",  # letter boxes
        f"{MOVING},hue=s=0",  # black and white
        f"{MOVING},fps=5,fps=30",  # a cartoon on sixes
    ],
)
def test_legitimate_films_are_neither_black_nor_flat_nor_still(film: Film, legitimate: str) -> None:
    seen = _look(film("odd.mp4", legitimate))
    assert not _black(seen) and seen.contrast is not None and seen.contrast >= 3
    assert seen.changes == 1.0 and seen.uneven == 0.0 and seen.fingerprint


def test_a_frozen_picture_a_static_camera_and_a_slide_show(film: Film) -> None:
    frozen = _look(film("frozen.mp4", f"{MOVING},trim=end_frame=1,loop=60:1,setpts=N/15/TB", options=("-crf", "35")))
    assert (frozen.still, frozen.changes, frozen.jumps) == (1.0, 0.0, 0.0)
    static = "color=gray:s=160x120:r=15:d=4[a];color=white:s=12x12:r=15:d=4[b];[a][b]overlay=x=t*30:y=50"
    moving = _look(film("static.mp4", static))
    assert moving.changes == 1.0 and moving.jumps == 0.0
    slides = _look(film("slides.mp4", f"{MOVING},fps=1,negate=enable='gte(mod(t,2),1)',fps=15"))
    assert slides.still is not None and slides.still >= 0.85
    assert slides.jumps == slides.changes and slides.jumps is not None and slides.jumps > 0
    few = film("few.mp4", f"{MOVING},fps=1,negate=enable='gte(mod(t,2),1)'")  # the same with one frame a slide
    assert _look(few).still == 1.0 and (_look(few).jumps or 0) > 0


def test_sound_is_heard_silent_or_none(film: Film) -> None:
    tone, quiet = "sine=440:d=4", "anullsrc=d=4"
    assert _look(film("none.mp4", MOVING)).sound == "none"
    for name, codec in (("mp4", "aac"), ("webm", "libopus"), ("mkv", "pcm_s16le")):
        video = ("-c:a", codec, "-shortest")
        assert _look(film(f"tone.{name}", MOVING, tone, options=video)).sound == "heard"
        assert _look(film(f"quiet.{name}", MOVING, quiet, options=video)).sound == "silent"
    late = "sine=440:d=4,volume=0:enable='lt(t,3)'"
    assert _look(film("late.mp4", MOVING, late)).sound == "heard"


def test_short_clips_are_not_called_frozen(film: Film) -> None:
    one = _look(film("one.mp4", f"{MOVING},trim=end_frame=1"))
    assert (one.still, one.changes, one.fingerprint, one.uneven) == (None, None, None, None) and one.contrast
    assert _look(film("short.mp4", f"{MOVING},trim=end_frame=7")).still is None


def test_a_variable_rate(film: Film) -> None:
    uneven = film("uneven.mkv", f"{MOVING},select='gt(mod(n,5),1)+not(mod(n,7))'", options=("-fps_mode", "vfr"))
    assert (_look(uneven).uneven or 0) > 0.1
    assert unevenness([n / 30 + (n % 2) * 0.001 for n in range(90)]) == 0.0  # a clock of milliseconds
    assert unevenness([0.0, 0.1]) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("small.mp4", ("-vf", "scale=80:60", "-crf", "34")),
        ("rate.mp4", ("-r", "25")),
        ("wide.mp4", ("-vf", "scale=320:180")),
        ("other.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "40", "-b:v", "0")),
        ("late.mp4", ("-ss", "0.07")),
        ("old.avi", ("-c:v", "mpeg4", "-q:v", "9")),
    ],
)
def test_re_encodes_are_alike_and_other_films_are_not(film: Film, name: str, options: tuple[str, ...]) -> None:
    source = film("source.mp4", MOVING)
    texts = [_look(path).fingerprint for path in (source, _again(source, name, *options))]
    texts += [
        _look(film("other.mp4", other)).fingerprint
        for other in (f"{MOVING},negate", f"{MOVING},hflip", f"{MOVING},reverse")
    ]
    prints = fingerprint.read(texts)
    others = np.arange(1, 5)
    assert fingerprint.alike(prints, np.zeros(4, dtype=np.int64), prints, others).tolist() == [
        True,
        False,
        False,
        False,
    ]


def test_two_films_before_one_background_are_not_alike(film: Film) -> None:
    background = "testsrc2=s=160x120:r=15:d=4,trim=end_frame=1,loop=60:1,setpts=N/15/TB[a]"
    ways = ("x=t*30:y=50", "x=120-t*30:y=10+t*10")
    scenes = [f"{background};color=red:s=30x40:r=15:d=4[b];[a][b]overlay={way}" for way in ways]
    prints = fingerprint.read([_look(film(f"{n}.mp4", scene)).fingerprint for n, scene in enumerate(scenes)])
    zero, one = np.array([0]), np.array([1])
    assert len(prints) == 2 and not fingerprint.alike(prints, zero, prints, one)[0]
    assert not fingerprint.unlike(prints, zero, prints, one)[0]  # nor surely unlike


def test_the_clip_that_is_cut_and_its_images_have_the_same_fingerprint(film: Film, tmp_path: Path) -> None:
    source = film("source.mp4", "testsrc2=s=320x240:r=25:d=6", "sine=440:d=6")
    facts = cut_clip(source, tmp_path / "cut.mp4", start=1, duration=3, recipe=Recipe(), tolerance=0.5)
    assert facts.content == _look(tmp_path / "cut.mp4") and facts.content.sound == "heard"
    for recipe in (FrameRecipe(64), FrameRecipe(width=50, height=80, fps=12)):
        made = extract_frames(tmp_path / "cut.mp4", tmp_path / "images", recipe=recipe)
        told = made.columns()
        assert told["sound"] is None and told["still"] == facts.content.still and "content" not in told
        prints = fingerprint.read([facts.content.fingerprint, told["fingerprint"]])
        assert fingerprint.alike(prints, np.array([0]), prints, np.array([1]))[0]


def test_a_clip_that_is_counted_only_is_not_looked_at(film: Film) -> None:
    assert probe(film("a.mp4", MOVING), decode=False, look=True).content == Content()


def test_an_image_must_decode_to_its_end(film: Film, tmp_path: Path) -> None:
    image = _again(film("a.mp4", MOVING), "image.jpg", "-frames:v", "1", "-q:v", "3")
    data = image.read_bytes()
    assert FrameDecoder().small(image).shape == (32, 32, 3)
    for wrong in (b"", b"<html>", data[: len(data) // 2], data[: len(data) * 9 // 10] + b"\xff\xd9"):
        image.write_bytes(wrong)
        with pytest.raises(MediaError):
            FrameDecoder().small(image)


def test_moments_and_the_images_that_stand_for_them() -> None:
    assert moments(8.0) == pytest.approx([n // 2 + 0.5 + n % 2 / 10 for n in range(16)])
    assert looked_at(80, 8.0)[:4] == [5, 6, 15, 16] and looked_at(1, 8.0) == [0] * 16 and looked_at(0, 8.0) == []
    assert judged([np.zeros((32, 32, 3), dtype=np.uint8)] * 16).brightness == 0.0


@pytest.mark.parametrize("text", ["", None, "x", "é" * 128, "A" * 127 + "!", "A" * 127])
def test_what_is_no_fingerprint_is_left_out(text: str | None) -> None:
    assert len(fingerprint.read([text])) == 0
