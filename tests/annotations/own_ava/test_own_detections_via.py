"""Heads that are no bodies, and detections as VIA projects and back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from clipquarry.annotations.own_ava import via_labels
from clipquarry.annotations.own_ava.detections import Detection, read_labels
from clipquarry.annotations.own_ava.heads import real_bodies
from clipquarry.annotations.own_ava.key_frames import frame_name
from clipquarry.annotations.own_ava.via_project import Size
from clipquarry.annotations.own_ava.via_reading import parse_project
from clipquarry.errors import UserError

BODY = Detection(1, 0.5, 0.5, 0.2, 0.8)
HEAD = Detection(0, 0.5, 0.2, 0.1, 0.1)
FALSE = Detection(1, 0.5, 0.2, 0.11, 0.11)


def found_in(text: str) -> list[Detection]:
    return [one for one in read_labels(text, "x") if isinstance(one, Detection)]


def test_a_body_that_is_a_head_goes_wherever_it_stands() -> None:
    assert real_bodies([HEAD, FALSE, BODY]) == real_bodies([BODY, HEAD, FALSE]) == [BODY]
    assert real_bodies([HEAD, FALSE, BODY], reference=True) == [BODY]
    assert real_bodies([HEAD, BODY, FALSE], reference=True) == [BODY, FALSE]
    assert real_bodies([FALSE, BODY]) == [FALSE, BODY], "no head there"


def test_more_than_ten_frames_keep_their_own_boxes() -> None:
    sizes = {frame_name(f"{number}", 211): Size(200, 100) for number in range(10, 23)}
    found = {f"{number}_000211": [HEAD, BODY] for number in range(10, 23) if number != 15}
    project = via_labels.detections_to_project(sizes, found)
    assert len(project.files) == len(project.views) == 13 and list(project.regions)[:2] == ["image1_2", "image2_2"]
    texts = via_labels.project_to_labels(project, sizes)
    assert texts["15_000211"] == "" and len(texts) == 13
    for stem in found:
        (one,) = found_in(texts[stem])
        assert one.kind == 0 and one[1:5] == pytest.approx(BODY[1:5])
    with pytest.raises(UserError, match=r"size of 10_000211\.jpg is unknown"):
        via_labels.project_to_labels(project, {})


def test_the_split_depends_on_name_and_seed_alone() -> None:
    names = [f"{number}_000211.jpg" for number in range(2000)]
    split = via_labels.divide(names, 1)
    assert split == dict(reversed(via_labels.divide(names[::-1], 1).items()))
    assert via_labels.divide(names[:5], 1) == {name: split[name] for name in names[:5]}
    assert split != via_labels.divide(names, 2)
    many = Counter(split.values())
    assert 1500 < many["train"] < 1700 and 140 < many["test"] < 260
    with pytest.raises(UserError, match="shares"):
        via_labels.divide(names, 1, {"train": 0})


@pytest.mark.shared
def test_the_reference_s_project_of_detections(shared: Path) -> None:
    oracle = shared / "oracles/imagedet_yolo2via"
    size = Size(*json.loads((oracle / "inputs/images.json").read_text())["size"])
    wanted = json.loads((oracle / "expected/detection.json").read_text())
    found = {one.stem: found_in(one.read_text()) for one in (oracle / "inputs/labels").iterdir()}
    project = via_labels.detections_to_project({f"{stem}.jpg": size for stem in found}, found, reference_default=True)
    by_name = {
        (wanted["file"][one["vid"]]["fname"], key.partition("_")[2]): (one["xy"][1:], one["av"])
        for key, one in wanted["metadata"].items()
    }
    made = {
        (project.file_of(one).name, key.partition("_")[2]): (list(one.box), dict(one.choices))
        for key, one in project.regions.items()
    }
    assert made == by_name


@pytest.mark.shared
def test_the_correct_labels_of_a_corrected_project(shared: Path) -> None:
    oracle = shared / "oracles/imagedet_via2yolo"
    size = Size(*json.loads((oracle / "inputs/images.json").read_text())["size"])
    reading = parse_project((oracle / "inputs/detection2.json").read_bytes(), "detection2.json", boxes_only=True)
    assert [one.where for one in reading.refused] == ["detection2.json, view '12'", "detection2.json, project"]
    sizes = {one.name: size for one in reading.project.files.values()}
    texts = via_labels.project_to_labels(reading.project, sizes)
    for path in (oracle / "expected/correct_labels").iterdir():
        assert found_in(texts[path.stem]) == found_in(path.read_text()), path.name
