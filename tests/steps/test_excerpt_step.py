from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import Exit, UserError
from clipquarry.manifest import ITEM_FIELDS, Row, read_rows, schema_of, write_rows
from clipquarry.media.frame_folder import count_frames
from clipquarry.media.tools import ffmpeg
from clipquarry.microseconds import of
from clipquarry.steps.excerpt import ExcerptStep
from clipquarry.steps.flow import FlowStep
from clipquarry.steps.runner import run_step

NAMES = ["-5KQ66BBWC4.mkv", "0f39OWEqJ24.mp4", "_early_nd_4.webm"]
SECONDS = {"-5KQ66BBWC4.mkv": 14, "0f39OWEqJ24.mp4": 13, "_early_nd_4.webm": 11}
PART = {"start": 9, "seconds": 3}


def items() -> list[Row]:
    return [
        {
            "item_id": f"train/{name[:11]}", "video_id": name[:11], "clip_id": name, "split": "train", "label": None,
            "class_dir": None, "label_index": -1, "start": of(900), "end": of(1801), "row": number + 1,
        }
        for number, name in enumerate(NAMES)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for name, fps in zip(NAMES, (25, 30, 24), strict=True):
        # The content decides, not the name: what is called webm here is mp4.
        made = make_video(folder / f"made-{name}".replace("webm", "mp4"), SECONDS[name], fps, (160, 120), gop=50)
        made.rename(folder / name)
    return folder


@pytest.fixture
def data(tmp_path: Path, films: Path) -> Path:
    """A data root with three films; the last one ends in the middle of the part."""
    root = tmp_path / "data"
    shutil.copytree(films, root / "ava" / "videos")
    write_rows(tmp_path / "items.parquet", schema_of(ITEM_FIELDS, "items"), items())
    return root


def excerpt(data: Path, **params: object) -> list[Row]:
    out = data.parent / "out" / "part-00000.parquet"
    chosen = json.dumps({"root": "ava"} | PART | params)
    result = run_step(ExcerptStep(), items=data.parent / "items.parquet", params=chosen, out=out, data=data, jobs=2)
    assert result.exit is Exit.OK, result.sentence
    return list(read_rows(out))


def files(data: Path) -> dict[str, bytes]:
    places = (data / "ava" / "videos_15min", data / "ava" / "rawframes")
    return {str(p.relative_to(data)): p.read_bytes() for place in places for p in place.rglob("*") if p.is_file()}


def told(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row["status"], row["reason"]) for row in rows]


def test_videos_and_images_lie_in_the_layout_and_are_facts(data: Path) -> None:
    rows = excerpt(data)
    assert told(rows) == [("done", "ok")] * 3
    assert [(row["frames"], row["images"], row["duration"]) for row in rows] == [
        (90, 90, 3.0), (90, 90, 3.0), (60, 60, 2.0),
    ]  # fmt: skip
    assert [row["evidence"] for row in rows] == ["", "", "the source ends at 11.0 s: 60 of 90 frames"]
    assert [round(row["source_duration"]) for row in rows] == [14, 13, 11]
    for row, name in zip(rows, NAMES, strict=True):
        assert (row["path"], row["image_path"]) == (f"ava/videos_15min/{name}", f"ava/rawframes/{name[:11]}")
        assert (row["width"], row["height"], row["image_width"], row["image_height"]) == (160, 120) * 2
        assert (row["fps"], row["has_audio"]) == (pytest.approx(30, abs=0.1), True)
        assert row["bytes"] == (data / row["path"]).stat().st_size
        assert sorted(path.name for path in (data / row["image_path"]).iterdir()) == [
            f"img_{number:05d}.jpg" for number in range(1, row["images"] + 1)
        ]
    mp4 = data / "ava" / "rawframes" / NAMES[1][:11]
    assert [read_frame_numbers(mp4 / f"img_{30 * (t - 9) + 1:05d}.jpg") for t in (9, 10, 11)] == [[270], [300], [330]]
    assert read_frame_numbers(data / rows[1]["path"]) == list(range(270, 360))


