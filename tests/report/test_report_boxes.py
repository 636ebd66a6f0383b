"""The section "Boxes": its numbers by hand, and its pictures."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boxes_fixture import (
    ALL,
    LEFT,
    RIGHT,
    A,
    B,
    annotate,
    ava,
    bare_world,
    boxes,
    cells,
    excerpt_row,
    kinetics,
    name_actions,
    propose,
    text_of,
    write_excerpt,
    write_picture,
    written,
)
from clipquarry import overlap
from clipquarry.files import write_json
from report_pages import html, report

# --- numbers


def test_numbers_of_ava_by_hand(tmp_path: Path) -> None:
    world = ava(tmp_path)
    page = written(world)
    value = boxes(world)
    assert value["splits"] == [
        {
            "split": "train", "rows": 6, "persons": 5, "key_frames": 4, "empty": 1, "videos": 2, "excluded": 1,
            "rejected": 2,
        },
    ]  # fmt: skip
    assert value["per_key_frame"]["edges"] == [-0.5, 0.5, 1.5, 2.5]
    assert value["per_key_frame"]["counts"] == [1, 3, 1]
    assert value["key_frames_per_video"]["counts"] == [1, 0, 0, 1]
    assert {a["number"]: (a["name"], a["evaluated"], a["splits"]["train"]) for a in value["actions"]} == {
        1: ("bend/bow (at the waist)", True, 3), 2: ("bow", False, 0), 12: ("stand", True, 1),
        80: ("watch (a person)", True, 2),
    }  # fmt: skip
    assert value["times"] == {"key_frames": 5, "off": 0, "largest": 0.0, "fractions": None}
    assert value["problems"] == []
    text = text_of(page)
    assert "5 labelled persons on 4 key frames of 2 videos, in 6 rows" in text
    assert "4 classes, 3 of them evaluated. Without any row: bow." in text
    assert "All 5 key frames have whole seconds." in text


def test_recall_by_hand(tmp_path: Path) -> None:
    """The whole picture meets each half at exactly 0.5; the small box has a low score; B has nothing; 904 is excluded."""
    world = ava(tmp_path)
    written(world)
    value = boxes(world)
    assert value["columns"] == ["any score", "≥ 0.5", "≥ 0.7", "≥ 0.9", "as read"]
    assert value["recall"] == [{"name": "train", "persons": 4, "found": [3, 2, 2, 2, 3]}]
    sizes = [(row["persons"], row["found"]) for row in value["recall_by_size"]]
    assert sizes == [(1, [1, 0, 0, 0, 1]), (0, [0] * 5), (3, [2, 2, 2, 2, 2])]
    assert value["coverage"] == [{"split": "train", "key_frames": 3, "covered": [2, 1, 1, 1], "bare_persons": 1}]
    assert sum(value["scores"]["counts"]) == 5 and value["scores"]["counts"][-1] == 1
    assert "train 4 75.0 % 50.0 % 50.0 % 50.0 % 75.0 %" in cells(world)
    assert "train 3 66.6 % 33.3 % 33.3 % 33.3 % 1 1" in cells(world)


def test_proposals_without_scores_pass_every_threshold(tmp_path: Path) -> None:
    world = ava(tmp_path)
    propose(world.folder, "train", [(A, 902, LEFT, -1), (A, 902, RIGHT, -1)])
    written(world)
    value = boxes(world)
    assert value["recall"][0]["found"] == [2, 2, 2, 2, 2]
    assert value["scores"] is None
    assert value["proposals"][0]["unscored"] == 2


def test_best_scores_are_those_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "MAX_PAIRS", 7)  # many rounds
    rng = np.random.default_rng(4)

    def some(count: int) -> tuple[Any, Any]:
        corners = np.round(np.sort(rng.random((count, 2, 2)), axis=1), 1)
        return np.sort(rng.integers(0, 12, count)), corners.reshape(count, 4)

    (keys, people), (other_keys, others) = some(60), some(90)
    scores = rng.random(90)

    def iou(one: Any, other: Any) -> float:
        width, height = (min(one[2 + at], other[2 + at]) - max(one[at], other[at]) for at in (0, 1))
        both = max(width, 0) * max(height, 0)
        areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
        return both / (areas - both) if both else 0.0

    for key, box, best in zip(keys, people, overlap.best_scores(keys, people, other_keys, others, scores), strict=True):
        met = [s for k, b, s in zip(other_keys, others, scores, strict=True) if k == key and iou(box, b) >= 0.5 - 1e-9]
        assert best == max(met, default=overlap.NOT_FOUND)


def test_splits_are_added(tmp_path: Path) -> None:
    world = ava(tmp_path)
    annotate(world.folder, "val", [(B, "1000", LEFT, 1)])
    propose(world.folder, "val", [(B, 1000, LEFT, 0.8)])
    written(world)
    value = boxes(world)
    assert [row["name"] for row in value["recall"]] == ["train", "val", "all"]
    assert value["recall"][2] == {"name": "all", "persons": 5, "found": [4, 3, 3, 2, 4]}
    assert [row["split"] for row in value["splits"]] == ["train", "val"]
    assert value["actions"][0]["splits"] == {"train": 3, "val": 1}


def test_numbers_of_ava_kinetics_by_hand(tmp_path: Path) -> None:
    world = kinetics(tmp_path)
    text = text_of(written(world))
    value = boxes(world)
    assert value["times"]["key_frames"] == 3 and value["times"]["off"] == 2
    assert value["times"]["largest"] == pytest.approx(0.419)
    assert "2 of 3 key frames (66.6 %) have a time that is no whole second, by at most 0.419 s" in text
    assert value["recall"] == [{"name": "train", "persons": 2, "found": [1, 1, 1, 0, 1]}]
    assert value["coverage"][0]["covered"] == [2, 2, 2, 1]
    assert value["prepared"] == [{"split": "train", "rows": 2, "dropped": 1, "no_clip": 1}]
    assert "2 rows of Kinetics + 40 rows of AVA = 42" in text
    assert "3 links to AVA's frames; 3 of 4 videos of AVA have theirs" in text
    assert value["images"]["wrong_count"] == 1 and value["images"]["rows"][0]["name"] == f"{B}_000002_000006"
    assert value["problems"] == []


def test_wrong_images_are_listed_and_explained(tmp_path: Path) -> None:
    world = ava(tmp_path)
    early = "the source ends at 1790.0 s: 26,700 of 27,030 frames"
    gone = {"status": "failed", "reason": "corrupt", "evidence": "moov atom not found", "images": None, "fps": None}
    write_excerpt(
        world.folder,
        [
            excerpt_row(A, images=26_700, evidence=early), excerpt_row(B, images=27_033), excerpt_row("C" * 11, fps=29.97),
            excerpt_row("D" * 11, images=22_525, fps=25.0), excerpt_row("E" * 11, **gone),
            excerpt_row("F" * 11, images=None, fps=None),  # nobody asked for its images
        ],
    )  # fmt: skip
    text = text_of(written(world))
    images = boxes(world)["images"]
    names = [(row["name"][0], row["found"], row["said"]) for row in images["rows"]]
    assert names == [
        ("D", 22_525, ""), ("C", 27_030, ""), ("E", None, "Damaged: moov atom not found"), ("A", 26_700, early),
    ]  # fmt: skip
    counts = {name: images[name] for name in ("checked", "wrong_count", "wrong_rate", "failed", "unexplained")}
    assert counts == {"checked": 6, "wrong_count": 2, "wrong_rate": 2, "failed": 1, "unexplained": 2}
    assert "6 videos checked by excerpt: 2 with another number" in text


# --- pictures


def test_key_frames_are_drawn_with_boxes_and_told_in_words(tmp_path: Path) -> None:
    world = ava(tmp_path)
    page = written(world)
    frames = boxes(world)["key_frames"]
    assert [frame["name"] for frame in frames[:2]] in ([A, B], [B, A]), "first one of each video"
    assert len({(frame["name"], frame["time"]) for frame in frames}) == len(frames) == 4
    for frame in frames:
        assert frame["image"] == f"ava/rawframes/{frame['name']}/img_{30 * (int(frame['time']) - 900) + 1:05d}.jpg"
    assert page.tags["img"] == 4 and page.images_without_alt == 0
    text = html(world)
    persons = sum(len(frame["persons"]) for frame in frames)
    proposals = sum(len(frame["proposals"]) for frame in frames)
    assert text.count('<rect class="truth"') == persons and text.count('<rect class="guess') == proposals
    assert "<title>watch (a person)</title>" in text  # B has one key frame
    assert f'alt="Key frame of {B} at 0902 s with 1 labelled person and 0 proposals"' in text
    assert 'x="0.0" y="0.0" width="448.0" height="336.0"' in text


def test_the_choice_depends_on_names_only(tmp_path: Path) -> None:
    chosen = []
    for name in ("one", "other"):
        world = bare_world(tmp_path / name, "ava")
        videos = [letter * 11 for letter in "ABCDEFGHIJKLMNOP"]
        rows = [(video, f"{second:04d}", LEFT, 1) for video in videos for second in range(902, 912)]
        annotate(world.folder, "train", rows if name == "one" else rows[::-1])
        annotate(world.folder, "val", [("V" * 11, "0902", ALL, 1)])
        for video, second in itertools.product([*videos, "V" * 11], range(902, 912)):
            write_picture(tmp_path / name / f"ava/rawframes/{video}/img_{30 * (second - 900) + 1:05d}.jpg", 16, 16)
        written(world)
        chosen.append([(frame["split"], frame["name"], frame["time"]) for frame in boxes(world)["key_frames"]])
    assert chosen[0] == chosen[1]
    assert [split for split, *_ in chosen[0]] == ["train"] * 8 + ["val"]
    assert len({name for _, name, _ in chosen[0]}) == 9


@pytest.mark.parametrize(("offset", "number"), [(None, 61), ("true", 61), ("mmaction2", 60)])
def test_the_image_of_a_key_frame(tmp_path: Path, offset: str | None, number: int) -> None:
    world = kinetics(tmp_path, offset=offset)
    written(world)
    images = {frame["image"].split("/", 2)[2] for frame in boxes(world)["key_frames"]}
    assert images == {f"{A}_000015_000019/img_{number:05d}.jpg", f"{B}_000002_000006/img_{number:05d}.jpg"}


def test_the_image_of_a_key_frame_in_the_flat_layout(tmp_path: Path) -> None:
    world = bare_world(tmp_path, "ava_kinetics_flat")
    annotate(world.folder, "val", [(A, "17.070000", LEFT, 1), (B, "2.500000", LEFT, 1), (B, "90.000000", ALL, 1)])
    write_json(world.folder / "prepared" / "val.json", {"rows": 2, "dropped": 1, "no_clip": 1})
    name_actions(world.folder)
    for name, number in ((f"{A}_000017", 93), (f"{B}_000002", 76)):  # 3.07 s and 2.5 s behind the clip's start
        write_picture(tmp_path / world.spec.root / f"{world.spec.layout['rawframes']}/{name}/{number:06d}.jpg")
    page = written(world)
    assert page.tags["img"] == 2
    shown = {frame["name"]: frame["time"] for frame in boxes(world)["key_frames"]}
    assert shown == {f"{A}_000017": "17.070000", f"{B}_000002": "2.500000"}
    assert boxes(world)["prepared"] == [{"split": "val", "rows": 2, "dropped": 1, "no_clip": 1}]
    assert boxes(world)["problems"] == ["frames/ holds no table: no frames have been made in this run."]
    assert "there are no proposals yet" not in page.text and "Merged with AVA" not in page.text
    assert [stage["name"] for stage in report(world)["stages"]] == ["annotations", "fetch", "frames", "record", "boxes"]


def test_pictures_that_are_gone_damaged_or_elsewhere(tmp_path: Path) -> None:
    world = ava(tmp_path / "data")
    for path in (tmp_path / "data/ava/rawframes" / A).iterdir():
        path.write_bytes(b"<html>not a picture</html>")
    for path in (tmp_path / "data/ava/rawframes" / B).iterdir():
        path.rename(tmp_path / "secret.jpg")
        path.symlink_to(tmp_path / "secret.jpg")
    page = written(world)
    assert page.tags["img"] == 0
    assert "the file is no JPEG" in page.text
    assert {frame["name"] for frame in boxes(world)["key_frames"]} == {A}
    (tmp_path / "data/ava/rawframes").rename(tmp_path / "data/ava/moved")
    assert "None of the key frames" in written(world).text
