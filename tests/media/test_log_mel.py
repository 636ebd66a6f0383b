from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from clipquarry.media.errors import MediaError
from clipquarry.media.log_mel import (
    BANDS,
    HOP,
    RATE,
    WINDOW,
    features_of,
    features_problem,
    frames_of,
    log_mel,
    mel_bands,
    resampled,
)

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"
needs_oracles = pytest.mark.skipif(not ORACLES.is_dir(), reason="the folder with the reference cases is not there")


def noise(samples: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Noise of falling loudness."""
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 0.2, samples) * np.linspace(1, 0.01, samples)).clip(-1, 1).astype(np.float32)


def write_wav(path: Path, samples: npt.NDArray[np.float32], rate: int) -> Path:
    """16 bits; ``samples`` are (samples,) or (samples, channels)."""
    with wave.open(str(path), "wb") as there:
        there.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        there.setsampwidth(2)
        there.setframerate(rate)
        there.writeframes((samples * 32767).round().astype("<i2").tobytes())
    return path


def plainly(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The specification word for word, one frame after the other, of sound at 16 kHz."""
    scaled = samples.astype(np.float64) / max(1e-4, float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))) * 0.1
    window = np.sqrt([0.5 * (1 - np.cos(2 * np.pi * (at + 0.5) / 512)) for at in range(512)])
    padded = np.concatenate([np.zeros(256), scaled, np.zeros(1024)])
    rows = []
    for number in range(-(-len(samples) // 256) + 1):
        magnitude = np.abs(np.fft.fft(padded[256 * number : 256 * number + 512] * window))[:257]
        decibels = 20 * np.log10(np.maximum(1e-5, magnitude @ mel_bands())) - 20
        rows.append(np.clip((decibels + 100) / 100, 0, 1))
    return np.array(rows)


@pytest.mark.shared
@needs_oracles
@pytest.mark.parametrize(("name", "within"), [("a", 2e-6), ("b44k_stereo", 5e-5)])
def test_the_numbers_of_the_reference(name: str, within: float) -> None:
    """lws 1.2 and librosa 0.9; the second one is resampled from 44.1 kHz, mixed from two channels."""
    case = ORACLES / "build_audio_features"
    wanted = np.load(case / "expected/default/feats" / f"{name}.npy")
    found = features_of(case / "inputs/audio" / f"{name}.wav")
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert np.abs(found - wanted).max() < within


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 511, 512, 513, 15_999, RATE, RATE + 1, 3 * RATE + 77])
def test_frames_and_numbers_are_those_of_the_definition(samples: int) -> None:
    sound = noise(samples)
    found = log_mel([(sound, RATE)])
    assert found.shape == (frames_of(samples), BANDS)
    assert features_problem(found) is None
    assert np.abs(found - plainly(sound)).max() < 1e-6


def test_a_second_gives_64_frames() -> None:
    assert frames_of(RATE) == 64
    assert (WINDOW, HOP) == (512, 256)


@pytest.mark.parametrize("rate", [8000, 11_025, RATE, 22_050, 44_100, 48_000])
def test_the_size_of_the_pieces_does_not_matter(rate: int) -> None:
    sound = noise(rate + 123)
    whole = log_mel([(sound, rate)])
    for size in (7, 255, 4096):
        pieces = [(sound[at : at + size], rate) for at in range(0, len(sound), size)]
        assert np.abs(log_mel(pieces) - whole).max() < 1e-6


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 24_000, 32_000, 37_800, 44_100, 48_000, 96_000])
def test_a_tone_stays_a_tone(rate: int) -> None:
    def tone(samples: int, at: int) -> npt.NDArray[np.float32]:
        return np.sin(2 * np.pi * 440 * np.arange(samples) / at).astype(np.float32)

    found = np.concatenate(list(resampled([(tone(rate + 1, rate), rate)])))
    assert len(found) == -(-(rate + 1) * RATE // rate)
    assert np.abs(found - tone(len(found), RATE))[400:-400].max() < 1e-6


def test_what_16_khz_cannot_hold_is_gone() -> None:
    rate = 44_100
    found = np.concatenate(
        list(resampled([(np.sin(2 * np.pi * 9000 * np.arange(rate) / rate).astype(np.float32), rate)]))
    )
    assert np.abs(found)[400:-400].max() < 1e-4


def test_odd_rates_and_several_channels(tmp_path: Path) -> None:
    at = np.arange(22_255 * 2)
    tone = (0.5 * np.sin(2 * np.pi * 700 * at / 22_255)).astype(np.float32)
    odd = features_of(write_wav(tmp_path / "odd.wav", np.stack([tone, tone, tone], axis=1), 22_255))
    usual = (0.5 * np.sin(2 * np.pi * 700 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    wanted = features_of(write_wav(tmp_path / "usual.wav", usual, RATE))
    assert abs(len(odd) - len(wanted)) <= 1
    assert np.array_equal(odd[10:-10].argmax(axis=1), wanted[10 : len(odd) - 10].argmax(axis=1))


def test_silence_is_zero_and_loudness_does_not_matter() -> None:
    assert not log_mel([(np.zeros(RATE, np.float32), RATE)]).any()
    sound = noise(RATE)
    assert np.abs(log_mel([(sound * np.float32(0.1), RATE)]) - log_mel([(sound, RATE)])).max() < 1e-5


def test_nothing_is_no_sound() -> None:
    with pytest.raises(MediaError, match="there is no sound"):
        log_mel([])
    with pytest.raises(MediaError, match="changes from"):
        log_mel([(noise(99), RATE), (noise(99), 8000)])


def test_bands_are_triangles_of_one_area() -> None:
    bands = mel_bands()
    assert bands.shape == (257, 80)
    assert (bands >= 0).all()
    hertz = np.arange(257) * RATE / WINDOW
    heard = hertz[bands.max(axis=1) > 0]
    assert 125 < heard.min() < 160 < 7500 < heard.max() < 7600
    assert bands[:, 40:].sum(axis=0) * RATE / WINDOW == pytest.approx(1, abs=0.05)


def test_wrong_arrays_are_told() -> None:
    good = np.zeros((3, 80), np.float32)
    for wrong, said in (
        (good.astype(np.float64), "it is float64 of 3x80"),
        (good[:, 1:], "it is float32 of 3x79"),
        (good[:0], "empty"),
        (good + np.float32("nan"), "not finite"),
        (good + 2, "from 2 to 2"),
    ):
        assert said in (features_problem(wrong) or "")