def test_a_second_run_keeps_what_is_unchanged(data: Path) -> None:
    first = excerpt(data)
    before = files(data)
    again = excerpt(data)
    assert told(again) == [("kept", "ok")] * 3
    assert [row["evidence"] for row in again] == [row["evidence"] for row in first]
    assert [{**row, "status": "", "key": ""} for row in again] == [{**row, "status": "", "key": ""} for row in first]
    assert files(data) == before
    videos = [data / row["path"] for row in first]
    made = [path.stat().st_mtime_ns for path in videos]
    (data / first[0]["image_path"] / "img_00007.jpg").unlink()
    (data / first[1]["image_path"] / "img_00007.jpg").write_bytes(b"torn")
    assert told(excerpt(data)) == [("done", "ok"), ("done", "ok"), ("kept", "ok")]
    assert files(data) == before
    assert [path.stat().st_mtime_ns for path in videos] == made, "the videos were whole"
    videos[0].write_bytes(b"torn")
    videos[1].unlink()
    assert told(excerpt(data)) == [("done", "ok"), ("done", "ok"), ("kept", "ok")]
    assert files(data) == before


def test_another_recipe_makes_again_only_what_it_concerns(data: Path) -> None:
    excerpt(data)
    before = files(data)
    assert told(excerpt(data, recipe={"crf": 40})) == [("done", "ok")] * 3
    after = files(data)
    assert {name for name in before if before[name] != after[name]} == {f"ava/videos_15min/{name}" for name in NAMES}
    assert not (data / ".clipquarry" / "set-aside").exists(), "what is ours is replaced"
    assert [row["images"] for row in excerpt(data, recipe={"crf": 40}, fps=10)] == [30, 30, 20]
    assert told(excerpt(data)) == [("done", "ok")] * 3
    assert files(data) == before


def test_another_film_under_the_same_name(data: Path) -> None:
    excerpt(data)
    make_video(data / "ava" / "videos" / NAMES[1], 12, 30, (64, 48), label="another")
    rows = excerpt(data)
    assert told(rows) == [("kept", "ok"), ("done", "ok"), ("kept", "ok")]
    assert (rows[1]["width"], rows[1]["image_width"]) == (64, 64)
    os.utime(data / "ava" / "videos" / NAMES[1])
    assert told(excerpt(data)) == [("kept", "ok")] * 3, "the same bytes are the same film"


def flow(data: Path) -> list[Row]:
    out = data.parent / "out" / "flow-00000.parquet"
    chosen = json.dumps({"root": "ava", "frames": "rawframes", "suffix": True, "flow_type": "dis"})
    result = run_step(FlowStep(), items=data.parent / "items.parquet", params=chosen, out=out, data=data, jobs=2)
    assert result.exit is Exit.OK, result.sentence
    return list(read_rows(out))


def test_flow_of_the_images_lies_beside_them_and_is_not_thrown_away(data: Path) -> None:
    images = excerpt(data)
    rows = flow(data)
    assert [(row["status"], row["path"], row["flow_x"]) for row in rows] == [
        ("done", row["image_path"], row["images"] - 1) for row in images
    ]
    assert told(excerpt(data)) == [("kept", "ok")] * 3
    assert [row["status"] for row in flow(data)] == ["kept"] * 3
    make_video(data / "ava" / "videos" / NAMES[1], 12, 30, (64, 48), label="another")
    again = excerpt(data)
    assert (data / ".clipquarry/set-aside" / again[1]["image_path"] / "flow_x_00001.jpg").is_file()
    assert [(row["status"], row["width"]) for row in flow(data)] == [("kept", 160), ("done", 64), ("kept", 160)]


