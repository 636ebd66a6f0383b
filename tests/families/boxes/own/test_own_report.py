"""The section "Boxes" of a person's own AVA: how far the labels are, the imbalance, and what is to be done next."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations.own_ava.placed import write_table
from clipquarry.families.boxes.own.counts import BY_ONE, LABELLED, TO_SETTLE, WAITING, WRONG, CropLabels, write_counts
from clipquarry.families.boxes.own.labels import SET_ASIDE
from clipquarry.families.boxes.own.two_people import COLUMNS
from clipquarry.families.boxes.report.own_collect import collect_own
from clipquarry.families.boxes.report.own_data import OwnAction
from clipquarry.families.boxes.report.own_words import ENOUGH, advice, balance
from clipquarry.media.frame_folder import frame_name
from clipquarry.pipeline.reporting import write_report
from families.boxes.made_boxes import MadeBoxes, proposal_row, rect
from made_own import FPS, LEFT, STANDS, WALKS, MadeOwn, labelled
from playwright.sync_api import Browser

NOW = "2026-11-21T02:13:00+00:00"


def written(made: MadeOwn) -> tuple[dict[str, Any], str]:
    """The section's data, and the page's text with a blank for every tag."""
    from datetime import datetime

    path = write_report(made.spec, made.data, made.folder.name, None, datetime.fromisoformat(NOW))
    page = path.read_text(encoding="utf-8")
    section = page[page.index('<h2 id="boxes">') :]
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", section)).split())
    return json.loads((path.parent / "report.json").read_text())["boxes"], text


def picture(made: MadeOwn, crop: str, second: int) -> None:
    """The frame of a key second."""
    import av

    folder = made.data.dataset(made.spec.root, "rawframes", crop)
    folder.mkdir(parents=True, exist_ok=True)
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, dtype=np.uint8), format="rgb24")
    with av.open(str(folder / frame_name(FPS * second + 1)), "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        out.mux(stream.encode(frame.reformat(format="yuvj420p")))
        out.mux(stream.encode(None))


def test_numbers_by_hand(tmp_path: Path) -> None:
    value, text = written(labelled(tmp_path))
    assert [(one["split"], one["crops"], one["labelled"], one["frames"], one["with_labels"], one["bare"], one["boxes"],
             one["without_action"], one["labels"]) for one in value["splits"]] == [
        ("train", 1, 1, 2, 2, 0, 4, 0, 5), ("val", 1, 1, 2, 1, 1, 3, 1, 2),
    ]  # fmt: skip
    assert [one["wanted_frames"] for one in value["splits"]] == [2, 2]
    assert {one["name"]: one["splits"] for one in value["actions"]} == {
        "stand": {"train": 3, "val": 0}, "walk": {"train": 1, "val": 1}, "watch": {"train": 1, "val": 0},
        "sleep": {"train": 0, "val": 1},
    }  # fmt: skip
    assert (value["per_key_frame"]["edges"], value["per_key_frame"]["counts"]) == ([-0.5, 0.5, 1.5, 2.5], [1, 0, 3])
    assert value["problems"] == [] and sum(value["ids"].values()) == 6
    assert "new nobody known" in text, "where ids come from, in words"
    assert "2 of 2 crops are labelled: 7 boxes of people on 3 key frames, with 7 labels." in text
    assert "In train, “stand” has 3 labels and “walk” 1: 3 to 1. 1 action has none." in text
    assert "None in train, so that nobody can learn them: “sleep”." in text
    assert "Train with annotations/mmaction2_config.py" in text


def test_labels_that_are_set_aside_are_told(tmp_path: Path) -> None:
    made = labelled(tmp_path)
    assert "set aside" not in written(made)[1]
    rows = [("a", "a_000031.jpg", 1, 1, 9, 9, action) for action in ("stand", "watch")]
    write_table(made.place.set_aside, SET_ASIDE, [*rows, ("b", "b_000031.jpg", 1, 1, 9, 9, "walk")])
    value, text = written(made)
    assert value["set_aside"] == [3, 2]
    assert (
        "3 labels of 2 crops are set aside, because the key frames are no longer asked for (own/set_aside.csv" in text
    )


def test_crops_that_wait_or_are_wrong_are_named_with_what_is_to_be_done(tmp_path: Path) -> None:
    made = labelled(tmp_path)
    made.crop("b").finish.unlink()
    made.crop("a").finish.write_text("{")
    made.read()
    value, text = written(made)
    assert [(one["labelled"], one["wrong"], one["waiting"], one["left"]) for one in value["splits"]] == [
        (0, 1, 0, 2),
        (0, 0, 1, 2),
    ]
    assert "Label the crop that is left, in these folders" in text and "custom_ava/choose_frames_middle/b" in text
    assert "a_finish.json a_finish.json is no JSON" in text and "Train with" not in text
    assert value["per_key_frame"] is None, "the rows that a former reading left say nothing of this one"


def test_before_labels_there_are_proposals_and_the_way_to_labels(tmp_path: Path) -> None:
    made = MadeOwn(tmp_path)
    made.key_frames()
    MadeBoxes(made.folder).facts(dataset="custom_ava", run="one", kind="full", params={"fps": FPS, "margin": 1})
    rows = [proposal_row("a", 1, rect(*LEFT), 0.9), proposal_row("a", 1, rect(0.5, 0, 1, 1), 0.8)]
    MadeBoxes(made.folder).proposals("train", rows, path="x.pkl", source="hog")
    picture(made, "a", 1)
    value, text = written(made)
    assert value["proposals"] == [{"split": "train", "source": "hog", "frames": 1, "bare": 1, "boxes": 2}]
    assert "Label 4 key frames of 2 crops: start the data set custom_ava again with labels=true" in text
    assert [(one["name"], len(one["proposals"])) for one in value["key_frames"]] == [("a", 2)]


def test_crops_without_tracks_are_named(tmp_path: Path) -> None:
    made = labelled(tmp_path)
    made.place.untracked.write_text("name,why\nb,<b>nobody</b> was found\n")
    value, text = written(made)
    assert value["untracked"] == [["b", "<b>nobody</b> was found"]] and "b <b>nobody</b> was found" in text


def test_names_of_other_people_are_drawn_as_text(tmp_path: Path) -> None:
    made = MadeOwn(tmp_path, crops={"a": "train"}, groups={"<i>": ["<script>x</script>", "$a_b^c$"]})
    made.key_frames()
    made.label("a", {1: [(LEFT, {"1": "0,1"})]})
    made.read()
    picture(made, "a", 1)
    value, _ = written(made)
    page = (made.folder / "report/index.html").read_text()
    assert "<script" not in page and "<i>" not in page.replace("<i>x", "")
    assert page.count("&lt;script&gt;") >= 4, "in the table, the plot, on the picture and below it"
    assert value["key_frames"][0]["persons"][0]["actions"] == ["<script>x</script>", "$a_b^c$"]


def test_people_have_their_ids_on_the_picture_and_no_text_leaves_it(chromium: Browser, tmp_path: Path) -> None:
    """Their place in the picture is not who they are: the one on the right has the first number where he is alone."""
    made = MadeOwn(tmp_path, crops={"a": "train"}, groups={"posture": ["stand with both arms up and watch", "walk"]})
    made.key_frames()
    right = (0.7, 0.1, 1.0, 0.9)
    made.label("a", {1: [(LEFT, STANDS), (right, STANDS)], 2: [(right, WALKS)]})
    made.read()
    for second in (1, 2):
        picture(made, "a", second)
    value, _ = written(made)
    numbers = {one["time"]: {one["box"][0]: one["number"] for one in one["persons"]} for one in value["key_frames"]}
    assert numbers == {"1": {0.1: 0, 0.7: 1}, "2": {0.7: 1}}
    page = chromium.new_page()
    page.goto((made.folder / "report/index.html").as_uri())
    for shown in page.locator(".boxed").all():
        whole = shown.bounding_box()
        assert whole
        for text in shown.locator("text.truth").all():
            box = text.bounding_box()
            assert box and box["x"] + box["width"] <= whole["x"] + whole["width"]
    assert sorted(page.locator(".drawings li li").evaluate_all("all => all.map((one) => one.value)")) == [0, 1, 1]


@pytest.mark.parametrize(
    "name", ["label_crops", "labels_per_action", "labels", "people", "label_problems", "key_frames"]
)
@pytest.mark.parametrize("content", [b'name,second\n"x\xff', b"x,y\n1,2\n"])
def test_a_damaged_table_is_named_and_the_rest_is_shown(tmp_path: Path, name: str, content: bytes) -> None:
    made = labelled(tmp_path)
    path: Path = getattr(made.place, name)
    path.write_bytes(content)
    found = collect_own(made.spec, made.root, made.folder, {"fps": FPS, "margin": 1, "labels": True})
    assert found is not None and any(path.name in problem for problem in found.problems)
    assert [one.crops for one in found.splits] == [1, 1]


def _action(name: str, train: int, val: int = 0) -> OwnAction:
    return OwnAction(1, "g", name, {"train": train, "val": val})


def test_the_imbalance_in_one_sentence() -> None:
    assert balance([]) == balance([_action("a", 0)]) == balance([_action("a", 3)]) == ""
    assert balance([_action("a", 3), _action("b", 3)]) == "Every action has 3 labels in train."
    assert balance([_action("a", 4120), _action("b", 2)]) == "In train, “a” has 4,120 labels and “b” 2: 2,060 to 1."
    assert balance([_action("a", 3), _action("b", 2), _action("c", 0)]).endswith("1.5 to 1. 1 action has none.")
    assert balance([_action("a", 3), _action("b", 0)]) == "Only “a” has labels in train, 3. 1 action has none."
    assert (
        balance([_action("a", 1), _action("b", 1), _action("c", 0)])
        == "Each of 2 actions has 1 label in train. 1 action has none."
    )


def test_advice_for_each_kind_of_rare_action() -> None:
    actions = [
        _action("much", ENOUGH, 1),
        _action("few", ENOUGH - 1, 1),
        _action("none", 0, 1),
        _action("unseen", ENOUGH),
    ]
    none, few, unseen = advice(actions, ["train", "val"])
    assert "“none”." in none and "“few”." in few and "“unseen”." in unseen
    assert "No crop is of val" in list(advice(actions, ["train"]))[-1]
    assert list(advice(actions, ["val"])) == []
    assert "is a copy of train" in list(advice(actions, ["train"], copied=True))[-1]
    assert "and 28 more" in next(advice([_action(f"n{number}", 0) for number in range(40)], ["train"]))


def test_of_two_annotators_it_says_what_waits_for_whom_and_how_far_they_agree(tmp_path: Path) -> None:
    made = MadeOwn(tmp_path, crops={"a": "train", "b": "train", "c": "val", "d": "val", "e": "val"})
    made.key_frames()
    params = {"fps": FPS, "margin": 1, "labels": True, "annotators": 2}
    MadeBoxes(made.folder).facts(dataset="custom_ava", run="one", kind="full", params=params)
    states = [LABELLED, BY_ONE, TO_SETTLE, WAITING, WRONG]
    found = [CropLabels(name, made.crops[name], state, 2) for name, state in zip(made.crops, states, strict=True)]
    write_counts(made.place, ("train", "val"), made.attributes, [], found)
    numbers = [
        ("1", "posture", "stand", 2, 1200, 1, 20, 5, 10, 15, "0.7", "0.4"),
        ("2", "posture", "<i>w", 2, 1200, 1, 0, 0, 0, 50, "1.0", ""),
    ]
    write_table(made.place.agreement, COLUMNS, numbers)
    value, text = written(made)
    assert [(one["labelled"], one["by_one"], one["to_settle"], one["waiting"], one["wrong"]) for one in value["splits"]] == [
        (1, 1, 0, 0, 0), (0, 0, 1, 1, 1),
    ]  # fmt: skip
    assert "1 crop waits for both, 1 for the second." in text and "Compare and settle 1 crop on the page" in text
    assert "Move the finished projects of 1 crop away" in text and "NAME_finish.json" not in text
    assert "1,200 boxes that both have, on 2 crops on which both are done; 1 that only one of them has is not." in text
    assert "stand posture 0.40 70 % 20 5 10 15" in text and "<i>w posture – 100 % 0 0 0 50" in text
    assert value["agreement"]["actions"][1]["kappa"] is None
    made.place.agreement.write_text("action\n1\n")
    value, text = written(made)
    assert value["agreement"] is None and "agreement.csv cannot be read" in text
