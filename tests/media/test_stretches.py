from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from threading import Event

import av
import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import RetryLater
from clipquarry.media import excerpt as excerpts
from clipquarry.media.constant_rate import coverage
from clipquarry.media.excerpt import ExcerptFacts, Section, make_excerpt
from clipquarry.media.stretches import Encoders, divide
from media_sources import FILM, SIZE

SECTION = Section(start=2, seconds=9, fps=30, quality=2)


def make(
    source: Path, folder: Path, seconds: int, at_once: int = 2, *, suffix: str = ".mp4", section: Section = SECTION,
    cancelled: Event | None = None,
) -> ExcerptFacts:  # fmt: skip
    return make_excerpt(
        source, video=folder / f"v{suffix}", frames=folder / "f", section=section, recipe=Recipe(), cancelled=cancelled,
        encoders=Encoders(at_once), stretch_seconds=seconds,
    )  # fmt: skip


def images(folder: Path) -> list[tuple[str, str, int]]:
    """Name, digest, and the name's place among those of the same file."""
    paths = sorted(folder.iterdir())
    first: dict[int, int] = {}
    return [
        (path.name, hashlib.sha256(path.read_bytes()).hexdigest(), first.setdefault(path.stat().st_ino, number))
        for number, path in enumerate(paths)
    ]


def sound(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in container.demux(stream) if packet.size]


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def keys(path: Path) -> set[Fraction]:
    with av.open(str(path)) as container:
        return {
            packet.pts * packet.time_base for packet in container.demux(video=0) if packet.size and packet.is_keyframe
        }


def pieces(source: Path, seconds: int, section: Section = SECTION) -> int:
    there = coverage(source, section.start, section.seconds)
    return len(divide(there, section.fps, there.slots(section.fps, section.seconds), seconds))


def is_one_piece(source: Path, folder: Path, *, suffix: str = ".mp4") -> None:
    """Both ways give the same images, frames, times and sound."""
    assert pieces(source, 2) > 2
    for name in ("whole", "parts"):
        (folder / name).mkdir()
    one = make(source, folder / "whole", 1000, suffix=suffix)
    many = make(source, folder / "parts", 2, suffix=suffix)
    a, b = folder / "whole" / f"v{suffix}", folder / "parts" / f"v{suffix}"
    assert [name for name, _, _ in images(folder / "parts/f")][:2] == ["img_00001.jpg", "img_00002.jpg"]
    whole, parts = images(folder / "whole/f"), images(folder / "parts/f")
    assert [image[:2] for image in parts] == [image[:2] for image in whole]
    assert sum(x[2] != y[2] for x, y in zip(whole, parts, strict=True)) <= 3 * pieces(source, 2), (
        "links, but at borders"
    )
    assert read_frame_numbers(b) == read_frame_numbers(a)
    assert times(b) == times(a)
    assert sound(b) == sound(a)
    there = coverage(source, SECTION.start, SECTION.seconds)
    borders = {Fraction(one.first, 30) for one in divide(there, 30, there.slots(30, SECTION.seconds), 2)}
    assert borders <= keys(b), "it was made in stretches"
    assert not borders <= keys(a)
    assert many.evidence == one.evidence
    assert one.video is not None
    assert many.video is not None
    assert (many.video.frames, many.video.duration, many.video.has_audio) == (
        one.video.frames, one.video.duration, one.video.has_audio,
    )  # fmt: skip
    assert sorted(path.name for path in (folder / "parts").iterdir()) == ["f", f"v{suffix}"]


@pytest.mark.parametrize("rate", [FILM, 25, 60])
def test_stretches_are_one_piece_at_every_rate(rate: Fraction, tmp_path: Path) -> None:
    is_one_piece(make_video(tmp_path / "s.mp4", 12, rate, SIZE, gop=50, b_frames=3), tmp_path)


def test_stretches_are_one_piece_at_a_variable_rate(sources: dict[str, Path], tmp_path: Path) -> None:
    is_one_piece(sources["variable rate"], tmp_path)