def test_what_a_person_put_there_is_set_aside(data: Path) -> None:
    video = data / "ava" / "videos_15min" / NAMES[1]
    images = data / "ava" / "rawframes" / NAMES[1][:11]
    for path in (video, images / "img_00001.jpg"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"of a person")
    assert told(excerpt(data)) == [("done", "ok")] * 3
    aside = data / ".clipquarry" / "set-aside"
    assert {str(p.relative_to(aside)) for p in aside.rglob("*") if p.is_file()} == {
        f"ava/videos_15min/{NAMES[1]}", f"ava/rawframes/{NAMES[1][:11]}/img_00001.jpg",
    }  # fmt: skip
    assert count_frames(images)[0] == 90


def own_excerpt(data: Path, name: str, *, rate: int = 30, crf: int = 30) -> None:
    """What the reference's scripts leave: the part encoded by another program's settings, and its images."""
    video, images = data / "ava" / "videos_15min" / name, data / "ava" / "rawframes" / name[:11]
    video.parent.mkdir(parents=True, exist_ok=True)
    images.mkdir(parents=True)
    argv = [ffmpeg().path, "-v", "error", "-ss", "9", "-t", "3", "-i", str(data / "ava" / "videos" / name)]
    subprocess.run([*argv, "-vf", f"fps={rate}", "-crf", str(crf), "-preset", "ultrafast", str(video)], check=True)
    subprocess.run([*argv[:3], "-i", str(video), "-r", str(rate), "-q:v", "3", "img_%05d.jpg"], check=True, cwd=images)


def test_what_a_person_made_is_kept_when_it_fits_and_else_moved_away(data: Path) -> None:
    own_excerpt(data, NAMES[0])
    own_excerpt(data, NAMES[1], rate=15)
    before = files(data)
    rows = excerpt(data)
    assert rows[0]["evidence"] == "what lay there fits and was kept"
    assert [row["status"] for row in rows] == ["kept", "done", "done"]
    assert rows[0]["evidence"] == "what lay there fits and was kept"
    after = files(data)
    fits = {name for name in before if NAMES[0][:11] in name}
    assert {name: before[name] for name in fits} == {name: after[name] for name in fits}
    aside = data / ".clipquarry" / "set-aside"
    assert "45 where ours has 90" in rows[1]["evidence"]
    assert str(aside / f"ava/videos_15min/{NAMES[1]}") in rows[1]["evidence"]
    moved = {str(p.relative_to(aside)): p.read_bytes() for p in aside.rglob("*") if p.is_file()}
    assert moved == {name: text for name, text in before.items() if name not in fits}
    assert told(excerpt(data)) == [("kept", "ok")] * 3
    assert files(data) == after


def test_a_persons_things_in_the_place_of_ours_are_moved_away(data: Path) -> None:
    """A note about a place says nothing of what a person has put there since."""
    rows = excerpt(data)
    video, images = data / rows[1]["path"], data / rows[1]["image_path"]
    shutil.copy(data / rows[0]["path"], video)
    (images / "note.txt").write_text("mine")
    again = excerpt(data)
    assert told(again) == [("kept", "ok"), ("done", "ok"), ("kept", "ok")]
    assert "note.txt" in again[1]["evidence"]
    aside = data / ".clipquarry" / "set-aside" / "ava"
    assert (aside / f"rawframes/{NAMES[1][:11]}/note.txt").read_text() == "mine"
    assert (aside / f"videos_15min/{NAMES[1]}").read_bytes() == (data / rows[0]["path"]).read_bytes()


def test_a_dead_link_in_the_place_of_an_excerpt_is_moved_away(data: Path) -> None:
    (data / "ava/rawframes").mkdir()
    (data / "ava/rawframes" / NAMES[1][:11]).symlink_to("/nowhere")
    assert told(excerpt(data)) == [("done", "ok")] * 3
    assert os.path.lexists(data / ".clipquarry/set-aside/ava/rawframes" / NAMES[1][:11])


