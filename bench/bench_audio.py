"""Log-mel features of wav files: Clipquarry's against librosa in a loop, which makes the same numbers.

    python bench/bench_audio.py [--quick] [--librosa PYTHON]

``PYTHON`` is an interpreter of another environment, in which librosa is installed (the product has none):

    uv venv /tmp/librosa && uv pip install --python /tmp/librosa/bin/python librosa

Both sides read the same wavs of 44.1 kHz, resample them to 16 kHz, and write arrays, one file after the other, in turns.
The time of imports and of a first file, which compiles and fills caches, is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RATE = 44_100


def make_wavs(folder: Path, count: int, seconds: int) -> None:
    """Chords with noise, in two channels."""
    at = np.arange(seconds * RATE) / RATE
    for number in range(count):
        rng = np.random.default_rng(number)
        tones = sum(np.sin(2 * np.pi * pitch * at) for pitch in rng.uniform(100, 7000, 4)) * 0.1
        sound = np.stack([tones, tones], axis=1) + rng.normal(0, 0.02, (len(at), 2))
        with wave.open(str(folder / f"{number:04d}.wav"), "wb") as there:
            there.setnchannels(2)
            there.setsampwidth(2)
            there.setframerate(RATE)
            there.writeframes((sound.clip(-1, 1) * 32767).astype("<i2").tobytes())


def _with_librosa() -> Callable[[Path], Any]:
    import librosa

    bands = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=80, fmin=125, fmax=7600)
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(512) + 0.5) / 512))

    def features(wav: Path) -> Any:
        sound, _ = librosa.load(wav, sr=16_000)
        sound = sound * (0.1 / max(1e-4, np.sqrt(np.mean(sound**2))))
        frames = -(-len(sound) // 256) + 1
        sound = np.pad(sound, (256, (frames - 1) * 256 + 512 - 256 - len(sound)))
        spectrum = librosa.stft(sound, n_fft=512, hop_length=256, window=window, center=False)
        levels = 20 * np.log10(np.maximum(1e-5, bands @ np.abs(spectrum))) - 20
        return np.clip((levels + 100) / 100, 0, 1).astype(np.float32).T

    return features


def _ours() -> Callable[[Path], Any]:
    from clipquarry.media.log_mel import features_of

    return features_of


def loop(make: Callable[[Path], Any], wavs: list[Path], out: Path) -> tuple[float, float]:
    """CPU and wall seconds of all files."""
    make(wavs[0])
    begun = time.process_time(), time.monotonic()
    for wav in wavs:
        np.save(out / f"{wav.stem}.npy", make(wav))
    return time.process_time() - begun[0], time.monotonic() - begun[1]


def side(python: str, name: str, wavs: Path, out: Path) -> tuple[float, float]:
    """The same in a process of its own."""
    out.mkdir(exist_ok=True)
    argv = [python, __file__, "--side", name, str(wavs), str(out)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    cpu, wall = json.loads(done.stdout.splitlines()[-1])
    return cpu, wall


def compare(count: int, seconds: int, turns: int, librosa: str, folder: Path) -> None:
    """The rows of the table."""
    wavs = folder / "wavs"
    wavs.mkdir()
    make_wavs(wavs, count, seconds)
    pythons = {"ours": sys.executable} | ({"librosa": librosa} if librosa else {})
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in pythons}
    for turn in range(turns):
        for name in sorted(pythons, reverse=bool(turn % 2)):
            spent[name].append(side(pythons[name], name, wavs, folder / name))
    made = {name: [np.load(path) for path in sorted((folder / name).glob("*.npy"))] for name in pythons}
    assert all(len(arrays) == count for arrays in made.values())
    what = f"log-mel of {count} clips of {seconds} s, 44.1 kHz, two channels, median of {turns}"
    print("| features | librosa in a loop | Clipquarry | ratio | at most |\n|---|---|---|---|---|")
    for at, unit in enumerate(("CPU s", "wall s")):
        ours, theirs = (statistics.median(turn[at] for turn in spent.get(name, [])) if name in spent else None
                        for name in ("ours", "librosa"))  # fmt: skip
        assert ours is not None
        ratio = f"{theirs:.2f} | {ours:.2f} | {ours / theirs:.2f}" if theirs else f"– | {ours:.2f} | –"
        print(f"| {what}, {unit} | {ratio} | 1 |")
    if librosa:
        pairs = zip(made["ours"], made["librosa"], strict=True)
        print(f"largest difference of two numbers: {max(float(np.abs(a - b).max()) for a, b in pairs):.5f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few short clips")
    parser.add_argument("--librosa", default="", metavar="PYTHON", help="an interpreter that has librosa")
    parser.add_argument("--side", nargs=3, metavar=("NAME", "WAVS", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        name, wavs, out = arguments.side
        make = _ours() if name == "ours" else _with_librosa()
        print(json.dumps(loop(make, sorted(Path(wavs).glob("*.wav")), Path(out))))
        return
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        count, seconds, turns = (4, 2, 1) if arguments.quick else (100, 10, 5)
        compare(count, seconds, turns, arguments.librosa, Path(folder))


if __name__ == "__main__":
    main()
