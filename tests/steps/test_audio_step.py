from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from clipquarry.demo.videos import make_video
from clipquarry.errors import Exit
from clipquarry.files import TEMPORARY_PREFIX, sha256_of
from clipquarry.manifest import ITEM_FIELDS, Row, read_rows, schema_of, write_rows
from clipquarry.media.tools import ffmpeg
from clipquarry.microseconds import of
from clipquarry.steps.audio import AudioStep
from clipquarry.steps.audio_features import AudioFeaturesStep
from clipquarry.steps.base import Step
from clipquarry.steps.runner import run_step

CLASSES = ["massaging_person's_head", '100%d_"sure"', "-dash - and blank"]
CLIP = "-wR5jVB-WPk_000001_000003"


def items() -> list[Row]:
    return [
        {
            "item_id": f"val/{folder}/{CLIP}", "video_id": CLIP[:11], "clip_id": CLIP, "split": "val", "label": folder,
            "class_dir": folder, "label_index": number, "start": of(1), "end": of(3), "row": number + 2,
        }
        for number, folder in enumerate(CLASSES)
    ]  # fmt: skip


def clip_path(data: Path, row: Row, suffix: str = ".mp4") -> Path:
    return data / "k" / "videos_val" / row["class_dir"] / f"{row['clip_id']}{suffix}"


