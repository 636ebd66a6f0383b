"""Boxes between the formats of labelling tools, and hostile files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clipquarry.annotations.own_ava import coco_boxes, cvat_xml, label_folder, label_studio
from clipquarry.annotations.own_ava.frame_boxes import Clip, FrameBox
from clipquarry.annotations.own_ava.via_project import Size
from clipquarry.errors import UserError

SIZE = Size(200, 100)
BOXES = [
    FrameBox(31, 10.0, 20.0, 60.0, 90.0, 0, ("stand", 'say "<&>"')),
    FrameBox(61, 12.0, 20.0, 62.0, 90.0, 0, ("stand",)),
    FrameBox(31, 100.0, 10.0, 150.0, 80.0, 3),
]
ACTIONS = ["stand", "sit", 'say "<&>"']


def clip(boxes: list[FrameBox] | None = None) -> Clip:
    return Clip("a_b", SIZE, list(BOXES if boxes is None else boxes))


def near(found: list[FrameBox], wanted: list[FrameBox]) -> None:
    assert [one[5:7] for one in found] == [one[5:7] for one in wanted]
    assert [one[:5] for one in found] == [pytest.approx(one[:5]) for one in wanted]


def test_coco_there_and_back() -> None:
    (found,) = coco_boxes.coco_clips(json.loads(coco_boxes.coco_text(clip())), "x.json")
    assert not found.refused and found.clip.name == "a_b" and found.clip.names[31] == "a_b_000031.jpg"
    near(found.clip.boxes, BOXES)


def test_cvat_there_and_back() -> None:
    text = cvat_xml.cvat_text(clip(), ACTIONS, frames=90)
    found = cvat_xml.parse_cvat(text.encode(), "x.xml")
    assert not found.refused and found.clip.name == "a_b" and found.clip.size == SIZE
    near(found.clip.boxes, [BOXES[0], BOXES[1], BOXES[2]])
    assert text.count('outside="1"') == 3, "behind each box stands where the person is not seen"
    with pytest.raises(UserError, match="not in the list of actions"):
        cvat_xml.cvat_text(clip(), ["sit"], frames=90)


def test_frames_of_label_studio_there_and_back() -> None:
    text = label_studio.frames_text(clip(), prefix="/data/upload/3/0123abcd-")
    (found,) = label_studio.label_studio_clips(json.loads(text), "x.json", {})
    assert not found.refused and found.clip.name == "a_b" and found.clip.size == SIZE
    near(found.clip.boxes, [BOXES[0], BOXES[2], BOXES[1]])


def test_a_video_of_label_studio_there_and_back() -> None:
    boxes = [one._replace(labels=("sit",)) for one in BOXES]
    text = label_studio.video_text(clip(boxes), "a_b.mp4", frames=90, fps=30)
    (found,) = label_studio.label_studio_clips(json.loads(text), "x.json", {"a_b": SIZE})
    near(found.clip.boxes, [one._replace(track=min(one.track or 0, 1)) for one in boxes])
    with pytest.raises(UserError, match="export frames"):
        label_studio.video_text(clip(), "a_b.mp4", frames=90, fps=30)


def test_key_frames_of_label_studio_are_joined_while_enabled() -> None:
    def key(frame: int, x: float, enabled: bool) -> dict[str, Any]:
        return {"frame": frame, "x": x, "y": 0, "width": 10, "height": 10, "enabled": enabled}

    sequence = [key(1, 0, True), key(3, 20, False), key(6, 40, True)]
    result = {"type": "videorectangle", "value": {"framesCount": 8, "sequence": sequence, "labels": ["person"]}}
    task = {"data": {"video": "v.mp4"}, "annotations": [{"result": [result]}]}
    (found,) = label_studio.label_studio_clips([task], "x.json", {"v": SIZE})
    assert [(one.frame, one.x1) for one in found.clip.boxes] == [(1, 0), (2, 20), (3, 40), (6, 80), (7, 80), (8, 80)]


def test_a_folder_of_label_texts_there_and_back(tmp_path: Path) -> None:
    boxes = [one._replace(labels=(), score=0.5) for one in BOXES]
    assert label_folder.write_folder(clip(boxes), tmp_path) == 2
    (tmp_path / "c_000001.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (tmp_path / "a_b_000091.txt").write_text("0 0.5\n")
    other, found = label_folder.read_folder(tmp_path, {"a_b": SIZE})
    near(found.clip.boxes, [boxes[0], boxes[2], boxes[1]])
    assert [one.where for one in found.refused] == ["a_b_000091.txt, line 1"]
    assert [one.where for one in other.refused] == ["c_000001.txt"] and "size" in other.refused[0].why


ENTITY = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>'
HEAD = "<annotations><meta><task><original_size><width>200</width><height>100</height></original_size></task></meta>"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (ENTITY, "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "document type"),
        (b"<annotations>", "no XML"),
        (b"\x00", "no XML"),
        (b'<?xml version="1.0" encoding="no-such"?><annotations/>', "no XML"),
        (b"<a>" * 100, "nested"),
        (b"<a/>", "no CVAT file"),
        (b"<annotations/>", "original_size"),
        (b"<annotations><image/></annotations>", "for images"),
    ],
)
def test_hostile_xml(content: bytes, told: str) -> None:
    with pytest.raises(UserError, match=told):
        cvat_xml.parse_cvat(content, "x.xml")


@pytest.mark.parametrize(
    ("track", "told"),
    [
        ('<track id="x"/>', "no whole number"),
        ('<track id="1"><polygon frame="0"/></track>', "only boxes"),
        ('<track id="1"><box frame="0" xtl="1" ytl="1" xbr="nan" ybr="5"/></track>', "no number"),
        ('<track id="1"><box frame="-1" xtl="1" ytl="1" xbr="5" ybr="5"/></track>', "not between 1"),
        ('<track id="1"><box frame="0" xtl="5" ytl="1" xbr="5" ybr="5"/></track>', "no area"),
        ('<track id="1"><box frame="0" xtl="5" ytl="1" xbr="500" ybr="5"/></track>', "leaves the frame"),
    ],
)
def test_faults_of_cvat(track: str, told: str) -> None:
    found = cvat_xml.parse_cvat(f"{HEAD}{track}</annotations>".encode(), "x.xml")
    assert len(found.refused) == 1 and told in found.refused[0].why and not found.clip.boxes


def test_cvat_s_choices_and_boxes_outside() -> None:
    track = (
        '<track id="1"><box frame="0" outside="0" xtl="1" ytl="1" xbr="5" ybr="5"><attribute name="body">sit</attribute>'
        '<attribute name="talk">true</attribute><attribute name="bow">false</attribute></box>'
        '<box frame="1" outside="1" xtl="1" ytl="1" xbr="5" ybr="5"/></track>'
    )
    found = cvat_xml.parse_cvat(f"{HEAD}{track}</annotations>".encode(), "x.xml")
    assert [(one.frame, one.labels) for one in found.clip.boxes] == [(1, ("sit", "talk"))]


def coco(**change: Any) -> dict[str, Any]:
    one = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], **change}
    image = {"id": 1, "file_name": "a_000001.jpg", "width": 200, "height": 100}
    return {"images": [image], "annotations": [one], "categories": [{"id": 1, "name": "person"}]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image_id": 2}, "image is not in the file"),
        ({"image_id": [1]}, "image is not in the file"),
        ({"category_id": 9}, "category"),
        ({"category_id": {}}, "category"),
        ({"bbox": [1, 1, 5]}, "four numbers"),
        ({"bbox": [1, 1, -5, 5]}, "no area"),
        ({"bbox": [1, 1, 500, 5]}, "leaves the frame"),
        ({"track_id": -1}, "no whole number"),
        ({"score": "x"}, "not between 0 and 1"),
        ({"attributes": {"actions": "sit"}}, "no list of texts"),
    ],
)
def test_faults_of_coco(change: dict[str, Any], told: str) -> None:
    found = coco_boxes.coco_clips(coco(**change), "x.json")
    refused = [one for clips in found for one in clips.refused]
    assert len(refused) == 1 and told in refused[0].why and not any(one.clip.boxes for one in found)


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ({"data": {}}, "neither a video nor an image"),
        ({"data": {"image": "x.jpg"}}, "no frame's name"),
        ({"data": {"video": "w.mp4"}}, "size of the frames of w"),
        ({"data": {"video": "v.mp4"}, "annotations": [{"result": []}, {"result": []}]}, "2 annotations"),
        ({"data": {"video": "v.mp4"}, "annotations": [{"result": [{"type": "brush", "value": {}}]}]}, "no rectangle"),
        (
            {"data": {"video": "v.mp4"}, "annotations": [{"result": [{"type": "videorectangle", "value": {}}]}]},
            "key frames",
        ),
    ],
)
def test_faults_of_label_studio(task: dict[str, Any], told: str) -> None:
    found = label_studio.label_studio_clips([task], "x.json", {"v": SIZE})
    refused = [one for clips in found for one in clips.refused]
    assert len(refused) == 1 and told in refused[0].why


def test_files_of_another_kind() -> None:
    with pytest.raises(UserError, match="no COCO file"):
        coco_boxes.coco_clips([], "x.json")
    with pytest.raises(UserError, match="no list of tasks"):
        label_studio.label_studio_clips({}, "x.json", {})
