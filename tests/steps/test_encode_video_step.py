from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import Exit
from clipquarry.files import sha256_of
from clipquarry.manifest import ITEM_FIELDS, Row, read_rows, schema_of, write_rows
from clipquarry.media.join_frames import find_frames
from clipquarry.media.probe import probe
from clipquarry.media.tools import ffmpeg
from clipquarry.steps.encode_video import EncodeVideoStep
from clipquarry.steps.runner import run_step

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"
needs_oracles = pytest.mark.skipif(not ORACLES.is_dir(), reason="the folder with the reference cases is not there")
NAMES = ["1", "-22 %d", 'it\'s "3"']
COUNTS = [37, 12, 24]


def items(names: list[str] | None = None) -> list[Row]:
    return [
        {
            "item_id": f"train/{name}", "video_id": name, "clip_id": name, "split": "train", "label": "a", "class_dir": None,
            "label_index": 0, "start": None, "end": None, "row": number + 2,
        }
        for number, name in enumerate(names or NAMES)
    ]  # fmt: skip


def draw(
    folder: Path, count: int, *, size: tuple[int, int] = (160, 120), start: int = 1, name: str = "%05d.jpg"
) -> Path:
    """``count`` frames, whose pictures show 0, 1, 2, …"""
    folder.mkdir(parents=True)
    video = make_video(folder.parent / "drawn.mp4", count / 10, 10, size, tone=False, label=folder.name)
    argv = [ffmpeg().path, "-v", "error", "-i", video, "-q:v", "2", "-start_number", str(start), f"./{name}"]
    subprocess.run(argv, check=True, cwd=folder)
    video.unlink()
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data root with three folders of frames, beside two of which lies optical flow."""
    root = tmp_path / "data"
    for name, count in zip(NAMES, COUNTS, strict=True):
        folder = draw(root / "jester/rawframes" / name, count)
        (folder / "flow_x_00001.jpg").write_bytes((folder / "00001.jpg").read_bytes())
    write_rows(tmp_path / "items.parquet", schema_of(ITEM_FIELDS, "items"), items())
    return root


def encode(data: Path, **params: object) -> list[Row]:
    out = data.parent / "out" / "part-00000.parquet"
    chosen = json.dumps({"root": "jester"} | params)
    result = run_step(EncodeVideoStep(), items=data.parent / "items.parquet", params=chosen, out=out, data=data, jobs=2)
    assert result.exit is Exit.OK, result.sentence
    return list(read_rows(out))


def test_videos_lie_in_the_layout_and_are_facts(data: Path) -> None:
    rows = encode(data)
    assert [row["status"] for row in rows] == ["done"] * 3
    for row, count in zip(rows, COUNTS, strict=True):
        path = data / row["path"]
        assert row["path"] == f"jester/videos/{row['clip_id']}.mp4"
        facts = probe(path)
        assert (facts.video_codec, facts.pix_fmt, facts.frames, facts.width, facts.height) == (
            "mpeg4",
            "yuv420p",
            count,
            160,
            120,
        )
        assert (facts.fps, facts.has_audio) == (pytest.approx(12), False)
        assert (row["video_codec"], row["frames"], row["bytes"]) == ("mpeg4", count, path.stat().st_size)
        assert row["sha256"] == sha256_of(path)
        assert read_frame_numbers(path) == list(range(count))


def test_h264_is_an_option(data: Path) -> None:
    rows = encode(data, codec="h264", fps=29.97, recipe={"preset": "superfast"})
    assert {row["video_codec"] for row in rows} == {"h264"}
    assert rows[0]["fps"] == pytest.approx(29.97, abs=0.01)
    assert read_frame_numbers(data / rows[0]["path"]) == list(range(COUNTS[0]))


def test_class_folders_and_other_names(data: Path) -> None:
    draw(data / "jester/rawframes_val/a class/one", 9, start=0, name="img_%05d.jpg")
    row = items(["one"])[0] | {"split": "val", "class_dir": "a class", "item_id": "val/a class/one"}
    write_rows(data.parent / "items.parquet", schema_of(ITEM_FIELDS, "items"), [row])
    (made,) = encode(data, frames="rawframes_{split}", out="videos_{split}", pattern="img_%05d.jpg", start=0)
    assert (made["status"], made["path"]) == ("done", "jester/videos_val/a class/one.mp4")
    assert read_frame_numbers(data / made["path"]) == list(range(9))


def test_a_second_run_keeps_and_changes_are_made_again(data: Path) -> None:
    first = encode(data)
    assert [row["status"] for row in encode(data)] == ["kept"] * 3
    folder = data / "jester/rawframes" / NAMES[0]
    (folder / f"{COUNTS[0]:05d}.jpg").unlink()
    (data / first[1]["path"]).write_bytes(b"torn")
    again = encode(data)
    assert [(row["status"], row["frames"]) for row in again] == [("done", 36), ("done", 12), ("kept", 24)]


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ([7], "1 frames are absent between the first and the last: 00007.jpg"),
        ([1], "the first frame is 00002.jpg, not 00001.jpg"),
        (
            range(2, 37),
            "35 frames are absent between the first and the last: 00002.jpg, 00003.jpg, 00004.jpg, 00005.jpg, 00006.jpg, …",
        ),
    ],
    ids=["gap", "first", "many"],
)
def test_a_gap_is_a_failure(data: Path, lost: list[int], said: str) -> None:
    for number in lost:
        (data / "jester/rawframes" / NAMES[0] / f"{number:05d}.jpg").unlink()
    rows = encode(data)
    assert [row["status"] for row in rows] == ["failed", "done", "done"]
    assert (rows[0]["reason"], rows[0]["evidence"]) == ("corrupt", said)
    assert not (data / "jester/videos" / f"{NAMES[0]}.mp4").exists()


def test_folders_without_usable_frames(data: Path) -> None:
    one, two, three = (data / "jester/rawframes" / name for name in NAMES)
    for path in one.iterdir():
        path.unlink()
    (two / "00005.jpg").write_bytes(b"")
    for path in three.iterdir():
        path.unlink()
    three.rmdir()
    rows = encode(data)
    assert [(row["status"], row["reason"], row["evidence"]) for row in rows] == [
        ("failed", "no_frames", "the folder holds no frame %05d.jpg"),
        ("failed", "corrupt", "00005.jpg is empty"),
        ("missing", "no_source", "the folder of frames is not there"),
    ]


def test_frames_that_do_not_decode_or_differ_in_size(data: Path, tmp_path: Path) -> None:
    one, two, _ = (data / "jester/rawframes" / name for name in NAMES)
    (one / "00019.jpg").write_bytes(b"no picture")
    wide = draw(tmp_path / "wide", 1, size=(320, 120))
    (two / "00012.jpg").write_bytes((wide / "00001.jpg").read_bytes())
    rows = encode(data)
    assert [row["status"] for row in rows] == ["failed", "failed", "done"]
    assert "00019.jpg does not decode" in rows[0]["evidence"]
    assert rows[1]["evidence"] == "the frames have several sizes: 160x120, 320x120"


@pytest.mark.parametrize(("codec", "size"), [("mpeg4", (85, 63)), ("h264", (84, 62))])
def test_odd_sizes(data: Path, codec: str, size: tuple[int, int]) -> None:
    folder = data / "jester/rawframes" / NAMES[0]
    argv = [ffmpeg().path, "-y", "-v", "error", "-i", "./%05d.jpg", "-vf", "scale=85:63", "-q:v", "2", "./%05d.jpg"]
    subprocess.run(argv, check=True, cwd=folder)
    row = encode(data, codec=codec)[0]
    assert (row["status"], row["width"], row["height"]) == ("done", *size)


def test_a_persons_video_is_kept_when_it_fits_and_else_moved_away(data: Path) -> None:
    videos = data / "jester/videos"
    videos.mkdir()
    for name, source in zip(NAMES, (NAMES[0], NAMES[2], NAMES[2]), strict=True):
        argv = [ffmpeg().path, "-v", "error", "-start_number", "1", "-r", "12", "-i", "./%05d.jpg", "-vcodec", "mpeg4"]
        subprocess.run([*argv, f"file:{videos / name}.mp4"], check=True, cwd=data / "jester/rawframes" / source)
    before = [(videos / f"{name}.mp4").read_bytes() for name in NAMES]
    rows = encode(data)
    assert [row["status"] for row in rows] == ["kept", "done", "kept"]
    assert (videos / f"{NAMES[0]}.mp4").read_bytes() == before[0]
    assert (data / ".clipquarry/set-aside/jester/videos" / f"{NAMES[1]}.mp4").read_bytes() == before[1]
    assert "was moved to" in rows[1]["evidence"]


@pytest.mark.parametrize("pattern", ["%05d.png", "../%05d.jpg", "frame.jpg", "%s.jpg", "%05d%05d.jpg"])
def test_other_patterns_are_refused(data: Path, pattern: str) -> None:
    with pytest.raises(Exception, match="no pattern of frame files"):
        encode(data, pattern=pattern)


@pytest.mark.shared
@needs_oracles
def test_the_reference_case(tmp_path: Path) -> None:
    case = ORACLES / "build_videos"
    runs = json.loads((case / "expected/_runs.json").read_text())
    wanted = next(one for one in runs if one["case"] == "jester")["outputs"]
    root = tmp_path / "data"
    root.mkdir()
    (root / "jester").mkdir()
    (root / "jester/rawframes").symlink_to(case / "inputs/data/jester/rawframes")
    write_rows(tmp_path / "items.parquet", schema_of(ITEM_FIELDS, "items"), items(["1", "22"]))
    for row in encode(root):
        (told,) = wanted[f"data/{row['path']}"]
        facts = probe(root / row["path"])
        assert (facts.video_codec, facts.width, facts.height, facts.pix_fmt) == (
            told["codec_name"], told["width"], told["height"], told["pix_fmt"],
        )  # fmt: skip
        assert (str(facts.frames), facts.fps) == (told["nb_read_frames"], pytest.approx(12))
        assert facts.frames == find_frames(root / "jester/rawframes" / row["clip_id"], "%05d.jpg", 1).count
