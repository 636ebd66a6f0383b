from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import Exit
from clipquarry.files import sha256_of
from clipquarry.manifest import ITEM_FIELDS, Row, read_rows, schema_of, write_rows
from clipquarry.media.probe import header, probe
from clipquarry.media.tools import ffmpeg
from clipquarry.microseconds import of
from clipquarry.steps import resize as resize_module
from clipquarry.steps.resize import KIND, ResizeStep
from clipquarry.steps.runner import run_step
from clipquarry.store import Store

CLASSES = ["massaging person's head", "passing American football (in game)", "abseiling"]
IDS = ["-wR5jVB-WPk", "_a_b_c_d_e_", "0wR5jVB-WPk"]


def items() -> list[Row]:
    rows = []
    for number, (label, video) in enumerate(zip(CLASSES, IDS, strict=True)):
        clip = f"{video}_000001_000003"
        folder = label.replace(" ", "_")
        rows.append({
            "item_id": f"val/{folder}/{clip}", "video_id": video, "clip_id": clip, "split": "val", "label": label,
            "class_dir": folder, "label_index": number, "start": of(1), "end": of(3), "row": number + 2,
        })  # fmt: skip
    return rows


def clip_path(data: Path, row: Row) -> Path:
    return data / "k" / "videos_val" / row["class_dir"] / f"{row['clip_id']}.mp4"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data root with three clips in the layout."""
    root = tmp_path / "data"
    for row in items():
        path = clip_path(root, row)
        path.parent.mkdir(parents=True)
        make_video(path, 1, size=(160, 120), label=row["clip_id"])
    write_rows(tmp_path / "items.parquet", schema_of(ITEM_FIELDS, "items"), items())
    return root


def resize(data: Path, **params: object) -> list[Row]:
    out = data.parent / "out" / "part-00000.parquet"
    chosen = json.dumps({"root": "k", "short_edge": 64, "recipe": {"preset": "superfast"}} | params)
    result = run_step(ResizeStep(), items=data.parent / "items.parquet", params=chosen, out=out, data=data, jobs=2)
    assert result.exit is Exit.OK, result.sentence
    return list(read_rows(out))


def test_copies_lie_in_the_layout_and_are_facts(data: Path) -> None:
    rows = resize(data)
    assert [row["status"] for row in rows] == ["done"] * 3
    for row in rows:
        path = data / row["path"]
        assert row["path"] == f"k/videos_val_256p_dense_cache/{row['class_dir']}/{row['clip_id']}.mp4"
        facts = probe(path)
        assert (facts.width, facts.height, facts.has_audio, facts.frames) == (86, 64, False, 30)
        assert facts.columns() == {name: row[name] for name in facts.columns()}
        assert facts.keyframe_gap == row["keyframe_gap"] == 16
        assert (row["bytes"], row["sha256"]) == (path.stat().st_size, sha256_of(path))
        assert read_frame_numbers(path) == list(range(30))


def with_suffix(data: Path, row: Row, suffix: str) -> Path:
    """The clip of a row in another container."""
    path = clip_path(data, row)
    other = path.with_name(f"{row['clip_id']}{suffix}")
    codec = ["libvpx", "-deadline", "realtime"] if suffix.lower() == ".webm" else ["copy"]
    subprocess.run([ffmpeg().path, "-v", "error", "-i", path, "-c:v", *codec, "-an", f"file:{other}"], check=True)
    path.unlink()
    return other


def test_a_copy_has_its_clips_suffix(data: Path) -> None:
    for row, suffix in zip(items(), (".avi", ".webm", ".MKV"), strict=True):
        with_suffix(data, row, suffix)
    names = {"suffixes": [".mp4", ".MKV"]}  # of the data set: suffixes in capitals are looked for by name
    rows = resize(data, **names)
    assert [(row["status"], Path(row["path"]).suffix, row["evidence"]) for row in rows] == [
        ("done", ".avi", ""), ("done", ".mp4", "no .webm for H.264: the copy is an mp4"), ("done", ".MKV", ""),
    ]  # fmt: skip
    for row, form in zip(rows, ("avi", "mov,mp4", "matroska"), strict=True):
        path = data / row["path"]
        assert header(path).format.startswith(form)
        facts = probe(path)
        assert (facts.video_codec, facts.width, facts.height, facts.keyframe_gap) == ("h264", 86, 64, 16)
        assert read_frame_numbers(path) == list(range(30))
        assert row["sha256"] == sha256_of(path)
    assert [row["status"] for row in resize(data, **names)] == ["kept"] * 3
    (data / rows[0]["path"]).unlink()
    assert [row["status"] for row in resize(data, **names)] == ["done", "kept", "kept"]
    changed = resize(data, short_edge=48, **names)  # ours goes without a copy
    assert [row["height"] for row in changed] == [48] * 3
    assert not (data / ".clipquarry/set-aside").exists()


def test_mp4_on_request(data: Path) -> None:
    for row in items():
        with_suffix(data, row, ".avi")
    rows = resize(data, to_mp4=True)
    assert [Path(row["path"]).suffix for row in rows] == [".mp4"] * 3
    assert {header(data / row["path"]).format.partition(",")[0] for row in rows} == {"mov"}
    assert [row["evidence"] for row in rows] == [""] * 3


def test_a_persons_avi_is_kept_when_it_fits(data: Path) -> None:
    fits, other = (with_suffix(data, row, ".avi") for row in items()[:2])
    places = [
        data / "k/videos_val_256p_dense_cache" / path.relative_to(data / "k/videos_val") for path in (fits, other)
    ]
    for path, place, gap in zip((fits, other), places, ("16", "99"), strict=True):
        place.parent.mkdir(parents=True)
        argv = [
            ffmpeg().path,
            "-v",
            "error",
            "-i",
            f"file:{path}",
            "-vf",
            "scale=-2:64",
            "-c:v",
            "libx264",
            "-an",
            "-g",
            gap,
        ]
        subprocess.run([*argv, "-bf", "0", f"file:{place}"], check=True)
    before = [place.read_bytes() for place in places]
    rows = resize(data)
    assert [row["status"] for row in rows] == ["kept", "done", "done"]
    assert places[0].read_bytes() == before[0]
    assert (data / ".clipquarry/set-aside" / places[1].relative_to(data)).read_bytes() == before[1]


def test_a_persons_copy_in_another_container_than_its_suffix_is_moved_away(data: Path) -> None:
    with_suffix(data, items()[0], ".avi")
    place = data / "k/videos_val_256p_dense_cache" / items()[0]["class_dir"] / f"{items()[0]['clip_id']}.avi"
    first = resize(data)[0]
    place.unlink()
    argv = [
        ffmpeg().path,
        "-v",
        "error",
        "-i",
        data / first["path"].replace("_256p_dense_cache", ""),
        "-vf",
        "scale=-2:64",
    ]
    subprocess.run([*argv, "-c:v", "libx264", "-an", "-g", "16", "-f", "matroska", f"file:{place}"], check=True)
    Store(data / ".clipquarry" / "store").forget(KIND, items()[0]["clip_id"], key_of(data, items()[0]), ".avi")
    row = resize(data)[0]
    assert (row["status"], header(place).format) == ("done", "avi")
    assert "its container is matroska,webm" in row["evidence"]


def key_of(data: Path, row: Row) -> str:
    """The store's key of the one copy of a clip."""
    (facts,) = Store(data / ".clipquarry" / "store").all_noted(KIND, row["clip_id"])
    return str(facts["key"])