def test_one_output_alone(data: Path) -> None:
    rows = excerpt(data, make_frames=False)
    assert [(row["frames"], row["images"], row["image_path"]) for row in rows[:2]] == [(90, None, None)] * 2
    assert not (data / "ava" / "rawframes").exists()
    videos = files(data)
    rows = excerpt(data, make_video=False)
    assert [(row["frames"], row["path"], row["images"]) for row in rows] == [(None, None, n) for n in (90, 90, 60)]
    assert files(data).items() >= videos.items()
    assert told(excerpt(data)) == [("kept", "ok")] * 3
    with pytest.raises(UserError, match="both make_video and make_frames are off"):
        excerpt(data, make_video=False, make_frames=False)


def test_films_that_cannot_be_used_are_told(data: Path) -> None:
    gone, page, short = (data / "ava" / "videos" / name for name in NAMES)
    gone.unlink()
    page.write_bytes(b"<!DOCTYPE html>")
    short.unlink()
    make_video(data / "ava" / "videos" / "s.mkv", 8, 24, (160, 120)).rename(short)
    rows = excerpt(data)
    assert told(rows) == [("missing", "no_source"), ("failed", "not_a_video"), ("missing", "too_short")]
    assert "the source's video ends at 8.0" in rows[2]["evidence"]
    assert files(data) == {}
    assert not [path for path in data.rglob("*") if path.name.startswith(".clipquarry-tmp-")]


@pytest.mark.parametrize("name", ["../../etc/passwd.mp4", "a/b.mp4", "x.avi", "x", ".mp4"])
def test_hostile_names_are_told(data: Path, name: str) -> None:
    write_rows(data.parent / "items.parquet", schema_of(ITEM_FIELDS, "items"), [{**items()[0], "clip_id": name}])
    (row,) = excerpt(data)
    assert row["status"] == "failed"
    assert files(data) == {}


def test_kill_9_leaves_nothing_that_looks_finished_and_a_rerun_finishes(data: Path) -> None:
    film = make_video(data / "ava" / "videos" / NAMES[1], 40, 30, (640, 360), tone=False)
    code = (
        "import sys; from pathlib import Path; from clipquarry.steps.runner import run_step; "
        "from clipquarry.steps.excerpt import ExcerptStep; root = Path(sys.argv[1]); "
        'run_step(ExcerptStep(), items=root.parent / \'items.parquet\', params=\'{"root": "ava", "start": 9, '
        "\"seconds\": 30}', out=root.parent / 'out' / 'part-00000.parquet', data=root)"
    )
    step = subprocess.Popen([sys.executable, "-c", code, str(data)], stderr=subprocess.DEVNULL)
    images, videos = data / "ava" / "rawframes", data / "ava" / "videos_15min"
    deadline = time.monotonic() + 120
    while not list(images.glob(f".clipquarry-tmp-*-{film.stem}/img_00020.jpg")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(step.pid, signal.SIGKILL)
    step.wait()
    left = [path for place in (images, videos) for path in place.glob(".clipquarry-tmp-*")]
    assert len(left) == 2
    assert not (images / film.stem).exists()
    assert not (videos / film.name).exists()
    for path in left:
        os.utime(path, (time.time() - 3600,) * 2)
    rows = excerpt(data, seconds=30)
    assert [row["images"] for row in rows] == [pytest.approx(150, abs=1), 900, 60]
    assert sorted(path.name for path in images.iterdir()) == sorted(name[:11] for name in NAMES)
    assert sorted(path.name for path in videos.iterdir()) == sorted(NAMES)


def test_killed_between_the_two_outputs(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = excerpt(data)
    before = files(data)
    shutil.rmtree(data / "ava" / "videos_15min")
    shutil.rmtree(data / "ava" / "rawframes")

    def killed(new: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("clipquarry.steps.excerpt.replace_folder", killed)
        excerpt(data)
    rows = excerpt(data)
    assert [row["images"] for row in rows] == [row["images"] for row in whole]
    assert files(data) == before
