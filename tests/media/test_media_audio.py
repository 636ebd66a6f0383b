from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from clipquarry.demo.videos import make_video
from clipquarry.media.audio import extract_audio, measure, mono, sound_stream
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import probe
from clipquarry.reasons import Reason
from media_sources import convert

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"
needs_oracles = pytest.mark.skipif(not ORACLES.is_dir(), reason="the folder with the reference cases is not there")
WITH_SOUND = [
    "30 fps", "matroska", "starts at 7.3 s", "transport stream", "edit list", "vp8 webm", "mpeg4 avi", "variable rate",
]  # fmt: skip


def read(path: Path) -> tuple[wave._wave_params, np.ndarray]:
    """Python's own reading of a wav."""
    with wave.open(str(path)) as there:
        samples = np.frombuffer(there.readframes(there.getnframes()), "<i2").reshape(-1, there.getnchannels())
        return there.getparams(), samples


@pytest.mark.parametrize("name", WITH_SOUND)
def test_a_wav_holds_the_samples_of_the_reference_command(
    sources: dict[str, Path], name: str, tmp_path: Path, any_ffmpeg: str
) -> None:
    made = extract_audio(sources[name], tmp_path / "ours.wav", seconds=12)
    theirs = convert(sources[name], tmp_path / "theirs.wav", "-map", "0:a")
    (ours, samples), (reference, wanted) = read(tmp_path / "ours.wav"), read(theirs)
    assert ours == reference
    assert np.array_equal(samples, wanted)
    assert (made.samples, made.rate, made.channels) == (ours.nframes, ours.framerate, ours.nchannels)
    assert made == measure(theirs)  # whatever their header says besides
    assert made.seconds == pytest.approx(probe(sources[name]).duration, abs=0.2)


def test_of_several_streams_the_first_is_taken(plain: Path, tmp_path: Path) -> None:
    two = tmp_path / "two.mkv"
    convert(
        plain, two, "-f", "lavfi", "-t", "3", "-i", "sine=frequency=1000:sample_rate=8000", "-map", "1:a", "-map", "0:a",
        "-map", "0:v", "-c:v", "copy", "-c:a", "flac",
    )  # fmt: skip
    made = extract_audio(two, tmp_path / "out.wav", seconds=12)
    assert (made.rate, made.channels, made.seconds) == (8000, 1, 3)


def test_more_than_two_channels_stay(plain: Path, tmp_path: Path) -> None:
    wide = convert(plain, tmp_path / "wide.mkv", "-c:v", "copy", "-c:a", "flac", "-ac", "6")
    made = extract_audio(wide, tmp_path / "out.wav", seconds=12)
    assert (made.channels, made.rate) == (6, 44100)


def test_a_clock_of_milliseconds_makes_no_sound_too_short(tmp_path: Path) -> None:
    """A packet of DTS has 11.6 ms, and Matroska tells 11: of a minute three seconds would be lacking."""
    film = make_video(tmp_path / "film.mp4", 60, 1, (64, 48))
    made = extract_audio(
        convert(film, tmp_path / "film.mkv", "-c:v", "copy", "-c:a", "dca", "-strict", "-2"),
        tmp_path / "o.wav",
        seconds=60,
    )
    assert made.seconds == pytest.approx(60, abs=0.1)


def test_a_gap_in_the_sound_is_no_fault(plain: Path, tmp_path: Path) -> None:
    gap = convert(plain, tmp_path / "gap.mkv", "-c:v", "copy", "-af", "aselect='not(between(t,3,6))'", "-c:a", "flac")
    assert sound_stream(gap).longest == pytest.approx(12, abs=0.2)
    assert extract_audio(gap, tmp_path / "o.wav", seconds=12).seconds == pytest.approx(9, abs=0.2)


def test_a_video_without_sound_is_told(sources: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="has no audio stream") as caught:
        extract_audio(sources["no sound"], tmp_path / "out.wav", seconds=12)
    assert caught.value.reason is Reason.NO_AUDIO
    assert not list(tmp_path.iterdir())


def test_a_track_without_a_packet_is_no_sound(plain: Path, tmp_path: Path) -> None:
    empty = convert(plain, tmp_path / "empty.mkv", "-c:v", "copy", "-c:a", "flac", "-af", "atrim=end_sample=0")
    if not probe(empty).has_audio:
        pytest.skip("this ffmpeg writes no track without a packet")
    with pytest.raises(MediaError) as caught:
        sound_stream(empty)
    assert caught.value.reason is Reason.NO_AUDIO


def test_damaged_sound_is_no_wav(plain: Path, tmp_path: Path) -> None:
    film = convert(plain, tmp_path / "film.mkv", "-c:v", "copy", "-c:a", "flac")
    content = bytearray(film.read_bytes())
    rng = np.random.default_rng(0)
    for at in range(len(content) // 20, len(content), 300):
        content[at : at + 60] = rng.integers(0, 256, len(content[at : at + 60]), np.uint8).tobytes()
    film.write_bytes(content)
    with pytest.raises(MediaError) as caught:
        extract_audio(film, tmp_path / "out.wav", seconds=12)
    assert caught.value.reason in (Reason.CORRUPT, Reason.TOOL_FAILED)
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no wav at all" * 99])
def test_what_is_no_wav_is_corrupt(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.wav"
    path.write_bytes(content)
    for read_it in (measure, lambda wav: list(mono(wav))):
        with pytest.raises(MediaError) as caught:
            read_it(path)
        assert caught.value.reason is Reason.CORRUPT


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_any_kind_of_wav_is_read_alike(plain: Path, tmp_path: Path, codec: str) -> None:
    path = convert(plain, tmp_path / "sound.wav", "-map", "0:a", "-ac", "2", "-c:a", codec)
    usual = convert(plain, tmp_path / "usual.wav", "-map", "0:a", "-c:a", "pcm_f32le")
    ours, wanted = (np.concatenate([piece for piece, _ in mono(wav)]) for wav in (path, usual))
    assert len(ours) == len(wanted)
    assert np.abs(ours / np.abs(ours).max() - wanted / np.abs(wanted).max()).max() < 0.05  # 8 bits have coarse steps
    assert np.abs(ours).max() <= 1


@pytest.mark.shared
@needs_oracles
def test_the_reference_case(tmp_path: Path) -> None:
    case = ORACLES / "extract_audio"
    runs = json.loads((case / "expected" / "_runs.json").read_text())
    (wanted,) = runs[0]["outputs"]["audio/c1/a.wav"]
    made = extract_audio(case / "inputs/videos/c1/a.mp4", tmp_path / "a.wav", seconds=2)
    assert (str(made.rate), made.channels) == (wanted["sample_rate"], wanted["channels"])
    stream = probe(case / "inputs/videos/c1/a.mp4")
    assert made.seconds == pytest.approx(stream.duration, abs=0.1)
    with pytest.raises(MediaError) as caught:
        extract_audio(case / "inputs/videos/c1/silent.mp4", tmp_path / "silent.wav", seconds=2)
    assert caught.value.reason is Reason.NO_AUDIO