def test_without_a_class_folder_copies_lie_flat(data: Path) -> None:
    rows = [row | {"class_dir": nothing} for row, nothing in zip(items(), (None, "", None), strict=True)]
    for row in items():
        clip_path(data, row).rename(data / "k/videos_val" / f"{row['clip_id']}.mp4")
    write_rows(data.parent / "items.parquet", schema_of(ITEM_FIELDS, "items"), rows)
    assert [row["path"] for row in resize(data)] == [
        f"k/videos_val_256p_dense_cache/{row['clip_id']}.mp4" for row in rows
    ]


def test_a_second_run_keeps_everything(data: Path) -> None:
    first = resize(data)
    times = [(data / row["path"]).stat().st_mtime_ns for row in first]
    again = resize(data)
    assert [row["status"] for row in again] == ["kept"] * 3
    assert [row["sha256"] for row in again] == [row["sha256"] for row in first]
    assert [(data / row["path"]).stat().st_mtime_ns for row in again] == times


def test_what_was_lost_or_changed_is_made_good(data: Path) -> None:
    first = resize(data)
    (data / first[0]["path"]).unlink()  # the link only: the store still has it
    stored = Store(data / ".clipquarry" / "store").root
    victim = next(path for path in stored.rglob("*.mp4") if path.samefile(data / first[1]["path"]))
    victim.write_bytes(b"damaged by hand")  # the same file as the link
    again = resize(data)
    assert [row["status"] for row in again] == ["done", "done", "kept"]
    assert [row["sha256"] for row in again] == [row["sha256"] for row in first]
    assert all(sha256_of(data / row["path"]) == row["sha256"] for row in again)


def own_copy(data: Path, row: Row, film: Path, *, gap: int = 10) -> Path:
    """A dense copy as a person made it, in its place in the layout."""
    path = data / "k/videos_val_256p_dense_cache" / row["class_dir"] / f"{row['clip_id']}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    argv = [ffmpeg().path, "-v", "error", "-i", film, "-vf", "scale=-2:64", "-an", "-g", str(gap), "-crf", "30"]
    subprocess.run([*argv, "-fps_mode", "passthrough", path], check=True)
    return path