def run_ffmpeg(*arguments: object) -> None:
    subprocess.run([ffmpeg().path, "-y", "-v", "error", "-nostdin", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """2 s with a tone at 44.1 kHz, 2 s without sound, 2 s whose sound is silence in two channels at 22.05 kHz."""
    folder = tmp_path_factory.mktemp("sources")
    heard = make_video(folder / "heard.mp4", 2, 10, size=(64, 48), label="heard")
    mute = make_video(folder / "mute.mp4", 2, 10, size=(64, 48), tone=False)
    silent = folder / "silent.mkv"
    run_ffmpeg(
        "-i", mute, "-f", "lavfi", "-i", "anullsrc=r=22050:cl=stereo", "-t", 2, "-c:v", "copy", "-c:a", "flac", silent
    )
    return {"heard": heard, "mute": mute, "silent": silent}


@pytest.fixture
def data(tmp_path: Path, made: dict[str, Path]) -> Path:
    """A data root with three clips of one name in the layout, in classes of odd names."""
    root = tmp_path / "data"
    for row, name in zip(items(), ("heard", "mute", "silent"), strict=True):
        path = clip_path(root, row, made[name].suffix)
        path.parent.mkdir(parents=True)
        path.write_bytes(made[name].read_bytes())
    write_rows(tmp_path / "items.parquet", schema_of(ITEM_FIELDS, "items"), items())
    return root


def run(step: Step[object], data: Path, **params: object) -> list[Row]:
    out = data.parent / "out" / step.name / "part-00000.parquet"
    chosen = json.dumps({"root": "k"} | params)
    result = run_step(step, items=data.parent / "items.parquet", params=chosen, out=out, data=data, jobs=2)
    assert result.exit is Exit.OK, result.sentence
    return list(read_rows(out))


def audio(data: Path, **params: object) -> list[Row]:
    return run(AudioStep(), data, **params)


def features(data: Path, **params: object) -> list[Row]:
    return run(AudioFeaturesStep(), data, **params)


def test_wavs_lie_in_the_layout_and_are_facts(data: Path) -> None:
    heard, mute, silent = audio(data)
    assert [row["status"] for row in (heard, mute, silent)] == ["done", "missing", "done"]
    assert (mute["reason"], mute["evidence"], mute["path"]) == ("no_audio", "the video has no audio stream", None)
    assert heard["path"] == f"k/audios_val/{CLASSES[0]}/{CLIP}.wav"
    for row, rate, channels in ((heard, 44100, 1), (silent, 22050, 2)):
        path = data / row["path"]
        with wave.open(str(path)) as there:
            assert (there.getframerate(), there.getnchannels(), there.getsampwidth()) == (rate, channels, 2)
            assert there.getnframes() == row["samples"]
        assert (row["rate"], row["channels"], row["seconds"]) == (rate, channels, row["samples"] / rate)
        assert row["seconds"] == pytest.approx(2, abs=0.1)
        assert row["clip_seconds"] == pytest.approx(2)
        assert (row["bytes"], row["sha256"]) == (path.stat().st_size, sha256_of(path))
    assert (silent["peak_db"], silent["silent"]) == (-100.0, True)
    assert -20 < heard["peak_db"] < 0  # AAC overshoots where the tone of -14 dB begins
    assert heard["silent"] is False
    assert not list((data / "k/audios_val" / CLASSES[1]).glob("*"))


def test_a_second_run_keeps_and_lost_or_damaged_wavs_are_made_again(data: Path) -> None:
    first = audio(data)
    assert [row["status"] for row in audio(data)] == ["kept", "missing", "kept"]
    (data / first[0]["path"]).unlink()
    (data / first[2]["path"]).write_bytes(b"torn")
    again = audio(data)
    assert [row["status"] for row in again] == ["done", "missing", "done"]
    assert [row["sha256"] for row in again] == [row["sha256"] for row in first]


def test_a_changed_clip_gives_another_wav(data: Path, made: dict[str, Path]) -> None:
    audio(data)
    clip_path(data, items()[0]).write_bytes(made["mute"].read_bytes())
    clip_path(data, items()[1]).write_bytes(made["heard"].read_bytes())
    assert [row["status"] for row in audio(data)] == ["missing", "done", "kept"]


def test_a_persons_wav_is_kept_when_it_fits_and_else_moved_away(data: Path, made: dict[str, Path]) -> None:
    fits, other = (data / "k/audios_val" / CLASSES[number] / f"{CLIP}.wav" for number in (0, 2))
    for path in (fits, other):
        path.parent.mkdir(parents=True)
        run_ffmpeg("-i", made["heard"], "-map", "0:a", path)  # as the reference does; its header names ffmpeg
    before = [path.read_bytes() for path in (fits, other)]
    heard, _, silent = audio(data)
    assert (heard["status"], fits.read_bytes()) == ("kept", before[0])
    assert heard["evidence"] == "the file that lay there fits and was kept"
    moved = data / ".clipquarry/set-aside" / other.relative_to(data)
    assert (silent["status"], moved.read_bytes()) == ("done", before[1])
    assert str(moved) in silent["evidence"]
    assert [row["status"] for row in audio(data)] == ["kept", "missing", "kept"]
    assert fits.read_bytes() == before[0]


def test_a_clip_that_is_not_there_is_missing(data: Path) -> None:
    clip_path(data, items()[0]).unlink()
    assert next((row["status"], row["reason"]) for row in audio(data)) == ("missing", "no_source")


def test_a_damaged_clip_fails_and_leaves_nothing(data: Path) -> None:
    path = clip_path(data, items()[0])
    path.write_bytes(path.read_bytes()[:2000])
    row = audio(data)[0]
    assert row["status"] == "failed"
    assert row["evidence"]
    assert not list((data / "k/audios_val" / CLASSES[0]).glob("*"))


def test_kill_9_leaves_no_finished_looking_wav_and_a_rerun_finishes(data: Path) -> None:
    make_video(clip_path(data, items()[0]), 900, 1, size=(64, 48))
    code = (
        "import sys; from pathlib import Path; from clipquarry.steps.runner import run_step; "
        "from clipquarry.steps.audio import AudioStep; root = Path(sys.argv[1]); "
        "run_step(AudioStep(), items=root.parent / 'items.parquet', params='{\"root\": \"k\"}', "
        "out=root.parent / 'killed' / 'part-00000.parquet', data=root)"
    )
    step = subprocess.Popen([sys.executable, "-c", code, str(data)], stderr=subprocess.DEVNULL)
    place = data / "k/audios_val" / CLASSES[0]
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in place.glob(f"{TEMPORARY_PREFIX}*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(step.pid, signal.SIGKILL)
    step.wait()
    assert [path.name.startswith(TEMPORARY_PREFIX) for path in place.iterdir()] == [True]
    assert not (data.parent / "killed/part-00000.parquet").exists()
    rows = audio(data)
    assert [row["status"] for row in rows] == ["done", "missing", "done"]
    assert rows[0]["seconds"] == pytest.approx(900, abs=0.2)


def test_features_are_arrays_in_class_folders(data: Path) -> None:
    audio(data)
    heard, mute, silent = features(data)
    assert [row["status"] for row in (heard, mute, silent)] == ["done", "missing", "done"]
    assert (mute["reason"], mute["evidence"]) == ("no_source", "the clip has no wav file")
    for row in (heard, silent):
        assert row["path"] == f"k/audio_features_val/{row['class_dir']}/{CLIP}.npy"
        there = np.load(data / row["path"])
        assert (there.dtype, there.shape) == (np.float32, (row["frames"], row["bands"]))
        assert row["bands"] == 80
        assert row["frames"] == pytest.approx(2 * 62.5, abs=8)
        assert (row["lowest"], row["highest"]) == (there.min(), there.max())
    assert (silent["lowest"], silent["highest"]) == (0, 0)
    assert heard["highest"] > 0.5
    assert [row["status"] for row in features(data)] == ["kept", "missing", "kept"]


def test_an_array_of_somebody_else_is_kept_when_it_fits(data: Path) -> None:
    audio(data)
    first = features(data)
    for row in (first[0], first[2]):
        path = data / row["path"]
        theirs = np.clip(np.load(path) + np.float32(5e-4), 0, 1)
        path.unlink()
        np.save(path, theirs if row is first[0] else theirs[1:])
    before = (data / first[0]["path"]).read_bytes()
    again = features(data)
    assert [row["status"] for row in again] == ["kept", "missing", "done"]
    assert (data / first[0]["path"]).read_bytes() == before
    assert "set-aside" in again[2]["evidence"]


def test_a_flat_folder_holds_one_clip_of_a_name(data: Path) -> None:
    audio(data)
    rows = features(data, flat=True)
    assert sorted(row["status"] for row in rows) == ["done", "failed", "missing"]
    done, failed = (next(row for row in rows if row["status"] == status) for status in ("done", "failed"))
    assert done["path"] == f"k/audio_features_val/{CLIP}.npy"
    assert failed["reason"] == "duplicate"
    assert f"the class {done['class_dir']!r} has a clip of this name too" in failed["evidence"]
    assert [row["status"] for row in features(data, flat=True)].count("kept") == 1