def test_stretches_are_one_piece_where_a_frame_lasts_over_a_border(tmp_path: Path) -> None:
    jumps = [n / 25 for n in range(300) if not 170 < n < 233]  # nothing new from 6.8 to 9.32 s
    is_one_piece(make_video(tmp_path / "s.mp4", 10, 25, SIZE, gop=25, times=jumps), tmp_path)


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_every_container_is_joined(suffix: str, sources: dict[str, Path], tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mkv", 12, 25, SIZE, gop=50)
    for seconds in (1000, 2):
        (tmp_path / str(seconds)).mkdir()
        make(source, tmp_path / str(seconds), seconds, suffix=suffix)
    assert len(keys(tmp_path / f"2/v{suffix}")) > len(keys(tmp_path / f"1000/v{suffix}"))
    assert times(tmp_path / f"2/v{suffix}") == times(tmp_path / f"1000/v{suffix}")
    assert read_frame_numbers(tmp_path / f"2/v{suffix}") == read_frame_numbers(tmp_path / f"1000/v{suffix}")


def test_how_many_work_at_once_changes_nothing(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 12, 25, SIZE, gop=50)
    for at_once in (1, 3):
        (tmp_path / str(at_once)).mkdir()
        make(source, tmp_path / str(at_once), 2, at_once)
    assert (tmp_path / "1/v.mp4").read_bytes() == (tmp_path / "3/v.mp4").read_bytes()
    assert images(tmp_path / "1/f") == images(tmp_path / "3/f")


def test_borders_lie_where_little_has_to_be_decoded_again(tmp_path: Path) -> None:
    dense, sparse = make_video(tmp_path / "d.mp4", 40, 10, (32, 24), gop=20), tmp_path / "s.mp4"
    make_video(sparse, 40, 10, (32, 24), gop=1000)
    section = Section(0, 40, 30, 2)
    assert pieces(dense, 5, section) == 8
    assert pieces(sparse, 5, section) == 3, "a key frame at 0 alone: borders at 5 and 10 s, and none after"
    there = coverage(dense, 0, 40)
    found = divide(there, 30, 1200, 5)
    assert found[0].first == 0
    assert all(a.first + a.slots == b.first for a, b in pairwise(found))
    assert found[-1].first + found[-1].slots == 1200
    assert all((one.first - one.ahead) % 30 == 0 for one in found), "on whole seconds"


def test_never_more_at_once_than_are_asked_for() -> None:
    now, most, lock = 0, 0, threading.Lock()
    gate = threading.Barrier(2)

    def work(stop: Event) -> str:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        gate.wait(30)
        with lock:
            now -= 1
        return ""

    Encoders(2).all([work] * 6, None)
    assert most == 2


def test_a_failed_stretch_stops_the_others_and_a_cancelled_one_leaves_nothing(plain: Path, tmp_path: Path) -> None:
    cancelled = Event()
    cancelled.set()
    with pytest.raises(RetryLater):
        make(plain, tmp_path, 2, cancelled=cancelled)
    assert list(tmp_path.iterdir()) == []

    def bad(stop: Event) -> str:
        raise OSError(28, "full")

    def waits(stop: Event) -> str:
        end = time.monotonic() + 30
        while not stop.is_set() and time.monotonic() < end:
            time.sleep(0.01)
        raise RetryLater("stopped")

    with pytest.raises(OSError, match="full"):
        Encoders(2).all([waits, bad, waits], None)


def test_what_does_not_decode_in_a_stretch_is_judged_by_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_video(tmp_path / "s.mp4", 30, 10, SIZE, gop=20, tone=False)
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        found = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for pos, size in found[142:145]:  # three frames of thirty in a stretch, three of three hundred in all
        data[pos + 5 : pos + size] = bytes(size - 5)
    source.write_bytes(data)
    facts = {}
    for seconds in (1000, 3):
        (tmp_path / str(seconds)).mkdir()
        facts[seconds] = make(source, tmp_path / str(seconds), seconds, section=Section(0, 30, 30, 2))
    assert facts[3].frames == facts[1000].frames
    assert [image[:2] for image in images(tmp_path / "3/f")] == [image[:2] for image in images(tmp_path / "1000/f")]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the children of a dead process on Linux only")
def test_a_kill_in_the_middle_leaves_nothing_of_the_excerpt(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 20, 25, SIZE, gop=50)
    (tmp_path / "out").mkdir()
    script = (
        "import sys; from pathlib import Path; from clipquarry.datasets.model import Recipe\n"
        "from clipquarry.media.excerpt import Section, make_excerpt; from clipquarry.media.stretches import Encoders\n"
        "make_excerpt(Path(sys.argv[1]), video=Path(sys.argv[2], 'v.mp4'), frames=Path(sys.argv[2], 'f'),\n"
        "    section=Section(0, 20, 30, 2), recipe=Recipe(preset='slow'), encoders=Encoders(2), stretch_seconds=2)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(source), str(tmp_path / "out")])
    try:
        end = time.monotonic() + 60
        while not list((tmp_path / "out").glob(".*/2")):
            assert time.monotonic() < end
            assert child.poll() is None
            time.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not (tmp_path / "out/v.mp4").exists()
    assert not (tmp_path / "out/f").exists()
    (left,) = (tmp_path / "out").iterdir()
    assert str(child.pid) in left.name, "a later run sees whose it is"
    excerpts.make_excerpt(
        source, video=tmp_path / "out/v.mp4", frames=tmp_path / "out/f", section=Section(0, 10, 30, 2), recipe=Recipe(),
        stretch_seconds=2,
    )  # fmt: skip
    assert len(list((tmp_path / "out/f").iterdir())) == 300