def test_a_persons_copies_are_kept_when_they_fit_and_else_moved_away(data: Path, tmp_path: Path) -> None:
    other = make_video(tmp_path / "other.mp4", 1, size=(160, 120), label="another one")
    films = (clip_path(data, items()[0]), clip_path(data, items()[1]), other)
    paths = [own_copy(data, row, film, gap=gap) for row, film, gap in zip(items(), films, (10, 99, 10), strict=True)]
    before = [path.read_bytes() for path in paths]
    rows = resize(data)
    assert [row["status"] for row in rows] == ["kept", "done", "done"]
    assert paths[0].read_bytes() == before[0]
    for path, was, row, why in zip(paths[1:], before[1:], rows[1:], ("key frames", "something else"), strict=True):
        moved = data / ".clipquarry/set-aside" / path.relative_to(data)
        assert moved.read_bytes() == was
        assert str(moved) in row["evidence"]
        assert why in row["evidence"]
        assert sha256_of(path) == row["sha256"]
    assert [row["status"] for row in resize(data)] == ["kept"] * 3
    assert paths[0].read_bytes() == before[0]


def test_a_file_in_place_of_a_copy_that_the_store_has_is_moved_away(data: Path) -> None:
    first = resize(data)
    place = data / first[0]["path"]
    place.unlink()
    place.write_bytes(b"mine")
    assert resize(data)[0]["sha256"] == first[0]["sha256"] == sha256_of(place)
    assert (data / ".clipquarry/set-aside" / first[0]["path"]).read_bytes() == b"mine"


def test_other_params_and_other_sources_are_made_again(data: Path) -> None:
    first = resize(data)
    other = resize(data, short_edge=48)
    assert [row["status"] for row in other] == ["done"] * 3
    assert {row["height"] for row in other} == {48}
    make_video(clip_path(data, items()[0]), 1, size=(160, 120), label="another film")
    again = resize(data)
    assert [row["status"] for row in again] == ["done"] * 3  # two links go back, one copy is new
    assert [row["sha256"] == old["sha256"] for row, old in zip(again, first, strict=True)] == [False, True, True]


def test_bad_clips_are_told_and_the_rest_goes_on(data: Path) -> None:
    gone, page, _ = (clip_path(data, row) for row in items())
    gone.unlink()
    page.write_bytes(b"<!DOCTYPE html>")
    rows = resize(data)
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("missing", "no_source"), ("failed", "not_a_video"), ("done", "ok"),
    ]  # fmt: skip
    assert rows[0]["evidence"] == "the clip is not there"
    assert not list((data / "k" / "videos_val_256p_dense_cache").glob("*/*.mp4"))[1:]
    assert not [path for path in data.rglob("*") if path.name.startswith(".clipquarry-tmp-")]


def test_the_sha256_comes_from_the_facts_of_the_same_file(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row, store = items()[0], Store(data / ".clipquarry" / "store")
    path = clip_path(data, row)
    temporary = store.path("clips", row["clip_id"], "k1").parent / "t.mp4"
    temporary.parent.mkdir(parents=True)
    shutil.copy(path, temporary)
    facts = store.put("clips", row["clip_id"], "k1", temporary, {})
    path.unlink()
    os.link(store.path("clips", row["clip_id"], "k1"), path)
    from clipquarry.steps import source_clip

    expected = sha256_of(path)
    monkeypatch.setattr(source_clip, "sha256_of", lambda _: pytest.fail("the file was read again"))
    found = source_clip.find_clip(store, row, path)
    assert found is not None
    assert found.sha256 == facts["sha256"] == expected


@pytest.mark.parametrize(
    ("params", "sentence"),
    [({"short_edge": 255}, "is odd"), ({"shortedge": 256}, "shortedge"), ({"short_edge": 2}, "greater than or equal")],
)
def test_wrong_params_are_one_sentence(data: Path, params: dict[str, object], sentence: str) -> None:
    from clipquarry.errors import UserError

    with pytest.raises(UserError, match=sentence):
        resize(data, **params)


def test_a_name_cannot_leave_the_data_root(data: Path) -> None:
    row = items()[0] | {"class_dir": "..", "item_id": "val/../x"}
    write_rows(data.parent / "items.parquet", schema_of(ITEM_FIELDS, "items"), [row])
    assert [(r["status"], r["reason"]) for r in resize(data)] == [("failed", "tool_failed")]


def test_the_kind_is_what_the_store_shows(data: Path) -> None:
    resize(data)
    assert (data / ".clipquarry" / "store" / KIND).is_dir()


def test_what_comes_while_a_copy_is_made_is_a_persons_or_the_same(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = resize(data)
    same = (data / made[1]["path"]).read_bytes()
    shutil.rmtree(data / ".clipquarry")
    places = [data / row["path"] for row in made]
    for place in places:
        place.unlink(missing_ok=True)
    make = resize_module.resize_clip

    def others_come_meanwhile(source: Path, out: Path, **how: Any) -> Any:
        for place, content in zip(places, (b"mine", same, None), strict=True):
            if content is not None and source.name == place.name:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        return make(source, out, **how)

    monkeypatch.setattr(resize_module, "resize_clip", others_come_meanwhile)
    rows = resize(data)
    assert [row["sha256"] for row in rows] == [row["sha256"] for row in made]
    assert ["moved" in row["evidence"] for row in rows] == [True, False, False], "what another run made is the same"
    assert (data / ".clipquarry/set-aside" / made[0]["path"]).read_bytes() == b"mine"
