"""The checks of sound and its features in the gate ``frames``: seeded faults are named, and clean data is not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from clipquarry.manifest import Row
from clipquarry.pipeline.gates import run_gate
from clipquarry.quality.params import GateParams
from clipquarry.quality.results import GateResult
from families.made_run import FINE, MadeRun
from quality_world import PARAMS, World, broken, ids, make_spec, make_world

LAYOUT = {"audio": "audios_{split}", "audio_features": "audio_features_{split}"}
WAV, NPY = b"RIFF\x24\x00\x00\x00WAVEfmt ".ljust(500, b"\0"), b"\x93NUMPY\x01\x00".ljust(400, b"\0")


class Sound:
    """A world whose 20 clips have 10 s of sound at 44.1 kHz, and features of it."""

    def __init__(self, root: Path) -> None:
        self.world: World = make_world(root)
        self.world.spec = make_spec(layout={**self.world.spec.layout, **LAYOUT})
        self.audio: list[Row] | None = []
        self.features: list[Row] | None = []
        for clip in self.world.recorded:
            item = {name: clip[name] for name in self.world.plan[0]} | FINE | {"key": "k"}
            name = f"{clip['split']}/{clip['class_dir']}/{clip['clip_id']}"
            self.audio.append(self._file(f"mini/audios_{name}.wav", WAV) | item | {
                "samples": 441_000, "rate": 44_100, "channels": 1, "seconds": 10.0, "peak_db": -3.0, "silent": False,
                "clip_seconds": 10.0,
            })  # fmt: skip
            self.features.append(self._file(f"mini/audio_features_{name}.npy", NPY) | item | {
                "frames": 626, "bands": 80, "lowest": 0.0, "highest": 0.9,
            })  # fmt: skip

    def _file(self, path: str, content: bytes) -> Row:
        target = self.world.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return {"path": path, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def gate(self, params: GateParams = PARAMS) -> GateResult:
        self.world.write()
        run = MadeRun(self.world.run_dir)
        for step, rows in (("audio", self.audio), ("audio_features", self.features)):
            if rows is not None:
                run.step(step, rows, shards=2)
        return run_gate("frames", self.world.spec, self.world.run_dir, self.world.data, params)


@pytest.fixture
def sound(tmp_path: Path) -> Sound:
    return Sound(tmp_path)


def no_sound(row: Row) -> None:
    row |= {"status": "missing", "reason": "no_audio", "evidence": "the video has no audio stream", "path": None}


def test_clean_sound_passes(sound: Sound) -> None:
    result = sound.gate()
    assert (result.verdict, broken(result)) == ("pass", {})
    assert len({check.id for check in result.checks if check.id.startswith("audio")}) == 13
    assert not any(check.skipped for check in result.checks if check.id.startswith("audio"))


def test_clips_without_sound_are_told_and_nothing_more(sound: Sound) -> None:
    assert sound.audio is not None and sound.features is not None
    for index in range(15):
        no_sound(sound.audio[index])
        sound.features[index] |= {"status": "missing", "reason": "no_source", "evidence": "no wav", "path": None}
    result = sound.gate()
    assert result.verdict == "pass"
    assert {name: (check.severity, check.unexpected) for name, check in broken(result).items()} == {
        "audio.has_sound": ("info", 15)
    }


def test_seeded_sound_is_all_named(sound: Sound) -> None:
    rows, world = sound.audio, sound.world
    assert rows is not None
    rows[0]["seconds"], rows[1]["seconds"] = 9.4, 9.6
    rows[2]["path"] = rows[2]["path"].replace("audios_", "audio_")
    (world.root / rows[3]["path"]).write_bytes(b"")
    (world.root / rows[4]["path"]).write_bytes(b"no wav".ljust(500, b"\0"))
    rows[5] |= {"status": "failed", "reason": "tool_failed", "evidence": "ffmpeg: exit code 1", "path": None}
    del rows[6]
    found = broken(sound.gate(GateParams(made_error=0.1)))
    names = [row["item_id"] for row in world.recorded]
    assert {name: ids(check) for name, check in found.items()} == {
        "audio.length": [names[0]], "audio.path": [names[2]], "audio.on_disk": [names[2], names[3], names[4]],
        "audio.made": [names[5]], "audio.one_row": [names[6]],
    }  # fmt: skip
    assert {name for name, check in found.items() if check.severity == "warn"} == {"audio.length", "audio.made"}


def test_more_silence_than_usual_warns(sound: Sound) -> None:
    assert sound.audio is not None
    for row in sound.audio[:10]:
        row |= {"silent": True, "peak_db": -100.0}
    assert "audio.silent" not in broken(sound.gate())
    sound.audio[10] |= {"silent": True, "peak_db": -61.0}
    found = broken(sound.gate())["audio.silent"]
    assert (found.severity, found.unexpected) == ("warn", 11)
    assert "audio.silent" not in broken(sound.gate(PARAMS.model_copy(update={"silent_warn": 0.6})))


def test_seeded_features_are_all_named(sound: Sound) -> None:
    rows = sound.features
    assert rows is not None
    rows[0]["bands"], rows[1]["frames"], rows[2]["frames"] = 79, 624, 627
    rows[3]["highest"], rows[4]["lowest"] = 1.5, None  # unknown
    rows[5]["path"] = rows[5]["path"].replace(".npy", ".npz")
    (sound.world.root / rows[6]["path"]).write_bytes(b"no array".ljust(400, b"\0"))
    rows[7] |= {"status": "failed", "reason": "corrupt", "evidence": "no wav file that decodes", "path": None}
    del rows[8]
    found = broken(sound.gate(GateParams(made_error=0.1)))
    names = [row["item_id"] for row in sound.world.recorded]
    assert {name: ids(check) for name, check in found.items()} == {
        "audio_features.shape [bands]": [names[0]], "audio_features.shape [frames]": [names[1]],
        "audio_features.range [highest]": [names[3]], "audio_features.range [lowest]": [names[4]],
        "audio_features.path": [names[5]], "audio_features.on_disk": [names[5], names[6]],
        "audio_features.made": [names[7]], "audio_features.one_row": [names[8]],
    }  # fmt: skip
    assert {name for name, check in found.items() if check.severity == "warn"} == {"audio_features.made"}


def test_stages_that_were_off_are_skipped(sound: Sound) -> None:
    result = sound.gate(PARAMS.model_copy(update={"audio_features": False}))
    skipped = {check.id for check in result.checks if check.skipped and check.id.startswith("audio")}
    assert {name.partition(".")[0] for name in skipped} == {"audio_features"}
    assert len(skipped) == 6
    on = sound.gate(PARAMS.model_copy(update={"audio": True}))
    assert on.verdict == "pass"


def test_a_stage_that_was_on_and_left_nothing_blocks(sound: Sound) -> None:
    sound.features = sound.audio = None
    result = sound.gate(PARAMS.model_copy(update={"audio": True, "audio_features": True}))
    assert {name: check.unexpected for name, check in broken(result).items()} == {
        "audio.one_row": 20, "audio_features.one_row": 20,
    }  # fmt: skip
    assert result.blocked
